"""Unigram losses and frequent beginnings of texts in several scripts."""

import math
import threading

import numpy as np
import pytest

from fastrnn.data.text import corpus as corpus_module
from fastrnn.data.text.corpus import corpus_from_text, frequent_start, lzma_nats, split_corpus, unigram_nats


def test_independent_letters_of_equal_frequency_have_their_entropy() -> None:
    corpus = corpus_from_text("gattcacg" * 500)
    assert unigram_nats(corpus) == pytest.approx(math.log(4), abs=1e-3)


def test_loss_on_another_part_is_the_cross_entropy() -> None:
    whole = corpus_from_text("a" * 299 + "b" * 99 + "a" * 100 + "b" * 300)
    train, valid = split_corpus(whole, 400 / 798)
    p, q = 300 / 400, 100 / 400
    assert valid is not None
    assert unigram_nats(train, valid) == pytest.approx(-(math.log(p) + 3 * math.log(q)) / 4, abs=1e-2)


def test_unseen_token_has_a_finite_loss() -> None:
    train, valid = split_corpus(corpus_from_text("a" * 90 + "b" * 10), 0.1)
    assert math.isfinite(unigram_nats(train, valid))


def test_long_text_is_counted_in_parts_that_are_spread_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_module, "_COUNT_PIECE", 10)
    monkeypatch.setattr(corpus_module, "_MAX_PIECES", 4)
    corpus = corpus_from_text("a" * 500 + "b" * 500)
    counts = corpus_module._count_tokens(corpus, 2)
    np.testing.assert_array_equal(counts, [20, 20])


@pytest.mark.parametrize("tokens", ["chars", "bytes", "words"])
@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("our boat and our oars, for our lake\n", "our "),
        ("мы шли на север, на юг, на запад\n", "на "),
        ("we are the many, oh we are the few, we go\n", "we "),
    ],
)
def test_beginning_of_a_word_text_is_a_frequent_word(tokens: str, text: str, start: str) -> None:
    assert frequent_start(corpus_from_text(text * 9, tokens=tokens)) == start


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("船在水上。船在岸边。船在哪里？\n", "船在"),
        ("ACCAGACC\nTTACCGAC\n", "AC"),
        ("12 12 13\n", "12"),
        ("+-+- *\n", ""),
    ],
)
def test_beginning_of_other_texts_is_two_letters_or_empty(text: str, start: str) -> None:
    assert frequent_start(corpus_from_text(text * 9)) == start


def test_beginning_is_never_an_unknown_word() -> None:
    assert frequent_start(corpus_from_text("every word stands here once\n", tokens="words", min_count=2)) == ""


def test_beginning_of_binary_data_is_empty() -> None:
    corpus = corpus_from_text("".join(chr(0xDC80 + i) for i in range(100)), tokens="bytes")
    assert frequent_start(corpus) == ""


@pytest.mark.parametrize("tokens", ["chars", "bytes"])
def test_lzma_loss_counts_what_the_training_text_already_has(tokens):
    rng = np.random.default_rng(0)
    letters = "".join(rng.choice(list("abcdefgh"), 20_000))
    corpus = corpus_from_text(letters + letters[:5000], tokens=tokens)
    train, repeated = split_corpus(corpus, 0.2)
    assert repeated is not None
    assert lzma_nats(train, repeated) < 0.05  # a repetition is nearly free
    _, random_part = split_corpus(corpus_from_text(letters, tokens=tokens), 0.25)
    assert random_part is not None
    assert lzma_nats(repeated, random_part) == pytest.approx(math.log(8), rel=0.15)  # 3 bits a letter


def test_lzma_loss_does_not_need_threads(monkeypatch):
    train, scored = split_corpus(corpus_from_text("the cat sat on the mat. " * 50), 0.2)
    assert scored is not None
    usual = lzma_nats(train, scored)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert lzma_nats(train, scored) == usual
