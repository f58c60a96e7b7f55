"""CSV columns for regress (one record a row) and forecast (one series a file): which are read, and their numbers."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ....errors import InputError
from ..example import LARGEST, Example, Location
from .csv_table import Table
from .number_formats import PLAIN, NumberFormat, is_missing

_TOLD = 5  # columns in a remark


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are read: exact names in their order. ``outputs`` may be missing unless ``answers``.

    ``date_order``: "dmy", "mdy" or "ymd", where a file does not itself decide what its dates mean.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    date: str | None = None
    date_order: str = ""


def regression_columns(table: Table, outputs: str | None) -> Columns:
    """The columns that are given and those to predict: every other numeric one is an input."""
    if not outputs:
        raise InputError("regress needs the columns to predict; name them with --columns, such as --columns 'y*'")
    targets, left_out = table.match(outputs)
    if not targets:
        raise InputError("regress needs the columns to predict; --columns only leaves columns out")
    rest = [name for name in table.header if name not in targets and name not in left_out]
    rest = without_index(table, rest)
    inputs = tuple(name for name in rest if table.is_numeric(name))
    if not inputs:
        raise Location(table.name).error("no numeric column is left as an input; choose fewer with --columns")
    remark_left_out(table, [name for name in rest if name not in inputs])
    for name in targets:
        missing = table.profiles[name].missing
        if missing:
            table.remark(f"{missing:,} {'row' if missing == 1 else 'rows'} without {name!r} not scored")
    return Columns(inputs, targets)


def without_index(table: Table, names: Sequence[str]) -> list[str]:
    """The columns without a first one that has no name and counts the rows. Raises `InputError` for other numbers."""
    if table.raw_header[0] or table.header[0] not in names or not table.is_numeric(table.header[0]):
        return list(names)
    if not counts_rows(table.column(table.header[0])):
        raise Location(table.name, 1).error("column 1 has no name; give it one")
    table.remark("left out the first column, which has no name and counts the rows")
    return [name for name in names if name != table.header[0]]


def counts_rows(fields: Sequence[str]) -> bool:
    """Whether whole numbers go up by one from row to row."""
    if not all(text.isdecimal() and len(text) < 16 for text in fields):
        return False
    return bool((np.diff([int(text) for text in fields]) == 1).all())


def remark_left_out(table: Table, names: Sequence[str]) -> None:
    """Name the columns that are not read although nobody said so, and why."""
    if not names:
        return
    shown = ", ".join(f"{name!r} ({_reason(table, name)})" for name in names[:_TOLD])
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    noun = "column" if len(names) == 1 else "columns"
    table.remark(f"left out {noun} {shown}{more}: not numbers")


def _reason(table: Table, name: str) -> str:
    example = table.profiles[name].example
    return "no value" if example is None else f"such as {example[:40]!r}"


def regression_rows(table: Table, columns: Columns, answers: bool) -> Iterator[Example]:
    """One record a row, x (1, F) and y (1, K). A missing target is not scored; elsewhere it is an error."""
    at_x = table.places_of(columns.inputs)
    there = answers or any(name in table.header for name in columns.outputs)
    at_y = table.places_of(columns.outputs) if there else []
    formats = [table.format_of(name) for name in table.header]
    for place, line, fields in table.rows():
        x = [number_in(fields[i], formats[i], table.header[i], place) for i in at_x]
        y = [number_in(fields[i], formats[i], table.header[i], place, missing=True) for i in at_y]
        yield Example(np.array([x]), np.array([y]) if y else None, place, table.as_commas(line, fields))


def number_in(text: str, written: NumberFormat, name: str, place: Location, missing: bool = False) -> float:
    """The number in a field, NaN where it is ``missing`` and may be. Raises `InputError`."""
    try:  # most fields of a large file
        quick = float(text) if written is PLAIN and "_" not in text else math.nan
    except ValueError:
        quick = math.nan
    if abs(quick) <= LARGEST:
        return quick
    if is_missing(text):
        if missing:
            return math.nan
        raise place.error(f"column {name!r} has {what_is_missing(text)}")
    number = written.parse(text)
    if number is None:
        raise place.error(f"column {name!r} has {text[:40]!r} where a number should be{_advice(text, name)}")
    if abs(number) > LARGEST:
        raise place.error(f"column {name!r} has {text[:40]}; it must be at most {LARGEST:g}")
    return number


def what_is_missing(text: str) -> str:
    """A field without a value, in a message."""
    shown = "NaN" if text.casefold() == "nan" else f"{text!r} where a number should be"
    return f"{shown}; fill it in or leave the row out"


def _advice(text: str, name: str) -> str:
    if "," in text and any(c.isdigit() for c in text):
        return "; write it with a decimal point and without other separators"
    pattern = f'!"{name}"' if "," in name else f"!{name}"
    return f"; mend it, or leave the column out with --columns '{pattern}'"
