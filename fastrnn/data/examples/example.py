"""Labelled examples and their locations in files. Readers create them; `numericalize` encodes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...errors import InputError, escape
from ..text.decoding import LineSplitter, Utf8Decoder
from ..text.sources import Source

# Largest magnitude of a number in a file. float64 can represent its square, and float32 the number itself.
LARGEST = 1e30
_BYTE_ORDER_MARK = "\ufeff"


class Location(NamedTuple):
    """A file and the line at which an example starts, counted from 1; 0 for a file without lines."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{escape(self.file)}:{self.line}" if self.line else escape(self.file)

    def error(self, message: str) -> InputError:
        """Return an error that starts with this location; the message names the problem and a remedy."""
        return InputError(f"{self}: {escape(message)}")


@dataclass(frozen=True, eq=False)
class Example:
    """One example of a labelled task.

    | task | x | y |
    | --- | --- | --- |
    | tag | words | their tags |
    | classify | text, or array (T, F) | label |
    | generate | label, or array (K,) | text |
    | translate | source text | target text |
    | regress | array (T, F) | array (T, K), NaN where not scored |
    | forecast | `Series` | None |

    Attributes:
        x: The input. None for a blank line, to which prediction answers with a blank line.
        y: The target, None if there is none.
        place: Where the example starts in its file.
        raw: The text that the example was read from, without its last line break.
    """

    x: Any
    y: Any
    place: Location
    raw: str = ""

    @property
    def is_blank(self) -> bool:
        """Whether this is the placeholder of a blank line."""
        return self.x is None


@dataclass(frozen=True, eq=False)
class ExampleSet:
    """Examples of one task, in the order in which they were read.

    Attributes:
        task: Name of the task.
        items: The examples.
        answers: Whether every example must have a target.
        inputs: Names of the dense input columns.
        outputs: Names of the dense target columns.
        header: All column names of a table, in the order of `Example.raw`.
        remarks: Decisions made while reading, for the user.
        delimiter: Column separator of a text file.
    """

    task: str
    items: list[Example]
    answers: bool = True
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    delimiter: str = "\t"

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.items)


def read_lines(source: Source) -> Iterator[tuple[Location, str]]:
    """Yield the lines of a text with their locations, without line ends (LF, CRLF or CR).

    A byte order mark at the start is dropped. Raises `InputError` if the text is not UTF-8.
    """
    utf8 = Utf8Decoder(source.name, "save it as UTF-8")
    splitter = LineSplitter(lambda message: source.report(f"{escape(source.name)}: {message}"))
    number = 0
    for text, is_last in _decode_chunks(source, utf8):
        for line in splitter.feed(text, is_last):
            number += 1
            yield Location(source.name, number), line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line


def _decode_chunks(source: Source, utf8: Utf8Decoder) -> Iterator[tuple[str, bool]]:
    """Yield (piece of text, whether it is the last)."""
    for chunk in source.chunks():
        yield utf8.feed(chunk), False
    yield utf8.feed(b"", final=True), True
