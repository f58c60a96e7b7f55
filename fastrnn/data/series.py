"""Series for forecast: values in time, windows over them, what the calendar says, and the plain forecasts to beat.

Letters: n rows, C columns, T steps of a window, B windows, h steps of the horizon.
"""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .record import Record

Array = npt.NDArray[Any]
Times = npt.NDArray[np.datetime64]
Positions = npt.NDArray[np.int64]

CALENDAR = 4  # features of a date


@dataclass(frozen=True, eq=False)
class Series:
    """``values`` (n, C) float64 of the named columns; ``times`` (n,) in seconds, where column ``date`` has them."""

    columns: tuple[str, ...]
    values: Array
    times: Times | None = None
    date: str | None = None

    def __len__(self) -> int:
        return len(self.values)

    def part(self, start: int, stop: int | None = None) -> "Series":
        """Rows start to stop - 1."""
        times = None if self.times is None else self.times[start:stop]
        return Series(self.columns, self.values[start:stop], times, self.date)

    def continued(self, values: Array) -> "Series":
        """The series with more rows (m, C) after its end, in steps as long as most of its own."""
        more = self.times_after(len(values))
        times = None if self.times is None or more is None else np.concatenate([self.times, more])
        return Series(self.columns, np.concatenate([self.values, values]), times, self.date)

    def times_after(self, count: int) -> Times | None:
        """The times (count,) of the next steps."""
        if self.times is None:
            return None
        after: Times = self.times[-1] + self.step() * np.arange(1, count + 1)
        return after

    def gaps(self) -> Positions:
        """The rows whose time is not one step after the row before: more than half a step away from it."""
        if self.times is None:
            return np.empty(0, np.int64)
        between = np.diff(self.times).astype(np.int64)
        return np.flatnonzero(2 * np.abs(between - self.step().astype(np.int64)) > self.step().astype(np.int64)) + 1

    def step(self) -> np.timedelta64:
        """The median time between two rows; an hour where there is only one row."""
        assert self.times is not None
        if len(self.times) < 2:
            return np.timedelta64(3600, "s")
        return np.timedelta64(int(np.median(np.diff(self.times).astype(np.int64))), "s")


def calendar(times: Times) -> Array:
    """sin and cos of the hour of the day and of the day of the week (1970-01-01 was a Thursday), (n, 4) float32."""
    seconds = times.astype("datetime64[s]").astype(np.int64)
    day = 2 * np.pi * (seconds % 86400) / 86400
    week = 2 * np.pi * ((seconds // 86400 + 3) % 7) / 7
    return np.stack([np.sin(day), np.cos(day), np.sin(week), np.cos(week)], axis=1).astype(np.float32)


def gaps_told(items: Iterable[Record]) -> str | None:
    """One line that names the first row of these series at which the dates leap, and says how many there are."""
    found = [(record, row) for record in items for row in record.x.gaps().tolist()]
    if not found:
        return None
    record, row = found[0]
    series, more = record.x, f" (and at {len(found) - 1:,} more rows)" if len(found) > 1 else ""
    leap = (series.times[row] - series.times[row - 1]).astype(datetime.timedelta)
    return (
        f"{record.place}: at {_shown(series.times[row])} the dates leap by {leap} where a step is "
        f"{series.step().astype(datetime.timedelta)}{more}; the rows are taken as evenly spaced"
    )


def _shown(time: np.datetime64) -> str:
    return str(time).replace("T", " ")


def steps_in_a_day(series: Series) -> int | None:
    """How many rows a day has, where the times tell and it is a whole number of at least two."""
    if series.times is None:
        return None
    rows, rest = divmod(86400, max(1, int(series.step().astype(np.int64))))
    return rows if rest == 0 and rows >= 2 else None
