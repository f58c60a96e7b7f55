"""How kernels are compiled; `cache` keeps them on disk."""

import contextlib
import os
from collections.abc import Callable
from typing import Any

import numba
import numba.extending
from numba.core.compiler_lock import global_compiler_lock

from .disk_cache import KernelCache, kernel_folder

# reassoc..afn, but never nnan or ninf: with those the checks for NaN and infinity would be folded away.
FASTMATH = {"reassoc", "contract", "arcp", "nsz", "afn"}

_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH, "no_cfunc_wrapper": True}
# A piece: nothing but compiled code calls it, and it counts no references to arrays: its caller holds them, and the
# two atomic instructions for each array of each call were a third of the time of drawing (measured).
_PIECE = {**_OPTIONS, "no_cpython_wrapper": True, "_nrt": False}
_FOLDER = kernel_folder()


if hasattr(os, "register_at_fork"):  # a child of a process that was compiling would wait for ever for its locks
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


def kernel(function: Callable[..., Any]) -> Any:
    """Compile on first use, without the GIL, for the types of its arguments; keep the code on disk.

    A kernel may make arrays, and so counts references: what loops over rows and slices is better a
    `device_function`.
    """
    compiled = numba.njit(**_OPTIONS)(function)
    if compiled is not function:
        with contextlib.suppress(OSError):  # typed at a prompt: there is no source to tell an edit by
            compiled._cache = KernelCache(function, _FOLDER)
    return compiled


def device_function(function: Callable[..., Any]) -> Any:
    """A piece of kernels: compiled into those that call it. A call from Python crashes: it has no wrapper, which would
    cost a tenth of the time that compiling takes.

    It must neither make an array nor return one: see `allocating_function`, and `inline_function` for one that returns
    a view.
    """
    return numba.njit(**_PIECE)(function)


def allocating_function(function: Callable[..., Any]) -> Any:
    """A piece that returns an array it has made, for kernels to call, not for device functions: they would keep it."""
    return numba.njit(**{**_PIECE, "_nrt": True})(function)


def inline_function(function: Callable[..., Any]) -> Any:
    """A piece that becomes part of the source of what calls it: scalar mathematics, vectorised there, or a view."""
    return numba.njit(inline="always", **_PIECE)(function)


def specialize(function: Callable[..., Any]) -> Any:
    """Decorates what returns, for the types of its arguments, the piece that ``function`` stands for in kernels."""
    return numba.extending.overload(function, jit_options=_PIECE)
