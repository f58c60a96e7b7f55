"""CSV files for classify: a column of labels, and a column of texts or several columns of numbers."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ...text.sources import Source, peek
from ..example import LARGEST, Example, Location
from .column_patterns import match_columns
from .delimited import TAB, Row, delimiter_of, quoted_rows
from .fields import ANY_FIELDS, Fields, Header, find_header, named_columns, positions, shown, tell_columns
from .text_pairs import header_record, label_of, named_rows


class LabelledTable(NamedTuple):
    """An open table.

    Attributes:
        records: One example a row, as they are read.
        inputs: Names of the columns of numbers; empty where a text is classified.
        header: Names of all columns.
        delimiter: The sign between columns.
    """

    records: Iterator[Example]
    inputs: tuple[str, ...]
    header: tuple[str, ...]
    delimiter: str


class _Layout(NamedTuple):
    header: Header
    rows: Iterator[Row]
    classes: tuple[str, ...] = ()  # names of the classes 0, 1, ...


def open_table(source: Source, answers: bool, fields: Fields) -> LabelledTable:
    """Open a CSV of labelled examples. Raises `InputError` for columns that cannot be told."""
    start, source = peek(source)
    text = start.decode("utf-8", "replace").lstrip("\ufeff")
    delimiter = delimiter_of(next((line for line in text.splitlines() if line.strip()), ""))
    rows = quoted_rows(source, delimiter)
    first = next((row for row in rows if not row.is_blank), None)
    if first is None:
        raise Location(source.name).error("empty; a table has a line of column names, then a row for each example")

    header, rows, classes = _layout(first, rows, fields, answers)
    if header.text is None and not fields.inputs and fields.columns is None:
        header, rows = _with_text(header, rows, fields, first.place)
    if header.text is not None:
        tell_columns(header, first.place, source.tell)
        return LabelledTable(named_rows(first, rows, header, answers, delimiter), (), header.names, delimiter)

    if header.is_data:
        rows = itertools.chain([first], rows)
    inputs, rows = _number_columns(header, rows, fields, first.place)
    label = "" if header.label is None else f"label from {header.names[header.label]!r}, "
    left = [name for i, name in enumerate(header.names) if i != header.label and name not in inputs]
    source.tell(f"{first.place}: {label}numbers from {shown(inputs)}" + (f"; left out: {shown(left)}" if left else ""))
    records = _number_rows(rows, header, inputs, classes, answers)
    if not (answers or header.is_data or classes):
        records = itertools.chain([header_record(first, header, delimiter)], records)
    return LabelledTable(records, inputs, header.names, delimiter)


def is_table(start: bytes, fields: Fields, answers: bool) -> bool:
    """Whether standard input that starts so is a CSV: its first line names the columns that are looked for."""
    line = next((line for line in start.decode("utf-8", "replace").lstrip("\ufeff").splitlines() if line.strip()), "")
    delimiter = delimiter_of(line)
    if delimiter == TAB or line.lstrip().startswith(("{", "[")):
        return False
    names = [name.strip().strip('"') for name in line.split(delimiter)]
    if fields.inputs:
        return set(fields.inputs) <= set(names) or _number(names[0]) is not None
    wanted = [name for name in (fields.label if answers else None, fields.text) if name is not None]
    if wanted:
        return set(wanted) <= set(names)
    return find_header(Row(Location("-"), line, names), ANY_FIELDS, answers) is not None


def _layout(first: Row, rows: Iterator[Row], fields: Fields, answers: bool) -> _Layout:
    """What the first line is: column names, an example, or the counts that scikit-learn's own files start with."""
    second = next(rows, None)
    rows = rows if second is None else itertools.chain([second], rows)
    counts = [field.strip() for field in first.fields[:2]]
    if second is not None and fields.text is None and len(counts) == 2 and all(count.isdecimal() for count in counts):
        features = int(counts[1])
        classes_named = len(first.fields) > 2 and all(_number(name) is None for name in first.fields[2:])
        if classes_named and len(second.fields) == features + 1:
            label = "label" if fields.label is None or fields.label.isdecimal() else fields.label  # it has no name here
            names = (*(f"x{i + 1}" for i in range(features)), label)
            return _Layout(Header(names, features, None), rows, tuple(name.strip() for name in first.fields[2:]))

    names = tuple(field.strip() for field in first.fields)
    by_position = any(wanted is not None and wanted.isdecimal() and wanted not in names
                      for wanted in (fields.label, fields.text))  # fmt: skip
    has_numbers = any(_number(name) is not None for name in names)
    if has_numbers or (by_position and find_header(first._replace(fields=list(names)), ANY_FIELDS, answers) is None):
        if not by_position and not fields.inputs:
            raise first.place.error(
                f"numbers where column names should be; add a line of names, or give positions: --label {len(names)}"
            )
        return _Layout(positions(first, fields), rows)
    _check_names(names, first.place)
    return _Layout(named_columns(names, fields, answers, first.place), rows)


def _check_names(names: Sequence[str], place: Location) -> None:
    for name in names:
        if not name.isprintable():
            raise place.error(f"the column name {name!r} has characters that cannot be printed; give it a plain name")
        if name and names.count(name) > 1:
            raise place.error(f"two columns are named {name!r}; give each a name of its own")


def _with_text(header: Header, rows: Iterator[Row], fields: Fields, place: Location) -> tuple[Header, Iterator[Row]]:
    """The header with its only column of texts, if there is one beside the label; all rows are read for that."""
    others = [i for i, name in enumerate(header.names) if i != header.label and name]
    if fields.takes_text:
        if len(others) != 1:
            raise place.error(f"no column is named text; name it with --text: there are {shown(header.names)}")
        return replace(header, text=others[0]), rows
    found = list(rows)
    texts = [i for i in others if not any(_cell(row, i) and _number(_cell(row, i)) is not None for row in found)]
    if not texts:
        return header, iter(found)
    if len(others) == 1:
        return replace(header, text=texts[0]), iter(found)
    name = header.names[texts[0]]
    raise place.error(
        f"column {name!r} holds no numbers; name the column of texts with --text, or those of numbers with --columns: "
        f"there are {shown(header.names)}"
    )


def _number_columns(
    header: Header, rows: Iterator[Row], fields: Fields, place: Location
) -> tuple[tuple[str, ...], Iterator[Row]]:
    """The columns of numbers to classify by: those of the model, those that were named, or all but the label."""
    if fields.inputs:
        missing = [name for name in fields.inputs if name not in header.names]
        if missing:
            raise place.error(f"no column {missing[0]!r}; there are {shown(header.names)}")
        return fields.inputs, rows
    found, left_out = match_columns(fields.columns, header.names, place.file) if fields.columns else ((), ())
    label = None if header.label is None else header.names[header.label]
    inputs = tuple(name for name in found or header.names if name and name != label and name not in left_out)
    if not inputs:
        raise place.error(
            f"no column of numbers is left; choose others with --columns: there are {shown(header.names)}"
        )
    return inputs, rows


def _number_rows(
    rows: Iterator[Row], header: Header, inputs: Sequence[str], classes: Sequence[str], answers: bool
) -> Iterator[Example]:
    at = [header.names.index(name) for name in inputs]
    for row in rows:
        if row.is_blank:
            continue
        if len(row.fields) != len(header.names):
            raise row.place.error(f"{len(row.fields)} columns, but the first line has {len(header.names)}")
        x = np.array([[_checked(row.fields[i].strip(), header.names[i], row.place) for i in at]], np.float64)
        label = label_of(row, header, answers)
        if label and label.isdecimal() and int(label) < len(classes):
            label = classes[int(label)]
        yield Example(x, label, row.place, row.raw)


def _cell(row: Row, i: int) -> str:
    return row.fields[i].strip() if i < len(row.fields) else ""


def _checked(field: str, name: str, place: Location) -> float:
    number = _number(field)
    if number is None or math.isnan(number):
        raise place.error(
            f"column {name!r} has {field[:40]!r} where a number should be; fill it in, leave the row out, or name the "
            "columns to use with --columns"
        )
    if abs(number) > LARGEST:
        raise place.error(f"column {name!r} has {field[:40]}; it must be at most {LARGEST:g}")
    return number


def _number(field: str) -> float | None:
    try:
        return None if "_" in field else float(field)
    except ValueError:
        return None
