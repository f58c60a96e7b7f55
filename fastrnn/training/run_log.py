"""``log.jsonl``: one JSON object per line, written at once, readable even after a full disk or a kill."""

import contextlib
import json
import math
import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from ..checkpoint.run_dir import RunFolder, open_log, read_at
from ..errors import OutputError
from .callbacks import Callback

_BLOCK = 1 << 16
_MOST_PENDING = 1 << 20  # bytes kept in memory while the disk is full


class RunLog:
    """Appends to a log, after the last complete line if a kill left half of one.

    Holds a lock while it is open, so that two processes cannot train in one run folder. Raises `OutputError` if the
    file cannot be opened or another process holds the lock. A later write that fails does not raise: `warn` is called
    once with a line, and the records are kept and written with the next ones.
    """

    def __init__(
        self, path: str | os.PathLike[str], warn: Callable[[str], None], descriptor: int | None = None
    ) -> None:
        """``descriptor``: what `create_log` returned for this path, if the run is new."""
        self._path = os.fspath(path)
        self._warn: Callable[[str], None] | None = warn
        self._pending = b""
        self._torn = False  # a failed write may have left half a line
        try:
            self._descriptor = open_log(path) if descriptor is None else descriptor
        except BlockingIOError:
            raise OutputError(f"{self._path}: another process is training in this run folder; choose another") from None
        except OSError as error:
            raise OutputError(f"{self._path}: cannot write this log: {error.strerror}") from None
        try:
            self._end = _complete_length(self._descriptor)
            os.ftruncate(self._descriptor, self._end)
        except OSError as error:
            os.close(self._descriptor)
            raise OutputError(f"{self._path}: cannot write this log: {error.strerror}") from None

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one object; NaN and infinity, which JSON lacks, become null."""
        self._pending += json.dumps(_plain(record), allow_nan=False).encode("ascii") + b"\n"
        self._flush_lines()

    def close(self) -> None:
        """Try once more to write pending records; release the lock."""
        if self._descriptor >= 0:
            if self._pending:
                self._flush_lines()
            descriptor, self._descriptor = self._descriptor, -1
            try:
                os.close(descriptor)
            except OSError as error:
                self._warn_once(error)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _flush_lines(self) -> None:
        try:
            if self._torn:
                os.ftruncate(self._descriptor, self._end)
            # Set before the first byte and cleared after the last, so that an exception in between leaves it set.
            self._torn = True
            rest = memoryview(self._pending)
            while rest:
                # A nearly full disk may take only a part.
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self._discard_partial(error)
        else:
            self._end += len(self._pending)
            self._pending, self._torn = b"", False

    def _discard_partial(self, error: OSError) -> None:
        """Truncate a partial write, so that the file ends with a complete line; the records stay pending."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, self._end)
        # The disk has been full for long: old lines are worth less than the memory they take.
        if len(self._pending) > _MOST_PENDING:
            self._pending = b""
        self._warn_once(error)

    def _warn_once(self, error: OSError) -> None:
        if self._warn:
            warn, self._warn = self._warn, None
            warn(f"{self._path}: cannot write the log ({error.strerror}); training continues; free some space")


class NoLog:
    """The log of the ranks other than 0: writes nothing."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Do nothing."""

    def __enter__(self) -> "NoLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: no file is open."""


def _complete_length(descriptor: int) -> int:
    """Return the length of a file up to the end of its last complete line."""
    # Searched from the end: a log may be large, and only its last line can be incomplete.
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _BLOCK)
        newline = read_at(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _plain(value: Any) -> Any:
    """Convert a value to the types of JSON."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


class RunOutput(NamedTuple):
    """Where a run writes and reports to."""

    folder: RunFolder
    log: RunLog | NoLog
    callback: Callback
