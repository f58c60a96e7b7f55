"""Splitting into words and sentences, and joining with spaces restored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.data.text.tokenizers import EOS, Detokenizer, split_words

PIECES = st.sampled_from(["the", "Sky", "don't", "3.14", ".", ",", '"', "'", "(", ")", "…", "我", "।", " ", "  ", "\n"])


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The clouds are in the sky.", ["The", "clouds", "are", "in", "the", "sky", "."]),
        ("I don't, it's o'clock", ["I", "don't", ",", "it's", "o'clock"]),
        ("a well-known x1 snake_case", ["a", "well-known", "x1", "snake_case"]),
        ("1,024 at 12:30, 3.14 or 3rd", ["1,024", "at", "12:30", ",", "3.14", "or", "3rd"]),
        ("(yes) [no] {so}", ["(", "yes", ")", "[", "no", "]", "{", "so", "}"]),
        ("wait... -- ==", ["wait", "...", "--", "=="]),
        ("i.e. the U.S. navy", ["i.e.", "the", "U.S.", "navy"]),
        ("caffe\u0300 हिन्दी में", ["caffe\u0300", "हिन्दी", "में"]),
        ("海は静か", ["海", "は", "静", "か"]),
        ("go 👩\u200d🚀 ❤\ufe0f", ["go", "👩\u200d🚀", "❤\ufe0f"]),
        ("", []),
        (" \t\r", []),
    ],
)
def test_text_is_split_into_words(text: str, tokens: list[str]) -> None:
    assert split_words(text) == tokens


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one\ntwo\n", ["one", "two", ""]),
        ("one\r\n\r\ntwo", ["one", "", "two"]),
        ("It rained. We left.", ["It rained.", "We left."]),
        ('"Why?" She left! (Then) it rained', ['"Why?"', "She left!", "(Then) it rained"]),
        ("Mr. Smith and J. Doe vs. Rome", ["Mr. Smith and J. Doe vs. Rome"]),
        ("No. Five", ["No. Five"]),
        ("it cost 3.50 or so. then not", ["it cost 3.50 or so. then not"]),
        ("at 5. 6 came", ["at 5. 6 came"]),
        ("海は静か。波！", ["海は静か。", "波！"]),
        ("शांत था। हम गए।", ["शांत था।", "हम गए।"]),
        ("It ended.\nSo did we.\n", ["It ended.", "So did we.", ""]),
    ],
)
def test_text_is_split_into_sentences(text: str, lines: list[str]) -> None:
    tokens = split_words(text)

    assert Detokenizer().feed(tokens).split("\n") == lines
    assert tokens.count(EOS) == len(lines) - 1


@pytest.mark.parametrize(
    "text",
    [
        "The clouds are in the sky, as always; or so (I think) they say: yes!",
        'He said, "I don\'t know," and then "nothing" (or "little") at all.',
        "“Curly quotes,” she wrote, ‘within’ them [and brackets].",
        "It cost $3.50, £2 or 20% of it; and/or nothing...",
        "a 'quoted' word",
        "海は静かだった。",
        "¡Nadie, señor!\n\nNew paragraph",
    ],
)
def test_joining_restores_spaces(text: str) -> None:
    assert Detokenizer().feed(split_words(text)) == text


def test_quotations_are_closed_within_a_line() -> None:
    assert Detokenizer().feed(['"', "one", EOS, '"', "two", '"']) == '"one\n"two"'


@given(pieces=st.lists(PIECES, max_size=40))
def test_joined_text_splits_into_the_same_lines(pieces: list[str]) -> None:
    tokens = split_words(" ".join(pieces))
    once = Detokenizer().feed(tokens)

    assert "".join(once.split()) == "".join(t for t in tokens if t != EOS)
    assert once.count("\n") == tokens.count(EOS)


@given(text=st.text(max_size=200))
def test_only_spaces_are_lost(text: str) -> None:
    tokens = split_words(text)

    assert "".join("" if t == EOS else t for t in tokens) == "".join(text.split())


@pytest.mark.parametrize("unit", [".", "a", ". ", "'", "a'", '."', "\u0301", "-", "1.", "。", " "])
def test_splitting_takes_linear_time(unit: str) -> None:
    text = unit * (200_000 // len(unit))

    assert "".join(t for t in split_words(text) if t != EOS) == "".join(text.split())
