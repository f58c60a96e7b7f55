"""Atomic file replacement: a crash or power cut leaves the old file or the new one, complete.

The bytes are written to a temporary file in the same folder and flushed to disk; then the temporary
file is renamed over the target (POSIX: rename is atomic). Flushing the folder makes the rename durable.
"""

import contextlib
import errno
import hashlib
import itertools
import os
import platform
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from ..errors import OutputError
from ..os_compat import flush_file, flush_folder, process_may_be_alive, replace_file

# A temporary file's name holds host, process number and token of its writer, so that the next writer
# can distinguish stale files from those in use. The token distinguishes this process from an earlier
# one with the same number (in a container every process may have the same number).
_HOST = hashlib.blake2b(platform.node().encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
_TOKEN = secrets.token_hex(4)
_TEMPORARY = re.compile(r"\.fastrnn-([0-9a-f]{8})-([1-9][0-9]{0,9})-([0-9a-f]{8})-[0-9]+\.tmp")
_count = itertools.count()


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Replace the file at `path` by `data`, completely or not at all. Raises `OutputError`.

    Symbolic links are followed. The permissions are those of any new file (the umask applies).
    Temporary files that dead processes left in the folder are removed.
    """
    with _output_errors(path):
        target = os.path.realpath(path)
        _check_target(target)
        folder = os.path.dirname(target)
        remove_stale_files(folder)
        _replace(target, folder, data)


def check_target(path: str) -> None:
    """Raise `OutputError` if `write_atomic` could not write a file of this name."""
    if path.endswith(("/", os.sep)) or os.path.isdir(path):
        raise OutputError(f"{path}: a folder; give the name of a file in it")
    with _output_errors(path):
        target = os.path.realpath(path)
        _check_target(target)
        os.stat(os.path.dirname(target))


@contextlib.contextmanager
def _output_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the errors of writing this file into `OutputError`."""
    try:
        yield
    except FileNotFoundError:
        raise OutputError(f"{os.fspath(path)}: cannot write this file: its folder does not exist") from None
    except OSError as error:
        raise OutputError(f"{os.fspath(path)}: cannot write this file: {error.strerror}") from None
    except ValueError:
        raise OutputError(f"{os.fspath(path)!a}: not the name of a file; give another") from None


def is_temporary(name: str) -> bool:
    """Whether this is the name of a temporary file of `write_atomic`."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_stale_files(folder: str | os.PathLike[str], exclusive: bool = False) -> None:
    """Remove the temporary files that dead processes of this machine left. Never raises `OSError`.

    With ``exclusive`` no other process writes to this folder. Then the temporary files of other
    machines are stale too, and so are those whose process number is in use again.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            match = _TEMPORARY.fullmatch(name)
            if match and _is_stale(match, exclusive):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(folder, name))


def make_folder(folder: str | os.PathLike[str]) -> None:
    """Create a folder and its missing parents, durably. Raises `OSError`."""
    path = Path(folder).absolute()
    # Each new folder is durable only when its parent has been flushed.
    missing = [place for place in (path, *path.parents) if not place.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for place in missing or [path]:
        flush_folder(place.parent)


def _check_target(target: str) -> None:
    """Raise `OSError` unless the target is a regular file or does not exist."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    # A rename over /dev/null would succeed, and break the machine.
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file")


def _replace(target: str, folder: str, data: bytes) -> None:
    temporary = os.path.join(folder, f".fastrnn-{_HOST}-{os.getpid()}-{_TOKEN}-{next(_count)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        try:
            _write_all(descriptor, data)
            flush_file(descriptor)
        finally:
            os.close(descriptor)
        # Only after the flush: otherwise a power cut could leave an empty file under the final name.
        replace_file(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    flush_folder(folder)


def _write_all(descriptor: int, data: bytes) -> None:
    # os.write may write less than asked, for example when a signal arrives.
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _is_stale(match: re.Match[str], exclusive: bool) -> bool:
    """Whether the writer of a temporary file has ended."""
    host, process, token = match[1], int(match[2]), match[3]
    if exclusive:
        return (host, process, token) != (_HOST, os.getpid(), _TOKEN)
    return host == _HOST and not _may_be_alive(process, token)


def _may_be_alive(process: int, token: str) -> bool:
    """Whether the process that wrote a temporary file may still be running."""
    return token == _TOKEN if process == os.getpid() else process_may_be_alive(process)
