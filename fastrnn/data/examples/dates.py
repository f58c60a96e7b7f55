"""Columns of dates: detect the notation from the whole column and parse it to instants."""

import datetime
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .date_notation import (
    EPOCH,
    FULL_MONTH_NAMES,
    UNITS,
    Notation,
    Times,
    UnixTime,
    expand_year,
    find_notation,
    parse_day,
    parse_offset,
    parse_seconds,
    round_digits,
)
from .series import frequency_of

Array = npt.NDArray[Any]
_ORDERS = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}
# Groups that some rows of a column may lack.
_PRECISION = ("hour", "minute", "second_", "fraction")


class DateError(Exception):
    """A field is not a date in its column's notation. ``row``: index of the field; ``message``: the problem."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row
        self.message = message


@dataclass(frozen=True, eq=False)
class Dates:
    """A parsed column of n dates.

    Attributes:
        times: Instants (n,) in seconds or a finer unit: UTC if the column has offsets, else local time.
        offsets: Offsets from UTC (n,) in seconds, or None.
        notation: The notation of the column.
    """

    times: Times
    offsets: Array | None
    notation: "Notation | UnixTime"

    @property
    def wall(self) -> Times:
        """The local times (n,)."""
        return self.times if self.offsets is None else self.times + self.offsets.astype("timedelta64[s]")


def is_date(field: str) -> bool:
    """Whether a field is a date in any notation, other than digits alone."""
    return not field.isdecimal() and find_notation(field) is not None


def read_dates(fields: Sequence[str], order: str = "") -> Dates:
    """Parse a column of dates.

    ``order``: "dmy", "mdy" or "ymd" for a column whose dates are ambiguous. Raises `DateError` for the first row that
    is not in the notation of the rows before, or if day and month cannot be distinguished.
    """
    pattern = find_notation(fields[0])
    if pattern is None:
        raise DateError(0, _not_a_date(fields[0]))
    column = _DateColumn(pattern, fields)
    for row, field in enumerate(fields):
        column.add(row, field)
    return column.dates(order)


def read_unix_times(fields: Sequence[str]) -> Dates:
    """Parse Unix times; their number of digits determines the unit. Raises `DateError`."""
    decimals = max(len(field.partition(".")[2]) for field in fields)
    whole = fields[0].partition(".")[0].lstrip("-")
    # 10 digits of seconds reach the year 2286; milliseconds have had 12 or 13 since 1973.
    unit = "s" if len(whole) <= 10 else "ms" if len(whole) <= 13 else "us" if len(whole) <= 16 else "ns"
    ticks = array("q")
    for row, field in enumerate(fields):
        number, _, rest = field.partition(".")
        if not (number.isdecimal() and (rest.isdecimal() or not rest)) or (rest and unit != "s"):
            raise DateError(row, _not_a_date(field))
        ticks.append(int(number) * 10 ** round_digits(decimals) + int(rest.ljust(round_digits(decimals), "0") or 0))
    unit_of_ticks = UNITS[round_digits(decimals)] if unit == "s" else unit
    times = np.frombuffer(ticks, np.int64).astype(f"datetime64[{unit_of_ticks}]")
    return Dates(times, None, UnixTime(unit, decimals if unit == "s" else 0))


class _DateColumn:
    """Accumulates the parts of a column's dates and the details of its notation."""

    def __init__(self, pattern: re.Pattern[str], fields: Sequence[str]) -> None:
        self.pattern = pattern
        self._fields = fields
        self._ordered = "first" not in pattern.groupindex
        self._days = array("q")  # since 1970, if the order of day and month is known
        self._parts: list[tuple[int, int, int]] = []  # first, second, last, if it is not
        self._short_year = False
        self._seconds = array("q")
        self._fractions: list[str] = []
        self._offsets = array("q")
        self._has_offset: bool | None = None
        self._short: set[str] = set()
        self._full_names = False
        self._digits = 0
        self._example = ""
        self._detail = -1  # precision of the example

    def add(self, row: int, field: str) -> None:
        """Parse one more field."""
        match = self.pattern.fullmatch(field)
        if match is None:
            other = "" if find_notation(field) is None else ", written like the rows before"
            raise DateError(row, _not_a_date(field) + other)
        groups = match.groupdict()
        try:
            if self._ordered:
                self._days.append(parse_day(groups))
            else:
                self._parts.append((int(groups["first"]), int(groups["second"]), int(groups["last"])))
                self._short_year = self._short_year or len(groups["last"]) == 2
            self._seconds.append(parse_seconds(groups))
        except ValueError:
            raise DateError(row, _not_a_date(field)) from None
        self._add_offset(row, field, groups.get("offset"))
        self._update_notation(field, groups)

    def _add_offset(self, row: int, field: str, offset: str | None) -> None:
        # Local times and instants cannot be compared with each other.
        if self._has_offset not in (None, offset is not None):
            has = "with an offset from UTC" if offset else "without an offset from UTC"
            raise DateError(row, f"{field[:40]!r} {has}, unlike the rows before; write all dates alike")
        self._has_offset = offset is not None
        self._offsets.append(parse_offset(offset) if offset else 0)

    def _update_notation(self, field: str, groups: dict[str, str | None]) -> None:
        """Update the details of the notation; the most precise row becomes the example."""
        for names in (("month", "day", "first", "second"), ("hour",)):
            if any(len(groups.get(name) or "00") == 1 for name in names):
                self._short.update(names)
        self._full_names = self._full_names or (groups.get("name") or "").lower() in FULL_MONTH_NAMES
        fraction = groups.get("fraction") or ""
        self._fractions.append(fraction)
        self._digits = max(self._digits, len(fraction))
        # Of equally precise rows the last one is the template for new dates.
        detail = sum(groups.get(name) is not None for name in _PRECISION) * 10 + len(fraction)
        if detail >= self._detail:
            self._example = field
            self._detail = detail

    def dates(self, order: str) -> Dates:
        """Return the column as instants. Raises `DateError` if it is ambiguous and ``order`` does not decide."""
        if self._ordered:
            dates = self._instants(np.frombuffer(self._days, np.int64), ())
            if "short_year" in self.pattern.groupindex:
                self._check_short_years(dates)
            return dates
        found = self._plausible_orders()
        if len(found) > 1 and order:
            found = {key: dates for key, dates in found.items() if key == order} or found
        if len(found) > 1:
            # A wrong guess would shuffle the series without anyone noticing.
            readings = " or ".join(_ORDERS[key] for key in found)
            raise DateError(
                0,
                f"{self._example[:40]!r}, which may be read {readings}, and no other date decides; write 2024-02-29",
            )
        return next(iter(found.values()))

    def _check_short_years(self, dates: Dates) -> None:
        """Refuse "Jan 24" as month and year, unless the rows are months, quarters or half-years apart."""
        times = np.sort(dates.times)
        between = np.diff(times.astype("datetime64[M]")).astype(np.int64)
        if not _is_monotonic(dates.times) or not len(between) or np.median(between) not in (1, 3, 6):
            raise DateError(
                0, f"{self._example[:40]!r}, which may be a month and year or a month and day; write 2024-02"
            )

    def _plausible_orders(self) -> dict[str, Dates]:
        """Return the orders of day, month and year that are valid for every row, most plausible only, with their dates.

        Dates with dots have the day first. Other columns prefer orders in which the rows rise or fall, then orders
        without gaps.
        """
        names = {"d": "day", "m": "month", "y": "year"}
        keys = ("dmy", "mdy", "ymd") if self._short_year else ("dmy", "mdy")
        failures: list[int] = []
        found: dict[str, Dates] = {}
        for key in keys:
            days = array("q")
            try:
                for parts in self._parts:
                    year, month, day = (parts[key.index(letter)] for letter in "ymd")
                    days.append(datetime.date(expand_year(year), month, day).toordinal() - EPOCH)
            except ValueError:
                failures.append(len(days))
                continue
            order = tuple(names[letter] for letter in key)
            found[key] = self._instants(np.frombuffer(days, np.int64), order)
        if not found:
            row = max(failures)
            raise DateError(
                row, f"{self._fields[row][:40]!r}, no date in the order of day and month of the rows before"
            )
        # Dots are used between day, month and year, in this order.
        if "." in self._example and "dmy" in found:
            return {"dmy": found["dmy"]}
        if len(found) > 1:
            found = {key: dates for key, dates in found.items() if _is_monotonic(dates.times)} or found
        if len(found) > 1:
            found = {key: dates for key, dates in found.items() if not _has_gaps(dates)} or found
        return found

    def _instants(self, days: Array, order: tuple[str, ...]) -> Dates:
        digits = round_digits(self._digits)
        ticks = days * 86400 + np.frombuffer(self._seconds, np.int64)
        offsets = np.frombuffer(self._offsets, np.int64) if self._has_offset else None
        # With offsets the times are kept in UTC: steps stay equal when clocks change.
        ticks = ticks if offsets is None else ticks - offsets
        if digits:
            ticks = ticks * 10**digits + np.array([int(f.ljust(digits, "0")) for f in self._fractions], np.int64)
        notation = Notation(
            self.pattern, self._example, order, frozenset(self._short), self._full_names, self._digits
        )  # fmt: skip
        return Dates(ticks.astype(f"datetime64[{UNITS[digits]}]"), offsets, notation)


def _is_monotonic(times: Times) -> bool:
    between = np.diff(times).astype(np.int64)
    return bool((between > 0).all() or (between < 0).all())


def _has_gaps(dates: Dates) -> bool:
    times = np.sort(dates.wall)
    return len(times) > 1 and bool(frequency_of(times, times).find_gaps(times, times).any())


def _not_a_date(field: str) -> str:
    return f"{field[:40]!r} where a date such as 2024-02-29 12:00 should be"
