"""Rows of delimited text files (tab-separated or CSV), and the columns that hold label and text or match --columns."""

import csv
import fnmatch
import itertools
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ....errors import InputError, nearest
from ...text.sources import Report, Source, ignore_report, peek
from ..example import Example, Location, read_lines

TAB = "\t"
_DELIMITERS = (",", ";", TAB, "|")
_SEPARATOR_LINE = re.compile(r"sep=.\s*")
_FIELD_LIMIT = 1 << 30  # characters; the csv module's own limit of 131,072 is below the length of some texts
# A quoted field with a doubled quotation mark inside: CSV writers make these, people who type a text do not.
_DOUBLED = re.compile(r'(?:^|\t)"(?:[^"\n]|"")*""(?:[^"\n]|"")*"(?=\t|$)', re.MULTILINE)
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_LABEL_NAMES = (
    "label", "labels", "class", "category", "target", "tag", "sentiment", "polarity", "topic", "intent", "y",
)  # fmt: skip
_TEXT_NAMES = (
    "text", "texts", "sentence", "review", "content", "message", "document", "comment", "body", "title", "tweet",
    "utterance", "query", "question", "description", "x",
)  # fmt: skip
# Names that make the first line of a tab-separated file a header: a pair that is hardly ever an example.
_PLAIN_LABELS = ("label", "labels", "class", "category", "target", "sentiment")
_PLAIN_TEXTS = ("text", "texts", "sentence", "review", "content", "message", "comment", "document", "tweet")
_SHOWN = 8  # names in a message
_PATTERN = re.compile(r'\s*(!?)\s*(?:"((?:[^"]|"")*)"|([^,]*?))\s*(?:,|$)')


class Row(NamedTuple):
    """One row: where it starts, its text as written (``raw``), and its fields. A blank line has no fields."""

    place: Location
    raw: str
    fields: list[str]

    @property
    def is_blank(self) -> bool:
        """Whether the line holds nothing but blanks."""
        return not self.raw.strip()


def read_tsv_rows(source: Source) -> Iterator[Row]:
    """Yield rows of a tab-separated file.

    Quotation marks are part of the text unless the first chunk shows a quoted file (`is_quoted`); then fields are
    unquoted, and a message is reported to the user.
    """
    start, source = peek(source)
    text = start.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return _read_unquoted_tsv(source) if not is_quoted(text) else _read_quoted_tsv(source)


def _read_unquoted_tsv(source: Source) -> Iterator[Row]:
    has_reported = False
    for place, line in read_lines(source):
        if not has_reported and '""' in line and _DOUBLED.search(line):
            has_reported = True
            source.report(f"{place}: quotation marks are read as part of the text; the file does not begin as quoted")
        yield Row(place, line, line.split(TAB))


def _read_quoted_tsv(source: Source) -> Iterator[Row]:
    source.report(f'{Location(source.name)}: fields in quotation marks are read without the marks ("" means one)')
    for row in read_quoted_rows(source, TAB):
        yield row._replace(raw=TAB.join(map(_quote_field, row.fields))) if row.fields else row


def is_quoted(start: str) -> bool:
    """Whether the start of a tab-separated file shows that its fields are quoted.

    Evidence is a quoted field with doubled marks inside, marks around the first of several fields in every row, or
    rows that have equally many fields only if quotation marks are honoured.
    """
    *whole, last = start.split("\n")
    whole = whole or [last]  # the last line may be cut off by the end of the chunk
    rows = [line.split(TAB) for line in whole if line.strip()]
    if '"' not in start or not rows:
        return False
    if _DOUBLED.search(start):
        return True
    if all(len(row) > 1 and _QUOTED.fullmatch(row[0]) for row in rows):
        return True
    if len({len(row) for row in rows}) == 1:
        return False
    return len(set(_count_quoted_fields(whole))) == 1


def _count_quoted_fields(lines: list[str]) -> Iterator[int]:
    """Yield the number of fields in each row by CSV quoting; 0 for an error before the last, cut-off row."""
    try:
        for row in csv.reader((line + "\n" for line in lines), delimiter=TAB, strict=True):
            if row:
                yield len(row)
    except csv.Error as error:
        if "unexpected end" not in str(error):
            yield 0


def read_quoted_rows(source: Source, delimiter: str) -> Iterator[Row]:
    """Yield rows with CSV quoting; a quoted field may hold delimiters and line breaks. Raises `InputError`."""
    csv.field_size_limit(max(csv.field_size_limit(), _FIELD_LIMIT))
    pending: list[tuple[Location, str]] = []

    # The csv module reads the lines of one row at a time: they are kept for its location and raw text.
    def pull_lines() -> Iterator[str]:
        for place, line in read_lines(source):
            pending.append((place, line))
            yield line + "\n"

    reader = csv.reader(pull_lines(), delimiter=delimiter, strict=True, skipinitialspace=delimiter != TAB)
    while True:
        pending.clear()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            place = pending[0][0] if pending else Location(source.name)
            raise place.error(
                f"quotation marks do not match ({error}); double each mark inside a quoted field, and close the field"
            ) from None
        yield Row(pending[0][0], "\n".join(line for _, line in pending), fields)


def guess_delimiter(line: str) -> str:
    """Return the delimiter of a header line: the most frequent of comma, semicolon, tab and bar."""
    return max(_DELIMITERS, key=line.count)


def is_separator_line(line: str) -> bool:
    """Whether this is the line ``sep=;`` with which spreadsheets begin a file; it names the delimiter."""
    return _SEPARATOR_LINE.fullmatch(line) is not None


def make_blank_example(place: Location, raw: str = "") -> Example:
    """Return the placeholder of a line that is not an example; prediction copies it to its output."""
    return Example(None, None, place, raw)


def require_text(field: str, name: str, place: Location) -> str:
    """Return the field. Raises `InputError` if it is blank."""
    if not field.strip():
        raise place.error(f"the {name} is empty; give it or leave the line out")
    return field


def describe_count(columns: int) -> str:
    """Format a number of columns for a message."""
    return "one column" if columns == 1 else f"{columns} columns"


def _quote_field(field: str) -> str:
    """Return the field as written to a tab-separated file: quoted only if necessary."""
    if TAB in field or "\n" in field or field.startswith('"'):
        return '"' + field.replace('"', '""') + '"'
    return field


@dataclass(frozen=True)
class Fields:
    """Columns of labelled data, as requested by the user or required by a trained model.

    Attributes:
        label: Name of the label's column or key, or its position, counted from 1.
        text: Name of the text's column or key, or its position, counted from 1.
        columns: Names or globs of the columns of numbers to classify by.
        inputs: Exact names of these columns for a trained model.
        known: Labels of a trained model; further columns with these are its predictions.
        takes_text: Whether a trained model classifies texts rather than numbers.
        required: Whether ``label`` and ``text`` must exist; False for those of a trained model, which other files may
            lack.
    """

    label: str | None = None
    text: str | None = None
    columns: str | None = None
    inputs: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    takes_text: bool = False
    required: bool = True

    def are_predictions(self, fields: Sequence[str]) -> bool:
        """Whether these further fields are earlier predictions: known labels and probabilities."""
        return bool(self.known) and all(field.strip() in self.known or _is_probability(field) for field in fields)


ANY_FIELDS = Fields()


@dataclass(frozen=True)
class Header:
    """The columns of a table: their names, and which of them hold label and text.

    Attributes:
        names: Of all columns.
        label: Index of the label's column, None if there is none.
        text: Index of the text's column, None for a table of numbers.
        is_data: Whether the first row is an example, and the names are made up.
    """

    names: tuple[str, ...]
    label: int | None
    text: int | None
    is_data: bool = False


def find_header(row: Row, fields: Fields, needs_targets: bool) -> Header | None:
    """Return the header in the first row of a tab-separated file; None if that row is an example.

    A header holds a requested name, or well-known names of both label and text.
    Raises `InputError` if a required name is missing.
    """
    names = tuple(field.strip() for field in row.fields)
    if any(wanted is not None and wanted in names for wanted in (fields.label, fields.text)):
        return header_by_name(names, fields, needs_targets, row.place)
    if fields.required and any(wanted and not wanted.isdecimal() for wanted in (fields.label, fields.text)):
        return header_by_name(names, fields, needs_targets, row.place)  # raises the error for the missing name
    lowered = [name.lower() for name in names]
    # Both names are needed: a row "class TAB hello" may be an example.
    text, label = _find_well_known(lowered, _PLAIN_TEXTS), _find_well_known(lowered, _PLAIN_LABELS)
    if text is not None and label is not None:
        return Header(names, label, text)
    if (fields.label or fields.text) and (fields.required or _has_positions(row, fields)):
        return header_by_position(row, fields)
    return None


def _has_positions(row: Row, fields: Fields) -> bool:
    """Whether label and text are given by their positions, and a row of several columns has these."""
    width = len(row.fields)
    given = [wanted for wanted in (fields.label, fields.text) if wanted is not None]
    return width > 1 and all(wanted.isdecimal() and 1 <= int(wanted) <= width for wanted in given)


def header_by_name(names: tuple[str, ...], fields: Fields, needs_targets: bool, place: Location) -> Header:
    """Find the columns of label and text in a header: the requested ones, else those with well-known names.

    Raises `InputError` if ``needs_targets`` and no label is found, or a required name is missing.
    """
    lowered = [name.lower() for name in names]
    label = _find_position(fields.label, names, fields.required and needs_targets, "--label", place)
    if label is None and (fields.label is None or not fields.required):
        label = _find_well_known(lowered, _LABEL_NAMES)
    text = _find_position(fields.text, names, fields.required, "--text", place)
    if text is None and not fields.inputs and not fields.columns:
        # A column cannot be both: the label's is not considered again.
        text = _find_well_known([name if i != label else "" for i, name in enumerate(lowered)], _TEXT_NAMES)
    if label is None and needs_targets:
        raise place.error(f"no column is named label or class; name it with --label: there are {list_names(names)}")
    return Header(names, label, text)


def header_by_position(row: Row, fields: Fields) -> Header:
    """Find the columns of label and text in a file without a header.

    Raises `InputError` for a position out of range.
    """
    width = len(row.fields)
    found: list[int | None] = []
    for option, wanted in (("--label", fields.label), ("--text", fields.text)):
        if wanted is not None and not (wanted.isdecimal() and 1 <= int(wanted) <= max(width, 1)):
            raise row.place.error(f"{option} {wanted}: this file has no header; give a position from 1 to {width}")
        found.append(None if wanted is None else int(wanted) - 1)
    label, text = found
    if width == 2 and (label is None) != (text is None):  # one of two columns is known: the other is the other
        label, text = (1 - text if text is not None else label), (1 - label if label is not None else text)
    return Header(tuple(f"x{i + 1}" for i in range(width)), label, text, is_data=True)


def list_names(names: Sequence[str]) -> str:
    """Return column names for a message, the first few of them."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def make_unique_name(name: str, taken: Container[str]) -> str:
    """Return the name, with a number appended if it is taken."""
    numbered = (f"{name}_{i}" for i in itertools.count(2))
    return name if name not in taken else next(other for other in numbered if other not in taken)


def report_columns(header: Header, place: Location, report: Report = ignore_report) -> None:
    """Report the columns that are read and those that are left out."""
    label, text = header.label, header.text
    left = [name for i, name in enumerate(header.names) if i not in (label, text)]
    read = [f"{role} from {header.names[i]!r}" for role, i in (("label", label), ("text", text)) if i is not None]
    rest = f"; left out: {list_names(left)}" if left else ""
    first = "no header: positions of columns" if header.is_data else "read as column names"
    report(f"{place}: {first}; {', '.join(read)}{rest}")


def _find_position(
    wanted: str | None, names: Sequence[str], required: bool, option: str, place: Location
) -> int | None:
    if wanted is None:
        return None
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    if required:
        raise place.error(
            f"{option}: no column {wanted!r}{nearest(wanted, names) or '; there are ' + list_names(names)}"
        )
    return None


def _find_well_known(lowered: Sequence[str], names: Sequence[str]) -> int | None:
    """Return the column with the best-known name: ``names`` are in order of preference."""
    return next((lowered.index(name) for name in names if name in lowered), None)


def _is_probability(field: str) -> bool:
    try:
        return 0 <= float(field) <= 1
    except ValueError:
        return False


def match_columns(patterns: str, header: Sequence[str], file: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns that match comma-separated names or globs, in that order, and those excluded by ``!``.

    A name with a comma in it is written in double quotes. Raises `InputError`.
    """
    # The value may be one column's name with a comma, * or ! in it.
    if patterns.strip() in header:
        return (patterns.strip(),), ()
    found: dict[str, None] = {}
    excluded_names: dict[str, None] = {}
    seen = set()
    for pattern, excluded in _split_patterns(patterns, header):
        if (pattern, excluded) in seen:
            raise InputError(f"--columns names {pattern!r} twice; name each column once")
        seen.add((pattern, excluded))
        # An exact name wins over its reading as a glob: names such as "y[1]" are common.
        names = [name for name in header if name == pattern] or fnmatch.filter(header, pattern)
        if not names:
            raise Location(file).error(f"no column {pattern!r}{near_column(pattern, header)}")
        (excluded_names if excluded else found).update(dict.fromkeys(names))
    return tuple(name for name in found if name not in excluded_names), tuple(excluded_names)


def near_column(name: str, header: Sequence[str]) -> str:
    """Return a suggestion for an error message; a name with a comma in it is quoted as --columns requires."""
    names = [f'"{known}"' if "," in known else known for known in header]
    parts = [shown for shown in names if name and name in re.split(r"\s*,\s*", shown.strip('"')) and "," in shown]
    if parts:
        return f"; did you mean {parts[0]}, with the quotation marks?"
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return nearest(name, names) or f"; there are {shown}"


def _split_patterns(patterns: str, header: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield the patterns of --columns, and whether each excludes columns."""
    at = 0
    while at < len(patterns):
        match = _PATTERN.match(patterns, at)
        if match is None:
            raise InputError(f"--columns {patterns!r}: close the quotation marks, and put a comma after them")
        at = match.end()
        excluded, quoted, plain = match.groups()
        name = quoted.replace('""', '"') if quoted is not None else plain
        # A column may itself be called "!name".
        if f"{excluded}{name}" in header:
            yield f"{excluded}{name}", False
        elif name:
            yield name, bool(excluded)
