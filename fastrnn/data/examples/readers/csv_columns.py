"""Columns of a CSV file for regress and forecast: which ones are read, and the numbers in their cells.

The column of dates or times is found by the notation of dates, and among numbers by its name or its even steps.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ....errors import InputError, join_first
from ..dates import DateError, Dates, is_date, read_dates, read_unix_times
from ..example import LARGEST, Example, Location
from .csv_table import INDEX, PLAIN, NumberFormat, Table, is_missing

_MAX_LISTED = 5  # columns in a remark
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
    shown = join_first([f"{name!r} ({_explain_left_out(table, name)})" for name in names], _MAX_LISTED)
    noun = "column" if len(names) == 1 else "columns"
    table.remark(f"left out {noun} {shown}: not numbers")


def _explain_left_out(table: Table, name: str) -> str:
    example = table.profiles[name].example
    return "no value" if example is None else f"such as {example[:40]!r}"


def read_regression_rows(table: Table, columns: Columns, needs_targets: bool) -> Iterator[Example]:
    """Yield one example per row, x (1, F) and y (1, K). A missing target is NaN, a missing input an error."""
    input_indices = table.indices_of(columns.inputs)
    has_outputs = needs_targets or any(name in table.header for name in columns.outputs)
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
