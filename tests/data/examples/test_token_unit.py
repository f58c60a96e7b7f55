"""Automatic choice between words and characters."""

import random

import pytest

from fastrnn.data.examples.symbol_vocab import choose_token_unit

RNG = random.Random(7)
LETTERS = "abcdefghijklmnoprstuvw"
# 900 words, the first of them frequent, as in a language.
LEXICON = ["".join(RNG.choices(LETTERS, k=RNG.randint(2, 9))) for _ in range(900)]
WEIGHTS = [1 / (rank + 5) for rank in range(len(LEXICON))]


def sentences(count: int = 600, words: int = 9) -> list[str]:
    return [" ".join(RNG.choices(LEXICON, WEIGHTS, k=words)).capitalize() + "." for _ in range(count)]


def new_word() -> str:
    return "".join(RNG.choices(LETTERS, k=11))


CHARACTERS = {
    "single words": [new_word() for _ in range(400)],
    "known single words": RNG.choices(LEXICON, k=2000),
    "first name and surname": [f"{RNG.choice(LEXICON)} {new_word()}" for _ in range(400)],
    "three known words": sentences(words=3),
    "no blanks": [sentence.replace(" ", "") for sentence in sentences()],
    "ideographs": ["".join(chr(0x4E00 + RNG.randrange(800)) for _ in range(20)) for _ in range(400)],
    "ideographs with blanks": [
        " ".join("".join(chr(0x4E00 + RNG.randrange(800)) for _ in range(3)) for _ in range(8)) for _ in range(400)
    ],
    "Thai": ["".join(chr(0x0E01 + RNG.randrange(40)) for _ in range(30)) for _ in range(400)],
    "numbers": [" ".join(str(RNG.randrange(9999)) for _ in range(12)) for _ in range(400)],
    "bits": [" ".join(RNG.choices("01", k=12)) for _ in range(400)],
    "letters": [" ".join(RNG.choices(LETTERS, k=12)) for _ in range(400)],
    "a few symbols": [" ".join(RNG.choices(LEXICON[:40], k=12)) for _ in range(400)],
    "nearly every word new": [" ".join(new_word() for _ in range(9)) for _ in range(400)],
    "punctuation": ["?! ... -- ;; (( )) ++ &&"] * 50,
    "blanks": ["   "] * 3,
    "empty": ["", ""],
    "one": ["the only text that there is has several words"],
    "nothing": [],
}


@pytest.mark.parametrize("name", CHARACTERS)
def test_characters(name: str) -> None:
    unit = choose_token_unit(CHARACTERS[name])

    assert unit.tokens == "chars"
    assert unit.reason


@pytest.mark.parametrize("count", [200, 600, 9000])
def test_sentences_are_split_into_words(count: int) -> None:
    unit = choose_token_unit(sentences(count))

    assert unit.tokens == "words"
    assert unit.reason.startswith("9 words in the median text, and ")


@pytest.mark.parametrize(("known", "tokens"), [(6, "chars"), (8, "words")])
def test_most_words_must_be_known_from_other_texts(known: int, tokens: str) -> None:
    texts = [" ".join([*RNG.choices(LEXICON[:200], k=known), *(new_word() for _ in range(10 - known))])
             for _ in range(500)]  # fmt: skip

    unit = choose_token_unit(texts)

    assert unit.tokens == tokens
    assert unit.reason == f"10 words in the median text, and {known}0% of the words of a text are in others too"


def test_some_short_texts_among_sentences_do_not_matter() -> None:
    assert choose_token_unit([*sentences(600), *RNG.choices(LEXICON, k=300)]).tokens == "words"


def test_sorted_labels_are_sampled_evenly() -> None:
    """Files are often sorted by class, so the sampled texts are spread over the data."""
    single, long = CHARACTERS["single words"], sentences(4500)
    assert choose_token_unit([*long, *single * 20]).tokens == "chars"
    assert choose_token_unit([*single * 10, *long]).tokens == "words"


def test_only_the_start_of_a_long_text_counts() -> None:
    start = sentences(300, words=200)
    assert (
        choose_token_unit([text + " " + " ".join(new_word() for _ in range(500)) for text in start]).tokens == "words"
    )


def test_choice_is_deterministic() -> None:
    texts = sentences()
    assert choose_token_unit(texts) == choose_token_unit(list(texts))
