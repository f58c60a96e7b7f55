"""Columns of a CSV file for regress and forecast: which ones are read, and the numbers in their cells."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ....errors import InputError
from ..example import LARGEST, Example, Location
from .csv_table import Table
from .number_formats import PLAIN, NumberFormat, is_missing

_MAX_LISTED = 5  # columns in a remark


@dataclass(frozen=True)
class Columns:
    """Columns of a table to read, by exact name and in order.

    Attributes:
        inputs: Columns of the input, or of a series.
        outputs: Columns to predict; a file for prediction may lack them.
        date: Column of dates or times.
        date_order: "dmy", "mdy" or "ymd", for files whose dates are ambiguous.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    date: str | None = None
    date_order: str = ""


def choose_regression_columns(table: Table, outputs: str | None) -> Columns:
    """Return the columns of a regression: the named ones are targets, every other numeric column is an input."""
    if not outputs:
        raise InputError("regress needs the columns to predict; name them with --columns, such as --columns 'y*'")
    targets, left_out = table.match(outputs)
    if not targets:
        raise InputError("regress needs the columns to predict; --columns only leaves columns out")
    rest = [name for name in table.header if name not in targets and name not in left_out]
    rest = drop_index_column(table, rest)
    inputs = tuple(name for name in rest if table.is_numeric(name))
    if not inputs:
        raise Location(table.name).error("no numeric column is left as an input; choose fewer with --columns")
    report_left_out(table, [name for name in rest if name not in inputs])
    for name in targets:
        missing = table.profiles[name].missing
        if missing:
            table.remark(f"{missing:,} {'row' if missing == 1 else 'rows'} without {name!r} not scored")
    return Columns(inputs, targets)


def drop_index_column(table: Table, names: Sequence[str]) -> list[str]:
    """Drop an unnamed first column that counts the rows. Raises `InputError` if it has other numbers."""
    # pandas and R write row numbers as a first column without a name.
    if table.raw_header[0] or table.header[0] not in names or not table.is_numeric(table.header[0]):
        return list(names)
    if not counts_rows(table.column(table.header[0])):
        raise Location(table.name, 1).error("column 1 has no name; give it one")
    table.remark("left out the first column, which has no name and counts the rows")
    return [name for name in names if name != table.header[0]]


def counts_rows(fields: Sequence[str]) -> bool:
    """Whether the fields are whole numbers that rise by one from row to row."""
    # 16 digits or more are ids rather than row numbers, and might not fit into int64.
    if not all(text.isdecimal() and len(text) < 16 for text in fields):
        return False
    return bool((np.diff([int(text) for text in fields]) == 1).all())


def report_left_out(table: Table, names: Sequence[str]) -> None:
    """Add a remark on columns that are skipped without having been excluded, with the reason."""
    if not names:
        return
    shown = ", ".join(f"{name!r} ({_explain_left_out(table, name)})" for name in names[:_MAX_LISTED])
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    noun = "column" if len(names) == 1 else "columns"
    table.remark(f"left out {noun} {shown}{more}: not numbers")


def _explain_left_out(table: Table, name: str) -> str:
    example = table.profiles[name].example
    return "no value" if example is None else f"such as {example[:40]!r}"


def read_regression_rows(table: Table, columns: Columns, answers: bool) -> Iterator[Example]:
    """Yield one example per row, x (1, F) and y (1, K). A missing target is NaN, a missing input an error."""
    input_indices = table.indices_of(columns.inputs)
    has_outputs = answers or any(name in table.header for name in columns.outputs)
    output_indices = table.indices_of(columns.outputs) if has_outputs else []
    # Looked up once, not for each of possibly millions of rows.
    formats = [table.format_of(name) for name in table.header]
    for place, line, fields in table.rows():
        x = [parse_cell(fields[i], formats[i], table.header[i], place) for i in input_indices]
        y = [parse_cell(fields[i], formats[i], table.header[i], place, missing=True) for i in output_indices]
        yield Example(np.array([x]), np.array([y]) if y else None, place, table.format_as_csv(line, fields))


def parse_cell(text: str, number_format: NumberFormat, name: str, place: Location, missing: bool = False) -> float:
    """Parse the number in a cell of column ``name``; NaN for an empty cell if ``missing``. Raises `InputError`."""
    try:  # fast path: most fields of a large file are plain numbers
        quick = float(text) if number_format is PLAIN and "_" not in text else math.nan
    except ValueError:
        quick = math.nan
    if abs(quick) <= LARGEST:
        return quick
    # The slow path: other number formats, markers of missing values, and errors.
    if is_missing(text):
        if missing:
            return math.nan
        raise place.error(f"column {name!r} has {describe_empty_cell(text)}")
    number = number_format.parse(text)
    if number is None:
        raise place.error(f"column {name!r} has {text[:40]!r} where a number should be{_suggest_fix(text, name)}")
    if abs(number) > LARGEST:
        raise place.error(f"column {name!r} has {text[:40]}; it must be at most {LARGEST:g}")
    return number


def describe_empty_cell(text: str) -> str:
    """Describe a field without a value for an error message."""
    shown = "NaN" if text.casefold() == "nan" else f"{text!r} where a number should be"
    return f"{shown}; fill it in or leave the row out"


def _suggest_fix(text: str, name: str) -> str:
    if "," in text and any(c.isdigit() for c in text):
        return "; write it with a decimal point and without other separators"
    # --columns separates patterns by commas, so a name with a comma needs quotation marks.
    pattern = f'!"{name}"' if "," in name else f"!{name}"
    return f"; mend it, or leave the column out with --columns '{pattern}'"
