"""Rows of text files with a delimiter: tab-separated or CSV, with or without quotation marks around fields."""

import csv
import re
from collections.abc import Iterator
from typing import NamedTuple

from ...text.sources import Source, peek
from ..example import Location, lines

TAB = "\t"
_DELIMITERS = (",", ";", TAB)
_FIELD_LIMIT = 1 << 30  # characters; the csv module's own limit of 131,072 is below the length of some texts
# A quoted field that holds a doubled quotation mark: nobody writes that by hand around a text.
_DOUBLED = re.compile(r'(?:^|\t)"(?:[^"\n]|"")*""(?:[^"\n]|"")*"(?=\t|$)', re.MULTILINE)
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


class Row(NamedTuple):
    """The fields of a row, where it starts and how it is written (``raw``). A blank line has no fields."""

    place: Location
    raw: str
    fields: list[str]

    @property
    def is_blank(self) -> bool:
        return not self.raw.strip()


def tab_separated(source: Source) -> Iterator[Row]:
    """Rows of a tab-separated file; quotation marks are part of the text, unless the file is a quoted one.

    Whether it is shows in its first chunk, see `is_quoted`; then fields are unquoted, and the user is told.
    """
    start, source = peek(source)
    text = start.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    if not is_quoted(text):
        told = False
        for place, line in lines(source):
            if not told and '""' in line and _DOUBLED.search(line):
                told = True
                source.tell(f"{place}: quotation marks are read as part of the text; the file does not begin as quoted")
            yield Row(place, line, line.split(TAB))
        return
    source.tell(f'{Location(source.name)}: fields in quotation marks are read without the marks ("" stands for one)')
    for row in quoted_rows(source, TAB):
        yield row._replace(raw=TAB.join(map(_quote_if_needed, row.fields))) if row.fields else row


def is_quoted(start: str) -> bool:
    """Whether the start of a tab-separated file shows that its fields are quoted.

    Signs are a quoted field with doubled marks inside; marks around every first field of several; or rows that have
    the same number of fields only if quotation marks are honoured.
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
    return len(set(_widths_if_quoted(whole))) == 1


def _widths_if_quoted(lines: list[str]) -> Iterator[int]:
    """Fields in each row by CSV quoting; 0 where that fails before the last row, which may be cut off."""
    try:
        for row in csv.reader((line + "\n" for line in lines), delimiter=TAB, strict=True):
            if row:
                yield len(row)
    except csv.Error as error:
        if "unexpected end" not in str(error):
            yield 0


def quoted_rows(source: Source, delimiter: str) -> Iterator[Row]:
    """Rows with CSV quoting; a quoted field may hold delimiters and line breaks. Raises `InputError`."""
    csv.field_size_limit(max(csv.field_size_limit(), _FIELD_LIMIT))
    pending: list[tuple[Location, str]] = []

    def feed() -> Iterator[str]:
        for place, line in lines(source):
            pending.append((place, line))
            yield line + "\n"

    reader = csv.reader(feed(), delimiter=delimiter, strict=True, skipinitialspace=delimiter != TAB)
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


def delimiter_of(line: str) -> str:
    """What separates the columns of a header line: the most frequent of comma, semicolon and tab."""
    return max(_DELIMITERS, key=line.count)


def _quote_if_needed(field: str) -> str:
    """The field as a tab-separated file holds it: quoted only where it must be."""
    if TAB in field or "\n" in field or field.startswith('"'):
        return '"' + field.replace('"', '""') + '"'
    return field
