"""Time series for forecast: values with times, their frequency, gaps and calendar features.

Letters: n rows, C columns.
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
from .frequency import Frequency, frequency_of

Array = npt.NDArray[Any]
Times = npt.NDArray[np.datetime64]
Positions = npt.NDArray[np.int64]

CALENDAR = 4  # features of a time, see `calendar_features`
_HOUR = np.timedelta64(1, "h")


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
