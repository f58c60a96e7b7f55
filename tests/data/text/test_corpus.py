"""Texts to corpora: ids and their types, given vocabularies, and errors."""

from pathlib import Path

import numpy as np
import pytest
from corpus_cases import KINDS, text_of, written
from fakes import replace
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.data.text import compression, files
from fastrnn.data.text import corpus as corpus_module
from fastrnn.data.text.corpus import corpus_from_text, read_corpus
from fastrnn.data.text.tokenizers import CharTokenizer, WordTokenizer
from fastrnn.errors import ConfigError, InputError


@pytest.mark.parametrize("tokens", ["chars", "bytes"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 64])
@given(text=st.text(st.sampled_from("ab\n\r\ufeffé☃😀"), min_size=2, max_size=40))
def test_corpus_does_not_depend_on_chunk_boundaries(tokens: str, chunk: int, text: str) -> None:
    data = text.encode()
    source = corpus_module.Source("x", lambda: (data[i : i + chunk] for i in range(0, len(data), chunk)))
    encoder = corpus_module.ENCODERS[tokens]()

    corpus = corpus_module._encode([source], encoder, corpus_module._EncodingOptions(1, None, None, "error"))

    assert text_of(corpus) == text
    assert corpus.fingerprint == corpus_from_text(text, tokens=tokens).fingerprint


def test_words_do_not_depend_on_chunk_boundaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "It was café. We left\nat 3.14, don't\n\nyou see?"
    whole = corpus_from_text(text, tokens="words", min_count=1)
    for chunk in (1, 2, 3, 7):
        monkeypatch.setattr(compression, "CHUNK", chunk)
        corpus = read_corpus(written(tmp_path, text), tokens="words", min_count=1)
        assert corpus.fingerprint == whole.fingerprint
    assert text_of(whole) == "It was café.\nWe left\nat 3.14, don't\n\nyou see?\n"


def test_characters_are_sorted_over_the_whole_text(tmp_path: Path) -> None:
    corpus = read_corpus(written(tmp_path, "cab", "é\nd"))

    assert corpus.tokenizer == CharTokenizer("\nabcdé")
    np.testing.assert_array_equal(corpus.ids, [3, 1, 2, 5, 0, 4])


@pytest.mark.parametrize(("size", "dtype"), [(256, np.uint8), (257, np.uint16), (65536, np.uint16), (65537, np.uint32)])
def test_ids_have_the_smallest_integer_type(size: int, dtype: type) -> None:
    codes = [c for c in range(97, size + 97 + 2048) if not 0xD800 <= c < 0xE000][:size]
    text = "".join(map(chr, codes))

    corpus = corpus_from_text(text + text)

    assert corpus.ids.dtype == dtype
    assert corpus.tokenizer.size == size
    np.testing.assert_array_equal(corpus.ids, np.tile(np.arange(size), 2))


def test_ids_are_narrowed_to_bytes_after_reading() -> None:
    corpus = corpus_from_text("".join(map(chr, range(0x400, 0x400 + 200))))

    assert corpus.ids.dtype == np.uint8
    np.testing.assert_array_equal(corpus.ids, np.arange(200))


def test_words_are_sorted_by_frequency_and_rare_ones_are_unknown() -> None:
    corpus = corpus_from_text("the sky and the sea\nthe sea\n", tokens="words", min_count=2)

    assert corpus.tokenizer == WordTokenizer(["<EOS>", "<UNK>", "the", "sea"])
    np.testing.assert_array_equal(corpus.ids, [2, 1, 1, 2, 3, 0, 2, 3, 0])


def test_last_line_of_words_gets_an_end(tmp_path: Path) -> None:
    corpus = read_corpus(written(tmp_path, "a b", "c\n"), tokens="words", min_count=1)

    assert text_of(corpus) == "a b\nc\n"
    np.testing.assert_array_equal(corpus.breaks, [0, 3])


def test_long_line_of_words_is_cut_at_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastrnn.data.text.corpus_encoder._LONG_LINE", 10)
    monkeypatch.setattr(compression, "CHUNK", 7)
    text = "alpha beta gamma delta epsilon zeta eta theta iota kappa"

    corpus = read_corpus(written(tmp_path, text), tokens="words", min_count=1)

    assert text_of(corpus) == text + "\n"


@pytest.mark.parametrize("tokens", KINDS)
def test_given_vocabulary_is_kept(tokens: str) -> None:
    tokenizer = corpus_from_text("the sky is blue é", tokens=tokens, min_count=1).tokenizer

    corpus = corpus_from_text("blue is the sky", tokenizer=tokenizer)

    assert corpus.tokenizer is tokenizer
    assert text_of(corpus).strip() == "blue is the sky"
    assert corpus.skipped == {}


def test_large_given_vocabulary_widens_the_ids() -> None:
    tokenizer = CharTokenizer("".join(map(chr, range(97, 97 + 300))))

    corpus = corpus_from_text(chr(97) + chr(396), tokenizer=tokenizer)

    np.testing.assert_array_equal(corpus.ids, [0, 299])
    assert corpus.ids.dtype == np.uint16


def test_unknown_characters_are_counted_and_listed(tmp_path: Path) -> None:
    (name,) = written(tmp_path, "a☃b☃cé")

    with pytest.raises(InputError) as caught:
        read_corpus([name], tokenizer=CharTokenizer("abc"))

    assert str(caught.value) == (
        f"{name} has characters that the model does not know: '☃' (2 times), 'é' (once); "
        "change them, or use --unknown skip"
    )


def test_text_of_unknown_characters_only_is_an_error() -> None:
    with pytest.raises(InputError, match=r"^the text: the model knows none of its 3 characters"):
        corpus_from_text("xyz", tokenizer=CharTokenizer("abc"), unknown="skip")


@pytest.mark.parametrize("tokens", KINDS)
@pytest.mark.parametrize(("text", "state"), [("", "empty"), ("x", "only one token")])
def test_text_that_is_too_short_is_an_error(tokens: str, text: str, state: str, tmp_path: Path) -> None:
    if (tokens, text) == ("words", "x"):
        text = "\n"
    with pytest.raises(InputError, match=rf"0\.txt: {state}; give a text of at least 2 tokens$"):
        read_corpus(written(tmp_path, text), tokens=tokens)


def test_empty_texts_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^the 2 texts together: empty; give a text of at least 2 tokens$"):
        read_corpus(written(tmp_path, "", ""))


@pytest.mark.parametrize("tokens", ["chars", "words"])
def test_invalid_utf8_error_shows_the_offset(tokens: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "CHUNK", 4)
    names = written(tmp_path, "good\n", b"abcd\xc3\xa9f\xffg")

    with pytest.raises(
        InputError, match=r"1\.txt: not UTF-8 at byte 7 \(0xff\); save it as UTF-8, or use --tokens bytes$"
    ):
        read_corpus(names, tokens=tokens)


def test_character_truncated_by_an_ascii_chunk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "CHUNK", 4)

    with pytest.raises(
        InputError, match=r"0\.txt: not UTF-8 at byte 3 \(0xe2\); .*save it as UTF-8, or use --tokens bytes$"
    ):
        read_corpus(written(tmp_path, b"abc\xe2defghi"))


@pytest.mark.parametrize("tokens", ["chars", "words"])
def test_character_truncated_by_the_end_of_a_file_is_an_error(tokens: str, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"0\.txt: not UTF-8 at byte 2 \(0xe2\); save it as UTF-8, or use --tokens bytes$"
    ):
        read_corpus(written(tmp_path, b"ab\xe2\x98", "\udc83".encode("utf-8", "surrogateescape")), tokens=tokens)


def test_no_input_is_an_error() -> None:
    with pytest.raises(InputError, match="no text was given; name a file, a folder, - or a built-in corpus"):
        read_corpus([])


def test_unknown_token_kind_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"tokens 'char' is unknown; did you mean chars\? \(choices: chars, bytes, "):
        corpus_from_text("abc", tokens="char")


def test_unknown_policy_for_characters_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown is 'drop'; it must be error or skip"):
        corpus_from_text("abc", unknown="drop")


def test_lone_surrogate_in_memory_is_an_error() -> None:
    with pytest.raises(InputError, match=r"the text: lone surrogate \\ud800 at character 2$"):
        corpus_from_text("ab\ud800")


def test_built_in_corpus_is_read_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = corpus_module.Source("python-docs", lambda: iter([b"the docs"]))
    replace(monkeypatch, files, "builtin_sources", lambda name: [source] if name == "python-docs" else [])

    assert text_of(read_corpus(["python-docs"])) == "the docs"
