"""Time series for forecast: values with times, their frequency, gaps and calendar features.

The frequency is a fixed span of time, calendar days, business days or calendar months. Letters: n rows, C columns.
"""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .date_notation import Notation, UnixTime
from .example import Example

Array = npt.NDArray[Any]
Times = npt.NDArray[np.datetime64]

_DAY = np.timedelta64(1, "D")
_WEEKDAYS = "1111100"  # Monday to Friday
_MIN_SPAN = 21  # days of data needed to recognise a working week other than Monday to Friday
_NOUNS = {"day": "day", "weekday": "business day", "month": "month"}
Positions = npt.NDArray[np.int64]
CALENDAR = 4  # features of a time, see `calendar_features`
_HOUR = np.timedelta64(1, "h")


@dataclass(frozen=True)
class Frequency:
    """The step from one row to the next.

    Attributes:
        kind: "span" (ticks of the times' own unit), "day", "weekday" or "month".
        count: Number of ticks, days, weekdays or months in a step.
        week: Days of the week with data, from Monday, as NumPy's weekmask.
        anchor: Day of the month: 1 to 31 (the last day of shorter months), "end", "first weekday" or "last weekday".
    """

    kind: str
    count: int
    week: str = _WEEKDAYS
    anchor: int | str = 1

    def times_after(self, last: np.datetime64, steps: int) -> Times:
        """Return the next local times (steps,) after ``last``."""
        ahead = self.count * np.arange(1, steps + 1)
        if self.kind == "span":
            return _as_times(last + ahead)
        # Count in calendar days and add the time of day again: local times keep their hour across a change of clocks.
        day = last.astype("datetime64[D]")
        if self.kind == "day":
            days = day + ahead
        elif self.kind == "weekday":
            days = np.busday_offset(day, ahead, weekmask=self.week)
        else:
            days = self._days_of(day.astype("datetime64[M]") + ahead)
        return _as_times(days + (last - day))

    def find_gaps(self, times: Times, wall: Times) -> npt.NDArray[np.bool_]:
        """Whether the step before each time but the first (n - 1,) differs from one step by more than half a step.

        ``times`` (n,): instants; ``wall`` (n,): their local times.
        """
        days = wall.astype("datetime64[D]")
        if self.kind == "weekday":
            between = np.busday_count(days[:-1], days[1:], weekmask=self.week)
        elif self.kind == "month":
            between = np.diff(days.astype("datetime64[M]")).astype(np.int64)
        else:
            between = np.diff(days if self.kind == "day" else times).astype(np.int64)
        return np.asarray(2 * np.abs(between - self.count) > self.count)

    @property
    def description(self) -> str | None:
        """The step in words, such as "3 months"; None for a span."""
        if self.kind == "span":
            return None
        noun = _NOUNS[self.kind]
        return f"one {noun}" if self.count == 1 else f"{self.count} {noun}s"

    def _days_of(self, months: Times) -> Times:
        """Return the anchor day of each month."""
        first, end = _month_bounds(months)
        if self.anchor == "end":
            return end
        if self.anchor == "first weekday":
            return np.busday_offset(first, 0, roll="forward")
        if self.anchor == "last weekday":
            return np.busday_offset(end, 0, roll="backward")
        assert isinstance(self.anchor, int)
        return np.minimum(first + (self.anchor - 1), end)


def frequency_of(times: Times, wall: Times) -> Frequency:
    """Return the frequency of at least two rising instants ``times`` with local times ``wall``.

    Series with one row per day at the same local time have a frequency in days, not in hours: with daylight saving
    time a day can have 23 or 25 hours.
    """
    days = wall.astype("datetime64[D]")
    if len(np.unique(wall - days)) > 1 or np.diff(days).astype(np.int64).min() < 1:
        return Frequency("span", _lower_median(times))
    return _detect_months(days) or _detect_weekdays(days) or Frequency("day", _lower_median(days))


def _detect_months(days: Times) -> Frequency | None:
    """Return a frequency in months, if the dates have the same position in each month."""
    months = days.astype("datetime64[M]")
    if np.diff(months).astype(np.int64).min() < 1:
        return None
    first = months.astype("datetime64[D]")
    # Day 31 in short months is their last day, so the largest day of the month is the anchor.
    largest = int((days - first).astype(np.int64).max()) + 1
    # "end" is tried before a number: the ends of short months would also fit day 30.
    anchors: tuple[int | str, ...] = ("end", largest, "first weekday", "last weekday")
    for anchor in anchors:
        # Gaps do not matter here: every date must be at the anchor, months may be missing.
        found = Frequency("month", _lower_median(months), anchor=anchor)
        if (found._days_of(months) == days).all():
            return found
    return None


def _detect_weekdays(days: Times) -> Frequency | None:
    """Return a frequency in weekdays, if some days of the week never occur."""
    if _lower_median(days) != 1:
        return None
    # 1970-01-01 was a Thursday: day + 3 counts from a Monday.
    occur = np.bincount((days.astype(np.int64) + 3) % 7, minlength=7) > 0
    week = "".join(str(int(there)) for there in occur)
    span = int((days[-1] - days[0]).astype(np.int64))
    if not occur[5:].any():
        # Monday to Friday only if a Friday is followed by a Monday: a short series may just lack weekends.
        from_friday = np.diff(days).astype(np.int64)[(days[:-1].astype(np.int64) + 3) % 7 == 4]
        return Frequency("weekday", 1, _WEEKDAYS) if (from_friday == 3).any() else None
    return Frequency("weekday", 1, week) if span >= _MIN_SPAN and 5 <= occur.sum() < 7 else None


def _month_bounds(months: Times) -> tuple[Times, Times]:
    """Return the first and the last day of each month."""
    return _as_times(months.astype("datetime64[D]")), _as_times((months + 1).astype("datetime64[D]") - _DAY)


def _as_times(array: Array) -> Times:
    return array


def _lower_median(times: Times) -> int:
    """Return the median step in the times' unit; of an even number the lower one, so that it is a step that occurs."""
    between = np.sort(np.diff(times).astype(np.int64))
    return int(between[(len(between) - 1) // 2])


@dataclass(frozen=True, eq=False)
class Series:
    """A series of n rows and C columns, with or without times.

    Attributes:
        columns: Names of the C columns.
        values: The values (n, C), float64.
        times: Instants (n,), or None if there is no column of dates.
        date: Name of the column of dates.
        offsets: Offsets of local time from UTC (n,) in seconds, if the dates have them.
        notation: Notation of the column of dates.
        known_frequency: Frequency of a series that extends another; None to detect it.
    """

    columns: tuple[str, ...]
    values: Array
    times: Times | None = None
    date: str | None = None
    offsets: Array | None = None
    notation: Notation | UnixTime | None = None
    known_frequency: Frequency | None = None

    def __len__(self) -> int:
        return len(self.values)

    def part(self, start: int, stop: int | None = None) -> "Series":
        """Return rows start to stop - 1."""
        return self.rows(np.arange(len(self))[start:stop])

    def rows(self, rows: Positions) -> "Series":
        """Return the rows with these indices, in this order."""
        times, offsets = (None if part is None else part[rows] for part in (self.times, self.offsets))
        return replace(self, values=self.values[rows], times=times, offsets=offsets)

    def extend(self, values: Array) -> "Series":
        """Return the series with ``values`` (m, C) appended, at its own frequency."""
        more = self.times_after(len(values))
        whole = np.concatenate([self.values, values])
        if self.times is None or more is None:
            return replace(self, values=whole)
        times = np.concatenate([self.times, more])
        offsets = self.offsets
        if offsets is not None:
            offsets = np.concatenate([offsets, np.repeat(offsets[-1:], len(values))])
        return replace(self, values=whole, times=times, offsets=offsets, known_frequency=self.frequency)

    def times_after(self, count: int) -> Times | None:
        """Return the instants (count,) of the next rows, with the last row's offset from UTC."""
        wall = self.wall
        frequency = self.frequency
        if self.times is None or wall is None or frequency is None:
            return None
        after: Times = frequency.times_after(wall[-1], count) - (wall[-1] - self.times[-1])
        return after

    def dates_after(self, count: int) -> list[str] | None:
        """Return the times of the next rows in the notation of the column of dates."""
        after = self.times_after(count)
        return (
            None if after is None else self.format_times(after, None if self.offsets is None else int(self.offsets[-1]))
        )

    def format_times(self, times: Times, offset: int | None) -> list[str]:
        """Format instants in the notation of the column of dates; ``offset`` from UTC in seconds."""
        wall = times if offset is None else times + np.timedelta64(offset, "s")
        if self.notation is None:
            return [str(time).replace("T", " ") for time in wall]
        return self.notation.format(wall, offset)

    @property
    def wall(self) -> Times | None:
        """The local time of each row."""
        if self.times is None or self.offsets is None:
            return self.times
        wall: Times = self.times + self.offsets.astype("timedelta64[s]")
        return wall

    @property
    def date_order(self) -> str:
        """ "dmy", "mdy" or "ymd" for a notation that is ambiguous by itself, else ""."""
        return "".join(part[0] for part in self.notation.order) if isinstance(self.notation, Notation) else ""

    def gaps(self) -> Positions:
        """Return the rows whose distance from the row before differs from one step by more than half a step."""
        if self.times is None or self.wall is None or self.frequency is None or len(self.times) < 2:
            return np.empty(0, np.int64)
        return np.flatnonzero(self.frequency.find_gaps(self.times, self.wall)) + 1

    @cached_property
    def frequency(self) -> Frequency | None:
        """The most common step. For a single row: that of its notation, else a day or an hour."""
        if self.known_frequency is not None or self.times is None or self.wall is None:
            return self.known_frequency
        # Local times decide between days and hours, instants measure the span.
        if len(self.times) > 1:
            return frequency_of(self.times, self.wall)
        months = self.notation.period_months if isinstance(self.notation, Notation) else 0
        if months:
            return Frequency("month", months)
        if isinstance(self.notation, Notation) and not self.notation.has_clock:
            return Frequency("day", 1)
        return Frequency("span", int(_HOUR / _tick(self.times)))


def calendar_features(times: Times) -> Array:
    """Sine and cosine of the time of day and of the day of the week, (n, 4) float32."""
    seconds = times.astype("datetime64[s]").astype(np.int64)
    day = 2 * np.pi * (seconds % 86400) / 86400
    # 1970-01-01 was a Thursday: day + 3 counts from a Monday.
    week = 2 * np.pi * ((seconds // 86400 + 3) % 7) / 7
    return np.stack([np.sin(day), np.cos(day), np.sin(week), np.cos(week)], axis=1).astype(np.float32)


def describe_gaps(items: Iterable[Example]) -> str | None:
    """Describe the first gap in the dates of these series and count the others; None if there is none."""
    found = [(example, row) for example in items for row in example.x.gaps().tolist()]
    if not found:
        return None
    example, row = found[0]
    series = example.x
    more = f" (and at {len(found) - 1:,} more rows)" if len(found) > 1 else ""
    before, here = (
        series.format_times(series.times[i : i + 1], None if series.offsets is None else int(series.offsets[i]))[0]
        for i in (row - 1, row)
    )
    step = series.frequency.description
    if step is None:
        leap = f"by {_format_duration(series.times[row] - series.times[row - 1])}"
        step = _format_duration(series.frequency.count * _tick(series.times))
    else:
        leap = f"from {before}"
    return (
        f"{example.place}: at {here} the dates jump {leap} where a step is {step}{more}; "
        "the rows are assumed to be evenly spaced"
    )


def steps_per_day(series: Series) -> int | None:
    """Return the number of rows per day, if it is a whole number of at least two; else None."""
    if series.times is None or series.frequency is None or series.frequency.kind != "span":
        return None
    rows, rest = divmod(int(np.timedelta64(1, "D") / _tick(series.times)), max(1, series.frequency.count))
    return rows if rest == 0 and rows >= 2 else None


def _tick(times: Times) -> Any:
    """Return one tick of the times."""
    return np.ones(1, f"timedelta64[{np.datetime_data(times.dtype)[0]}]")[0]


def _format_duration(span: Any) -> str:
    return str(datetime.timedelta(microseconds=float(span / np.timedelta64(1, "us"))))
