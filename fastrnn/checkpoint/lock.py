"""Who may train in a run folder: the process that holds the lock on its log. The system frees it when that one dies."""

import json
import os
import sys

try:
    import fcntl
except ImportError:  # not POSIX: no locks
    fcntl = None  # type: ignore[assignment]

# O_BINARY: on Windows a line end would become two bytes, and lengths would be wrong
_OPEN = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FLAGS = _OPEN | os.O_CREAT | os.O_APPEND
_START = b'{"event": "start"'
_LONGEST_START = 1 << 20  # bytes of a log that can still be one of a run that never began


def open_log(path: str | os.PathLike[str]) -> int:
    """A descriptor of the log, made if need be, and locked where the file system has locks.

    Raises `BlockingIOError` if another process holds it, `OSError`.
    """
    descriptor = os.open(path, _FLAGS, 0o666)
    try:
        _lock(descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def claim(path: str | os.PathLike[str]) -> int:
    """The same for a new run, with an empty log. Of several that try at once, one succeeds.

    A log that tells of starts alone, and that nobody holds, is what a killed start left: it is taken over. Any other
    raises `FileExistsError`.
    """
    try:
        descriptor, made = os.open(path, _FLAGS | os.O_EXCL, 0o666), True
    except FileExistsError:
        descriptor, made = os.open(path, _FLAGS, 0o666), False
    try:
        locked = _lock(descriptor)
        if not made and not (locked and _never_began(descriptor)):
            raise FileExistsError
        os.ftruncate(descriptor, 0)
    except BlockingIOError:
        os.close(descriptor)
        raise FileExistsError from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def abandoned(path: str | os.PathLike[str]) -> bool:
    """Whether `claim` would take over this log. Raises `OSError`."""
    descriptor = os.open(path, _OPEN)
    try:
        return _lock(descriptor) and _never_began(descriptor)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def read_at(descriptor: int, size: int, start: int) -> bytes:
    """At most ``size`` bytes of a file from ``start`` on; `os.pread` is not on every system. Raises `OSError`."""
    os.lseek(descriptor, start, os.SEEK_SET)  # what is written still goes to the end: O_APPEND
    return os.read(descriptor, size)


def _lock(descriptor: int) -> bool:
    """False where the file system has no locks. Raises `BlockingIOError`."""
    if sys.platform == "win32" or fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def _never_began(descriptor: int) -> bool:
    """Whether every line of a log is a start; the last may be half of one."""
    data = read_at(descriptor, _LONGEST_START, 0)
    *lines, rest = data.split(b"\n")
    try:
        events = [json.loads(line)["event"] for line in lines]
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
    rest = rest.rstrip(b"\0")  # a power cut can leave zeros
    torn = _START.startswith(rest[: len(_START)])
    return torn and len(data) < _LONGEST_START and all(event == "start" for event in events)
