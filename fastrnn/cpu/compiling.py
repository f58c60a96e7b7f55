"""How kernels are compiled; `cache` keeps them on disk."""

import contextlib
from collections.abc import Callable
from typing import Any

import numba
import numba.extending

from .cache import KernelCache, kernel_folder

# reassoc..afn, but never nnan or ninf: with those the checks for NaN and infinity would be folded away.
FASTMATH = {"reassoc", "contract", "arcp", "nsz", "afn"}

_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH, "no_cfunc_wrapper": True}
_PIECE = {**_OPTIONS, "no_cpython_wrapper": True}  # nothing but compiled code calls it
_FOLDER = kernel_folder()


def kernel(function: Callable[..., Any]) -> Any:
    """Compile on first use, without the GIL, for the types of its arguments; keep the code on disk."""
    compiled = numba.njit(**_OPTIONS)(function)
    if _FOLDER is not None and compiled is not function:
        with contextlib.suppress(OSError):  # typed at a prompt: there is no source to tell an edit by
            compiled._cache = KernelCache(function, _FOLDER)
    return compiled


def inlined(function: Callable[..., Any]) -> Any:
    """A piece of kernels: compiled into those that call it. A call from Python crashes: it has no wrapper, which would
    cost a tenth of the time that compiling takes."""
    return numba.njit(**_PIECE)(function)


def formula(function: Callable[..., Any]) -> Any:
    """A piece of scalar mathematics: becomes part of the source of the kernels that call it, to be vectorised there."""
    return numba.njit(inline="always", **_PIECE)(function)


def chosen_by_type(function: Callable[..., Any]) -> Any:
    """Decorates what returns, for the types of its arguments, the piece that ``function`` stands for in kernels."""
    return numba.extending.overload(function, jit_options=_PIECE)
