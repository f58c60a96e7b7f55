"""Remarks on anomalies of a text, and none for an ordinary text."""

from pathlib import Path

import pytest
from corpus_cases import written

from fastrnn.data.text.corpus import corpus_from_text, read_corpus, split_corpus
from fastrnn.data.text.remarks import LineEnds
from fastrnn.errors import InputError

PLAIN = "One line of text.\nAnother line of text.\n" * 4


def remarks(text: str, **settings: object) -> str:
    return "; ".join(corpus_from_text(text, **settings).remarks)


@pytest.mark.parametrize("tokens", ["chars", "words", "bytes"])
def test_plain_text_has_no_remarks(tokens: str) -> None:
    assert remarks(PLAIN + "\tcafé 👩‍🚀 می‌خواهم\n" * 2, tokens=tokens) == ""


def test_bytes_have_no_remarks() -> None:
    assert remarks("\ufeffa\r\nb\rc\0\n", tokens="bytes") == ""


@pytest.mark.parametrize(
    ("char", "name"),
    [
        ("\ufeff", "U+FEFF byte order mark"), ("\0", "U+0000 NUL"), ("\f", "U+000C form feed"),
        ("\u200b", "U+200B zero width space"), ("\u2028", "U+2028 line separator"), ("\x85", "U+0085 next line"),
        ("\ufffd", "U+FFFD replacement character"), ("\xad", "U+00AD soft hyphen"), ("\x1a", "U+001A Ctrl-Z"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("tokens", ["chars", "words"])
def test_invisible_characters_are_listed_and_counted(char: str, name: str, tokens: str) -> None:
    told = remarks(f"{PLAIN}in {char} the {char} middle\n" * 2, tokens=tokens)

    assert told.startswith("the text has invisible characters: ")
    assert name + " (4 times)" in told


@pytest.mark.parametrize(
    ("text", "tokens", "words"),
    [
        ("a\r\nb\r\nc\r\n", "chars", r"lines end with \r\n: the model learns both characters"),
        ("a b\rb a\rb b\r", "chars", r"lines end with \r alone; the model learns them as they are"),
        ("a b\rb a\rb b\r", "words", r"lines end with \r alone; words take \r alone for a blank"),
        ("a\nb\r\nc\nd\re", "chars", r"in different ways: \n 2 times, \r\n 1 times, \r alone 1 times"),
        ("a b\nb a\r\nb\rb a\n", "words", r"in different ways: \n 2 times, \r\n 1 times, \r alone 1 times"),
    ],
)
def test_line_ends_other_than_newlines_are_reported(text: str, tokens: str, words: str) -> None:
    assert words in remarks(text, tokens=tokens)


def test_words_read_both_kinds_of_line_ends_alike() -> None:
    assert remarks(PLAIN + PLAIN.replace("\n", "\r\n"), tokens="words") == ""


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_line_end_counts_do_not_depend_on_chunk_boundaries(chunk: int) -> None:
    data = b"a\r\nb\n\r\n\rc\r\r\n"
    ends = LineEnds()
    for i in range(0, len(data), chunk):
        ends.feed(data[i : i + chunk])
    assert (ends.newlines, ends.returns, ends.pairs) == (4, 5, 3)


def test_line_end_does_not_span_two_files(tmp_path: Path) -> None:
    ends = "".join(read_corpus(written(tmp_path, "a\r", "\nb")).remarks)
    assert r"\n 1 times, \r alone 1 times" in ends


@pytest.mark.parametrize(
    ("text", "separator", "words"),
    [
        ("one\n\ntwo\n", "---", "the document separator '---' does not occur in the text; each file is one document"),
        ("one\r\n\r\ntwo\r\n", "\n\n", r"Its lines end with \r\n: give '\r\n\r\n'"),
        ("one\n\ntwo\n", "☃", "'☃' does not occur"),
    ],
)
def test_separator_that_never_occurs_is_reported(text: str, separator: str, words: str) -> None:
    assert words in remarks(text, separator=separator)


@pytest.mark.parametrize("tokens", ["chars", "bytes", "words"])
def test_separator_that_occurs_once_is_not_reported(tokens: str) -> None:
    assert remarks("one two\n\none two\n", separator="\n\n", tokens=tokens) == ""


def test_words_find_no_separator_by_other_line_ends() -> None:
    (told,) = corpus_from_text("one two\r\none two\r\n", separator="\n\n", tokens="words").remarks
    assert told.endswith("each file is one document")


def test_separator_without_a_word_is_reported_for_words() -> None:
    assert "does not occur" in remarks("one two  one two\n", separator="  ", tokens="words")


def test_mostly_unknown_text_is_reported() -> None:
    told = remarks("every word here stands one time only\n", tokens="words", min_count=2)

    assert "88% of the words are <UNK>, because they occur fewer than 2 times (vocabulary of 2)" in told
    assert "--min-count" in told
    assert remarks("every word here stands one time only\n", tokens="words", min_count=1) == ""


def test_text_of_one_character_is_reported() -> None:
    assert "nothing to learn" in remarks("aaaa")


def test_given_vocabulary_is_not_reported() -> None:
    tokenizer = corpus_from_text("a b a b\n", tokens="words").tokenizer
    assert remarks("c d e f\n", tokenizer=tokenizer) == ""


def test_mixed_unicode_normal_forms_are_reported() -> None:
    told = remarks("caf\xe9 cafe\u0301\n")

    assert "'é' and U+0301 combining acute accent; normalise the text to NFC" in told
    assert remarks("cafe\u0301 cafe\u0301\n") == ""


def test_empty_files_are_reported(tmp_path: Path) -> None:
    names = written(tmp_path, "some text", "", "more")
    assert read_corpus(names).remarks == (f"empty, so left out: {names[1]}",)


def test_both_parts_of_a_split_keep_the_remarks() -> None:
    head, tail = split_corpus(corpus_from_text("\ufeff" + PLAIN), 0.5)
    assert tail is not None
    assert head.remarks == tail.remarks != ()


def test_reading_reports_its_progress(tmp_path: Path) -> None:
    names, seen = written(tmp_path, "abcd", "efghij"), []
    read_corpus(names, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 10), (10, 10)]


@pytest.mark.parametrize(
    ("known", "text", "form"),
    [("café", "cafe\u0301", "NFC"), ("cafe\u0301", "café", "NFD"), ("각 ", "\u1100\u1161\u11a8", "NFC")],
)
def test_other_normal_form_is_suggested(known: str, text: str, form: str) -> None:
    tokenizer = corpus_from_text(known).tokenizer
    with pytest.raises(InputError, match=f"write it in Unicode normal form {form}, change them, or use --unknown skip"):
        tokenizer.encode(text)


def test_no_normal_form_is_suggested_where_none_helps() -> None:
    with pytest.raises(InputError, match=r"'ñ' \(once\), U\+0301 combining acute accent \(once\); change them"):
        corpus_from_text("abc").tokenizer.encode("a\u0301ñ")
