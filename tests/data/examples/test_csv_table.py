"""CSV for regress and forecast."""

from pathlib import Path

import numpy as np
import pytest
from example_cases import examples, write

from fastrnn.data.examples.readers.csv_columns import Columns
from fastrnn.data.examples.readers.formats import read_examples
from fastrnn.errors import InputError

BITS = "x1,x2,name,y1,y2\n0,1,a,1,0\n1,-1,b,0,\n"
HOURS = "date,a,b\n2024-02-28 23:00,1,5\n2024-02-29T00:00:00,2,4.5\n2024-02-29 01:00:00,-3e1,4\n"


def test_named_columns_are_predicted_from_the_other_numbers(tmp_path: Path) -> None:
    example_set = read_examples([write(tmp_path, "a.csv", BITS)], "regress", columns="y*")

    assert (example_set.inputs, example_set.outputs) == (("x1", "x2"), ("y1", "y2"))
    assert example_set.header == ("x1", "x2", "name", "y1", "y2")
    np.testing.assert_array_equal(np.concatenate([e.x for e in example_set.items]), [[0, 1], [1, -1]])
    np.testing.assert_array_equal(np.concatenate([e.y for e in example_set.items]), [[1, 0], [0, np.nan]])
    assert (example_set.items[1].raw, example_set.items[1].place.line) == ("1,-1,b,0,", 3)


def test_targets_may_be_missing_for_prediction(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "x2,x1\n3,4\n")
    ((x, y),) = examples(path, "regress", needs_targets=False, model_columns=Columns(("x1", "x2"), ("y1",)))

    assert (x.tolist(), y) == ([[4, 3]], None)


def test_series_is_all_numeric_columns_with_the_dates(tmp_path: Path) -> None:
    example_set = read_examples([write(tmp_path, "a.csv", HOURS)], "forecast")
    series = example_set.items[0].x

    assert (series.columns, series.date) == (("a", "b"), "date")
    np.testing.assert_array_equal(series.values, [[1, 5], [2, 4.5], [-30, 4]])
    assert series.times.astype(str).tolist() == ["2024-02-28T23:00:00", "2024-02-29T00:00:00", "2024-02-29T01:00:00"]


def test_columns_are_chosen_in_the_order_given(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", HOURS)

    assert read_examples([path], "forecast", columns="b, a").inputs == ("b", "a")
    assert read_examples([path], "forecast", columns="b").items[0].x.values.tolist() == [[5], [4.5], [4]]


def test_fields_may_be_quoted(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", '\ufeff"a,b", "c"\r\n"1", 2\r\n\r\n3 ,4\r\n')

    assert read_examples([path], "forecast").items[0].x.columns == ("a,b", "c")


def test_files_must_have_the_same_columns(tmp_path: Path) -> None:
    paths = [write(tmp_path, "a.csv", "a,b\n1,2\n"), write(tmp_path, "b.csv", "a,c\n1,2\n")]

    with pytest.raises(InputError, match=r"b\.csv: other columns than those of .*a\.csv$"):
        read_examples(paths, "forecast")


@pytest.mark.parametrize(
    ("task", "columns", "content", "message"),
    [
        ("forecast", None, "", "a.csv: empty; a table has a line of column names, then rows of numbers"),
        ("forecast", None, "a,b\n", "a.csv: no row below the column names; give at least one"),
        ("forecast", None, "1,2\n3,4\n", "a.csv:1: numbers where column names should be"),
        ("forecast", None, "a,a\n1,2\n", "a.csv:1: two columns are named 'a'; give each a name of its own"),
        ("forecast", None, "a,\n1,2\n", "a.csv:1: column 2 has no name; give it one"),
        ("forecast", None, "a,b\n1,2\n3\n", "a.csv:3: one column, but the first line names 2; make them equal"),
        ("forecast", None, "a,b\n1,2,3\n", "a.csv:2: 3 columns, but the first line names 2; make them equal"),
        ("forecast", None, "a\n1\nx\n", "a.csv:3: column 'a' has 'x' where a number should be"),
        ("forecast", None, "a\n1\nnan\n", "a.csv:3: column 'a' has NaN; fill it in or leave the row out"),
        ("forecast", None, "a,b\n1,2\n,3\n", "a.csv:3: column 'a' has '' where a number should be"),
        ("forecast", None, "a\n1\n-inf\n", "a.csv:3: column 'a' has -inf; it must be at most 1e+30"),
        ("forecast", None, "a\n1\n1_000\n", "a.csv:3: column 'a' has '1_000' where a number should be"),
        ("forecast", None, "a\nx\n", "a.csv: no column of numbers; a series has at least one"),
        (
            "forecast",
            None,
            'd,a\n1,"1,234"\n2,"2,345"\n',
            "has '1,234', whose comma may separate thousands or decimals",
        ),
        ("forecast", None, "a\n1\n5 km\n", "a.csv:3: column 'a' has '5 km' where a number should be"),
        ("forecast", "a,b, a", "a,b\n1,2\n", "--columns names 'a' twice; name each column once"),
        ("forecast", "temprature", "temperature\n1\n", "no column 'temprature'; did you mean temperature?"),
        ("forecast", "z*", "a,b\n1,2\n", "no column 'z*'; there are a, b"),
        ("forecast", None, "d,a\n2024-01-01,1\n2024-01-03,2\n2024-01-02,3\n", "a.csv:4: 2024-01-02 is not later than"),
        (
            "forecast",
            None,
            "d,a\n2024-01-01,1\nsoon,2\n",
            "column 'd' has 'soon' where a date such as 2024-02-29 12:00",
        ),
        ("forecast", None, 'a,b\n"1,2\n3,4\n', "a.csv:2: not CSV"),
        ("regress", None, "a,b\n1,2\n", "regress needs the columns to predict; name them with --columns"),
        ("regress", "*", "a,b\n1,2\n", "a.csv: no numeric column is left as an input; choose fewer with --columns"),
        ("regress", "b", "a,b\n1,x\n", "a.csv:2: column 'b' has 'x' where a number should be"),
        ("regress", "b", "a,b\n1,2\nnan,2\n", "a.csv:3: column 'a' has NaN; fill it in or leave the row out"),
    ],
)
def test_errors_show_file_and_line(tmp_path: Path, task: str, columns: str | None, content: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        examples(write(tmp_path, "a.csv", content), task, columns=columns)

    assert message in str(error.value)


def test_missing_column_error_suggests_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "HUFL,OIL\n1,2\n")

    with pytest.raises(InputError, match=r"a\.csv: no column 'HUFLL'; did you mean HUFL\?$"):
        examples(path, "forecast", model_columns=Columns(("HUFLL",)))
