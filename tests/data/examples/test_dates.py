"""Date formats: parsing, and formatting of the next dates in the same format."""

import numpy as np
import pytest

from fastrnn.data.examples.dates import DateError, read_dates, read_unix_times
from fastrnn.data.examples.series import frequency_of


def going_on(fields: list[str], steps: int = 2, order: str = "") -> list[str]:
    """The next dates of a column, as it writes them."""
    dates = read_dates(fields, order)
    frequency = frequency_of(dates.times, dates.wall)
    offset = None if dates.offsets is None else int(dates.offsets[-1])
    return dates.notation.format(frequency.times_after(dates.wall[-1], steps), offset)


@pytest.mark.parametrize(
    ("fields", "after"),
    [
        ("2023-02-27 2023-02-28", "2023-03-01 2023-03-02"),
        ("2023/2/27 2023/2/28", "2023/3/1 2023/3/2"),
        ("20230227 20230228", "20230301 20230302"),
        ("20230227T2300 20230228T0000", "20230228T0100 20230228T0200"),
        ("2023022722 2023022723", "2023022800 2023022801"),
        ("2023-02-27T23:00Z 2023-02-28T00:00Z", "2023-02-28T01:00Z 2023-02-28T02:00Z"),
        ("2023-02-27T23:00-0330 2023-02-28T00:00-0330", "2023-02-28T01:00-0330 2023-02-28T02:00-0330"),
        ("2023-02-27T23:00+05 2023-02-28T00:00+05", "2023-02-28T01:00+05 2023-02-28T02:00+05"),
        ("2023-02-27T00:00:00.25 2023-02-27T00:00:00.50", "2023-02-27T00:00:00.75 2023-02-27T00:00:01.00"),
        ("2023-02-27T00:00:00 2023-02-27T00:00:00.500000", "2023-02-27T00:00:01.000000 2023-02-27T00:00:01.500000"),
        ("30.11.2023 1.12.2023", "2.12.2023 3.12.2023"),
        ("11/29/2023 11/30/2023", "12/01/2023 12/02/2023"),
        ("29/11/23 30/11/23 01/12/23", "02/12/23 03/12/23"),
        ("29-Nov-2023 30-Nov-2023", "01-Dec-2023 02-Dec-2023"),
        ("29-NOV-98 30-NOV-98", "01-DEC-98 02-DEC-98"),
        ("2023-11 2023-12", "2024-01 2024-02"),
        ("11/2023 12/2023", "01/2024 02/2024"),
        ("2023M11 2023M12", "2024M01 2024M02"),
        ("202311 202312", "202401 202402"),
        ("2023Q3 2023Q4", "2024Q1 2024Q2"),
        ("2023-q3 2023-q4", "2024-q1 2024-q2"),
        ("Q3-2023 Q4-2023", "Q1-2024 Q2-2024"),
        ("2020-W52 2020-W53", "2021-W01 2021-W02"),
        ("1999 2000", "2001 2002"),
    ],
)  # fmt: skip
def test_next_dates_keep_the_notation_of_the_column(fields: str, after: str) -> None:
    assert going_on(fields.split()) == after.split()


@pytest.mark.parametrize(
    ("fields", "after"),
    [
        (["June 9, 2023", "June 10, 2023"], ["June 11, 2023", "June 12, 2023"]),
        (["Jun 30 2023", "Jul 1 2023"], ["Jul 2 2023", "Jul 3 2023"]),
        (["30 June 2023", "31 July 2023"], ["31 August 2023", "30 September 2023"]),
        (["nov 2023", "dec 2023"], ["jan 2024", "feb 2024"]),
        (["11/29/2023 10:00 PM", "11/29/2023 11:00 PM"], ["11/30/2023 12:00 AM", "11/30/2023 01:00 AM"]),
        (["Thu, 30 Nov 2023 22:30:00 GMT", "Thu, 30 Nov 2023 23:00:00 GMT"],
         ["Thu, 30 Nov 2023 23:30:00 GMT", "Fri, 01 Dec 2023 00:00:00 GMT"]),
        (["2023-11-30 23:58", "2023-11-30 23:59"], ["2023-12-01 00:00", "2023-12-01 00:01"]),
    ],
)  # fmt: skip
def test_names_of_months_and_clocks_are_kept(fields: list[str], after: list[str]) -> None:
    assert going_on(fields) == after


def test_day_month_order_is_inferred_from_the_whole_column() -> None:
    unclear = ["03/04/2023", "03/05/2023"]

    assert going_on([*unclear, "03/13/2023"])[0][:2] == "03"
    with pytest.raises(DateError, match="may be read day first or month first, and no other date decides"):
        read_dates(unclear)
    assert read_dates(unclear, "mdy").times.astype(str).tolist() == ["2023-03-04T00:00:00", "2023-03-05T00:00:00"]
    assert read_dates(unclear, "dmy").times.astype(str).tolist() == ["2023-04-03T00:00:00", "2023-05-03T00:00:00"]


def test_day_month_order_is_inferred_from_regular_steps() -> None:
    hours = [f"0{day}/04/2023 {hour:02}:00" for day in (3, 4) for hour in range(24)]

    assert going_on(hours, 1) == ["05/04/2023 00:00"]


@pytest.mark.parametrize(
    ("fields", "row", "message"),
    [
        (["2023-01-01", "soon"], 1, "'soon' where a date such as 2024-02-29 12:00 should be"),
        (["2023-01-01", "01/02/2023"], 1, "should be, written like the rows before"),
        (["2023-02-28", "2023-02-29"], 1, "'2023-02-29' where a date"),
        (["2023-01-01 10:60"], 0, "10:60"),
        (["2023-01-01T10:00Z", "2023-01-01T11:00"], 1, "without an offset from UTC, unlike the rows before"),
        (["13/01/2023", "01/13/2023"], 1, "'01/13/2023', no date in the order of day and month"),
    ],
)
def test_invalid_date_error_shows_the_row(fields: list[str], row: int, message: str) -> None:
    with pytest.raises(DateError) as error:
        read_dates(fields)

    assert (error.value.row, message in error.value.message) == (row, True)


def test_instants_with_offsets_are_compared_in_utc() -> None:
    dates = read_dates(["2023-10-29T02:30:00+02:00", "2023-10-29T02:00:00+01:00"])

    assert dates.times.astype(str).tolist() == ["2023-10-29T00:30:00", "2023-10-29T01:00:00"]
    assert dates.wall.astype(str).tolist() == ["2023-10-29T02:30:00", "2023-10-29T02:00:00"]


@pytest.mark.parametrize(
    ("fields", "unit", "words"),
    [
        (["1600000000", "1600000060"], "s", "seconds"),
        (["1600000000000", "1600000060000"], "ms", "milliseconds"),
        (["1600000000000000", "1600000060000000"], "us", "microseconds"),
        (["1600000000.25", "1600000060.75"], "ms", "seconds"),
    ],
)
def test_unix_times_are_read_and_shown(fields: list[str], unit: str, words: str) -> None:
    dates = read_unix_times(fields)

    assert dates.times.dtype == np.dtype(f"datetime64[{unit}]")
    assert str(dates.times[0]).startswith("2020-09-13T12:26:40")
    assert dates.notation.description == f"Unix time in {words}"
    assert dates.notation.format(dates.times) == fields


def test_decimals_of_unix_times_in_milliseconds_are_refused():
    assert read_unix_times(["1700000000.5"]).times[0] == np.datetime64("2023-11-14T22:13:20.5")
    with pytest.raises(DateError):
        read_unix_times(["1700000000000", "1700000000000.5"])
