"""How kernels are compiled and where the compiled code is kept.

Numba's own disk cache keys a kernel by its source file alone, so an edit in a kernel that it calls goes unseen. Here
every kernel is kept in a private folder named after all kernel sources, the processor, and the versions of Python
and Numba: another source, another folder. A cache that cannot be read or written costs a compilation, never a run.
"""

import hashlib
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import platformdirs
from numba.core import caching, config

from .target import TARGET, enabled_features

# reassoc..afn, but never nnan or ninf: with those the checks for NaN and infinity would be folded away.
FASTMATH = {"reassoc", "contract", "arcp", "nsz", "afn"}


def _sources_key() -> str:
    digest = hashlib.blake2b(digest_size=8)
    here = Path(__file__).parent
    for path in (*sorted(here.glob("*.py")), *sorted(here.glob("../cuda/*.py")), here / "../formulas.py"):
        digest.update(path.name.encode() + path.read_bytes())
    cpu = f"{config.CPU_NAME}{TARGET}{sorted(enabled_features())}"
    digest.update(f"{sys.version_info[:3]}{numba.__version__}{platform.machine()}{cpu}".encode())
    return digest.hexdigest()


def cache_folder() -> Path:
    """``$FASTRNN_KERNELS`` or the user's cache folder, and in it the folder of exactly these sources."""
    base = os.environ.get("FASTRNN_KERNELS") or platformdirs.user_cache_dir("fastrnn", appauthor=False)
    return Path(base) / f"kernels-{_sources_key()}"


class _ForgivingCache(caching.FunctionCache):  # type: ignore[misc]
    """Numba's function cache, except that its failures only cost a compilation."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:
            self._forget()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception:
            self._forget()

    def _forget(self) -> None:
        try:
            self.flush()
        except Exception:
            self.disable()


def _use_private_folder() -> bool:
    folder = cache_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        usable = False
    if usable:
        config.CACHE_DIR = str(folder)
    return usable


CACHED = _use_private_folder()


def kernel(function: Callable[..., Any]) -> Any:
    """Compile on first use, without the GIL, for the types of its arguments; keep the code on disk."""
    compiled = numba.njit(nogil=True, error_model="numpy", fastmath=FASTMATH)(function)
    if CACHED:
        try:
            compiled._cache = _ForgivingCache(function)
        except Exception:  # no place to write: compile in memory
            return compiled
    return compiled


def inlined(function: Callable[..., Any]) -> Any:
    """A piece of kernels: compiled into those that call it, never called from Python."""
    return numba.njit(nogil=True, error_model="numpy", fastmath=FASTMATH)(function)


def formula(function: Callable[..., Any]) -> Any:
    """A piece of scalar mathematics: becomes part of the source of the kernels that call it, to be vectorised there."""
    return numba.njit(nogil=True, error_model="numpy", fastmath=FASTMATH, inline="always")(function)
