"""Notations of dates: the patterns of one date, its parts as numbers, and the formatting of new dates alike."""

import datetime
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.datetime64]

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
# Short and full names; "Sept" is the only common abbreviation of four letters.
_MONTH_OF = {name[:length].lower(): i for i, name in enumerate(_MONTHS, 1) for length in (3, len(name))} | {"sept": 9}
# "May" is both short and full, so it does not show which a column writes.
FULL_MONTH_NAMES = {name.lower() for name in _MONTHS if len(name) > 3}
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CENTURY_TURNS = 69  # two-digit years below it are in the 2000s, as in POSIX strptime
UNITS = {0: "s", 3: "ms", 6: "us", 9: "ns"}  # digits of a fraction of a second -> NumPy's unit
EPOCH = datetime.date(1970, 1, 1).toordinal()

# Notations of a day, a week, a month, a quarter or a year. "first" and "second" are day and month in either order.
_MONTH_NAME = r"(?P<name>[A-Za-z]{3,9})\.?"
_DAYS = (
    r"(?P<year>\d{4})(?P<sign>[-/.])(?P<month>\d{1,2})(?P=sign)(?P<day>\d{1,2})",
    r"(?P<first>\d{1,2})(?P<sign>[-/.])(?P<second>\d{1,2})(?P=sign)(?P<last>\d{4}|\d{2})",
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
    rf"(?P<day>\d{{1,2}})(?:[-/ ]|\. ?){_MONTH_NAME}(?:[-/., ]| ?, )(?P<year>\d{{4}}|\d{{2}})",
    rf"{_MONTH_NAME}[- ](?P<day>\d{{1,2}})(?P<ordinal>st|nd|rd|th)?(?:, ?| |-)(?P<year>\d{{4}})",
    rf"(?P<year>\d{{4}})(?P<sign>[-/ ]){_MONTH_NAME}(?P=sign)(?P<day>\d{{1,2}})",
)
_PERIODS = (
    r"(?P<year>\d{4})(?:[-/.]|-?M)(?P<month>\d{1,2})",
    r"(?P<month>\d{1,2})[-/.](?P<year>\d{4})",
    r"(?P<year>\d{4})(?P<month>0[1-9]|1[0-2])",
    rf"{_MONTH_NAME}[-/ ]?(?P<year>\d{{4}})",
    rf"(?P<year>\d{{4}})[-/ ]?{_MONTH_NAME}",
    rf"{_MONTH_NAME}[-/ ']*(?P<short_year>)(?P<year>\d{{2}})",
    r"(?P<year>\d{4})[-/ ]?[Qq](?P<quarter>[1-4])",
    r"(?P<quarter>[1-4])[Qq][-/ ]?(?P<year>\d{4})",
    r"[Qq](?P<quarter>[1-4])[-/ ]?(?P<year>\d{4})",
    r"(?P<year>\d{4})-?W(?P<week>\d{2})(?:-?(?P<weekday>[1-7]))?",
    r"(?P<year>\d{4})",
)
_DAY_NAME = r"(?:(?P<day_name>(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*),? )?"
_CLOCK = (
    r"(?:[Tt_]|,? +)(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second_>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?)?"
    r"(?: ?(?P<half>[AaPp]\.?[Mm]\.?))?"
)
_PLAIN_CLOCK = r"[Tt ]?(?P<hour>\d{2})(?:(?P<minute>\d{2})(?:(?P<second_>\d{2})(?:\.(?P<fraction>\d{1,9}))?)?)?"
_OFFSET = r" ?(?P<offset>[Zz]|UTC|GMT|[-+]\d{2}(?::?\d{2})?)"
_NOTATIONS = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        *(rf"{_DAY_NAME}{day}(?:{_CLOCK}(?:{_OFFSET})?)?" for day in _DAYS),
        rf"{_DAYS[2]}{_PLAIN_CLOCK}(?:{_OFFSET})?",
        *_PERIODS,
    )
)


@dataclass(frozen=True)
class UnixTime:
    """Unix time: numbers of ``unit`` ("s", "ms", "us" or "ns") since 1970, with this many ``decimals``."""

    unit: str
    decimals: int = 0

    @property
    def description(self) -> str:
        """Its name in a message."""
        units = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
        return f"Unix time in {units[self.unit]}"

    def format(self, times: Times, offset: int | None = None) -> list[str]:
        """Format times as the column writes them."""
        if self.decimals:
            ticks = times.astype(f"datetime64[{_unit_of(self.decimals)}]").astype(np.int64).tolist()
            scale = 10 ** round_digits(self.decimals)
            return [f"{tick // scale}.{tick % scale * 10**self.decimals // scale:0{self.decimals}}" for tick in ticks]
        return [str(tick) for tick in times.astype(f"datetime64[{self.unit}]").astype(np.int64).tolist()]


@dataclass(frozen=True)
class Notation:
    """The notation in which a column writes its dates.

    Attributes:
        pattern: The regular expression of a date.
        example: The column's most precise date, the template for new ones.
        order: Meaning of the groups "first", "second" and "last", such as ("day", "month", "year").
        short: Groups written with one digit where one is enough.
        full_names: Whether names of months are written out.
        digits: Digits of a fraction of a second.
    """

    pattern: re.Pattern[str]
    example: str
    order: tuple[str, ...] = ()
    short: frozenset[str] = frozenset()
    full_names: bool = False
    digits: int = 0

    @property
    def period_months(self) -> int:
        """The length of a period in months: 12 for years, 3 for quarters, 1 for months; 0 for days and weeks."""
        names = self.pattern.groupindex
        if "day" in names or "week" in names or self.order:
            return 0
        return 3 if "quarter" in names else 1 if "month" in names or "name" in names else 12

    @property
    def has_clock(self) -> bool:
        """Whether the dates have a time of day."""
        match = self.pattern.fullmatch(self.example)
        return match is not None and match.groupdict().get("hour") is not None

    @property
    def description(self) -> str:
        """Its name in a message."""
        return {12: "years", 3: "quarters", 1: "months"}.get(self.period_months, "dates")

    def format(self, times: Times, offset: int | None = None) -> list[str]:
        """Format local times, ``offset`` seconds ahead of UTC, as the column writes them."""
        match = self.pattern.fullmatch(self.example)
        assert match is not None
        # Replace the groups of the example one by one, in the order of their positions, and keep the text between.
        spans = sorted((match.span(name), name) for name in self.pattern.groupindex if match[name])
        fractions = times.astype("datetime64[ns]").astype(np.int64) % 1_000_000_000 if self.digits else None
        formatted = []
        for i, moment in enumerate(times.astype("datetime64[s]").tolist()):
            if isinstance(moment, int):  # a year after 9999, which datetime cannot represent
                formatted.append(str(times[i]))
                continue
            text, end = [], 0
            fraction = 0 if fractions is None else int(fractions[i])
            for (start, stop), name in spans:
                text += [self.example[end:start], self._format_part(name, match[name], moment, fraction, offset)]
                end = stop
            formatted.append("".join(text) + self.example[end:])
        return formatted

    def _format_part(self, name: str, old: str, moment: datetime.datetime, fraction: int, offset: int | None) -> str:
        """Return the text of one group of the pattern; ``old`` is that of the example."""
        if name == "sign":
            return old
        if name == "offset":
            return _format_offset(old, offset or 0)
        if name == "name":
            return _match_case(old, _MONTHS[moment.month - 1][: None if self.full_names else 3])
        if name == "day_name":
            return _match_case(old, _WEEKDAYS[moment.weekday()][: None if len(old) > 4 else 3])
        if name == "half":
            letter = "A" if moment.hour < 12 else "P"
            return (letter if old[0].isupper() else letter.lower()) + old[1:]
        if name == "ordinal":
            return {1: "st", 2: "nd", 3: "rd"}.get(moment.day % 10 if moment.day // 10 != 1 else 0, "th")
        if name == "fraction":
            return f"{fraction:09}"[: self.digits]
        # All other groups are numbers, padded with zeros to the width that the column uses.
        number = self._part_number(name, moment)
        kind = self._part_kind(name)
        width = len(old) if kind == "year" else 1 if name in self.short or kind in ("quarter", "weekday") else 2
        return f"{number % 100 if kind == 'year' and len(old) == 2 else number:0{width}}"

    def _part_kind(self, name: str) -> str:
        positions = ("first", "second", "last")
        return self.order[positions.index(name)] if name in positions else name

    def _part_number(self, name: str, moment: datetime.datetime) -> int:
        kind = self._part_kind(name)
        week = moment.isocalendar()
        if kind == "hour" and self.pattern.groupindex.get("half") and self._has_half:
            # Midnight and noon are 12 am and 12 pm.
            return (moment.hour - 1) % 12 + 1
        numbers = {
            # The ISO year of a week differs from the calendar year around 1 January.
            "year": week.year if "week" in self.pattern.groupindex else moment.year,
            "month": moment.month, "day": moment.day, "quarter": (moment.month + 2) // 3, "week": week.week,
            "weekday": week.weekday, "hour": moment.hour, "minute": moment.minute, "second_": moment.second,
        }  # fmt: skip
        return numbers[kind]

    @property
    def _has_half(self) -> bool:
        match = self.pattern.fullmatch(self.example)
        return match is not None and match["half"] is not None


def find_notation(field: str) -> re.Pattern[str] | None:
    """Return the first notation that matches a field."""
    for pattern in _NOTATIONS:
        match = pattern.fullmatch(field)
        if match is not None and _is_valid(match.groupdict()):
            return pattern
    return None


def _is_valid(groups: dict[str, str | None]) -> bool:
    try:
        parse_seconds(groups)
        if "first" not in groups:
            parse_day(groups)
        else:
            # One number must be a month, the other a day; a last number of two digits may be the day itself.
            numbers = sorted((int(groups["first"] or 0), int(groups["second"] or 0)))
            return numbers[0] >= 1 and (len(groups["last"] or "") == 2 or (numbers[0] <= 12 and numbers[1] <= 31))
    except ValueError:
        return False
    return True


def parse_day(groups: dict[str, str | None]) -> int:
    """Return the first day of the date's period, in days since 1970. Raises `ValueError`."""
    year = int(groups["year"] or 0)
    if groups.get("week"):
        day = datetime.date.fromisocalendar(year, int(groups["week"] or 0), int(groups.get("weekday") or 1))
        return day.toordinal() - EPOCH
    if groups.get("name"):
        month = _MONTH_OF.get((groups["name"] or "").lower(), 0)
    elif groups.get("quarter"):
        month = 3 * int(groups["quarter"] or 0) - 2
    else:
        month = int(groups.get("month") or 1)
    year = expand_year(year) if len(groups["year"] or "") == 2 else year
    return datetime.date(year, month, int(groups.get("day") or 1)).toordinal() - EPOCH


def parse_seconds(groups: dict[str, str | None]) -> int:
    """Return whole seconds since midnight. Raises `ValueError`."""
    hour, minute, second = (int(groups.get(name) or 0) for name in ("hour", "minute", "second_"))
    half = groups.get("half")
    if half:
        if not 1 <= hour <= 12:
            raise ValueError
        # 12 am is hour 0, 12 pm hour 12.
        hour = hour % 12 + (12 if half[0] in "Pp" else 0)
    # ISO 8601 writes the end of a day as 24:00.
    if minute > 59 or second > 59 or hour > 24 or (hour == 24 and (minute or second)):
        raise ValueError
    return 3600 * hour + 60 * minute + second


def expand_year(year: int) -> int:
    if year >= 100:
        return year
    return year + (2000 if year < _CENTURY_TURNS else 1900)


def parse_offset(text: str) -> int:
    if text[0] not in "+-":
        return 0
    digits = text[1:].replace(":", "")
    seconds = 3600 * int(digits[:2]) + 60 * int(digits[2:] or 0)
    # The sign holds for the minutes, too: -03:30 is 3.5 hours behind UTC.
    return -seconds if text[0] == "-" else seconds


def _format_offset(old: str, seconds: int) -> str:
    if old[0] not in "+-" and seconds == 0:
        return old
    sign, minutes = "-" if seconds < 0 else "+", abs(seconds) // 60
    if len(old) == 3 and minutes % 60 == 0:
        return f"{sign}{minutes // 60:02}"
    return f"{sign}{minutes // 60:02}{'' if len(old) == 5 else ':'}{minutes % 60:02}"


def _match_case(old: str, new: str) -> str:
    """Return the new name in the case of the old one."""
    return new.upper() if old.isupper() else new.lower() if old.islower() else new


def round_digits(digits: int) -> int:
    """Round digits of a fraction up to those of a NumPy unit: 0, 3, 6 or 9."""
    return -(-digits // 3) * 3


def _unit_of(digits: int) -> str:
    return UNITS[round_digits(digits)]
