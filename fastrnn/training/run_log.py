"""``log.jsonl``: one JSON object a line, each written out at once, that a full disk or a kill leaves readable."""

import contextlib
import json
import math
import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import numpy as np

from ..checkpoint.lock import open_log, read_at
from ..errors import OutputError

_BLOCK = 1 << 16
_MOST_PENDING = 1 << 20  # bytes kept for a full disk to take later


class RunLog:
    """Appends to a log, after the last whole line if a kill left half of one.

    Holds a lock while it is open, so that two processes cannot train in one run folder. Raises `OutputError` if the
    file cannot be opened or another process holds it. A later write that fails does not raise: `warn` is called, once,
    with one line, and the records are kept and tried again with the next.
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
            self._end = _whole_lines(self._descriptor)
            os.ftruncate(self._descriptor, self._end)
        except OSError as error:
            os.close(self._descriptor)
            raise OutputError(f"{self._path}: cannot write this log: {error.strerror}") from None

    def write(self, record: Mapping[str, Any]) -> None:
        """Appends one object; NaN and infinity, which JSON lacks, become null."""
        self._pending += json.dumps(_plain(record), allow_nan=False).encode("ascii") + b"\n"
        self._write_pending()

    def close(self) -> None:
        """Tries once more to write what is pending; gives the lock back."""
        if self._descriptor >= 0:
            if self._pending:
                self._write_pending()
            descriptor, self._descriptor = self._descriptor, -1
            try:
                os.close(descriptor)
            except OSError as error:
                self._tell(error)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_pending(self) -> None:
        try:
            if self._torn:
                os.ftruncate(self._descriptor, self._end)
            self._torn = True
            rest = memoryview(self._pending)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self._failed(error)
        else:
            self._end += len(self._pending)
            self._pending, self._torn = b"", False

    def _failed(self, error: OSError) -> None:
        """Takes back what was written of the pending lines, so that the file ends with a whole one."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, self._end)
        if len(self._pending) > _MOST_PENDING:
            self._pending = b""
        self._tell(error)

    def _tell(self, error: OSError) -> None:
        if self._warn:
            warn, self._warn = self._warn, None
            warn(f"{self._path}: cannot write the log ({error.strerror}); training goes on, free some space")


class NoLog:
    """The same for a process that is not to write one."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Nothing."""

    def __enter__(self) -> "NoLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing was opened."""


def _whole_lines(descriptor: int) -> int:
    """The length of a file up to the end of its last whole line."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _BLOCK)
        newline = read_at(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _plain(value: Any) -> Any:
    """The same in JSON's own types."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value
