"""The step from one time of a series to the next: a span of time, days, weekdays or months of the calendar."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Times = npt.NDArray[np.datetime64]

_DAY = np.timedelta64(1, "D")
_WEEKDAYS = "1111100"  # Monday to Friday
_LEAST_SPAN = 21  # days from which on other working weeks than Monday to Friday are recognised
_NOUNS = {"day": "day", "weekday": "business day", "month": "month"}


@dataclass(frozen=True)
class Frequency:
    """``count`` steps of a ``kind``: "span" (ticks of the times' own unit), "day", "weekday" or "month".

    ``week``: the days of the week that occur, from Monday, as NumPy's weekmask. ``anchor``: which day of a month it is:
    1 to 31 (the last one of shorter months), or "end", "first weekday", "last weekday".
    """

    kind: str
    count: int
    week: str = _WEEKDAYS
    anchor: int | str = 1

    def after(self, last: np.datetime64, steps: int) -> Times:
        """The next times (steps,) after the last one, on the wall's clock."""
        ahead = self.count * np.arange(1, steps + 1)
        if self.kind == "span":
            return _times(last + ahead)
        day = last.astype("datetime64[D]")
        if self.kind == "day":
            days = day + ahead
        elif self.kind == "weekday":
            days = np.busday_offset(day, ahead, weekmask=self.week)
        else:
            days = self._days_of(day.astype("datetime64[M]") + ahead)
        return _times(days + (last - day))

    def leaps(self, times: Times, wall: Times) -> npt.NDArray[np.bool_]:
        """Whether each time (n - 1,) is not one step after the one before: more than half a step away from it.

        ``times``: instants; ``wall``: what a clock on the wall shows then.
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
    def words(self) -> str | None:
        """The step in words, such as "3 months"; None for a span."""
        if self.kind == "span":
            return None
        noun = _NOUNS[self.kind]
        return f"one {noun}" if self.count == 1 else f"{self.count} {noun}s"

    def _days_of(self, months: Times) -> Times:
        """The day of each month that the anchor names."""
        first, end = _ends(months)
        if self.anchor == "end":
            return end
        if self.anchor == "first weekday":
            return np.busday_offset(first, 0, roll="forward")
        if self.anchor == "last weekday":
            return np.busday_offset(end, 0, roll="backward")
        assert isinstance(self.anchor, int)
        return np.minimum(first + (self.anchor - 1), end)


def frequency_of(times: Times, wall: Times) -> Frequency:
    """The frequency of at least two rising instants, and of what a clock on the wall shows then.

    Where the clock always shows the same time of the day, days are counted: one is 23 or 25 hours long.
    """
    days = wall.astype("datetime64[D]")
    if len(np.unique(wall - days)) > 1 or np.diff(days).astype(np.int64).min() < 1:
        return Frequency("span", _lower_median(times))
    return _monthly(days) or _by_weekdays(days) or Frequency("day", _lower_median(days))


def _monthly(days: Times) -> Frequency | None:
    """Months, where every day is the same one of its month."""
    months = days.astype("datetime64[M]")
    if np.diff(months).astype(np.int64).min() < 1:
        return None
    first = months.astype("datetime64[D]")
    largest = int((days - first).astype(np.int64).max()) + 1
    anchors: tuple[int | str, ...] = ("end", largest, "first weekday", "last weekday")
    for anchor in anchors:
        found = Frequency("month", _lower_median(months), anchor=anchor)
        if (found._days_of(months) == days).all():
            return found
    return None


def _by_weekdays(days: Times) -> Frequency | None:
    """Days, where some days of the week never occur."""
    if _lower_median(days) != 1:
        return None
    occur = np.bincount((days.astype(np.int64) + 3) % 7, minlength=7) > 0
    week = "".join(str(int(there)) for there in occur)
    span = int((days[-1] - days[0]).astype(np.int64))
    if not occur[5:].any():
        from_friday = np.diff(days).astype(np.int64)[(days[:-1].astype(np.int64) + 3) % 7 == 4]
        return Frequency("weekday", 1, _WEEKDAYS) if (from_friday == 3).any() else None
    return Frequency("weekday", 1, week) if span >= _LEAST_SPAN and 5 <= occur.sum() < 7 else None


def _ends(months: Times) -> tuple[Times, Times]:
    """The first and the last day of each month."""
    return _times(months.astype("datetime64[D]")), _times((months + 1).astype("datetime64[D]") - _DAY)


def _times(array: Array) -> Times:
    return array


def _lower_median(times: Times) -> int:
    """The median step in the times' unit; of an even number the lower middle one, so that it is one that occurs."""
    between = np.sort(np.diff(times).astype(np.int64))
    return int(between[(len(between) - 1) // 2])
