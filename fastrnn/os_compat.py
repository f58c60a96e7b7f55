"""Differences between operating systems: file locks, processes, durable writes, shell quoting, the user's folders.

Windows has no ``flock``, ends a process that gets signal 0, and refuses to replace a file that another
process has open. macOS flushes a file from the drive's own cache only on request.
"""

import errno
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
try:
    import msvcrt
except ImportError:  # not Windows
    msvcrt = None  # type: ignore[assignment]

# A lock of Windows keeps other processes from reading the locked bytes. So one byte far beyond the
# end of any of our files is locked, as SQLite does; the C library may cut offsets to 32 bits.
_LOCKED_BYTE = 0x7FFF0000

# A reader, a virus scanner or an indexer has the file open for a moment.
_REPLACE_TRIES = 200
_REPLACE_WAIT = 0.02  # seconds between two tries

# Some file systems cannot flush a folder; the rename is then as durable as the system makes it.
_CANNOT_FLUSH_FOLDERS = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM}

_CMD_SPECIAL = set(" \t\"&|<>^()%!,;='`")


def lock_file(descriptor: int) -> bool:
    """Lock an open file; False where the file system has no locks.

    The system releases the lock when the descriptor is closed or the process ends, however it ends.
    Raises `BlockingIOError` if another descriptor holds the lock.
    """
    if sys.platform == "win32":
        return _lock_byte(descriptor)
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def _lock_byte(descriptor: int) -> bool:
    """`lock_file` for Windows."""
    if sys.platform != "win32" or msvcrt is None:
        return False
    os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        # EACCES; Wine sets no number
        if error.errno in (errno.EACCES, 0):
            raise BlockingIOError(errno.EAGAIN, "locked by another process") from None
        return False
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)
    return True


def process_may_be_alive(process: int) -> bool:
    """Whether a process of this machine is running; true if that cannot be determined."""
    if sys.platform == "win32":
        return _windows_process_may_be_alive(process)
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # for example PermissionError: the process of another user
        return True
    return True


def _windows_process_may_be_alive(process: int) -> bool:
    """`process_may_be_alive` for Windows, where ``os.kill(process, 0)`` would send a Ctrl-C."""
    if sys.platform != "win32":
        return True
    import ctypes  # slow to import, and seldom needed

    synchronize, still_running, no_such_process = 0x00100000, 0x102, 87
    if process >= 1 << 32:
        return False
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = kernel.OpenProcess(synchronize, False, process)
    if not handle:
        return ctypes.get_last_error() != no_such_process
    try:
        # The handle of a process is signalled once it has ended.
        return bool(kernel.WaitForSingleObject(ctypes.c_void_p(handle), 0) == still_running)
    finally:
        kernel.CloseHandle(ctypes.c_void_p(handle))


def replace_file(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Rename a file over another one; on Windows wait for readers to close it. Raises `OSError`."""
    for _ in range(_REPLACE_TRIES if sys.platform == "win32" else 0):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            time.sleep(_REPLACE_WAIT)
    os.replace(source, target)


def flush_file(descriptor: int) -> None:
    """Flush a file to the disk, so that it survives a power cut. Raises `OSError`."""
    if sys.platform == "darwin" and fcntl is not None:
        try:
            # fsync of macOS leaves the data in the cache of the drive: fsync(2)
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
        except OSError as error:
            # network file systems do not have it
            if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY):
                raise
    os.fsync(descriptor)


def flush_folder(folder: str | os.PathLike[str]) -> None:
    """Make the names in a folder survive a power cut, where the system can. Raises `OSError`."""
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            flush_file(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH_FOLDERS:
            raise


def quote_argument(text: str) -> str:
    """Quote a word of a command line for the user's shell: ``cmd.exe`` on Windows, else POSIX."""
    import shlex
    import subprocess

    if sys.platform != "win32":
        return shlex.quote(text)
    quoted = subprocess.list2cmdline([text])
    if quoted.startswith('"') or _CMD_SPECIAL.isdisjoint(text):
        return quoted
    # in double quotes the operators of cmd.exe are plain characters; backslashes escape a quote
    backslashes = len(text) - len(text.rstrip("\\"))
    return f'"{quoted}{backslashes * chr(92)}"'


def read_sysctl(name: str) -> int | None:
    """Value of a 32-bit or 64-bit integer of macOS's `sysctlbyname(3)`; None if there is none."""
    if sys.platform != "darwin":
        return None
    import ctypes

    value, size = ctypes.c_int64(0), ctypes.c_size_t(8)
    try:
        status = ctypes.CDLL(None).sysctlbyname(
            name.encode(), ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0)
        )
    except (OSError, AttributeError):
        return None
    return value.value if status == 0 else None


def windows_core_classes() -> list[int]:
    """Efficiency class of each processor core on Windows, higher for a faster core; empty if unknown.

    From `GetLogicalProcessorInformationEx`.
    """
    if sys.platform != "win32":
        return []
    import ctypes

    processor_core = 0
    get_information = ctypes.WinDLL("kernel32").GetLogicalProcessorInformationEx
    size = ctypes.c_uint32(0)
    get_information(processor_core, None, ctypes.byref(size))  # fails, and sets the size
    records = ctypes.create_string_buffer(max(1, size.value))
    if not get_information(processor_core, records, ctypes.byref(size)):
        return []
    return parse_core_classes(records.raw[: size.value])


def parse_core_classes(records: bytes) -> list[int]:
    """Efficiency class of each `SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX`, all of `RelationProcessorCore`."""
    # DWORD Relationship, DWORD Size, BYTE Flags, BYTE EfficiencyClass, ...
    classes: list[int] = []
    start = 0
    while start + 10 <= len(records):
        classes.append(records[start + 9])
        start += max(10, int.from_bytes(records[start + 4 : start + 8], "little"))
    return classes


def user_data_folder() -> Path | None:
    """Return ``$FASTRNN_DATA`` or the platform's user data folder; None without a home directory."""
    import platformdirs

    return _chosen_or("FASTRNN_DATA", lambda: platformdirs.user_data_dir("fastrnn", appauthor=False))


def user_kernel_folder() -> Path | None:
    """Return ``$FASTRNN_KERNELS`` or the platform's user cache folder; None without a home directory."""
    import platformdirs

    return _chosen_or("FASTRNN_KERNELS", lambda: platformdirs.user_cache_dir("fastrnn", appauthor=False))


def _chosen_or(variable: str, default: Callable[[], str]) -> Path | None:
    chosen = os.environ.get(variable)
    if chosen:
        return Path(chosen)
    try:
        folder = Path(default())
    except RuntimeError:  # without a home directory some versions of platformdirs raise,
        return None
    return folder if folder.is_absolute() else None  # and others return "~/..."
