"""Tokenizers: round trips, streaming, policies for unknown characters, and validation of mappings."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.data.text.corpus import corpus_from_text
from fastrnn.data.text.tokenizers import ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer, tokenizer_from_dict
from fastrnn.errors import ConfigError, InputError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
CHARS = CharTokenizer("\n abcé☃")
WORDS = WordTokenizer(["<EOS>", "<UNK>", "the", "sky", ",", "."])
ALL: dict[str, Tokenizer] = {"chars": CHARS, "bytes": ByteTokenizer(), "words": WORDS}


@pytest.mark.parametrize("kind", ["chars", "bytes"])
@given(text=TEXTS.filter(lambda text: len(text) > 1))
def test_decode_inverts_encode(kind: str, text: str) -> None:
    corpus = corpus_from_text(text, tokens=kind)

    assert corpus.tokenizer.decode(corpus.ids) == text
    np.testing.assert_array_equal(corpus.tokenizer.encode(text), corpus.ids)


@given(data=st.binary(max_size=300))
def test_bytes_decode_as_python_decodes_them(data: bytes) -> None:
    ids = np.frombuffer(data, np.uint8)

    assert ByteTokenizer().decode(ids) == data.decode("utf-8", "replace")


@given(data=st.binary(max_size=300))
def test_surrogate_escaped_bytes_round_trip(data: bytes) -> None:
    ids = ByteTokenizer().encode(data.decode("utf-8", "surrogateescape"))

    assert ids.astype(np.uint8).tobytes() == data


@pytest.mark.parametrize("kind", list(ALL))
@given(numbers=st.lists(st.integers(0, 2**32), max_size=80), cuts=st.lists(st.integers(0, 80), max_size=6))
def test_decoding_a_stream_equals_decoding_the_whole(kind: str, numbers: list[int], cuts: list[int]) -> None:
    tokenizer = ALL[kind]
    ids = [n % tokenizer.size for n in numbers]
    bounds = [0, *sorted(cuts), len(ids)]
    decoder = tokenizer.decoder()

    parts = [decoder.feed(ids[low:high]) for low, high in pairwise(bounds)]

    assert "".join(parts) + decoder.flush() == tokenizer.decode(ids)


def test_decoding_does_not_depend_on_the_number_of_ids() -> None:
    text = "abc é\n☃" * 50

    assert CHARS.decode(CHARS.encode(text)) == text


def test_partial_character_is_held_until_complete() -> None:
    decoder = ByteTokenizer().decoder()

    assert [decoder.feed([byte]) for byte in "é".encode()] == ["", "é"]
    assert decoder.feed([0xC3]) == ""
    assert decoder.flush() == "\ufffd"


def test_characters_are_numbered_in_order_of_code_points() -> None:
    np.testing.assert_array_equal(CHARS.encode("☃a\n"), [6, 2, 0])
    assert CHARS.encode("").shape == (0,)


def test_error_lists_unknown_characters() -> None:
    with pytest.raises(InputError) as caught:
        CHARS.encode("xaxx☂\x1b")

    assert str(caught.value) == (
        "the text has characters that the model does not know: 'x' (3 times), U+001B escape (once), '☂' (once); "
        "change them, or use --unknown skip"
    )


def test_error_lists_few_unknown_characters() -> None:
    with pytest.raises(InputError, match=r"'h' \(once\) and 3 more;"):
        CHARS.encode("defghijk")


def test_unknown_characters_can_be_skipped() -> None:
    np.testing.assert_array_equal(CHARS.encode("xaxb", "skip"), CHARS.encode("ab"))


@pytest.mark.parametrize("tokenizer", ALL.values(), ids=list(ALL))
def test_unknown_policy_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError, match="unknown is 'ignore'; it must be error or skip"):
        tokenizer.encode("a", "ignore")


def test_other_surrogates_are_unknown_to_bytes() -> None:
    with pytest.raises(InputError, match=r"U\+D800 \(once\)"):
        ByteTokenizer().encode("a\ud800")
    np.testing.assert_array_equal(ByteTokenizer().encode("a\ud800b", "skip"), [97, 98])


def test_surrogate_escaped_bytes_are_kept_when_others_are_skipped() -> None:
    np.testing.assert_array_equal(ByteTokenizer().encode("a\ud800\udcff", "skip"), [97, 255])


def test_unknown_words_become_unk() -> None:
    np.testing.assert_array_equal(WORDS.encode("the blue sky,\n"), [2, 1, 3, 4, 0])


@pytest.mark.parametrize("tokenizer", ALL.values(), ids=list(ALL))
@pytest.mark.parametrize("ids", [[-1], [2**40], [-1] * 50, [2**40] * 50])
def test_ids_outside_the_vocabulary_are_refused(tokenizer: Tokenizer, ids: list[int]) -> None:
    with pytest.raises(InputError, match=f"token ids run from 0 to {tokenizer.size - 1}; got "):
        tokenizer.decode(ids)


@pytest.mark.parametrize(
    ("kind", "token", "text"),
    [
        ("chars", 0, "\\n"),
        ("chars", 5, "é"),
        ("bytes", 65, "A"),
        ("bytes", 27, "\\x1b"),
        ("bytes", 195, "\\xc3"),
        ("words", 0, "<EOS>"),
        ("words", 3, "sky"),
    ],
)
def test_single_token_has_a_readable_form(kind: str, token: int, text: str) -> None:
    assert ALL[kind].token_text(token) == text


@pytest.mark.parametrize(
    ("tokenizer", "separator", "ids"),
    [
        (CHARS, None, [0]),
        (CHARS, "a\n", [2, 0]),
        (CHARS, "x", [0]),
        (CharTokenizer("xyz"), None, [0]),
        (CharTokenizer("xyz"), "zy", [2, 1]),
        (ByteTokenizer(), None, [10]),
        (WORDS, None, [0]),
        (WORDS, "sky\n", [3, 0]),
    ],
)
def test_sample_starts_at_a_separator_or_a_line(tokenizer: Tokenizer, separator: str | None, ids: list[int]) -> None:
    np.testing.assert_array_equal(tokenizer.start_ids(separator), ids)


@pytest.mark.parametrize("tokenizer", ALL.values(), ids=list(ALL))
def test_mapping_round_trips_through_json(tokenizer: Tokenizer) -> None:
    again = tokenizer_from_dict(json.loads(json.dumps(tokenizer.to_dict())))

    assert again == tokenizer
    assert hash(again) == hash(tokenizer)
    assert again.size == tokenizer.size


def test_all_256_bytes_have_a_readable_form() -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.size == 256
    shown = [tokenizer.token_text(i) for i in (10, 65, 126, 127, 128, 255)]
    assert shown == ["\\n", "A", "~", "\\x7f", "\\x80", "\\xff"]
    assert tokenizer.decode([255]) == "\ufffd"
    for outside in (-1, 256):
        with pytest.raises(InputError, match="token ids run from 0 to 255"):
            tokenizer.decode([outside])


@pytest.mark.parametrize("count", [1, 31, 32, 33, 100])
@pytest.mark.parametrize("tokenizer", ALL.values(), ids=list(ALL))
def test_ids_outside_the_vocabulary_are_refused_in_short_and_long_texts(tokenizer: Tokenizer, count: int) -> None:
    for outside in (-1, tokenizer.size):
        with pytest.raises(InputError, match=f"token ids run from 0 to {tokenizer.size - 1}; got"):
            tokenizer.decode([0] * (count - 1) + [outside])


def test_neighbours_of_surrogates_are_characters() -> None:
    chars = "\ud7ff\ue000"
    assert CharTokenizer(chars).size == 2
    assert WordTokenizer(["<EOS>", "<UNK>", *chars]).size == 4


def test_vocabularies_differ_by_their_tokens() -> None:
    assert CharTokenizer("ab") != CharTokenizer("ac")
    assert CharTokenizer("ab") != "ab"


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        [],
        None,
        {"kind": "syllables"},
        {"kind": ["chars"]},
        {"kind": "chars"},
        {"kind": "chars", "chars": ["a", "b"]},
        {"kind": "chars", "chars": ""},
        {"kind": "chars", "chars": "ba"},
        {"kind": "chars", "chars": "aab"},
        {"kind": "chars", "chars": "a\ud800"},
        {"kind": "chars", "chars": "ab", "more": 1},
        {"kind": "bytes", "size": 256},
        {"kind": "words", "words": "ab"},
        {"kind": "words", "words": []},
        {"kind": "words", "words": ["<UNK>", "<EOS>"]},
        {"kind": "words", "words": ["<EOS>", "<UNK>", "a", "a"]},
        {"kind": "words", "words": ["<EOS>", "<UNK>", ""]},
        {"kind": "words", "words": ["<EOS>", "<UNK>", 3]},
        {"kind": "words", "words": ["<EOS>", "<UNK>", "\udc80"]},
        {"kind": "words", "words": ["<EOS>", "<UNK>", "a\ud800"]},
        {"kind": "words", "words": ["<EOS>", "<UNK>", "x\udfff"]},
        {"kind": "chars", "chars": "\udfff"},
    ],
)
def test_invalid_mapping_is_refused(mapping: object) -> None:
    with pytest.raises(InputError, match="vocabulary"):
        tokenizer_from_dict(mapping)  # type: ignore[arg-type]


def test_vocabulary_out_of_order_anywhere_is_refused() -> None:
    for chars in ("bac", "acb", "abb"):
        with pytest.raises(InputError, match="must be different and in ascending order"):
            CharTokenizer(chars)


@pytest.mark.parametrize("char", ["\0", "b", "d"])
def test_characters_outside_the_vocabulary_are_unknown(char: str) -> None:
    tokenizer = CharTokenizer("ac")
    with pytest.raises(InputError, match="that the model does not know"):
        tokenizer.encode(f"a{char}")
    assert tokenizer.encode(f"c{char}a", "skip").tolist() == [1, 0]


def test_sentence_end_and_unknown_word_have_fixed_ids() -> None:
    assert (WORDS.words[WORDS.end], WORDS.words[WORDS.unknown]) == ("<EOS>", "<UNK>")
