"""How kernels are compiled; `cache` keeps them on disk."""

import contextlib
from collections.abc import Callable
from typing import Any

import numba

from .cache import KernelCache, kernel_folder

# reassoc..afn, but never nnan or ninf: with those the checks for NaN and infinity would be folded away.
FASTMATH = {"reassoc", "contract", "arcp", "nsz", "afn"}

_FOLDER = kernel_folder()


def kernel(function: Callable[..., Any]) -> Any:
    """Compile on first use, without the GIL, for the types of its arguments; keep the code on disk."""
    compiled = inlined(function)
    if _FOLDER is not None and compiled is not function:
        with contextlib.suppress(OSError):  # typed at a prompt: there is no source to tell an edit by
            compiled._cache = KernelCache(function, _FOLDER)
    return compiled


def inlined(function: Callable[..., Any]) -> Any:
    """A piece of kernels: compiled into those that call it, never called from Python."""
    return numba.njit(nogil=True, error_model="numpy", fastmath=FASTMATH)(function)


def formula(function: Callable[..., Any]) -> Any:
    """A piece of scalar mathematics: becomes part of the source of the kernels that call it, to be vectorised there."""
    return numba.njit(nogil=True, error_model="numpy", fastmath=FASTMATH, inline="always")(function)
