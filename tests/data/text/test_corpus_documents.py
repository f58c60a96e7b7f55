"""Where documents start in a corpus, what cannot be predicted, and the split into training and validation."""

from pathlib import Path

import numpy as np
import pytest
from corpus_cases import KINDS, text_of, written

from fastrnn.data.text.corpus import Corpus, corpus_from_text, read_corpus, split_corpus
from fastrnn.data.text.tokenizers import ByteTokenizer, CharTokenizer


@pytest.mark.parametrize("tokens", KINDS)
def test_each_file_is_a_document_and_a_break(tokens: str, tmp_path: Path) -> None:
    names = written(tmp_path, "a b\n", "", "c d e\n", "")

    corpus = read_corpus(names, tokens=tokens, min_count=1)

    second = 3 if tokens == "words" else 4
    np.testing.assert_array_equal(corpus.starts, [0, second])
    np.testing.assert_array_equal(corpus.breaks, [0, second])
    assert corpus.names == (names[0], names[2])


@pytest.mark.parametrize("tokens", ["chars", "bytes"])
def test_document_starts_at_each_separator(tokens: str, tmp_path: Path) -> None:
    names = written(tmp_path, "--one----two-", "-three--")

    corpus = read_corpus(names, tokens=tokens, separator="--")

    np.testing.assert_array_equal(corpus.starts, [0, 5, 7, 13, 19])
    np.testing.assert_array_equal(corpus.breaks, [0, 13])


def test_separator_of_words_may_be_rare() -> None:
    corpus = corpus_from_text("one two\n\nEND\n\none two\n", tokens="words", separator="\n\nEND")

    np.testing.assert_array_equal(corpus.starts, [0, 2])
    np.testing.assert_array_equal(corpus.breaks, [0])


def test_separator_of_wide_characters_is_found_between_whole_characters() -> None:
    filler = "".join(map(chr, range(0x400, 0x600)))

    corpus = corpus_from_text(filler + "ж☃" + filler + "ж☃", separator="ж☃")

    np.testing.assert_array_equal(corpus.starts, [0, 512, 1026])


def test_separator_that_does_not_occur_changes_nothing() -> None:
    np.testing.assert_array_equal(corpus_from_text("abc", separator="☃").starts, [0])


def test_unknown_characters_can_be_skipped_in_a_corpus(tmp_path: Path) -> None:
    names = written(tmp_path, "xaxb", "xx", "xcx|a", "bx", "xx")

    corpus = read_corpus(names, tokenizer=CharTokenizer("abc|"), unknown="skip", separator="|")

    assert text_of(corpus) == "abc|ab"
    assert corpus.skipped == {"x": 9}
    np.testing.assert_array_equal(corpus.starts, [0, 2, 3, 5])
    np.testing.assert_array_equal(corpus.breaks, [0, 2, 5])


def test_fingerprints_differ_between_corpora(tmp_path: Path) -> None:
    base = corpus_from_text("abab")
    others = [
        corpus_from_text("abba"),
        corpus_from_text("cdcd"),
        corpus_from_text("abab", tokens="bytes"),
        corpus_from_text("abab", separator="b"),
        read_corpus(written(tmp_path, "ab", "ab")),
        read_corpus(written(tmp_path, "a", "ba", "b")),
    ]

    assert base.fingerprint == corpus_from_text("abab").fingerprint
    assert len({base.fingerprint, *(other.fingerprint for other in others)}) == 7


def test_split_is_the_contiguous_tail(tmp_path: Path) -> None:
    corpus = read_corpus(written(tmp_path, "abcd", "e|fghi|j"), separator="|")

    train, valid = split_corpus(corpus, 0.5)

    assert valid is not None
    assert (text_of(train), text_of(valid)) == ("abcde|", "fghi|j")
    np.testing.assert_array_equal(train.starts, [0, 4, 5])
    np.testing.assert_array_equal(train.breaks, [0, 4])
    np.testing.assert_array_equal(valid.starts, [0, 4])
    np.testing.assert_array_equal(valid.breaks, [0])
    assert train.tokenizer is valid.tokenizer is corpus.tokenizer
    assert train.fingerprint != valid.fingerprint


@pytest.mark.parametrize(("n", "valid", "tail"), [(1000, 0.1, 100), (1115394, 0.1, 111540), (11, 0.1, 2), (10, 0.5, 5)])
def test_split_is_at_the_conventional_position(n: int, valid: float, tail: int) -> None:
    corpus = Corpus(np.zeros(n, np.uint8), np.array([0]), np.array([0]), ByteTokenizer())

    train, held_out = split_corpus(corpus, valid)

    assert held_out is not None
    assert (len(train), len(held_out)) == (n - tail, tail)


@pytest.mark.parametrize("valid", [0.0, 0.1])
def test_tail_too_short_to_score_is_not_split_off(valid: float) -> None:
    corpus = corpus_from_text("abcde")

    assert split_corpus(corpus, valid) == (corpus, None)


def test_document_that_starts_at_the_cut_belongs_to_the_tail() -> None:
    train, valid = split_corpus(corpus_from_text("ab|cd|", separator="|"), 0.6)

    assert valid is not None
    np.testing.assert_array_equal(train.starts, [0])
    np.testing.assert_array_equal(valid.starts, [0, 3])
