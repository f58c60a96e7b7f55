"""Files that are old or new, never broken, whatever kills the process or the machine in between.

The bytes go to a temporary file in the same folder, are flushed to the disk, and only then is the file renamed over the
old one (POSIX: rename is atomic); flushing the folder makes the rename itself last.
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
import sys
from pathlib import Path

from ..errors import OutputError

# A temporary file's name says who writes it, so that the next writer can tell litter from work in progress. The token
# tells this process from an earlier one with its number (in a container every process may have the same one).
_HOST = hashlib.blake2b(platform.node().encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
_TOKEN = secrets.token_hex(4)
_TEMPORARY = re.compile(r"\.fastrnn-([0-9a-f]{8})-([1-9][0-9]{0,9})-([0-9a-f]{8})-[0-9]+\.tmp")
_count = itertools.count()

_CANNOT_FLUSH_FOLDERS = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM}


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Puts `data` into the file at `path`, wholly or not at all. Raises `OutputError`.

    A link is followed; permissions are those of any new file (the umask decides). Temporary files that dead processes
    left in the folder are removed.
    """
    try:
        target = os.path.realpath(path)
        _check_target(target)
        folder = os.path.dirname(target)
        remove_litter(folder)
        _replace(target, folder, data)
    except FileNotFoundError:
        raise OutputError(f"{os.fspath(path)}: cannot write this file: its folder does not exist") from None
    except OSError as error:
        raise OutputError(f"{os.fspath(path)}: cannot write this file: {error.strerror}") from None
    except ValueError:
        raise OutputError(f"{os.fspath(path)!a}: not the name of a file; give another") from None


def is_temporary(name: str) -> bool:
    """Whether `write_atomic` names its files so while it writes them."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_litter(folder: str | os.PathLike[str], alone: bool = False) -> None:
    """Removes the temporary files that dead processes of this machine left in a folder. Never raises `OSError`.

    ``alone``: no other process writes here, so those of other machines, and of processes whose number another has
    got since, are litter too.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            match = _TEMPORARY.fullmatch(name)
            if match and (not _ours(match) if alone else match[1] == _HOST and not _alive(int(match[2]), match[3])):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(folder, name))


def make_folder(folder: str | os.PathLike[str]) -> None:
    """Makes a folder and its parents, if need be, and has them last through a power cut. Raises `OSError`."""
    path = Path(folder).absolute()
    missing = [place for place in (path, *path.parents) if not place.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for place in missing or [path]:
        flush_folder(place.parent)


def flush_folder(folder: str | os.PathLike[str]) -> None:
    """Makes the names in a folder last through a power cut, where the system can. Raises `OSError`."""
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH_FOLDERS:
            raise


def _check_target(target: str) -> None:
    """Only a file may be replaced: a rename over ``/dev/null`` would succeed, and break the machine."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file")


def _replace(target: str, folder: str, data: bytes) -> None:
    temporary = os.path.join(folder, f".fastrnn-{_HOST}-{os.getpid()}-{_TOKEN}-{next(_count)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    flush_folder(folder)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _ours(match: re.Match[str]) -> bool:
    return (match[1], int(match[2]), match[3]) == (_HOST, os.getpid(), _TOKEN)


def _alive(process: int, token: str) -> bool:
    """Whether the process that wrote a temporary file may still be at work."""
    return token == _TOKEN if process == os.getpid() else may_run(process)


def may_run(process: int) -> bool:
    """Whether a process of this machine with this number may still run; so on Windows, where asking would stop it."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
