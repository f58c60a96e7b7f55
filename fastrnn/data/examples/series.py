"""Series for forecast: values in time, windows over them, what the calendar says, and the plain forecasts to beat.

Letters: n rows, C columns, T steps of a window, B windows, h steps of the horizon.
"""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .dates import Notation, UnixTime
from .example import Example
from .frequency import Frequency, frequency_of

Array = npt.NDArray[Any]
Times = npt.NDArray[np.datetime64]
Positions = npt.NDArray[np.int64]

CALENDAR = 4  # features of a date
_HOUR = np.timedelta64(1, "h")


@dataclass(frozen=True, eq=False)
class Series:
    """``values`` (n, C) float64 of the named columns; ``times`` (n,): instants, where column ``date`` has them.

    ``offsets`` (n,): seconds by which the wall's clock is before UTC, where the dates say it. ``notation``: how the
    column writes dates. ``known_frequency``: the step of a series that goes on from another.
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
        """Rows start to stop - 1."""
        return self.rows(np.arange(len(self))[start:stop])

    def rows(self, rows: Positions) -> "Series":
        """Some of the rows, in this order."""
        times, offsets = (None if part is None else part[rows] for part in (self.times, self.offsets))
        return replace(self, values=self.values[rows], times=times, offsets=offsets)

    def continued(self, values: Array) -> "Series":
        """The series with more rows (m, C) after its end, in steps as long as most of its own."""
        more = self.times_after(len(values))
        whole = np.concatenate([self.values, values])
        if self.times is None or more is None:
            return replace(self, values=whole)
        times, offsets = np.concatenate([self.times, more]), self.offsets
        if offsets is not None:
            offsets = np.concatenate([offsets, np.repeat(offsets[-1:], len(values))])
        return replace(self, values=whole, times=times, offsets=offsets, known_frequency=self.frequency)

    def times_after(self, count: int) -> Times | None:
        """The instants (count,) of the next steps; the offset from UTC stays the last one."""
        wall, frequency = self.wall, self.frequency
        if self.times is None or wall is None or frequency is None:
            return None
        after: Times = frequency.after(wall[-1], count) - (wall[-1] - self.times[-1])
        return after

    def dates_after(self, count: int) -> list[str] | None:
        """The same as the column writes dates."""
        after = self.times_after(count)
        return None if after is None else self.shown(after, None if self.offsets is None else int(self.offsets[-1]))

    def shown(self, times: Times, offset: int | None) -> list[str]:
        """Instants as the column writes dates, with an offset from UTC in seconds."""
        wall = times if offset is None else times + np.timedelta64(offset, "s")
        if self.notation is None:
            return [str(time).replace("T", " ") for time in wall]
        return self.notation.show(wall, offset)

    @property
    def wall(self) -> Times | None:
        """What a clock on the wall shows at each row."""
        if self.times is None or self.offsets is None:
            return self.times
        wall: Times = self.times + self.offsets.astype("timedelta64[s]")
        return wall

    @property
    def date_order(self) -> str:
        """ "dmy", "mdy" or "ymd", where the notation alone does not say what the numbers of a date are."""
        return "".join(part[0] for part in self.notation.order) if isinstance(self.notation, Notation) else ""

    def gaps(self) -> Positions:
        """The rows whose time is not one step after the row before: more than half a step away from it."""
        if self.times is None or self.wall is None or self.frequency is None or len(self.times) < 2:
            return np.empty(0, np.int64)
        return np.flatnonzero(self.frequency.leaps(self.times, self.wall)) + 1

    @cached_property
    def frequency(self) -> Frequency | None:
        """The step that most rows have. Of one row: what its notation says, else a day or an hour."""
        if self.known_frequency is not None or self.times is None or self.wall is None:
            return self.known_frequency
        if len(self.times) > 1:
            return frequency_of(self.times, self.wall)
        months = self.notation.period_months if isinstance(self.notation, Notation) else 0
        if months:
            return Frequency("month", months)
        if isinstance(self.notation, Notation) and not self.notation.has_clock:
            return Frequency("day", 1)
        return Frequency("span", int(_HOUR / _unit(self.times)))


def calendar(times: Times) -> Array:
    """sin and cos of the hour of the day and of the day of the week (1970-01-01 was a Thursday), (n, 4) float32."""
    seconds = times.astype("datetime64[s]").astype(np.int64)
    day = 2 * np.pi * (seconds % 86400) / 86400
    week = 2 * np.pi * ((seconds // 86400 + 3) % 7) / 7
    return np.stack([np.sin(day), np.cos(day), np.sin(week), np.cos(week)], axis=1).astype(np.float32)


def gaps_told(items: Iterable[Example]) -> str | None:
    """One line that names the first row of these series at which the dates leap, and says how many there are."""
    found = [(record, row) for record in items for row in record.x.gaps().tolist()]
    if not found:
        return None
    record, row = found[0]
    series, more = record.x, f" (and at {len(found) - 1:,} more rows)" if len(found) > 1 else ""
    before, here = (
        series.shown(series.times[i : i + 1], None if series.offsets is None else int(series.offsets[i]))[0]
        for i in (row - 1, row)
    )
    step = series.frequency.words
    if step is None:
        leap = f"by {_duration(series.times[row] - series.times[row - 1])}"
        step = _duration(series.frequency.count * _unit(series.times))
    else:
        leap = f"from {before}"
    return (
        f"{record.place}: at {here} the dates leap {leap} where a step is {step}{more}; "
        "the rows are taken as evenly spaced"
    )


def steps_in_a_day(series: Series) -> int | None:
    """How many rows a day has, where the times tell and it is a whole number of at least two."""
    if series.times is None or series.frequency is None or series.frequency.kind != "span":
        return None
    rows, rest = divmod(int(np.timedelta64(1, "D") / _unit(series.times)), max(1, series.frequency.count))
    return rows if rest == 0 and rows >= 2 else None


def _unit(times: Times) -> Any:
    """One tick of the times."""
    return np.ones(1, f"timedelta64[{np.datetime_data(times.dtype)[0]}]")[0]


def _duration(span: Any) -> str:
    return str(datetime.timedelta(microseconds=float(span / np.timedelta64(1, "us"))))
