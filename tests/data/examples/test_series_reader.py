"""Series from CSV files: their dates, the order of their rows, and missing values."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_cases import write

from fastrnn.data.examples.example import ExampleSet
from fastrnn.data.examples.readers.formats import read_examples
from fastrnn.errors import InputError


def read(folder: Path, rows: list[str], header: str = "date,p", **reading: Any) -> ExampleSet:
    """A table of these rows."""
    return read_examples([write(folder, "t.csv", "\n".join([header, *rows]))], "forecast", **reading)


def remark(examples: ExampleSet) -> str:
    """The only remark."""
    (line,) = examples.remarks
    return line.partition("t.csv: ")[2]


def test_rows_with_the_newest_first_are_reversed_and_reported(tmp_path: Path) -> None:
    examples = read(tmp_path, ["03/15/2023,3", "03/14/2023,2", "03/13/2023,1"])

    assert examples.items[0].x.values[:, 0].tolist() == [1, 2, 3]
    assert examples.items[0].x.dates_after(1) == ["03/16/2023"]
    assert remark(examples) == "the newest row comes first; the rows are read in reverse order"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["Riga,2023-01-01,1", "Riga,2023-01-02,2", "Bonn,2023-01-01,3"],
         "t.csv:4: 2023-01-01 is not later than the row before: column 'town' goes from 'Riga' to 'Bonn', so the"),
        (["Riga,2023-01-01,1", "Bonn,2023-01-01,2", "Riga,2023-01-02,3"],
         "t.csv:3: 2023-01-01 is not later than the row before: column 'town' goes from 'Riga' to 'Bonn'"),
        (["Riga,2023-01-01,1", "Riga,2023-01-02,2", "Riga,2023-01-02,3"],
         "t.csv:4: 2023-01-02 occurs twice, here and in line 3; keep one row for each time, or give each series"),
        (["x,2023-01-01,1", "x,2023-01-02,2", "x,2023-01-01,3", "x,2023-01-02,3"],
         "t.csv:4: 2023-01-01 occurs here and in line 2; if the table holds several series, give each a file"),
        (["x,2023-01-01,1", "x,2023-01-03,2", "x,2023-01-02,3"],
         "t.csv:4: 2023-01-02 is not later than the row before (2023-01-03); sort the rows by time"),
        (["x,2023-01-05,1", "x,2023-01-04,2", "x,2023-01-03,3", "x,2023-01-03,3"],
         "t.csv:5: 2023-01-03 occurs twice, here and in line 4"),
        (["x,2023-10-29 02:00,1", "x,2023-10-29 02:30,2", "x,2023-10-29 02:00,3"],
         "for the hour that daylight saving time repeats, write the offset from UTC, such as 02:00+01:00"),
        (["x,2023-01-01,1", "x,,2", "x,2023-01-02,3"], "t.csv:3: column 'date' has no date ('')"),
    ],
)  # fmt: skip
def test_error_explains_why_rows_are_not_in_order(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, rows, "town,date,p")

    assert message in str(error.value)


def test_hours_with_utc_offsets_are_regular_over_dst_changes(tmp_path: Path) -> None:
    shown = ["01:00:00+02:00", "02:00:00+02:00", "02:00:00+01:00", "03:00:00+01:00"]
    series = read(tmp_path, [f"2023-10-29 {time},{i}" for i, time in enumerate(shown)]).items[0].x

    assert series.gaps().tolist() == []
    assert series.dates_after(2) == ["2023-10-29 04:00:00+01:00", "2023-10-29 05:00:00+01:00"]
    assert [int(str(hour)) for hour in series.wall.astype("datetime64[h]").astype(int) % 24] == [1, 2, 2, 3]


def test_fractions_of_a_second_are_steps(tmp_path: Path) -> None:
    series = read(tmp_path, [f"2023-01-01T00:00:{i * 25 // 100:02}.{i * 25 % 100:02},1" for i in range(6)]).items[0].x

    assert series.gaps().tolist() == []
    assert series.dates_after(2) == ["2023-01-01T00:00:01.50", "2023-01-01T00:00:01.75"]


@pytest.mark.parametrize(
    ("name", "numbers", "words", "after"),
    [
        ("date", ("20221230", "20221231"), "dates (20221230 is 2022-12-30)", "20230101"),
        ("month", ("202211", "202212"), "months (202211 is 2022-11-01)", "202301"),
        ("Year", ("1999", "2000"), "years (1999 is 1999-01-01)", "2001"),
        ("timestamp", ("1600000000", "1600003600"), "Unix time in seconds (1600000000 is 2020-09-13 12:26:40)",
         "1600007200"),
        ("x", ("1600000000000", "1600000060000", "1600000120000"),
         "Unix time in milliseconds (1600000000000 is 2020-09-13 12:26:40.000)", "1600000180000"),
    ],
)  # fmt: skip
def test_time_columns_of_numbers_are_reported_and_not_forecast(
    tmp_path: Path, name: str, numbers: tuple[str, ...], words: str, after: str
) -> None:
    examples = read(tmp_path, [f"{number},{i}" for i, number in enumerate(numbers)], f"{name},p")

    assert (examples.inputs, examples.items[0].x.date) == (("p",), name)
    assert examples.items[0].x.dates_after(1) == [after]
    assert remark(examples).startswith(f"column {name!r} is read as {words} and not forecast; to forecast it")
    chosen = read(tmp_path, [f"{number},{i}" for i, number in enumerate(numbers)], f"{name},p", columns=f"p,{name}")
    assert (chosen.inputs, chosen.items[0].x.date, chosen.remarks) == (("p", name), None, ())


def test_large_values_are_not_times(tmp_path: Path) -> None:
    examples = read(tmp_path, [f"{1200000000 + 7 * i * i},{i * i}" for i in range(5)], "p,q")

    assert (examples.inputs, examples.items[0].x.date, examples.remarks) == (("p", "q"), None, ())


def test_columns_that_look_like_times_or_counts_are_reported(tmp_path: Path) -> None:
    examples = read(tmp_path, [f"{i},{2010 + i // 4},{i % 4 + 1},{i * i}" for i in range(8)], "No,year,month,p")

    assert examples.inputs == ("No", "year", "month", "p")
    assert remark(examples) == (
        "columns 'No', 'year', 'month' look like times or counts of rows and are forecast as values; "
        "to leave out: --columns '!No,!year,!month'"
    )


def test_unparsed_date_column_is_reported(tmp_path: Path) -> None:
    examples = read(tmp_path, ["first of May,1", "second of May,2"])

    assert examples.items[0].x.times is None
    assert remark(examples).startswith(
        "column 'date' could not be parsed as dates ('first of May'); the rows are assumed to be"
    )


def test_day_month_order_is_saved_in_the_schema(tmp_path: Path) -> None:
    from fastrnn.config import Config
    from fastrnn.data.examples.schema import TaskSchema, schema_from_dict

    examples = read(tmp_path, [f"03/{day:02}/2023,{day}" for day in range(1, 20)])
    vocabulary = TaskSchema.build(examples, Config(task="forecast", seq=4))
    known = schema_from_dict(vocabulary.to_dict())

    assert known.columns == vocabulary.columns
    later = read(tmp_path, ["04/01/2023,1", "04/02/2023,2"], model_columns=known.columns)
    assert later.items[0].x.dates_after(1) == ["04/03/2023"]


@pytest.mark.parametrize(
    ("missing", "values", "told"),
    [
        ("interpolate", [1, 2, 3, 4, 4], "2 missing values, first in column 'p' in line 3: 2 filled in (interpolate)"),
        ("last", [1, 1, 3, 4, 4], "2 missing values, first in column 'p' in line 3: 2 filled in (last)"),
        ("drop", [1, 3, 4], "2 missing values, first in column 'p' in line 3: 2 rows left out"),
    ],
)
def test_missing_values_are_filled_in_or_dropped_as_asked(
    tmp_path: Path, missing: str, values: list[float], told: str
) -> None:
    rows = [f"2023-01-0{i + 1},{text}" for i, text in enumerate(["1", "NA", "3", "4", ""])]
    examples = read(tmp_path, rows, missing=missing)

    assert examples.items[0].x.values[:, 0].tolist() == values
    assert remark(examples) == told
    with pytest.raises(InputError, match=r"t\.csv:3: column 'p' has 'NA' .* --missing interpolate, last or drop"):
        read(tmp_path, rows)


@pytest.mark.parametrize("missing", ["interpolate", "last"])
def test_rows_before_the_first_value_are_dropped(tmp_path: Path, missing: str) -> None:
    rows = ["2023-01-01,,5", "2023-01-02,1,6", "2023-01-03,2,", "2023-01-04,3,8"]
    examples = read(tmp_path, rows, "date,p,q", missing=missing)

    assert examples.items[0].x.values[:, 0].tolist() == [1, 2, 3]
    assert str(examples.items[0].x.times[0]) == "2023-01-02T00:00:00"
    assert remark(examples).endswith(f"line 2: 1 filled in ({missing}), 1 row left out")
    np.testing.assert_array_equal(examples.items[0].x.values[1, 1], 7 if missing == "interpolate" else 6)
