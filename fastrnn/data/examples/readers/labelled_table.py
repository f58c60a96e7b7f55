"""CSV files for classify: a column of labels, and either a column of texts or several columns of numbers."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...text.sources import Report, Source, peek
from ..example import LARGEST, Example, Location
from .csv_table import DECIMAL_COMMA, PLAIN
from .delimited import (
    ANY_FIELDS,
    TAB,
    Fields,
    Header,
    Row,
    find_header,
    guess_delimiter,
    header_by_name,
    header_by_position,
    is_separator_line,
    list_names,
    match_columns,
    read_quoted_rows,
    report_columns,
)
from .text_pairs import get_label, make_header_example, parse_named_rows


class LabelledTable(NamedTuple):
    """An open table of labelled examples.

    Attributes:
        examples: One example per row, read on demand.
        inputs: Names of the columns of numbers; empty if a text is classified.
        header: Names of all columns.
        delimiter: The character between columns.
    """

    examples: Iterator[Example]
    inputs: tuple[str, ...]
    header: tuple[str, ...]
    delimiter: str


NumberParser = Callable[[str], float | None]


def _parse_semicolon_number(field: str) -> float | None:
    """Parse a number of a table with semicolons between its columns, whose decimal sign may be a comma."""
    number = PLAIN.parse(field)
    return DECIMAL_COMMA.parse(field) if number is None else number


class _MixedSignsError(Exception):
    """A number has another decimal sign than those before it."""


class _SemicolonNumbers:
    """Parses the cells of such a table; all must have the same decimal sign, since 1.234 is a thousand beside 1,5.

    Rows are read as they arrive, so the first number with a decimal sign decides.
    """

    def __init__(self) -> None:
        self._decimal = ""

    def parse(self, field: str) -> float | None:
        """Return the number in a field, None if it is none. Raises `_MixedSignsError`."""
        number = _parse_semicolon_number(field)
        sign = "," if "," in field else "." if "." in field else ""
        if number is None or not sign:
            return number
        self._decimal = self._decimal or sign
        if sign != self._decimal:
            raise _MixedSignsError
        return number


class _NumberColumns(NamedTuple):
    """The columns of numbers to classify by: positions and names, and how their cells are parsed."""

    indices: tuple[int, ...]
    names: tuple[str, ...]
    parse: NumberParser

    def parse_row(self, row: Row) -> np.ndarray[Any, Any]:
        """Return the numbers of a row, (1, F). Raises `InputError` for a cell without a number."""
        cells = zip(self.indices, self.names, strict=True)
        return np.array([[self._parse_cell(row.fields[i].strip(), name, row.place) for i, name in cells]], np.float64)

    def _parse_cell(self, field: str, name: str, place: Location) -> float:
        try:
            number = self.parse(field)
        except _MixedSignsError:
            raise place.error(
                f"column {name!r} has {field[:40]!r}, but numbers before it have another decimal sign; write all of "
                "them with the same sign, and without separators of thousands"
            ) from None
        if number is None or math.isnan(number):
            raise place.error(
                f"column {name!r} has {field[:40]!r} where a number should be; fill it in, leave the row out, or name "
                "the columns to use with --columns"
            )
        if abs(number) > LARGEST:
            raise place.error(f"column {name!r} has {field[:40]}; it must be at most {LARGEST:g}")
        return number


class _Layout(NamedTuple):
    """The header of a table, its rows below the first, and the names of its classes."""

    header: Header
    rows: Iterator[Row]
    classes: tuple[str, ...] = ()  # names of the classes 0, 1, ...


def open_table(source: Source, needs_targets: bool, fields: Fields) -> LabelledTable:
    """Open a CSV of labelled examples. Raises `InputError` if the columns cannot be identified."""
    start, source = peek(source)
    delimiter, _ = _find_delimiter(start)
    rows = read_quoted_rows(source, delimiter)
    first = next((row for row in rows if not row.is_blank and not is_separator_line(row.raw)), None)
    if first is None:
        raise Location(source.name).error("empty; a table has a line of column names, then a row for each example")

    # The header decides whether the file is a table of texts or of numbers.
    parse = _parse_semicolon_number if delimiter == ";" else PLAIN.parse
    header, rows, classes = _detect_layout(first, rows, fields, needs_targets, parse)
    if header.text is None and not fields.inputs and fields.columns is None:
        header, rows = _find_text_column(header, rows, fields, first.place, parse)
    if header.text is not None:
        report_columns(header, first.place, source.report)
        examples = parse_named_rows(first, rows, header, needs_targets, delimiter)
        return LabelledTable(examples, (), header.names, delimiter)

    if header.is_data:
        rows = itertools.chain([first], rows)
    inputs, rows = _choose_number_columns(header, rows, fields, first.place)
    _report_number_columns(header, inputs, first.place, source.report)
    parse_cell = _SemicolonNumbers().parse if delimiter == ";" else PLAIN.parse
    cells = _NumberColumns(tuple(header.names.index(name) for name in inputs), inputs, parse_cell)
    examples = _parse_number_rows(rows, header, cells, classes, needs_targets)
    if not (needs_targets or header.is_data or classes):
        examples = itertools.chain([make_header_example(first, header, delimiter)], examples)
    return LabelledTable(examples, inputs, header.names, delimiter)


def is_table(start: bytes, fields: Fields, needs_targets: bool) -> bool:
    """Whether standard input with this start is a CSV: its first line names the wanted columns."""
    delimiter, line = _find_delimiter(start)
    # Tab-separated and JSON input have readers of their own.
    if delimiter == TAB or line.lstrip().startswith(("{", "[")):
        return False
    names = [name.strip().strip('"') for name in line.split(delimiter)]
    if fields.inputs:
        return set(fields.inputs) <= set(names) or PLAIN.parse(names[0]) is not None
    # The names that a user asked for decide; else the first line must have well-known ones.
    wanted = [name for name in (fields.label if needs_targets else None, fields.text) if name is not None]
    if wanted:
        return set(wanted) <= set(names)
    return find_header(Row(Location("-"), line, names), ANY_FIELDS, needs_targets) is not None


def _find_delimiter(start: bytes) -> tuple[str, str]:
    """Return the delimiter, and the first line that is neither blank nor ``sep=;``, which names the delimiter."""
    lines = [line for line in start.decode("utf-8", "replace").lstrip("\ufeff").splitlines() if line.strip()]
    named = lines.pop(0).strip()[-1] if lines and is_separator_line(lines[0]) else None
    header = lines[0] if lines else ""
    return named or guess_delimiter(header), header


def _detect_layout(
    first: Row, rows: Iterator[Row], fields: Fields, needs_targets: bool, parse: NumberParser
) -> _Layout:
    """Detect whether the first line holds column names, an example, or the counts of scikit-learn's own files."""
    second = next(rows, None)
    rows = rows if second is None else itertools.chain([second], rows)
    if second is not None and _is_counts_line(first, second, fields):
        # These files have no column names; the label is the last column and gets the requested name.
        features = int(first.fields[1])
        label = "label" if fields.label is None or fields.label.isdecimal() else fields.label
        names = (*(f"x{i + 1}" for i in range(features)), label)
        return _Layout(Header(names, features, None), rows, tuple(name.strip() for name in first.fields[2:]))

    names = tuple(field.strip() for field in first.fields)
    wants_positions = any(
        wanted is not None and wanted.isdecimal() and wanted not in names for wanted in (fields.label, fields.text)
    )
    has_numbers = any(parse(name) is not None for name in names)
    if has_numbers or (
        wants_positions and find_header(first._replace(fields=list(names)), ANY_FIELDS, needs_targets) is None
    ):
        if not wants_positions and not fields.inputs:
            raise first.place.error(
                f"numbers where column names should be; add a line of names, or give positions: --label {len(names)}"
            )
        return _Layout(header_by_position(first, fields), rows)
    _check_names(names, first.place)
    return _Layout(header_by_name(names, fields, needs_targets, first.place), rows)


def _is_counts_line(first: Row, second: Row, fields: Fields) -> bool:
    """Whether the first line is, as in scikit-learn's iris.csv, numbers of examples and features, then class names."""
    counts = [field.strip() for field in first.fields[:2]]
    if fields.text is not None or len(counts) != 2 or not all(count.isdecimal() for count in counts):
        return False
    class_names = first.fields[2:]
    has_class_names = len(class_names) > 0 and all(PLAIN.parse(name) is None for name in class_names)
    return has_class_names and len(second.fields) == int(counts[1]) + 1


def _check_names(names: Sequence[str], place: Location) -> None:
    for name in names:
        if not name.isprintable():
            raise place.error(f"the column name {name!r} has characters that cannot be printed; give it a plain name")
        if name and names.count(name) > 1:
            raise place.error(f"two columns are named {name!r}; give each a name of its own")


def _find_text_column(
    header: Header, rows: Iterator[Row], fields: Fields, place: Location, parse: NumberParser
) -> tuple[Header, Iterator[Row]]:
    """Find the only column of texts besides the label, if there is one. May read all rows."""
    others = [i for i, name in enumerate(header.names) if i != header.label and name]
    if fields.takes_text:
        if len(others) != 1:
            raise place.error(f"no column is named text; name it with --text: there are {list_names(header.names)}")
        return replace(header, text=others[0]), rows
    # Whether a column holds numbers shows only in its rows.
    found = list(rows)
    texts = [i for i in others if not any(_get_cell(row, i) and parse(_get_cell(row, i)) is not None for row in found)]
    if not texts:
        return header, iter(found)
    if len(others) == 1:
        return replace(header, text=texts[0]), iter(found)
    name = header.names[texts[0]]
    raise place.error(
        f"column {name!r} holds no numbers; name the column of texts with --text, or those of numbers with --columns: "
        f"there are {list_names(header.names)}"
    )


def _report_number_columns(header: Header, inputs: Sequence[str], place: Location, report: Report) -> None:
    label = "" if header.label is None else f"label from {header.names[header.label]!r}, "
    left_out = [name for i, name in enumerate(header.names) if i != header.label and name not in inputs]
    rest = f"; left out: {list_names(left_out)}" if left_out else ""
    report(f"{place}: {label}numbers from {list_names(inputs)}{rest}")


def _choose_number_columns(
    header: Header, rows: Iterator[Row], fields: Fields, place: Location
) -> tuple[tuple[str, ...], Iterator[Row]]:
    """Return the columns of numbers to classify by: those of the model, the named ones, or all but the label."""
    if fields.inputs:
        missing = [name for name in fields.inputs if name not in header.names]
        if missing:
            raise place.error(f"no column {missing[0]!r}; there are {list_names(header.names)}")
        return fields.inputs, rows
    found, left_out = match_columns(fields.columns, header.names, place.file) if fields.columns else ((), ())
    label = None if header.label is None else header.names[header.label]
    inputs = tuple(name for name in found or header.names if name and name != label and name not in left_out)
    if not inputs:
        raise place.error(
            f"no column of numbers is left; choose others with --columns: there are {list_names(header.names)}"
        )
    return inputs, rows


def _parse_number_rows(
    rows: Iterator[Row], header: Header, columns: _NumberColumns, classes: Sequence[str], needs_targets: bool
) -> Iterator[Example]:
    for row in rows:
        if row.is_blank:
            continue
        if len(row.fields) != len(header.names):
            raise row.place.error(f"{len(row.fields)} columns, but the first line has {len(header.names)}")
        x = columns.parse_row(row)
        label = get_label(row, header, needs_targets)
        # scikit-learn's files number their classes from 0 and name them in the first line.
        if label and label.isdecimal() and int(label) < len(classes):
            label = classes[int(label)]
        yield Example(x, label, row.place, row.raw)


def _get_cell(row: Row, i: int) -> str:
    return row.fields[i].strip() if i < len(row.fields) else ""
