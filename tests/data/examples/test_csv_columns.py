"""Columns of CSV files: types, number formats, selection, and reports of skipped columns."""

from pathlib import Path

import numpy as np
import pytest
from example_cases import write

from fastrnn.data.examples.example import ExampleSet
from fastrnn.data.examples.readers.formats import ReadOptions, open_examples, read_examples
from fastrnn.errors import InputError


def read(folder: Path, content: str, columns: str | None = None, task: str = "forecast") -> ExampleSet:
    """The examples of a file with this content."""
    return read_examples([write(folder, "t.csv", content)], task, columns=columns)


def remarks(examples: ExampleSet) -> list[str]:
    """The remarks without the name of the file."""
    return [line.partition("t.csv: ")[2] for line in examples.remarks]


@pytest.mark.parametrize("mark", ["", "NA", "n/a", "NaN", "null", "None", "-", "?", "#N/A"])
def test_missing_first_value_makes_no_column_of_numbers_a_text(tmp_path: Path, mark: str) -> None:
    with pytest.raises(InputError, match=r"t\.csv:2: column 'p' has .*fill it in or leave the row out, or choose"):
        read(tmp_path, f"p,q\n{mark},1\n2,3\n4,5\n")


def test_skipped_text_columns_are_reported(tmp_path: Path) -> None:
    content = "town,p,note,q\nRiga,1,,5\nBonn,2,,6\n"

    examples = read(tmp_path, content)
    assert examples.inputs == ("p", "q")
    assert remarks(examples) == ["left out columns 'town' (such as 'Riga'), 'note' (no value): not numbers"]
    assert remarks(read(tmp_path, content, "!town,!note")) == []
    assert remarks(read(tmp_path, content, "q", "regress")) == remarks(examples)


def test_few_texts_among_numbers_are_an_error_and_not_a_text_column(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv:2: column 'p' has 'off' where a number .* --columns '!p'"):
        read(tmp_path, "p,q\noff,1\n2,3\n4,5\n")


def test_columns_are_left_out_by_an_exclamation_mark(tmp_path: Path) -> None:
    content = "pa,pb,q,!r\n1,2,3,4\n2,3,4,5\n"

    assert read(tmp_path, content, "!pb").inputs == ("pa", "q", "!r")
    assert read(tmp_path, content, "*, !p*").inputs == ("q", "!r")
    assert read(tmp_path, content, "!r").inputs == ("!r",)
    regress = read(tmp_path, content, "q,!pa", "regress")
    assert (regress.inputs, regress.outputs) == (("pb", "!r"), ("q",))


def test_column_name_with_a_comma_is_quoted(tmp_path: Path) -> None:
    content = '"flow, m/s",q,"a ""b"", c"\n1,2,3\n2,3,4\n'

    assert read(tmp_path, content, "flow, m/s").inputs == ("flow, m/s",)
    assert read(tmp_path, content, 'q,"flow, m/s"').inputs == ("q", "flow, m/s")
    assert read(tmp_path, content, '"a ""b"", c"').inputs == ('a "b", c',)
    assert read(tmp_path, content, '!"flow, m/s"').inputs == ("q", 'a "b", c')
    with pytest.raises(InputError, match="no column 'flow'; did you mean \"flow, m/s\", with the quotation marks"):
        read(tmp_path, content, "q,flow, m/s")


@pytest.mark.parametrize(
    ("content", "values", "remark"),
    [
        ('p\n"5,5"\n6\n"7,25"\n', [5.5, 6, 7.25], "column 'p': '7,25' is read as 7.25"),
        ('p\n"1.234,5"\n"2.000"\n', [1234.5, 2000], "column 'p': '1.234,5' is read as 1234.5"),
        ('p\n"1,234.5"\n"2,000"\n', [1234.5, 2000], "column 'p': '1,234.5' is read as 1234.5"),
        ('p\n"12,34,567"\n5\n', [1234567, 5], "column 'p': '12,34,567' is read as 1234567.0"),
        ("p\n1 234\n2 000 000.5\n", [1234, 2000000.5], "column 'p': '2 000 000.5' is read as 2000000.5"),
        ("p\n1'234\n5\n", [1234, 5], "column 'p': \"1'234\" is read as 1234.0"),
        ("p\n\u22122.5\n3\n", [-2.5, 3], ""),
    ],
)
def test_numbers_in_other_notations_are_read_and_reported(
    tmp_path: Path, content: str, values: list[float], remark: str
) -> None:
    examples = read(tmp_path, content)

    assert examples.items[0].x.values[:, 0].tolist() == values
    assert remarks(examples) == ([remark] if remark else [])


def test_one_column_decides_what_a_comma_means_in_another(tmp_path: Path) -> None:
    examples = read(tmp_path, 'p,q\n"1,234","5,5"\n"2,345","6,5"\n')

    np.testing.assert_array_equal(examples.items[0].x.values, [[1.234, 5.5], [2.345, 6.5]])


def test_semicolons_and_tabs_separate_columns_too(tmp_path: Path) -> None:
    examples = read(tmp_path, "d;p;q\n2023-01-01;1,5;1.000\n2023-01-02;2,5;2.000\n")
    np.testing.assert_array_equal(examples.items[0].x.values, [[1.5, 1000], [2.5, 2000]])
    assert remarks(examples)[0] == "columns are separated by semicolons"

    regress = read(tmp_path, "p\tq\n1\t2\n3\t4\n", "q", "regress")
    assert [example.raw for example in regress.items] == ["1,2", "3,4"]


def test_pandas_index_column_is_skipped_and_reported(tmp_path: Path) -> None:
    counted = read(tmp_path, ",p\n0,5\n1,6\n2,7\n")
    dated = read(tmp_path, ",p\n2023-01-01,5\n2023-01-02,6\n")

    assert (counted.inputs, dated.inputs) == (("p",), ("p",))
    assert remarks(counted) == ["left out the first column, which has no name and counts the rows"]
    assert dated.items[0].x.date == "index"
    assert read(tmp_path, ",p,\n2023-01-01,5,\n2023-01-02,6,\n").inputs == ("p",)


def test_rows_from_a_pipe_are_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = read(tmp_path, "p,q\n1,2\n2,3\n", "q", "regress")
    source = read_examples([write(tmp_path, "u.csv", "p\n1\n")], "forecast").items[0]
    assert source.place.file.endswith("u.csv")
    from fastrnn.data.examples.readers import csv_table
    from fastrnn.data.examples.readers.csv_columns import Columns, read_regression_rows

    seen = []

    def chunks():  # type: ignore[no-untyped-def]
        for part in (b"p\n1\n", b"2\n", b"x\n"):
            seen.append(part)
            yield part

    table = csv_table.Table(csv_table.Source("pipe", chunks), whole=False)
    rows = read_regression_rows(table, Columns(model.inputs, model.outputs), needs_targets=False)
    assert next(rows).x.tolist() == [[1]]
    assert len(seen) < 3


def test_model_reads_the_columns_of_its_schema(tmp_path: Path) -> None:
    from fastrnn.data.examples.readers.csv_columns import Columns

    path = write(tmp_path, "t.csv", "when,town,p\n2023-01-01,Riga,1\n2023-01-02,Bonn,2\n")
    (stream,) = open_examples(
        [path], ReadOptions("forecast", needs_targets=False, model_columns=Columns(("p",), (), "when"))
    )

    assert stream.layout.remarks == ()
    assert [example.x.values.tolist() for example in stream.items] == [[[1], [2]]]
