"""Sampling frequency of a series: a fixed span of time, calendar days, business days or calendar months."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Times = npt.NDArray[np.datetime64]

_DAY = np.timedelta64(1, "D")
_WEEKDAYS = "1111100"  # Monday to Friday
_MIN_SPAN = 21  # days of data needed to recognise a working week other than Monday to Friday
_NOUNS = {"day": "day", "weekday": "business day", "month": "month"}


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
