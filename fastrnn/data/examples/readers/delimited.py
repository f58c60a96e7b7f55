"""Rows of delimited text files: tab-separated or CSV, with or without quotation marks around fields."""

import csv
import re
from collections.abc import Iterator
from typing import NamedTuple

from ...text.sources import Source, peek
from ..example import Example, Location, read_lines

TAB = "\t"
_DELIMITERS = (",", ";", TAB)
_FIELD_LIMIT = 1 << 30  # characters; the csv module's own limit of 131,072 is below the length of some texts
# A quoted field with a doubled quotation mark inside: CSV writers make these, people who type a text do not.
_DOUBLED = re.compile(r'(?:^|\t)"(?:[^"\n]|"")*""(?:[^"\n]|"")*"(?=\t|$)', re.MULTILINE)
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


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
    """Return the delimiter of a header line: the most frequent of comma, semicolon and tab."""
    return max(_DELIMITERS, key=line.count)


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
