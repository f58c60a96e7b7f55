"""CSV: numbers in named columns, for regress (one record a row) and forecast (one series a file)."""

import csv
import datetime
import fnmatch
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import nearest
from ..errors import InputError
from .characters import readable
from .record import LARGEST, Place, Record, lines
from .series import Series
from .sources import Source

_SHOWN = 8  # names in a message
_OTHER_SIGNS = ";\t|"  # that separate columns elsewhere


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are read: exact names in their order. ``outputs`` may be missing unless ``answers``."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    date: str | None = None


class Table:
    """An open CSV file: its header, its first row, and all rows as they are read. Raises `InputError`.

    Fields are separated by commas and may be quoted; a quoted field may hold commas, not line breaks.
    """

    def __init__(self, source: Source) -> None:
        self._lines = lines(source)
        self.name = source.name
        first = next(self._filled(), None)
        if first is None:
            raise Place(self.name).error("empty; a table has a line of column names, then rows of numbers")
        self.header = self._header(*first)
        self._first = next(self._filled(), None)
        if self._first is None:
            raise Place(self.name).error("no row below the column names; give at least one")
        if len(self.header) == 1 and any(sign in self.header[0] and sign in self._first[1] for sign in _OTHER_SIGNS):
            raise Place(self.name).error("no column of numbers; columns are separated by commas")
        self.numeric = self._numeric()

    def rows(self) -> Iterator[tuple[Place, str, list[str]]]:
        """Place, line and fields of each row, checked for their number."""
        width = len(self.header)
        rows = self._filled()
        row = self._first
        while row is not None:
            place, _, fields = row
            if len(fields) != width:
                raise place.error(f"{_count(len(fields))}, but the first line names {width}; make them equal")
            yield row
            row = next(rows, None)

    def match(self, patterns: str) -> tuple[str, ...]:
        """The columns that comma-separated names or globs stand for, in that order. Raises `InputError`."""
        found: dict[str, None] = {}
        for pattern in filter(None, map(str.strip, patterns.split(","))):
            names = [c for c in self.header if c == pattern] or fnmatch.filter(self.header, pattern)
            if not names:
                raise Place(self.name).error(f"no column {pattern!r}{self._near(pattern)}")
            if pattern in found:
                raise InputError(f"--columns names {pattern!r} twice; name each column once")
            found |= dict.fromkeys(names)
        return tuple(found)

    def places_of(self, names: Sequence[str]) -> list[int]:
        """Where these columns stand. Raises `InputError` for one that is missing."""
        for name in names:
            if name not in self.header:
                raise Place(self.name).error(f"no column {name!r}{self._near(name)}")
        return [self.header.index(name) for name in names]

    def date_column(self) -> str | None:
        """The first column whose first value is no number but an ISO date."""
        assert self._first is not None
        for name, field in zip(self.header, self._first[2], strict=False):
            if name not in self.numeric and _date(field) is not None:
                return name
        return None

    def _filled(self) -> Iterator[tuple[Place, str, list[str]]]:
        for place, line in self._lines:
            if line.strip():
                yield place, line, self._fields(place, line)

    def _fields(self, place: Place, line: str) -> list[str]:
        try:
            return [field.strip() for field in next(csv.reader([line], strict=True, skipinitialspace=True))]
        except csv.Error as error:
            raise place.error(f"not CSV ({error}); close quotation marks on the line that opens them") from None

    def _header(self, place: Place, _: str, names: list[str]) -> tuple[str, ...]:
        if all(_number(name) is not None for name in names):
            raise place.error("numbers where column names should be; let the first line name the columns")
        for i, name in enumerate(names):
            if not name:
                raise place.error(f"column {i + 1} has no name; give it one")
            if name in names[:i]:
                raise place.error(f"two columns are named {name!r}; give each a name of its own")
        return tuple(names)

    def _numeric(self) -> tuple[str, ...]:
        assert self._first is not None
        fields = zip(self.header, self._first[2], strict=False)
        return tuple(name for name, field in fields if not field or _number(field) is not None)

    def _near(self, name: str) -> str:
        shown = ", ".join(self.header[:_SHOWN]) + (", ..." if len(self.header) > _SHOWN else "")
        return nearest(name, self.header) or f"; there are {shown}"


def regression_columns(table: Table, outputs: str | None) -> Columns:
    """The columns that are given and those to predict: every other numeric one is an input."""
    if not outputs:
        raise InputError("regress needs the columns to predict; name them with --columns, such as --columns 'y*'")
    targets = table.match(outputs)
    inputs = tuple(name for name in table.numeric if name not in targets)
    if not inputs:
        raise Place(table.name).error("no numeric column is left as an input; choose fewer with --columns")
    return Columns(inputs, targets)


def forecast_columns(table: Table, columns: str | None) -> Columns:
    """The columns to predict, all numeric ones unless some are named, and the one with dates."""
    inputs = table.match(columns) if columns else table.numeric
    if not inputs:
        raise Place(table.name).error("no column of numbers; a series has at least one")
    return Columns(inputs, date=table.date_column())


def regression_rows(table: Table, columns: Columns, answers: bool) -> Iterator[Record]:
    """One record a row, x (1, F) and y (1, K). An empty or NaN target is not scored; NaN elsewhere is an error."""
    at_x = table.places_of(columns.inputs)
    there = answers or any(name in table.header for name in columns.outputs)
    at_y = table.places_of(columns.outputs) if there else []
    for place, line, fields in table.rows():
        x = [_checked(fields[i], table.header[i], place) for i in at_x]
        y = [_checked(fields[i], table.header[i], place, missing=True) for i in at_y]
        target = np.array([y], np.float32) if y else None
        yield Record(np.array([x], np.float32), target, place, line)


def series(table: Table, columns: Columns) -> Record:
    """The whole table as one `Series`."""
    at = table.places_of(columns.inputs)
    date = table.places_of([columns.date])[0] if columns.date else None
    values, times = array("d"), array("q")
    for place, _, fields in table.rows():
        values.extend([_checked(fields[i], table.header[i], place) for i in at])
        if date is not None:
            times.append(_seconds(fields[date], table.header[date], times, place))
    found: npt.NDArray[Any] = np.frombuffer(values, np.float64).reshape(-1, len(at))
    dates = None if date is None else np.frombuffer(times, np.int64).astype("datetime64[s]")
    return Record(Series(columns.inputs, found, dates, columns.date), None, Place(table.name))


def _checked(field: str, name: str, place: Place, missing: bool = False) -> float:
    """The number in a field."""
    number = math.nan if missing and not field else _number(field)
    if number is None:
        raise place.error(f"column {name!r} has {field[:40]!r} where a number should be")
    if math.isnan(number) and not missing:
        raise place.error(f"column {name!r} has NaN; fill it in or leave the row out")
    if abs(number) > LARGEST:
        raise place.error(f"column {name!r} has {field[:40]}; it must be at most {LARGEST:g}")
    return number


def _number(field: str) -> float | None:
    try:
        return None if "_" in field else float(field)
    except ValueError:
        return None


def _date(field: str) -> datetime.datetime | None:
    try:
        found = datetime.datetime.fromisoformat(field)
    except ValueError:
        return None
    return found.replace(tzinfo=None)


def _seconds(field: str, name: str, before: "array[int]", place: Place) -> int:
    """Seconds since 1970 of a date on the wall's clock, later than the one before."""
    date = _date(field)
    if date is None:
        raise place.error(f"column {name!r} has {field[:40]!r} where a date such as 2024-02-29 12:00 should be")
    seconds = (date - datetime.datetime(1970, 1, 1)) // datetime.timedelta(seconds=1)
    if before and seconds <= before[-1]:
        raise place.error(f"{readable(field)} is not later than the row before; sort the rows by time")
    return seconds


def _count(columns: int) -> str:
    return "one column" if columns == 1 else f"{columns} columns"
