"""Headers, quotation marks, CSV and JSON arrays of labelled texts and numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_cases import examples, write

from fastrnn.config import Config
from fastrnn.data.examples.readers.delimited import Fields
from fastrnn.data.examples.readers.formats import ReadOptions, open_examples, read_examples
from fastrnn.data.examples.schema import TaskSchema, schema_from_dict
from fastrnn.errors import ConfigError, InputError


def told_by(path: str, task: str = "classify", **reading: Any) -> tuple[list[tuple[Any, Any]], list[str]]:
    told: list[str] = []
    found = examples(path, task, report=told.append, **reading)
    return found, [message.rsplit("/", 1)[-1] for message in told]


def asked(path: str, **reading: Any) -> list[tuple[Any, Any, str]]:
    """What prediction reads: text, label and raw text, blank lines with it."""
    (stream,) = open_examples([path], ReadOptions("classify", needs_targets=False, **reading))
    return [(e.x, e.y, e.raw) for e in stream.items]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("label\ttext\ncat\tpurrs\n", "a.tsv:1: read as column names; label from 'label', text from 'text'"),
        ("Review\tSentiment\npurrs\tcat\n",
         "a.tsv:1: read as column names; label from 'Sentiment', text from 'Review'"),
        ("\nid\tclass\ttext\n1\tcat\tpurrs\n",
         "a.tsv:2: read as column names; label from 'class', text from 'text'; left out: id"),
    ],
)  # fmt: skip
def test_header_is_no_example_and_orders_the_columns(tmp_path: Path, content: str, message: str) -> None:
    assert told_by(write(tmp_path, "a.tsv", content)) == ([("purrs", "cat")], [message])


def test_columns_are_named_or_counted(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "kind\tnoise\ncat\tpurrs\n")

    assert told_by(path, fields=Fields("kind", "noise"))[0] == [("purrs", "cat")]
    assert told_by(write(tmp_path, "b.tsv", "purrs\tcat\n"), fields=Fields("2"))[0] == [("purrs", "cat")]
    with pytest.raises(InputError, match=r"a\.tsv:1: --text: no column 'nois'; did you mean noise\?"):
        examples(path, "classify", fields=Fields("kind", "nois"))
    assert told_by(path, fields=Fields("other", "names", required=False))[0] == [("noise", "kind"), ("purrs", "cat")]


@pytest.mark.parametrize(
    "content",
    [
        "a;b;label\n1,5;-2;x\n3;0,25;y\n",
        "sep=;\na;b;label\n1,5;-2;x\n3;0,25;y\n",
        "a|b|label\n1.5|-2|x\n3|0.25|y\n",
        "sep=;\na,1;b,1;label\n1,5;-2;x\n3;0,25;y\n",
        "sep=|\r\na|b|label\r\n1.5|-2|x\r\n3|0.25|y\r\n",
    ],
)
def test_dialects_of_spreadsheets_are_read(tmp_path: Path, content: str) -> None:
    """Semicolons with decimal commas, vertical bars, and the line that names the separator."""
    found = examples(write(tmp_path, "a.csv", content), "classify")
    assert [(x.tolist(), label) for x, label in found] == [([[1.5, -2]], "x"), ([[3, 0.25]], "y")]


def test_table_with_both_decimal_signs_is_refused(tmp_path: Path) -> None:
    """1.234 is a thousand there, which would be read as a decimal."""
    content = "a;label\n1,5;x\n1.234,5;y\n1.234;x\n"
    with pytest.raises(InputError, match=r"a\.csv:4: column 'a' has '1\.234', but numbers before it have another"):
        examples(write(tmp_path, "a.csv", content), "classify")


def test_comma_between_columns_is_no_decimal_sign(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"column 'a' has '1,5' where a number should be"):
        examples(write(tmp_path, "a.csv", 'a,label\n"1,5",x\n2,y\n'), "classify")


def test_prediction_adds_its_column_to_the_header(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "label\ttext\npos\ta\n\n\tb\n")

    assert asked(path) == [
        (None, None, "label\ttext\tpredicted"), ("a", "pos", "pos\ta"), (None, None, ""), ("b", "", "\tb"),
    ]  # fmt: skip
    assert asked(write(tmp_path, "a.csv", "text\na\n"))[0] == (None, None, "label,text")


def test_missing_label_is_not_needed_for_prediction(tmp_path: Path) -> None:
    assert asked(write(tmp_path, "a.tsv", "\ta\n")) == [("a", None, "a")]
    assert asked(write(tmp_path, "a.jsonl", '{"label": 0.5, "text": "a"}')) == [
        ("a", "0.5", '{"label": 0.5, "text": "a"}')
    ]


def test_spaces_around_labels_are_stripped_but_not_around_texts(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "cat \t purrs \n\u00a0cat\u00a0\tmews\n")

    assert examples(path, "classify") == [(" purrs ", "cat"), ("mews", "cat")]
    assert examples(write(tmp_path, "a.jsonl", '{"label": " cat", "text": " a "}'), "classify") == [(" a ", "cat")]
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 1)), y=np.array(["cat ", "dog"]))
    assert [label for _, label in examples(str(tmp_path / "a.npz"), "classify")] == ["cat", "dog"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('"cat"\t"it ""purrs"""\n"dog"\t"barks"\n', [('it "purrs"', "cat"), ("barks", "dog")]),
        ('cat\t"it ""purrs"""\ndog\tbarks "x"\n', [('it "purrs"', "cat"), ('barks "x"', "dog")]),
        ('cat\t"it\npurrs"\ndog\tbarks\n', [("it\npurrs", "cat"), ("barks", "dog")]),
        ('cat\t"a\tb"\ndog\tbarks\n', [("a\tb", "cat"), ("barks", "dog")]),
    ],
)
def test_quotes_of_fields_are_removed_and_reported(tmp_path: Path, content: str, found: list[tuple[str, str]]) -> None:
    path = write(tmp_path, "a.tsv", content)
    read, told = told_by(path)

    assert read == found
    assert told == ['a.tsv: fields in quotation marks are read without the marks ("" means one)']
    again = write(tmp_path, "again.tsv", "".join(raw + "\n" for _, _, raw in asked(path)))
    assert examples(again, "classify") == found


def test_first_quoted_line_is_reported_late_in_a_file(tmp_path: Path) -> None:
    content = "dog\tbarks\n" * 120_000 + 'cat\t"it ""purrs"""\n'
    read, told = told_by(write(tmp_path, "a.tsv", content))

    assert read[-1] == ('"it ""purrs"""', "cat")
    assert told == ["a.tsv:120001: quotation marks are read as part of the text; the file does not begin as quoted"]


@pytest.mark.parametrize("content", ['cat\t"No," it said. "Yes"\ndog\tbarks\n', 'cat\t"purrs"\n', 'cat\t5" long\n'])
def test_quotes_inside_a_text_are_kept(tmp_path: Path, content: str) -> None:
    read, told = told_by(write(tmp_path, "a.tsv", content))

    assert read[0] == (content.split("\n")[0].split("\t")[1], "cat")
    assert told == []


@pytest.mark.parametrize(
    "content",
    [
        'text,label\n"a, ""b""\nc",x\nd,y\n',
        'label;text\nx;"a, ""b""\nc"\ny;d\n',
        '"text","label"\r\n"a, ""b""\r\nc","x "\r\n"d","y"\r\n',
        '\ufefftext,label\r"a, ""b""\rc",x\rd,y\r',
    ],
)
def test_csv_of_texts(tmp_path: Path, content: str) -> None:
    assert examples(write(tmp_path, "a.csv", content), "classify") == [('a, "b"\nc', "x"), ("d", "y")]


def test_location_of_a_row_is_its_first_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,label\n"a\nb",x\n\nc\n')

    with pytest.raises(InputError, match=r"a\.csv:5: one column, but the first line has 2"):
        examples(path, "classify")
    with pytest.raises(InputError, match=r"b\.csv:3: quotation marks do not match"):
        examples(write(tmp_path, "b.csv", 'text,label\na,x\n"b,y\nc,z\n'), "classify")


def test_csv_of_numbers_gives_named_inputs(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "width,id,height,kind\n1,7,2.5,oak\n3,8,0,elm\n")
    told: list[str] = []
    example_set = read_examples([path], "classify", columns="width,height", fields=Fields("kind"), report=told.append)

    assert example_set.inputs == ("width", "height")
    assert [(e.x.tolist(), e.y) for e in example_set] == [([[1, 2.5]], "oak"), ([[3, 0]], "elm")]
    assert told[0].endswith("a.csv:1: label from 'kind', numbers from width, height; left out: id")
    assert read_examples([path], "classify", columns="!i*", fields=Fields("kind")).inputs == ("width", "height")
    with pytest.raises(InputError, match=r"a\.csv: no column 'hight'; did you mean height\?"):
        read_examples([path], "classify", columns="hight", fields=Fields("kind"))
    vocabulary = schema_from_dict(TaskSchema.build(example_set, Config(task="classify")).to_dict())
    assert vocabulary.columns is not None
    assert vocabulary.columns.inputs == ("width", "height")
    other = write(tmp_path, "b.csv", "kind,height,width\nelm,1,2\n")
    again = read_examples([other], "classify", model_columns=vocabulary.columns, fields=Fields("kind"))
    assert again.items[0].x.tolist() == [[2, 1]]


def test_csv_without_a_header_is_read_by_positions(tmp_path: Path) -> None:
    numbers = write(tmp_path, "a.csv", "5.1,3.5,oak\n4,2,elm\n")
    texts = write(tmp_path, "b.csv", "It grows,oak\nIt falls,elm\n")

    assert [(x.tolist(), y) for x, y in examples(numbers, "classify", fields=Fields("3"))] == [
        ([[5.1, 3.5]], "oak"), ([[4, 2]], "elm"),
    ]  # fmt: skip
    assert examples(texts, "classify", fields=Fields("2", "1")) == [("It grows", "oak"), ("It falls", "elm")]


def test_csv_that_starts_with_counts_and_class_names(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "2,3,oak,elm\n1,2,3,1\n4,5,6,0\n")

    assert [(x.tolist(), y) for x, y in examples(path, "classify")] == [([[1, 2, 3]], "elm"), ([[4, 5, 6]], "oak")]
    assert told_by(path, fields=Fields("tree"))[1] == ["a.csv:1: label from 'tree', numbers from x1, x2, x3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "a.csv:1: no column is named label or class; name it with --label: there are a, b"),
        ("a,notes,label\n1,x,y\n", "a.csv:1: column 'notes' holds no numbers; name the column of texts with --text"),
        ("a,b,label\n1,2,y\n2,NA,y\n", "a.csv:3: column 'b' has 'NA' where a number should be"),
        ("a,b,label\n1,2,y\n1,,y\n", "a.csv:3: column 'b' has '' where a number should be"),
        ("a,label\n1, \n", "a.csv:2: the label is empty"),
        ('text,label\na,"x\ny"\n', "a.csv:2: the label holds a line break"),
        ("5,3,oak\n4,2,elm\n", "a.csv:1: numbers where column names should be; add a line of names, or give positions"),
        ("label,label,text\n", "a.csv:1: two columns are named 'label'"),
        ("", "a.csv: empty; a table has a line of column names"),
        ("text,label\n", "a.csv: no example in it"),
    ],
)
def test_csv_that_cannot_be_read_names_line_and_column(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        examples(write(tmp_path, "a.csv", content), "classify")

    assert message in str(error.value)


def test_json_arrays_and_lines(tmp_path: Path) -> None:
    array = write(tmp_path, "a.json", '[\n {"text": "a", "label": "x"},\n\n {"text": "b",\n "label": 1}\n]\n')
    found = read_examples([array], "classify").items

    assert [(e.x, e.y, e.place.line) for e in found] == [("a", "x", 2), ("b", "1", 4)]
    for name in ("b.json", "b.ndjson"):
        assert examples(write(tmp_path, name, '{"body": "a", "kind": "x"}\n'), "classify",
                        fields=Fields("kind", "body")) == [("a", "x")]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "a", "label": "x"}\n{"text": "b"}]', "a.json:2: not JSON; separate the objects"),
        ('[\n{"text": "a"', "a.json:2: not JSON"),
        ('[{"text": "a", "label": "x"}] 7', "a.json:1: not JSON; remove the text after the array"),
        ("[7]", "a.json:1: not a JSON object"),
        ("[]", "a.json: no example in it"),
        ('{"body": "a", "kind": "x"}', 'a.json:1: no "label"; a line is {"label": ..., "text": ...}; --label names'),
    ],
)
def test_invalid_json_error_shows_the_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        examples(write(tmp_path, "a.json", content), "classify")

    assert message in str(error.value)


def test_format_option_overrides_the_name_and_must_suit_the_task(tmp_path: Path) -> None:
    path = write(tmp_path, "a.data", "x\ta\n")

    assert examples(path, "classify", format="tsv") == [("a", "x")]
    assert examples(path, "classify", usual_format="tsv") == [("a", "x")]
    assert examples(write(tmp_path, "a.txt", "x\ta\n"), "classify", usual_format="tsv") == [("x\ta", "a")]
    with pytest.raises(ConfigError, match="classify does not read format 'conllu'"):
        examples(path, "classify", format="conllu")
    with pytest.raises(InputError, match="--format names the format of other files"):
        examples(path, "classify")


def test_predictions_of_a_known_model_are_left_out(tmp_path: Path) -> None:
    path, known = write(tmp_path, "a.tsv", "x\ta\ty\t0.75\n"), frozenset("xy")

    assert told_by(path, fields=Fields(known=known)) == (
        [("a", "x")],
        ["a.tsv:1: the columns after the second are read as predictions and left out"],
    )
    with pytest.raises(InputError, match="4 columns"):
        examples(path, "classify")


def test_header_of_pairs_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "Source\tTarget\na\tb\n")

    assert told_by(path, "translate") == ([("a", "b")], ["a.tsv:1: read as column names, not as an example"])
