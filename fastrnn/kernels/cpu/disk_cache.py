"""On-disk cache of compiled kernels.

Numba's own cache keys a kernel by its source file alone, so it misses edits in a kernel that this
one calls; two processes that compile a kernel for different types at the same time can swap their
files; and damaged machine code is executed. Here each compiled kernel has its own file, named after
the types it was compiled for, that begins with the digest of the rest. The folder is named after a
hash of all kernel sources, the CPU, and the versions of Python and Numba, so any change uses a new
folder. An unusable cache costs a compilation but never fails a run.
"""

import contextlib
import hashlib
import logging
import os
import pickle
import platform
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import caching, config
from numba.core.compiler import CompileResult
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

from ...os_compat import lock_file, replace_file, user_kernel_folder
from .target import TARGET, enabled_features

_DIGEST = 32  # bytes of a digest
_STALE_AFTER = 3600.0  # seconds; a temporary file older than this was left by a killed process
_POLL = 0.01  # seconds between checks whether another process has compiled a kernel


class _Waits:
    """Remaining seconds that this process waits for others to compile: one that hangs must not
    block it.
    """

    left = 60.0


_waits = _Waits()


def sources_key() -> str:
    """Hash of everything compiled kernels depend on, as it is on the disk now."""
    digest = hashlib.blake2b(digest_size=8)
    here = Path(__file__).parent
    # all sources, not those of one kernel: a device function is compiled into every kernel that calls
    # it, and a constant into every function that reads it
    for path in (*sorted(here.parent.glob("*.py")), *sorted(here.glob("*.py")), *sorted(here.parent.glob("cuda/*.py"))):
        digest.update(path.name.encode() + path.read_bytes())
    # a home folder may be shared by machines with different CPUs
    cpu = f"{config.CPU_NAME}{TARGET}{sorted(enabled_features())}"
    versions = f"{sys.version_info[:3]}{numba.__version__}{llvmlite.__version__}{platform.machine()}"
    digest.update(f"{versions}{cpu}".encode())
    return digest.hexdigest()


_KEY = sources_key()


_logger = logging.getLogger("fastrnn")
_ADVICE = "set FASTRNN_KERNELS to a folder that only you can write into"


class _Unusable(Exception):
    """Raised with the reason why compiled kernels cannot be cached."""


class _Warnings:
    """Whether this process has warned that compiled kernels are not cached: it warns once."""

    issued = False


def kernel_folder() -> Path | None:
    """Folder of kernels compiled from exactly these sources, created if needed; None if it cannot
    be used safely.

    It lies in ``$FASTRNN_KERNELS`` or the user's cache folder. Code in it is executed, so it must
    belong to this user or to root and be writable by no one else.
    """
    try:
        return _open_kernel_folder()
    except _Unusable:
        return None


def _open_kernel_folder() -> Path:
    """Like `kernel_folder`. Raises `_Unusable` with the reason instead of returning None."""
    base = user_kernel_folder()
    if base is None:
        raise _Unusable("this user has no home directory")
    folder = base / f"kernels-{_KEY}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise _Unusable(f"{folder}: {error.strerror or error}") from None
    if hasattr(os, "geteuid"):
        if found.st_uid not in (0, os.geteuid()):
            raise _Unusable(f"{folder} belongs to another user")
        # whoever can write here can run code as this user
        if found.st_mode & 0o022:
            raise _Unusable(f"{folder} can be written by others (chmod go-w)")
    return folder


def warn_not_kept(why: str = "") -> None:
    """Log once per process that compiled kernels are not cached; ``why`` defaults to
    `kernel_folder`'s reason.
    """
    if _Warnings.issued:
        return
    if not why:
        try:
            _open_kernel_folder()
        except _Unusable as found:
            why = str(found)
    _Warnings.issued = True
    message = "compiled kernels cannot be kept, so every command compiles them again (about half a minute)"
    _logger.warning("%s: %s; %s", message, why, _ADVICE)


class KernelCache(caching.FunctionCache):  # type: ignore[misc]
    """Cache of the compiled forms of one kernel, in place of Numba's. Its failures are not errors.

    Raises `OSError` for a function without a source file.
    """

    def __init__(self, function: Any, folder: Path | None) -> None:
        """``folder``: None if nothing can be cached; the first compilation then warns."""
        code = function.__code__
        self._py_func = function
        self._folder = folder
        self._source = Path(code.co_filename)
        # kernels of tests or users are not part of `sources_key`
        self._digest = _digest(self._source.read_bytes())
        self._locks: dict[Path, int] = {}  # kernel file -> descriptor of its lock while this process compiles it
        name = f"{self._source.stem}.{function.__qualname__}-{code.co_firstlineno}"
        self._name = "".join(c for c in name if c not in "<>")

    @property
    def cache_path(self) -> str:
        return str(self._folder)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kernel compiled for these types, or None: then this process must compile and save it.

        Waits while another process compiles it.
        """
        # not target_context.refresh(), which takes a tenth of a second and only a compilation needs
        rtsys.initialize(target_context)
        if self._folder is None:
            warn_not_kept()
            return None
        with contextlib.suppress(Exception):
            key = self._index_key(sig, target_context.codegen())
            found = self._read(key, target_context)
            if found is None:
                # another process may have saved it between the read and the lock
                self._lock(key)
                found = self._read(key, target_context)
                if found is not None:
                    self._release(key)
            return found
        return None

    def _read(self, key: Any, target_context: Any) -> Any:
        """Load a kernel; None if it is missing, damaged, or of another key."""
        with contextlib.suppress(Exception):
            found, compiled = pickle.loads(verify_digest(self._path(key).read_bytes()))
            if found == key:
                return CompileResult._rebuild(target_context, *compiled)
        return None

    def _lock(self, key: Any) -> None:
        """Wait until no other process compiles this kernel, then lock it. Raises `OSError`."""
        path = self._path(key)
        # the lock ends with the process that holds it, so a killed one blocks no other
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(path.with_suffix(".tmp"), flags, 0o600)
        self._locks[path] = descriptor
        while _waits.left > 0:
            try:
                lock_file(descriptor)
                return
            except BlockingIOError:
                time.sleep(_POLL)
                _waits.left -= _POLL

    def _release(self, key: Any) -> None:
        """Release the lock of `_lock`."""
        path = self._path(key)
        descriptor = self._locks.pop(path, None)
        if descriptor is not None:
            with contextlib.suppress(OSError):
                path.with_suffix(".tmp").unlink()
            os.close(descriptor)
            if sys.platform == "win32":  # open files cannot be deleted
                with contextlib.suppress(OSError):
                    path.with_suffix(".tmp").unlink()

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save a kernel, unless its sources have changed since they were imported."""
        if self._folder is None:
            return
        with contextlib.suppress(Exception):
            key = self._index_key(sig, data.codegen)
            try:
                if not (data.library.has_dynamic_globals or self._sources_differ()):
                    content = dumps((key, data._reduce()))
                    _write(self._path(key), _digest(content) + content)
            except OSError as error:
                warn_not_kept(f"{self._folder}: {error.strerror or error}")
            finally:
                self._release(key)

    def flush(self) -> None:
        """Does nothing: saving a kernel replaces its file."""

    def _sources_differ(self) -> bool:
        """Whether the files on disk differ from the imported code."""
        return sources_key() != _KEY or _digest(self._source.read_bytes()) != self._digest

    def _path(self, key: Any) -> Path:
        assert self._folder is not None
        return self._folder / f"{self._name}-{_digest(repr(key).encode() + self._digest).hex()[:16]}.kernel"


def verify_digest(data: bytes) -> bytes:
    """Return the content after the digest of a file. Raises `ValueError` if they do not match."""
    content = data[_DIGEST:]
    if _digest(content) != data[:_DIGEST]:
        raise ValueError("a damaged kernel")
    return content


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()


def _write(path: Path, data: bytes) -> None:
    """Replace a file atomically and delete stale temporary files. Raises `OSError`."""
    with contextlib.suppress(OSError):
        for stale in path.parent.glob("*.tmp"):
            if time.time() - stale.stat().st_mtime > _STALE_AFTER:
                stale.unlink()
    # readers see the old file or the whole new one, also if this process is killed here
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        temporary.write_bytes(data)
        replace_file(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
