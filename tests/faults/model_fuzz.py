"""Coverage-guided fuzzing of the reader of model files, with a small fuzzer of our own.

    python tests/faults/model_fuzz.py --minutes 60

Starts from the valid files of `model_samples.py`, and keeps every mutated file that reaches a new branch (a new pair of
consecutive lines), to mutate it further. Each file must be refused with one clear line, or be a valid model that saves
to the same content.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from file_damage import DAMAGES
from model_samples import samples, sealed, take_apart

import fastrnn
from fastrnn.checkpoint.checkpoint import Checkpoint, from_bytes, to_bytes
from fastrnn.errors import CheckpointError

ROOT = str(Path(fastrnn.__file__).parent)
MOST_BYTES = 200_000  # of a file that is kept
Edge = tuple[str, int, int]


class Coverage:
    """The ways between lines of `fastrnn` that a call takes."""

    def __init__(self) -> None:
        self.edges: set[Edge] = set()

    def of(self, call: Callable[[], Any]) -> tuple[Any, set[Edge]]:
        """The call's result, and its edges."""
        self.edges, before = set(), sys.gettrace()
        sys.settrace(self._frame)
        try:
            return call(), self.edges
        finally:
            sys.settrace(before)

    def _frame(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(ROOT):
            return None
        last = frame.f_code.co_firstlineno

        def line(frame: FrameType, event: str, _arg: Any) -> Any:
            nonlocal last
            if event == "line":
                self.edges.add((name, last, frame.f_lineno))
                last = frame.f_lineno
            return line

        return line


def read(data: bytes) -> Checkpoint | str:
    """The checkpoint, or the line with which it is refused."""
    try:
        return from_bytes(data, "x")
    except CheckpointError as error:
        return str(error)


def mutant(files: list[bytes], rng: random.Random) -> bytes:
    """One of the files, the later ones more often, mutated once or a few times, often with its digests made right."""
    file = files[max(rng.randrange(len(files)), rng.randrange(len(files)))]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        before = file
        try:
            file = rng.choice(list(DAMAGES.values()))(file, rng)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            file = before  # too damaged to be taken apart
    if rng.random() < 0.4:
        try:
            file = sealed(*take_apart(file))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return file
    return file


def fuzzed(seconds: float, seed: int = 0) -> str:
    """So many seconds of it."""
    rng, coverage, files = random.Random(seed), Coverage(), list(samples().values())
    known: set[Edge] = set()
    for file in files:
        known |= coverage.of(lambda file=file: read(file))[1]
    first, tried, sound, last = len(known), 0, 0, 0.0
    begun = time.monotonic()
    while (now := time.monotonic() - begun) < seconds:
        file = mutant(files, rng)
        cpu = time.thread_time()
        found, edges = coverage.of(lambda file=file: read(file))
        assert time.thread_time() - cpu < 30, len(file)  # tracing makes it some thirty times slower
        tried += 1
        if isinstance(found, str):
            assert found.startswith("x: ")
            assert found.isprintable()
        else:
            sound += 1
            assert to_bytes(from_bytes(to_bytes(found))) == to_bytes(found)
        if not edges <= known:
            known |= edges
            last = now
            if len(file) < MOST_BYTES:
                files.append(file)
    return (
        f"{seconds / 60:.1f} minutes of fuzzing: {tried:,} files, 0 crashes ({sound:,} sound); ways through the reader "
        f"{first:,} -> {len(known):,}, the last new one after {last / 60:.1f} minutes"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(fuzzed(60 * chosen.minutes, chosen.seed))


if __name__ == "__main__":
    main()
