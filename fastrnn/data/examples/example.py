"""Labelled examples, their locations in files, and their split into training and validation data.

Readers create them; `numericalize` encodes them. Permutations do not depend on the version of NumPy.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import InputError, escape
from ..text.decoding import LineSplitter, Utf8Decoder
from ..text.sources import Source

# Largest magnitude of a number in a file. float64 can represent its square, and float32 the number itself.
LARGEST = 1e30
_BYTE_ORDER_MARK = "\ufeff"
Positions = npt.NDArray[np.int64]


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
        x: The input. None for a blank line, for which prediction writes a blank line.
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
class JsonExample(Example):
    """An example whose ``raw`` is a JSON object on one line."""


@dataclass(frozen=True, eq=False)
class ExampleSet:
    """Examples of one task, in the order in which they were read.

    Attributes:
        task: Name of the task.
        items: The examples.
        needs_targets: Whether every example must have a target, for training and evaluation; else any may lack one.
        inputs: Names of the dense input columns.
        outputs: Names of the dense target columns.
        header: All column names of a table, in the order of `Example.raw`.
        remarks: Decisions made while reading, for the user.
        delimiter: Column separator of a text file.
    """

    task: str
    items: list[Example]
    needs_targets: bool = True
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
    utf8 = Utf8Decoder(source.name)
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


def permutation(n: int, *key: object) -> Positions:
    """Return a permutation of 0..n-1 determined by the key."""
    name = " ".join(map(str, ("fastrnn", *key)))
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=16).digest())

    # The raw output of PCG64 and a stable sort are the same in every version of NumPy.
    # The methods of numpy.random.Generator are not: NEP 19 allows them to change.
    random_keys = np.random.PCG64(seed).random_raw(n) if n else np.empty(0, np.uint64)
    return np.argsort(random_keys, kind="stable").astype(np.int64)


def split_rows(n: int, valid: float, seed: int) -> tuple[Positions, Positions]:
    """Return the sorted training rows and the ``round(valid * n)`` sorted validation rows.

    At least one row is left for training.
    """
    count = min(round(valid * n), n - 1)
    order = permutation(n, "split", seed)
    return np.sort(order[count:]), np.sort(order[:count])


def training_rows(n: int, valid: float, seed: int) -> Positions:
    """Return the sorted training rows of `split_rows`."""
    return split_rows(n, valid, seed)[0]


def sample_rows(n: int, count: int, seed: int) -> Positions:
    """Return ``count`` random rows, sorted; all of them if ``n`` is smaller."""
    return np.sort(permutation(n, "some", seed)[:count])
