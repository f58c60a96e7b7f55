"""One example of a labelled task as it was read, and where it stood; readers make these, `vocabulary` encodes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors import InputError
from .characters import readable
from .sources import Source
from .text import Utf8

LARGEST = 1e30  # of a number in a file: its square still fits into float64, and itself into float32
_BYTE_ORDER_MARK = "\ufeff"


class Place(NamedTuple):
    """A file, and the line in it that a record starts at (0: the file has no lines)."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{readable(self.file)}:{self.line}" if self.line else readable(self.file)

    def error(self, message: str) -> InputError:
        """The error about this place; the message says what was wrong and what would be right."""
        return InputError(f"{self}: {readable(message)}")


@dataclass(frozen=True, eq=False)
class Record:
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
    """

    x: Any
    y: Any
    place: Place
    raw: str = ""


@dataclass(frozen=True, eq=False)
class Records:
    """Examples in the order in which they were read.

    ``answers``: whether each must have its answer. ``inputs``, ``outputs``: the names of dense columns;
    ``header``: all columns of a table, as ``raw`` has them. ``remarks``: what was decided while reading, for the user.
    """

    task: str
    items: list[Record]
    answers: bool = True
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.items)


def lines(source: Source) -> Iterator[tuple[Place, str]]:
    """The lines of a text with their places, without line breaks; a byte order mark at the start is left out.

    Raises `InputError` for what is not UTF-8.
    """
    utf8, rest, number = Utf8(source.name, "save it as UTF-8"), "", 0
    for text in _texts(source, utf8):
        *whole, rest = (rest + text).split("\n")
        for line in whole:
            number += 1
            yield Place(source.name, number), _plain(line, number)
    if rest:
        yield Place(source.name, number + 1), _plain(rest, number + 1)


def _texts(source: Source, utf8: Utf8) -> Iterator[str]:
    for chunk in source.chunks():
        yield utf8.feed(chunk)
    yield utf8.feed(b"", final=True)


def _plain(line: str, number: int) -> str:
    return (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).removesuffix("\r")
