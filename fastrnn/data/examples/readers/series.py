"""A CSV file as a `Series`: its columns, its dates in rising order, and what is done about missing values."""

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..dates import DateError, Dates, is_date, read_dates, read_unix_times
from ..example import Example, Location
from ..series import Series
from .csv_columns import Columns, counts_rows, drop_index_column, parse_cell, report_left_out
from .csv_table import INDEX, Table
from .missing import fill_missing
from .number_formats import is_missing

Array = npt.NDArray[Any]

_TIME_WORDS = frozenset(
    (
        "date", "dates", "time", "times", "timestamp", "timestamps", "datetime", "day", "days", "month", "months",
        "year", "years", "yr", "week", "weeks", "quarter", "period", "ds", "ts", "dt", "unix", "epoch", "unixtime",
        "utc", "datum", "zeit", "zeitstempel", "jahr", "fecha", "ano", "annee",
    )
)  # fmt: skip
# Whole numbers that may be times, by the shape of their digits: 2024, 202401, 20240101 and with hours, Unix times.
_TIME_DIGITS = re.compile(r"0{4}|0{6}|0{8}|0{10}|0{12}|0{13}|0{14}|0{16}|0{19}|0{9,10}\.0{1,9}")
_UNIX_DIGITS = (9, 10, 13, 16, 19)
_LEAST_ROWS = 3  # from which on even steps make a column of numbers one of times, whatever its name
_YEARS = ("1500-01-01", "2200-01-01")
_UNIX_YEARS = ("1973-01-01", "2100-01-01")


def choose_forecast_columns(table: Table, patterns: str | None) -> Columns:
    """The columns to predict, all numeric ones unless some are named, and the one with dates."""
    named, left_out = table.match(patterns) if patterns else ((), ())
    date = _find_time_column(table, named, left_out)
    strange = [] if date else _find_unparsed_dates(table, {*named, *left_out})
    if named:
        return Columns(named, date=date)
    rest = [name for name in table.header if name != date and name not in left_out]
    rest = drop_index_column(table, rest)
    inputs = [name for name in rest if table.is_numeric(name)]
    if not inputs:
        raise Location(table.name).error(
            f"no column of numbers; a series has at least one{_describe_first(table, rest)}"
        )
    report_left_out(table, [name for name in rest if name not in inputs and name not in strange])
    _report_times_as_values(table, inputs, date)
    return Columns(tuple(inputs), date=date)


def read_series(table: Table, columns: Columns, missing: str | None = None) -> Example:
    """The whole table as one `Series`, its oldest row first. ``missing``: what to do about missing values.

    Raises `InputError`.
    """
    at = table.indices_of(columns.inputs)
    at_date = table.indices_of([columns.date])[0] if columns.date else None
    formats = [table.format_of(name) for name in columns.inputs]
    values, lines, fields = array("d"), array("q"), []
    for place, _, row in table.rows():
        for i, name, written in zip(at, columns.inputs, formats, strict=True):
            values.append(parse_cell(row[i], written, name, place, missing=True))
        lines.append(place.line)
        if at_date is not None:
            fields.append(row[at_date])
    found = Series(columns.inputs, np.frombuffer(values, np.float64).reshape(-1, len(at)))
    rows = _Rows(table, np.frombuffer(lines, np.int64))
    if columns.date is not None:
        dates = rows.read_dates(columns, fields)
        found = replace(found, times=dates.times, offsets=dates.offsets, notation=dates.notation, date=columns.date)
        found = rows.sort_by_time(found)
    found = fill_missing(found, missing, table, rows.lines)
    return Example(found, None, Location(table.name))


@dataclass
class _Rows:
    """The rows of a table by their lines, for messages about their dates."""

    table: Table
    lines: npt.NDArray[np.int64]

    def place(self, row: int) -> Location:
        """Where a row stands."""
        return Location(self.table.name, int(self.lines[row]))

    def read_dates(self, columns: Columns, fields: Sequence[str]) -> Dates:
        """The instants of every row."""
        assert columns.date is not None
        for row, text in enumerate(fields):
            if is_missing(text):
                raise self.place(row).error(
                    f"column {columns.date!r} has no date ({text!r}); give one or leave the row out"
                )
        unix = _is_unix(fields[0])
        try:
            return read_unix_times(fields) if unix else read_dates(fields, columns.date_order)
        except DateError as error:
            raise self.place(error.row).error(f"column {columns.date!r} has {error.message}") from None

    def sort_by_time(self, found: Series) -> Series:
        """The series with its oldest row first."""
        assert found.times is not None
        between = np.diff(found.times).astype(np.int64)
        if len(between) and (between < 0).all():
            self.table.remark("the newest row comes first; the rows are read in reverse order")
            self.lines = self.lines[::-1]
            return found.rows(np.arange(len(found))[::-1])
        wrong = np.flatnonzero(between <= 0)
        if len(wrong):
            raise self._order_error(found, int(wrong[0]) + 1, descending=bool((between < 0).mean() > 0.5))
        return found

    def _order_error(self, found: Series, row: int, descending: bool) -> Exception:
        """The reason why a row is not later than the one before it."""
        assert found.times is not None
        if descending and found.times[row] != found.times[row - 1]:
            row = int(np.flatnonzero(np.diff(found.times).astype(np.int64) >= 0)[0]) + 1
        shown = [found.shown(found.times[i : i + 1], _offset_at(found, i))[0] for i in (row - 1, row)]
        differing = self._find_differing_column(row)
        if differing is not None:
            name, before, here = differing
            if re.fullmatch(r"\d{1,2}[:.h]\d{2}.*", here):
                return self.place(row).error(
                    f"{shown[1]} is not later than the row before: column {name!r} goes from {before!r} to {here!r}; "
                    "join date and time in one column, such as 2024-02-29 12:00"
                )
            return self.place(row).error(
                f"{shown[1]} is not later than the row before: column {name!r} goes from {before!r} to {here!r}, so "
                "that several series stand in one table; give each a file of its own"
            )
        same = np.flatnonzero(found.times[:row] == found.times[row])
        if len(same) and same[-1] == row - 1:
            return self.place(row).error(
                f"{shown[1]} stands twice, here and in line {self.lines[row - 1]}; keep one row for each time, or give "
                f"each series a file of its own{_suggest_offset(found)}"
            )
        if len(same):
            return self.place(row).error(
                f"{shown[1]} stands here and in line {self.lines[same[-1]]}; if several series stand in one table, "
                f"give each a file of its own, and else keep one row for each time{_suggest_offset(found)}"
            )
        return self.place(row).error(
            f"{shown[1]} is not later than the row before ({shown[0]}); sort the rows by time{_suggest_offset(found)}"
        )

    def _find_differing_column(self, row: int) -> tuple[str, str, str] | None:
        """The first column of text, or of a numbered name, that differs between a row and the one before."""
        table = self.table
        for name in table.header:
            words = {word.casefold() for word in re.findall(r"[A-Za-z]+", name)}
            if table.is_numeric(name) and not words & {"id", "store", "item", "series", "unique", "group", "no", "key"}:
                continue
            fields = table.column(name)
            if fields[row] != fields[row - 1] and not is_date(fields[row]):
                return name, fields[row - 1][:40], fields[row][:40]
        return None


def _describe_first(table: Table, names: Sequence[str]) -> str:
    """What stands in the first of these columns, in a message."""
    filled = [name for name in names if table.profiles[name].example is not None]
    return f" ({filled[0]!r} has {str(table.profiles[filled[0]].example)[:40]!r})" if filled else ""


def _find_unparsed_dates(table: Table, known: set[str]) -> list[str]:
    """Columns named like dates that hold something else than numbers; a remark names them."""
    found = [name for name in table.header if name not in known and is_time_name(name) and not table.is_numeric(name)]
    for name in found:
        example = table.profiles[name].example
        if example is not None:
            table.remark(
                f"column {name!r} is not understood as dates ({example[:40]!r}); the rows are taken as evenly "
                "spaced and in order. Write dates such as 2024-02-29 12:00"
            )
    return [name for name in found if table.profiles[name].example is not None]


def _offset_at(found: Series, row: int) -> int | None:
    return None if found.offsets is None else int(found.offsets[row])


def _suggest_offset(found: Series) -> str:
    """Advice for times of a day that may be those of a clock which is put back in autumn."""
    assert found.times is not None
    days = found.times.astype("datetime64[D]")
    if found.offsets is not None or len(np.unique(found.times - days)) < 2:
        return ""
    return "; where clocks are put back, write the offset from UTC, such as 02:00+01:00"


def _find_time_column(table: Table, named: Sequence[str], left_out: Sequence[str]) -> str | None:
    """The first column that holds dates, else numbers that are times."""
    rest = [name for name in table.header if name not in named and name not in left_out]
    for name in rest:
        profile = table.profiles[name]
        dates = [shape for shape, text in profile.examples.items() if is_date(text)]
        if not table.is_numeric(name) and 2 * profile.share(dates) >= 1 and profile.filled:
            return name
    numeric = [name for name in rest if table.is_numeric(name)]
    if not named and len(numeric) < 2:
        return None  # what alone is there is to be forecast
    leading = numeric[1:2] if numeric[:1] == [INDEX] and not table.raw_header[0] else numeric[:1]
    for name in numeric:
        found = _parse_numeric_times(table, name, name in leading)
        if found is not None:
            first = found.notation.show(found.times[:1])[0]
            shown = str(found.times[0]).replace("T", " ").removesuffix(" 00:00:00")
            table.remark(
                f"column {name!r} is read as {found.notation.words} ({first} is {shown}) and not forecast; to forecast "
                "it as numbers, name it in --columns"
            )
            return name
    return None


def _parse_numeric_times(table: Table, name: str, leading: bool) -> Dates | None:
    """The times in a column of numbers: named like one, or the first column, with even steps."""
    profile = table.profiles[name]
    by_name = is_time_name(name)
    if not (by_name or leading) or profile.missing or profile.others:
        return None
    if not all(_TIME_DIGITS.fullmatch(shape) for shape in profile.shapes):
        return None
    fields = table.column(name)
    try:
        unix = _is_unix(fields[0])
        found = read_unix_times(fields) if unix else read_dates(fields)
    except DateError:
        return None
    low, high = (np.datetime64(text) for text in (_UNIX_YEARS if unix else _YEARS))
    if not ((found.times >= low) & (found.times < high)).all():
        return None
    if by_name:
        parts = {word for column in table.header for word in _words(column)} & {"month", "hour", "day"} - _words(name)
        rising = len(fields) < 2 or _is_strictly_monotonic(found)
        return found if rising or not parts else None
    return found if len(fields) >= _LEAST_ROWS and _has_even_steps(found) else None


def _has_even_steps(dates: Dates) -> bool:
    """Whether all steps are equally many ticks, or months."""
    return _is_strictly_monotonic(dates) and any(
        len(np.unique(steps)) == 1 and steps[0] != 0
        for steps in (
            np.diff(dates.times).astype(np.int64), np.diff(dates.times.astype("datetime64[M]")).astype(np.int64)
        )
    )  # fmt: skip


def _is_strictly_monotonic(dates: Dates) -> bool:
    between = np.diff(dates.times).astype(np.int64)
    return bool((between > 0).all() or (between < 0).all())


def _is_unix(text: str) -> bool:
    """Whether a number has as many digits as a Unix time, and is no date written without separators."""
    whole, point, _ = text.partition(".")
    if not whole.isdecimal() or len(whole) not in _UNIX_DIGITS:
        return False
    try:
        read_dates([text])
    except DateError:
        return True
    return bool(point)


def _words(name: str) -> set[str]:
    """The words of a column's name, in small letters."""
    return {word.casefold() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}


def is_time_name(name: str) -> bool:
    """Whether a column is named like one of times."""
    return bool(_words(name) & _TIME_WORDS)


def _report_times_as_values(table: Table, inputs: Sequence[str], date: str | None) -> None:
    """Name the columns that are forecast although they look like times or like a count of the rows."""
    found = [name for name in inputs if is_time_name(name) or _words(name) & {"hour", "hours", "minute", "minutes"}]
    first = table.header[0]
    if first in inputs and first not in found and table.profiles[first].filled >= _LEAST_ROWS:
        found = [first, *found] if counts_rows(table.column(first)) else found
    if found and len(inputs) > len(found):
        shown = ", ".join(map(repr, found))
        pattern = ",".join(f'!"{name}"' if "," in name else f"!{name}" for name in found)
        noun, are = ("column", "is") if len(found) == 1 else ("columns", "are")
        kind = "looks like times or a count of rows" if len(found) == 1 else "look like times or counts of rows"
        table.remark(f"{noun} {shown} {kind} and {are} forecast as values; to leave out: --columns '{pattern}'")
