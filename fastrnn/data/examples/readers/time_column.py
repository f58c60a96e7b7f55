"""Find the column of dates or times in a table: dates by their notation, numbers by the column's name or even steps."""

import re
from collections.abc import Sequence

import numpy as np

from ..dates import DateError, Dates, is_date, read_dates, read_unix_times
from .csv_table import INDEX, Table

_TIME_WORDS = frozenset(
    (
        "date", "dates", "time", "times", "timestamp", "timestamps", "datetime", "day", "days", "month", "months",
        "year", "years", "yr", "week", "weeks", "quarter", "period", "ds", "ts", "dt", "unix", "epoch", "unixtime",
        "utc", "datum", "zeit", "zeitstempel", "jahr", "fecha", "ano", "annee",
    )
)  # fmt: skip
# Shapes of numbers that may be times: 2024, 202401, 20240101, with hours and minutes, and Unix times.
_TIME_DIGITS = re.compile(r"0{4}|0{6}|0{8}|0{10}|0{12}|0{13}|0{14}|0{16}|0{19}|0{9,10}\.0{1,9}")
_UNIX_DIGITS = (9, 10, 13, 16, 19)
MIN_ROWS = 3  # evenly spaced rows that make the first column of numbers one of times, whatever its name
# Numbers outside these ranges are not read as dates, or as Unix times.
_YEARS = ("1500-01-01", "2200-01-01")
_UNIX_YEARS = ("1973-01-01", "2100-01-01")


def find_time_column(table: Table, named: Sequence[str], left_out: Sequence[str]) -> str | None:
    """Return the first column of dates, else the first column of numbers that are times, with a remark."""
    rest = [name for name in table.header if name not in named and name not in left_out]
    date = next((name for name in rest if _holds_dates(table, name)), None)
    if date is not None:
        return date
    numeric = [name for name in rest if table.is_numeric(name)]
    if not named and len(numeric) < 2:
        return None  # the only column of numbers is the one to forecast
    # The first column of numbers after an unnamed index.
    leading = numeric[1:2] if numeric[:1] == [INDEX] and not table.raw_header[0] else numeric[:1]
    for name in numeric:
        dates = _parse_numeric_times(table, name, name in leading)
        if dates is not None:
            _report_time_column(table, name, dates)
            return name
    return None


def _holds_dates(table: Table, name: str) -> bool:
    """Whether a column is not numeric and at least half of its filled fields are dates."""
    profile = table.profiles[name]
    # Rows of the same shape have the same notation, so one example of each is enough.
    dates = [shape for shape, text in profile.examples.items() if is_date(text)]
    return not table.is_numeric(name) and 2 * profile.share(dates) >= 1 and profile.filled_count > 0


def _report_time_column(table: Table, name: str, dates: Dates) -> None:
    first = dates.notation.format(dates.times[:1])[0]
    shown = str(dates.times[0]).replace("T", " ").removesuffix(" 00:00:00")
    table.remark(
        f"column {name!r} is read as {dates.notation.description} ({first} is {shown}) and not forecast; "
        "to forecast it as numbers, name it in --columns"
    )


def _parse_numeric_times(table: Table, name: str, leading: bool) -> Dates | None:
    """Parse a column of numbers as times, if its name is one of a time, or if it is first and evenly spaced."""
    profile = table.profiles[name]
    by_name = is_time_name(name)
    if not (by_name or leading) or profile.missing or profile.others:
        return None
    # Times have no missing values, and one of a few numbers of digits.
    if not all(_TIME_DIGITS.fullmatch(shape) for shape in profile.shapes):
        return None
    fields = table.column(name)
    try:
        unix = is_unix_time(fields[0])
        found = read_unix_times(fields) if unix else read_dates(fields)
    except DateError:
        return None
    # Numbers from 1500 to 2200 may be years; a wider range would catch quantities and prices.
    low, high = (np.datetime64(text) for text in (_UNIX_YEARS if unix else _YEARS))
    if not ((found.times >= low) & (found.times < high)).all():
        return None
    if by_name:
        # A column "year" next to "month" is only a part of the date: then its values must rise or fall strictly.
        parts = {word for column in table.header for word in split_name(column)} & {
            "month",
            "hour",
            "day",
        } - split_name(name)
        rising = len(fields) < 2 or _is_strictly_monotonic(found)
        return found if rising or not parts else None
    return found if len(fields) >= MIN_ROWS and _has_even_steps(found) else None


def _has_even_steps(dates: Dates) -> bool:
    """Whether all steps are equal in ticks or in months."""
    return _is_strictly_monotonic(dates) and any(
        len(np.unique(steps)) == 1 and steps[0] != 0
        for steps in (
            np.diff(dates.times).astype(np.int64), np.diff(dates.times.astype("datetime64[M]")).astype(np.int64)
        )
    )  # fmt: skip


def _is_strictly_monotonic(dates: Dates) -> bool:
    between = np.diff(dates.times).astype(np.int64)
    return bool((between > 0).all() or (between < 0).all())


def is_unix_time(text: str) -> bool:
    """Whether a number has as many digits as a Unix time, and is not a date without separators (20240229)."""
    whole, point, _ = text.partition(".")
    if not whole.isdecimal() or len(whole) not in _UNIX_DIGITS:
        return False
    try:
        read_dates([text])
    except DateError:
        return True
    return bool(point)


def split_name(name: str) -> set[str]:
    """Return the words of a column name in lower case, split at camel case, too."""
    return {word.casefold() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}


def is_time_name(name: str) -> bool:
    """Whether a column has a name usual for times."""
    return bool(split_name(name) & _TIME_WORDS)
