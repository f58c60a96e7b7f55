"""Where compiled kernels are kept, and how they are known to be right.

Numba's own disk cache keys a kernel by its source file alone, so an edit in a kernel that it calls goes unseen; two
processes that compile one kernel for different types at the same time can swap their files; and machine code that was
damaged on the disk is run as it is. Here every compiled kernel has a file of its own, named after what it was compiled
for, that begins with the digest of the rest; and all of them lie in a folder named after all kernel sources, the
processor, and the versions of Python and Numba: another source, another folder. A cache that cannot be read or written
costs a compilation, never a run.
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

from ...user_folders import user_kernel_folder
from .target import TARGET, enabled_features

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_DIGEST = 32  # bytes
_LITTER = 3600.0  # seconds after which a temporary file is what a killed process left
_LOOK = 0.01  # seconds between two looks whether another process has compiled a kernel


class _Waits:
    """Seconds that this process goes on waiting for others: one that hangs must not stop it."""

    left = 60.0


_waits = _Waits()


def sources_key() -> str:
    """What all kernels follow from, as it is on the disk now."""
    digest = hashlib.blake2b(digest_size=8)
    here = Path(__file__).parent
    for path in (*sorted(here.glob("*.py")), *sorted(here.parent.glob("cuda/*.py")), here.parent / "cell_math.py"):
        digest.update(path.name.encode() + path.read_bytes())
    cpu = f"{config.CPU_NAME}{TARGET}{sorted(enabled_features())}"
    versions = f"{sys.version_info[:3]}{numba.__version__}{llvmlite.__version__}{platform.machine()}"
    digest.update(f"{versions}{cpu}".encode())
    return digest.hexdigest()


_KEY = sources_key()


_logger = logging.getLogger("fastrnn")
_HELP = "set FASTRNN_KERNELS to a folder that only you can write into"


class _Unusable(Exception):
    """Why compiled kernels cannot be kept."""


class _Warnings:
    """A process says once that compiled kernels are not kept."""

    given = False


def kernel_folder() -> Path | None:
    """``$FASTRNN_KERNELS`` or the user's cache folder, and in it the folder of exactly these sources, made if need be.

    The code in that folder is run. So the folder must belong to this user or to root, and nobody else may write into
    it. If it does not, or cannot be made, or the user has no home directory, there is None.
    """
    try:
        return _open_kernel_folder()
    except _Unusable:
        return None


def _open_kernel_folder() -> Path:
    """The same folder. Raises `_Unusable`."""
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
        if found.st_mode & 0o022:
            raise _Unusable(f"{folder} can be written by others (chmod go-w)")
    return folder


def warn_not_kept(why: str = "") -> None:
    """Log, once in a process, that compiled kernels are not kept; without a reason, that of `kernel_folder`."""
    if _Warnings.given:
        return
    if not why:
        try:
            _open_kernel_folder()
        except _Unusable as found:
            why = str(found)
    _Warnings.given = True
    told = "compiled kernels cannot be kept, so every command compiles them again (about half a minute)"
    _logger.warning("%s: %s; %s", told, why, _HELP)


class KernelCache(caching.FunctionCache):  # type: ignore[misc]
    """The compiled forms of one kernel, in the place of Numba's cache for it. Nothing that fails here is an error.

    Raises `OSError` for a function whose source is in no file.
    """

    def __init__(self, function: Any, folder: Path | None) -> None:
        """``folder``: None where nothing can be kept; then the first kernel that is compiled warns of that."""
        code = function.__code__
        self._py_func, self._folder, self._source = function, folder, Path(code.co_filename)
        self._digest = _digest(self._source.read_bytes())  # a test's or a user's own kernels are not in `sources_key`
        self._claims: dict[Path, int] = {}  # file of a kernel -> descriptor of the lock while it is compiled here
        name = f"{self._source.stem}.{function.__qualname__}-{code.co_firstlineno}"
        self._name = "".join(c for c in name if c not in "<>")

    @property
    def cache_path(self) -> str:
        return str(self._folder)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kernel compiled for these types, or None: then it is this process's to compile and to save.

        What another process is compiling is waited for.
        """
        rtsys.initialize(target_context)  # not its refresh(), the tenth of a second that compiling alone needs
        if self._folder is None:
            warn_not_kept()
            return None
        with contextlib.suppress(Exception):
            key = self._index_key(sig, target_context.codegen())
            found = self._read(key, target_context)
            if found is None:
                self._claim(key)
                found = self._read(key, target_context)
                if found is not None:
                    self._release(key)
            return found
        return None

    def _read(self, key: Any, target_context: Any) -> Any:
        with contextlib.suppress(Exception):
            found, compiled = pickle.loads(checked(self._path(key).read_bytes()))
            if found == key:
                return CompileResult._rebuild(target_context, *compiled)
        return None

    def _claim(self, key: Any) -> None:
        """Wait until no other process compiles this kernel, and let the others wait. Raises `OSError`."""
        if sys.platform == "win32" or fcntl is None:
            return
        path = self._path(key)
        descriptor = os.open(path.with_suffix(".tmp"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._claims[path] = descriptor
        while _waits.left > 0:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(_LOOK)
                _waits.left -= _LOOK

    def _release(self, key: Any) -> None:
        path = self._path(key)
        descriptor = self._claims.pop(path, None)
        if descriptor is not None:
            with contextlib.suppress(OSError):
                path.with_suffix(".tmp").unlink()
            os.close(descriptor)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a kernel, unless its sources have changed since they were read."""
        if self._folder is None:
            return
        with contextlib.suppress(Exception):
            key = self._index_key(sig, data.codegen)
            try:
                if not (data.library.has_dynamic_globals or self._edited()):
                    content = dumps((key, data._reduce()))
                    _write(self._path(key), _digest(content) + content)
            except OSError as error:
                warn_not_kept(f"{self._folder}: {error.strerror or error}")
            finally:
                self._release(key)

    def flush(self) -> None:
        """Files are replaced when the kernel is saved again."""

    def _edited(self) -> bool:
        return sources_key() != _KEY or _digest(self._source.read_bytes()) != self._digest

    def _path(self, key: Any) -> Path:
        assert self._folder is not None
        return self._folder / f"{self._name}-{_digest(repr(key).encode() + self._digest).hex()[:16]}.kernel"


def checked(data: bytes) -> bytes:
    """What stands in a file after its digest. Raises `ValueError` if it is not what was written."""
    content = data[_DIGEST:]
    if _digest(content) != data[:_DIGEST]:
        raise ValueError("a damaged kernel")
    return content


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()


def _write(path: Path, data: bytes) -> None:
    """Replace a file at once, and sweep up what killed processes left. Raises `OSError`."""
    with contextlib.suppress(OSError):
        for litter in path.parent.glob("*.tmp"):
            if time.time() - litter.stat().st_mtime > _LITTER:
                litter.unlink()
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
