"""Read a CSV file as one `Series`: choose its columns, parse its dates, sort its rows, fill in missing values."""

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
from .csv_columns import (
    MIN_ROWS,
    Columns,
    counts_rows,
    describe_empty_cell,
    drop_index_column,
    find_time_column,
    is_time_name,
    is_unix_time,
    parse_cell,
    report_left_out,
    split_name,
)
from .csv_table import Table, is_missing

Array = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]


def choose_forecast_columns(table: Table, patterns: str | None) -> Columns:
    """Return the columns to forecast, by default all numeric ones, and the column of dates."""
    named, left_out = table.match(patterns) if patterns else ((), ())
    date = find_time_column(table, named, left_out)
    unparsed = [] if date else _find_unparsed_dates(table, {*named, *left_out})
    if named:
        return Columns(named, date=date)
    rest = [name for name in table.header if name != date and name not in left_out]
    rest = drop_index_column(table, rest)
    inputs = [name for name in rest if table.is_numeric(name)]
    if not inputs:
        raise Location(table.name).error(
            f"no column of numbers; a series has at least one{_describe_first(table, rest)}"
        )
    report_left_out(table, [name for name in rest if name not in inputs and name not in unparsed])
    _report_times_as_values(table, inputs, date)
    return Columns(tuple(inputs), date=date)


def read_series(table: Table, columns: Columns, missing: str | None = None) -> Example:
    """Return the whole table as one `Series`, its oldest row first.

    ``missing``: the policy for missing values, see `impute`. Raises `InputError`.
    """
    indices = table.indices_of(columns.inputs)
    date_index = table.indices_of([columns.date])[0] if columns.date else None
    formats = [table.format_of(name) for name in columns.inputs]
    # A typed array takes 8 bytes per number, a list of floats 32.
    values = array("d")
    lines = array("q")
    dates: list[str] = []
    for place, _, row in table.rows():
        for i, name, number_format in zip(indices, columns.inputs, formats, strict=True):
            values.append(parse_cell(row[i], number_format, name, place, missing=True))
        lines.append(place.line)
        if date_index is not None:
            dates.append(row[date_index])

    found = Series(columns.inputs, np.frombuffer(values, np.float64).reshape(-1, len(indices)))
    rows = _SeriesRows(table, np.frombuffer(lines, np.int64))
    if columns.date is not None:
        parsed = rows.read_dates(columns, dates)
        found = replace(found, times=parsed.times, offsets=parsed.offsets, notation=parsed.notation, date=columns.date)
        found = rows.sort_by_time(found)
    # Sorted first: interpolation needs the neighbours in time.
    found = impute(found, missing, table, rows.lines)
    return Example(found, None, Location(table.name))


@dataclass
class _SeriesRows:
    """The rows of a table with their line numbers (n,), for error messages about their dates."""

    table: Table
    lines: npt.NDArray[np.int64]

    def place(self, row: int) -> Location:
        """Return the place of a row in the file."""
        return Location(self.table.name, int(self.lines[row]))

    def read_dates(self, columns: Columns, fields: Sequence[str]) -> Dates:
        """Parse the dates of all rows."""
        assert columns.date is not None
        for row, text in enumerate(fields):
            if is_missing(text):
                raise self.place(row).error(
                    f"column {columns.date!r} has no date ({text!r}); give one or leave the row out"
                )
        unix = is_unix_time(fields[0])
        try:
            return read_unix_times(fields) if unix else read_dates(fields, columns.date_order)
        except DateError as error:
            raise self.place(error.row).error(f"column {columns.date!r} has {error.message}") from None

    def sort_by_time(self, found: Series) -> Series:
        """Return the series with its oldest row first.

        Raises `InputError` unless the rows are in order or in reverse order.
        """
        assert found.times is not None
        between = np.diff(found.times).astype(np.int64)
        # Financial data often have the newest row first.
        if len(between) and (between < 0).all():
            self.table.remark("the newest row comes first; the rows are read in reverse order")
            self.lines = self.lines[::-1]
            return found.rows(np.arange(len(found))[::-1])
        wrong = np.flatnonzero(between <= 0)
        if len(wrong):
            raise self._order_error(found, int(wrong[0]) + 1, descending=bool((between < 0).mean() > 0.5))
        return found

    def _order_error(self, found: Series, row: int, descending: bool) -> Exception:
        """Return the error for a row that is not later than the one before, with the likely cause."""
        assert found.times is not None
        # In a mostly falling series the row that is out of order is the first that rises.
        if descending and found.times[row] != found.times[row - 1]:
            row = int(np.flatnonzero(np.diff(found.times).astype(np.int64) >= 0)[0]) + 1
        differing = self._find_differing_column(row)  # such as the id of one of several series
        message = self._explain_order(found, row) if differing is None else _explain_change(found, row, *differing)
        return self.place(row).error(message)

    def _explain_order(self, found: Series, row: int) -> str:
        """Explain why a row is not later than the one before: its time occurs twice, or the rows are not sorted."""
        assert found.times is not None
        here = _format_time(found, row)
        same = np.flatnonzero(found.times[:row] == found.times[row])
        if len(same) and same[-1] == row - 1:
            return (
                f"{here} occurs twice, here and in line {self.lines[row - 1]}; keep one row for each time, or give "
                f"each series a file of its own{_suggest_offset(found)}"
            )
        if len(same):
            return (
                f"{here} occurs here and in line {self.lines[same[-1]]}; if the table holds several series, "
                f"give each a file of its own, and else keep one row for each time{_suggest_offset(found)}"
            )
        before = _format_time(found, row - 1)
        return f"{here} is not later than the row before ({before}); sort the rows by time{_suggest_offset(found)}"

    def _find_differing_column(self, row: int) -> tuple[str, str, str] | None:
        """Return the first column of text, or named like an id, that differs between a row and the one before."""
        table = self.table
        for name in table.header:
            # A column of numbers distinguishes series only if it is named like an id; values always differ.
            words = {word.casefold() for word in re.findall(r"[A-Za-z]+", name)}
            if table.is_numeric(name) and not words & {"id", "store", "item", "series", "unique", "group", "no", "key"}:
                continue
            fields = table.column(name)
            if fields[row] != fields[row - 1] and not is_date(fields[row]):
                return name, fields[row - 1][:40], fields[row][:40]
        return None


def _explain_change(found: Series, row: int, name: str, before: str, here: str) -> str:
    """Explain why a row is not later than the one before: column ``name`` changes from ``before`` to ``here``."""
    change = (
        f"{_format_time(found, row)} is not later than the row before: column {name!r} goes from {before!r} to {here!r}"
    )
    # A time of day in a column of its own, next to the column of dates.
    if re.fullmatch(r"\d{1,2}[:.h]\d{2}.*", here):
        return f"{change}; join date and time in one column, such as 2024-02-29 12:00"
    return f"{change}, so the table holds several series; give each a file of its own"


def _describe_first(table: Table, names: Sequence[str]) -> str:
    """Return an example from the first of these columns with values, for a message."""
    filled = [name for name in names if table.profiles[name].example is not None]
    return f" ({filled[0]!r} has {str(table.profiles[filled[0]].example)[:40]!r})" if filled else ""


def _find_unparsed_dates(table: Table, known: set[str]) -> list[str]:
    """Return the columns that are named like dates but hold neither numbers nor dates; adds a remark for each."""
    found = [name for name in table.header if name not in known and is_time_name(name) and not table.is_numeric(name)]
    for name in found:
        example = table.profiles[name].example
        if example is not None:
            table.remark(
                f"column {name!r} could not be parsed as dates ({example[:40]!r}); the rows are assumed to be "
                "evenly spaced and in order. Write dates such as 2024-02-29 12:00"
            )
    return [name for name in found if table.profiles[name].example is not None]


def _format_time(found: Series, row: int) -> str:
    assert found.times is not None
    offset = None if found.offsets is None else int(found.offsets[row])
    return found.format_times(found.times[row : row + 1], offset)[0]


def _suggest_offset(found: Series) -> str:
    """Return advice on offsets from UTC: local times repeat an hour when daylight saving time ends."""
    assert found.times is not None
    days = found.times.astype("datetime64[D]")
    if found.offsets is not None or len(np.unique(found.times - days)) < 2:
        return ""
    return "; for the hour that daylight saving time repeats, write the offset from UTC, such as 02:00+01:00"


def _report_times_as_values(table: Table, inputs: Sequence[str], date: str | None) -> None:
    """Add a remark on columns that are forecast although they look like times or row numbers."""
    found = [name for name in inputs if is_time_name(name) or split_name(name) & {"hour", "hours", "minute", "minutes"}]
    first = table.header[0]
    if first in inputs and first not in found and table.profiles[first].filled_count >= MIN_ROWS:
        found = [first, *found] if counts_rows(table.column(first)) else found
    if found and len(inputs) > len(found):
        shown = ", ".join(map(repr, found))
        pattern = ",".join(f'!"{name}"' if "," in name else f"!{name}" for name in found)
        noun, are = ("column", "is") if len(found) == 1 else ("columns", "are")
        kind = "looks like times or a count of rows" if len(found) == 1 else "look like times or counts of rows"
        table.remark(f"{noun} {shown} {kind} and {are} forecast as values; to leave out: --columns '{pattern}'")


def impute(series: Series, policy: str | None, table: Table, lines: Positions) -> Series:
    """Fill in or drop missing values (NaN) of a series; adds a remark to the table.

    Rows before the first value of a column are always dropped.

    Args:
        series: The series, C columns of n rows.
        policy: "interpolate" (linearly between neighbours), "last" (repeat the value before), "drop" (the row), or
            None to raise `InputError`.
        table: The table that the series was read from.
        lines: Line number of each row (n,).
    """
    holes = np.isnan(series.values)
    if not holes.any():
        return series
    row, column = (int(i) for i in np.argwhere(holes)[0])
    name = series.columns[column]
    count = int(holes.sum())
    for i, other in enumerate(series.columns):
        if holes[:, i].all():
            raise Location(table.name).error(f"column {other!r} has no value; leave it out with --columns '!{other}'")
    if policy is None:
        more = "" if count == 1 else f" ({count:,} values are missing)"
        # Rows may be in reverse order by now, the table's are not: the line number finds the field.
        text = table.column(name)[int(np.flatnonzero(np.sort(lines) == lines[row])[0])]
        raise Location(table.name, int(lines[row])).error(
            f"column {name!r} has {describe_empty_cell(text)}, or choose --missing interpolate, last or drop{more}"
        )
    kept, values = _impute_values(series.values, holes, policy)
    if not len(kept):
        raise Location(table.name).error("no row has a value in every column; choose --missing interpolate or last")
    dropped = len(series) - len(kept)
    filled = int(holes[kept].sum())
    done = [] if not filled else [f"{filled:,} filled in ({policy})"]
    done += [] if not dropped else [f"{dropped:,} {'row' if dropped == 1 else 'rows'} left out"]
    noun = "value" if count == 1 else "values"
    table.remark(f"{count:,} missing {noun}, first in column {name!r} in line {lines[row]}: {', '.join(done)}")
    return replace(series, values=values).rows(kept)


def _impute_values(
    values: npt.NDArray[np.float64], holes: npt.NDArray[np.bool_], policy: str
) -> tuple[Positions, npt.NDArray[np.float64]]:
    """Return indices of the rows to keep, and all values (n, C) with the missing ones filled in."""
    rows = np.arange(len(values))
    if policy == "drop":
        return np.flatnonzero(~holes.any(axis=1)), values
    found = values.copy()
    for i in range(values.shape[1]):
        there = np.flatnonzero(~holes[:, i])
        if policy == "interpolate":
            found[:, i] = np.where(holes[:, i], np.interp(rows, there, values[there, i]), values[:, i])
        else:
            # Index of the last present value at or before each row; rows before the first are dropped below.
            before = np.maximum(np.searchsorted(there, rows, "right") - 1, 0)
            found[:, i] = values[there[before], i]
    # Nothing comes before a column's first value, so the rows above the latest first value are dropped.
    return rows[int((~holes).argmax(axis=0).max()) :], found
