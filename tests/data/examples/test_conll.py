"""CoNLL-U and two columns."""

from pathlib import Path

import pytest
from example_cases import examples, write

from fastrnn.data.examples.readers.conll import is_conllu, locate_word, read_conllu_or_two_columns
from fastrnn.data.examples.readers.formats import read_examples
from fastrnn.data.text.sources import Source
from fastrnn.errors import InputError

REST = "\t_\t_\t0\troot\t_\t_"
SENTENCE = f"""# text = vámonos al mar
1-2\tvámonos\t_\t_{REST}
1\tvamos\tir\tVERB{REST}
2\tnos\tnosotros\tPRON{REST}
2.1\tir\tir\tVERB{REST}
3\t10 000\t10 000\tNUM{REST}

"""


def test_conllu_gives_form_and_upos_of_words_alone(tmp_path: Path) -> None:
    path = write(tmp_path, "a.conllu", SENTENCE + SENTENCE)
    sentences = read_examples([path], "tag").items

    assert [(e.x, e.y) for e in sentences] == [(["vamos", "nos", "10 000"], ["VERB", "PRON", "NUM"])] * 2
    assert [e.place.line for e in sentences] == [1, 8]
    assert sentences[0].raw == SENTENCE.rstrip("\n")


def test_conllu_without_tags_is_for_prediction(tmp_path: Path) -> None:
    path = write(tmp_path, "a.conllu", f"1\tgo\tgo\t_{REST}\n")

    assert examples(path, "tag", needs_targets=False) == [(["go"], None)]
    with pytest.raises(InputError, match=r"a\.conllu:1: no UPOS; give each word its tag in the fourth column$"):
        examples(path, "tag")


@pytest.mark.parametrize("between", ["\t", " ", "  \t "])
def test_two_columns_and_blank_lines_between_sequences(tmp_path: Path, between: str) -> None:
    path = write(tmp_path, "a.txt", f"\nHarry{between}1\nand{between}0\n\n \nspell{between}0")

    assert examples(path, "tag") == [(["Harry", "and"], ["1", "0"]), (["spell"], ["0"])]


def test_token_may_hold_blanks_where_a_tab_ends_it(tmp_path: Path) -> None:
    assert examples(write(tmp_path, "a.tsv", "New York\tB\n"), "tag") == [(["New York"], ["B"])]


def test_tokens_alone_are_for_prediction(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "a\nb\n\nc x\n")

    assert examples(path, "tag", needs_targets=False) == [(["a", "b"], None), (["c"], ["x"])]


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("text", "name"),
    [
        (SENTENCE, "a.conllu"),
        (f"1\tgo\tgo\tVERB{REST}\n", "a.conllu"),
        (f"1\tgo\tgo\tVERB{REST}", "a.conllu"),
        (f"\ufeff# newdoc\n\n1\tgo\tgo\tVERB{REST}\n", "a.conllu"),
        ("# SYM\n#1 SYM\nx\tX\n", "a.txt"),
        ("# SYM", "a.txt"),
        ("\na b\n\nc d\n", "a.txt"),
    ],
)
def test_format_of_standard_input_is_detected_by_its_first_lines(
    tmp_path: Path, text: str, name: str, size: int
) -> None:
    data = text.encode()
    source = Source("standard input", lambda: (data[i : i + size] for i in range(0, len(data), size)))
    found = [(e.x, e.y) for e in read_conllu_or_two_columns(source, True)]

    assert found == examples(write(tmp_path, name, text), "tag")
    assert all(is_conllu(e.raw) == (name == "a.conllu") for e in read_conllu_or_two_columns(source, True))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.conllu", "1\tgo\tgo\tVERB\n", "a.conllu:1: 4 columns; a CoNLL-U line has 10, separated by tabs"),
        ("a.conllu", f"# x\nx\tgo\tgo\tVERB{REST}\n", "a.conllu:2: ID 'x'; it must be a number, a range such as 1-2"),
        ("a.conllu", f"1\t\tgo\tVERB{REST}\n", "a.conllu:1: the FORM is empty"),
        ("a.conllu", f"1-2\tgo\t_\t_{REST}\n", "a.conllu:1: an empty sequence; a sentence has at least one word"),
        ("a.conllu", "# only a comment\n", "a.conllu: no example in it; give at least one"),
        ("a.txt", "a x\nb\n", "a.txt:2: one column; a line is a token, a tab or a blank, and its tag"),
        ("a.txt", "a x y\n", "a.txt:1: 3 columns; a line is a token, a tab or a blank, and its tag"),
        ("a.txt", "\n\na\t\n", "a.txt:3: the tag is empty"),
        ("a.txt", "", "a.txt: no example in it; give at least one"),
    ],
)
def test_errors_show_file_and_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        examples(write(tmp_path, name, content), "tag")

    assert message in str(error.value)


def test_conllu_plus_names_its_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "a.conllup", "# global.columns = ID UPOS FORM\n1\tNOUN\train\n\n1\tVERB\tgo\n")

    assert examples(path, "tag") == [(["rain"], ["NOUN"]), (["go"], ["VERB"])]
    for content, message in (
        ("# global.columns = ID FORM\n1\train\n", "no column UPOS"),
        ("1\train\n", "no column na"),
    ):
        with pytest.raises(InputError, match=rf"b\.conllup:1: {message}"):
            examples(write(tmp_path, "b.conllup", content), "tag")


@pytest.mark.parametrize("ending", ["iob", "iob2", "bioes", "iobes"])
def test_other_endings_mean_two_columns(tmp_path: Path, ending: str) -> None:
    assert examples(write(tmp_path, f"a.{ending}", "Ada B-PER\n"), "tag") == [(["Ada"], ["B-PER"])]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1\ta\t_\tX", "2\tb\t_\tX", "1\tc\t_\tX"], "a.conllu:3: ID 1 after ID 2; words are numbered from 1"),
        (["1\ta\t_\tX", "# sent_id = 2", "1\tc\t_\tX"], "a.conllu:2: a comment within a sentence"),
        (["2\ta\t_\tX"], "a.conllu:1: ID 2 at the start of a sentence"),
        (["1\ta\t_\tX", "3\tb\t_\tX"], "a.conllu:2: ID 3 after ID 1"),
        (["1\ta\t_\tX", "9" * 5000 + "\tb\t_\tX"], "a.conllu:2: ID 999"),
    ],
)
def test_sentences_without_a_blank_line_are_an_error(tmp_path: Path, lines: list[str], message: str) -> None:
    content = "".join(line + ("" if line.startswith("#") else REST) + "\n" for line in lines)

    with pytest.raises(InputError) as error:
        examples(write(tmp_path, "a.conllu", content), "tag")

    assert message in str(error.value)


def test_unicode_spaces_belong_to_a_token(tmp_path: Path) -> None:
    assert examples(write(tmp_path, "a.txt", "10\u00a0000 NUM\n"), "tag") == [(["10\u00a0000"], ["NUM"])]


def test_token_with_a_blank_needs_a_tab_where_no_tag_follows(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.txt:2: two columns, unlike other lines of its sequence"):
        examples(write(tmp_path, "a.txt", "in\nNew York\n"), "tag", needs_targets=False)


def test_header_and_one_long_sequence_are_reported(tmp_path: Path) -> None:
    told: list[str] = []

    assert examples(write(tmp_path, "a.txt", "Token\tTag\na\tX\n"), "tag", report=told.append) == [(["a"], ["X"])]
    examples(write(tmp_path, "b.txt", "a X\n" * 600), "tag", report=told.append)
    assert [message.split(": ", 1)[1] for message in told] == [
        "read as column names, not as a token and its tag",
        "one sequence of 600 tokens; a blank line ends a sequence",
    ]


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_other_line_ends_separate_sequences_too(tmp_path: Path, end: str) -> None:
    path = write(tmp_path, "a.txt", end.join(["a X", "", "b Y"]))

    assert examples(path, "tag") == [(["a"], ["X"]), (["b"], ["Y"])]


def test_place_of_a_word_is_its_line(tmp_path: Path) -> None:
    (sentence,) = read_examples([write(tmp_path, "a.conllu", SENTENCE)], "tag").items
    (plain,) = read_examples([write(tmp_path, "a.txt", "\n# X\nb Y\n")], "tag").items

    assert [locate_word(sentence, i).line for i in range(3)] == [3, 4, 6]
    assert [locate_word(plain, i).line for i in range(2)] == [2, 3]
