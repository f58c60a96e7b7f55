"""The step from one time to the next follows the calendar."""

import numpy as np
import pytest

from fastrnn.data.examples.series import Frequency, frequency_of


def found(*days: str) -> tuple[Frequency, list[str]]:
    """The frequency of these times, and the next three."""
    times = np.array(days, "datetime64[s]")
    frequency = frequency_of(times, times)
    return frequency, [str(time).removesuffix("T00:00:00") for time in frequency.times_after(times[-1], 3)]


@pytest.mark.parametrize(
    ("days", "after"),
    [
        (("2023-10-01", "2023-11-01", "2023-12-01"), ["2024-01-01", "2024-02-01", "2024-03-01"]),
        (("2023-10-15", "2023-11-15", "2023-12-15"), ["2024-01-15", "2024-02-15", "2024-03-15"]),
        (("2022-11-30", "2022-12-31", "2023-01-31"), ["2023-02-28", "2023-03-31", "2023-04-30"]),
        (("2022-11-30", "2022-12-30", "2023-01-30", "2023-02-28"), ["2023-03-30", "2023-04-30", "2023-05-30"]),
        (("2022-03-31", "2022-06-30", "2022-09-30"), ["2022-12-31", "2023-03-31", "2023-06-30"]),
        (("2022-01-01", "2022-04-01"), ["2022-07-01", "2022-10-01", "2023-01-01"]),
        (("2019-12-31", "2020-12-31", "2021-12-31"), ["2022-12-31", "2023-12-31", "2024-12-31"]),
        (("2016-02-29", "2017-02-28", "2018-02-28"), ["2019-02-28", "2020-02-29", "2021-02-28"]),
        (("2023-03-31", "2023-04-28", "2023-05-31", "2023-06-30"), ["2023-07-31", "2023-08-31", "2023-09-29"]),
        (("2023-05-04", "2023-05-05", "2023-05-08"), ["2023-05-09", "2023-05-10", "2023-05-11"]),
        (("2023-05-02", "2023-05-03", "2023-05-04"), ["2023-05-05", "2023-05-06", "2023-05-07"]),
        (("2023-05-01", "2023-05-08", "2023-05-15"), ["2023-05-22", "2023-05-29", "2023-06-05"]),
    ],
)
def test_next_dates(days: tuple[str, ...], after: list[str]) -> None:
    assert found(*days)[1] == after


def test_weeks_that_begin_on_sunday_leave_out_friday_and_saturday() -> None:
    every = np.arange("2023-01-01", "2023-02-09", dtype="datetime64[D]")
    working = [str(day) for day in every if (day.astype(int) + 3) % 7 not in (4, 5)]

    frequency, after = found(*working)
    assert (frequency.kind, frequency.week) == ("weekday", "1111001")
    assert after == ["2023-02-09", "2023-02-12", "2023-02-13"]


def test_holiday_and_missing_month_are_gaps() -> None:
    days = np.array(["2023-05-04", "2023-05-05", "2023-05-09", "2023-05-10"], "datetime64[s]")
    months = np.array(["2023-01-31", "2023-02-28", "2023-04-30", "2023-05-31"], "datetime64[s]")

    assert frequency_of(days, days).find_gaps(days, days).tolist() == [False, True, False]
    assert frequency_of(months, months).find_gaps(months, months).tolist() == [False, True, False]


def test_days_are_counted_on_the_local_clock_over_dst_changes() -> None:
    wall = np.array(["2023-10-28", "2023-10-29", "2023-10-30"], "datetime64[s]")
    times = wall - np.array([7200, 7200, 3600], "timedelta64[s]")
    frequency = frequency_of(times, wall)

    assert (frequency.kind, frequency.count) == ("day", 1)
    assert not frequency.find_gaps(times, wall).any()


def test_frequency_of_an_even_number_of_steps_is_one_that_occurs() -> None:
    assert found("2023-05-01", "2023-05-08", "2023-05-16")[0].count == 7
