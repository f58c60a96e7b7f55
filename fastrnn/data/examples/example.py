"""One example of a labelled task as it was read, and where it stood; readers make these, `vocabulary` encodes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...errors import InputError
from ..text.decoding import readable
from ..text.files import Utf8Decoder
from ..text.line_ends import LineSplitter
from ..text.sources import Source

LARGEST = 1e30  # of a number in a file: its square still fits into float64, and itself into float32
_BYTE_ORDER_MARK = "\ufeff"


class Location(NamedTuple):
    """A file, and the line in it that a record starts at (0: the file has no lines)."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{readable(self.file)}:{self.line}" if self.line else readable(self.file)

    def error(self, message: str) -> InputError:
        """The error about this place; the message says what was wrong and what would be right."""
        return InputError(f"{self}: {readable(message)}")


@dataclass(frozen=True, eq=False)
class Example:
    """One example.

    | task | x | y |
    | --- | --- | --- |
    | tag | words | their tags |
    | classify | text, or array (T, F) | label |
    | generate | label, or array (K,) | text |
    | translate | source text | target text |
    | regress | array (T, F) | array (T, K), NaN where nothing is scored |
    | forecast | `Series` | None |

    ``y`` is None where the answer is not there; ``raw`` is the text that it was read from, without its last line break.
    ``x`` is None for a blank line, which prediction answers with a blank line.
    """

    x: Any
    y: Any
    place: Location
    raw: str = ""

    @property
    def is_blank(self) -> bool:
        """Whether this stands for a blank line and not for an example."""
        return self.x is None


@dataclass(frozen=True, eq=False)
class ExampleSet:
    """Examples in the order in which they were read.

    ``answers``: whether each must have its answer. ``inputs``, ``outputs``: the names of dense columns;
    ``header``: all columns of a table, as ``raw`` has them; ``delimiter``: the sign between columns of a text.
    ``remarks``: what was decided while reading, for the user.
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


def lines(source: Source) -> Iterator[tuple[Location, str]]:
    """The lines of a text with their places, without line ends (LF, CRLF or CR).

    A byte order mark at the start is left out. Raises `InputError` for what is not UTF-8.
    """
    utf8, number = Utf8Decoder(source.name, "save it as UTF-8"), 0
    splitter = LineSplitter(lambda message: source.tell(f"{readable(source.name)}: {message}"))
    for text, final in _texts(source, utf8):
        for line in splitter.feed(text, final):
            number += 1
            yield Location(source.name, number), line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line


def _texts(source: Source, utf8: Utf8Decoder) -> Iterator[tuple[str, bool]]:
    """Pieces of text, and whether each is the last."""
    for chunk in source.chunks():
        yield utf8.feed(chunk), False
    yield utf8.feed(b"", final=True), True
