"""Symbol vocabularies: ids, text, JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.data.examples.symbol_vocab import END, UNKNOWN, SymbolVocab, symbol_vocab_from_dict
from fastrnn.errors import ConfigError, InputError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def test_characters_are_sorted_after_the_two_special_ids() -> None:
    symbols = SymbolVocab.build("chars", ["beb", "a"])

    assert (symbols.known, symbols.size) == (("a", "b", "e"), 5)
    assert symbols.to_ids("abz").tolist() == [2, 3, UNKNOWN]
    assert [symbols.token_text(i) for i in range(5)] == ["<EOS>", "<UNK>", "a", "b", "e"]
    assert symbols.start_ids().tolist() == [END]


def test_words_are_sorted_by_frequency() -> None:
    symbols = SymbolVocab.build("words", ["the cat. The the", "cat, the"], min_count=2)

    assert symbols.known == ("the", "cat")
    assert symbols.to_ids("The cat, the").tolist() == [UNKNOWN, 3, UNKNOWN, 2]


def test_sentence_ends_are_not_words_of_an_example() -> None:
    assert SymbolVocab.build("words", ["He ran. She sat.\nThey"]).to_ids("ran. She\nsat").tolist().count(END) == 0


def test_tokens_are_not_split() -> None:
    symbols = SymbolVocab.build("tokens", [["10 000", "a"], ["a"]])

    assert symbols.known == ("a", "10 000")
    assert symbols.to_ids(["10 000", "b"]).tolist() == [3, UNKNOWN]


@given(text=TEXT)
def test_encode_and_decode_round_trip(text: str) -> None:
    symbols = SymbolVocab.build("chars", [text])

    assert symbols.decode(symbols.encode(text)) == text


def test_decoding_stops_at_the_end_symbol() -> None:
    symbols = SymbolVocab("chars", "ab")
    decoder = symbols.decoder()

    assert symbols.decode([2, 3, END, 2]) == "ab"
    assert decoder.feed([2]) + decoder.feed([END, 3]) + decoder.feed([3]) + decoder.flush() == "a"
    assert symbols.decode([UNKNOWN]) == "\ufffd"
    assert SymbolVocab("words", ["Hi", ",", "you"]).decode([2, 3, 4]) == "Hi, you"


def test_unknown_character_of_a_prompt_is_an_error_or_skipped() -> None:
    symbols = SymbolVocab("chars", "ab")

    with pytest.raises(InputError, match="the text has characters that the model does not know: 'z' \\(once\\)"):
        symbols.encode("az")
    assert symbols.encode("az", "skip").tolist() == [2]
    assert SymbolVocab("words", ["a"]).encode("b").tolist() == [UNKNOWN]


@pytest.mark.parametrize(
    "symbols",
    [
        SymbolVocab("chars", "\n a\u2028é"),
        SymbolVocab("chars"),
        SymbolVocab("words", ["the", "cat"]),
        SymbolVocab("tokens", ["10 000"]),
        SymbolVocab("tokens"),
    ],
)
def test_json_round_trip(symbols: SymbolVocab) -> None:
    found = symbol_vocab_from_dict(json.loads(json.dumps(symbols.to_dict())))

    assert found == symbols
    assert found.known == symbols.known


@pytest.mark.parametrize(
    "mapping",
    [
        None,
        {},
        {"unit": "chars"},
        {"unit": "chars", "known": ["a"]},
        {"unit": "chars", "known": "aa"},
        {"unit": "words", "known": "a\n\nb"},
        {"unit": "bytes", "known": ""},
        {"unit": "chars", "known": "\ud800"},
        {"unit": "chars", "known": "a", "more": 1},
    ],
)
def test_invalid_mapping_is_rejected(mapping: object) -> None:
    with pytest.raises(InputError):
        symbol_vocab_from_dict(mapping)


def test_constructor_validates() -> None:
    with pytest.raises(InputError, match="single ones"):
        SymbolVocab("chars", ["ab"])
    with pytest.raises(InputError, match="line breaks"):
        SymbolVocab("tokens", ["a\nb"])


def test_invalid_policy_is_rejected() -> None:
    with pytest.raises(ConfigError, match="unknown is 'ignore'"):
        SymbolVocab("chars", "ab").encode("ab", "ignore")
