"""The lock on a run folder: only the process that has locked its log file may train in it.

The operating system releases the lock when that process ends, however it ends.
"""

import json
import os
import sys

try:
    import fcntl
except ImportError:  # not POSIX: no locks
    fcntl = None  # type: ignore[assignment]

# O_BINARY: on Windows a line end would become two bytes, and lengths would be wrong.
_OPEN = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FLAGS = _OPEN | os.O_CREAT | os.O_APPEND
_START = b'{"event": "start"'
_LONGEST_START = 1 << 20  # bytes; a longer log is not one of a run that never began


def open_log(path: str | os.PathLike[str]) -> int:
    """Open a log, creating it if it does not exist, and lock it where the file system has locks.

    Returns the descriptor. Raises `BlockingIOError` if another process holds the lock, `OSError`.
    """
    descriptor = os.open(path, _FLAGS, 0o666)
    try:
        _lock(descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def create_log(path: str | os.PathLike[str]) -> int:
    """Create and lock the empty log of a new run. Of several concurrent calls one succeeds.

    An unlocked log that holds start events only was left by a killed start; it is emptied and
    reused. Any other existing log raises `FileExistsError`. Returns the descriptor.
    """
    try:
        descriptor = os.open(path, _FLAGS | os.O_EXCL, 0o666)
        created = True
    except FileExistsError:
        descriptor = os.open(path, _FLAGS, 0o666)
        created = False
    try:
        locked = _lock(descriptor)
        if not created and not (locked and _has_only_starts(descriptor)):
            raise FileExistsError
        os.ftruncate(descriptor, 0)
    except BlockingIOError:
        os.close(descriptor)
        raise FileExistsError from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def is_abandoned(path: str | os.PathLike[str]) -> bool:
    """Whether `create_log` would reuse this log. Raises `OSError`."""
    descriptor = os.open(path, _OPEN)
    try:
        return _lock(descriptor) and _has_only_starts(descriptor)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def read_at(descriptor: int, size: int, start: int) -> bytes:
    """Read at most ``size`` bytes of a file at offset ``start``. Raises `OSError`."""
    # os.pread does not exist on every system. Moving the offset does not affect writes: O_APPEND.
    os.lseek(descriptor, start, os.SEEK_SET)
    return os.read(descriptor, size)


def _lock(descriptor: int) -> bool:
    """Lock a file; False where the file system has no locks. Raises `BlockingIOError`."""
    if sys.platform == "win32" or fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def _has_only_starts(descriptor: int) -> bool:
    """Whether every line of a log is a start event; the last line may be incomplete."""
    data = read_at(descriptor, _LONGEST_START, 0)
    *lines, rest = data.split(b"\n")
    try:
        events = [json.loads(line)["event"] for line in lines]
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
    rest = rest.rstrip(b"\0")  # a power cut can leave zeros
    is_partial_start = _START.startswith(rest[: len(_START)])
    return is_partial_start and len(data) < _LONGEST_START and all(event == "start" for event in events)
