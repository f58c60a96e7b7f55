"""Decorators for kernels on NVIDIA's GPUs; `numba.cuda`, of the package numba-cuda, is imported here.

With NUMBA_ENABLE_CUDASIM=1 the same kernels run in Python threads, slowly, without a GPU.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from ..cpu.disk_cache import kernel_folder

with warnings.catch_warnings():  # what NumPy tells numba-cuda is not for our users
    warnings.simplefilter("ignore", DeprecationWarning)
    from numba import cuda

__all__ = ["SIMULATED", "cooperative", "cuda", "device", "kernel", "launch", "why_unavailable"]

SIMULATED = bool(cuda.config.ENABLE_CUDASIM) if hasattr(cuda, "config") else False
if not SIMULATED:
    cuda.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # a small model is no fault
_FOLDER = kernel_folder()
_THREADS = 4 if SIMULATED else 256
_MOST_BLOCKS = 1 if SIMULATED else 4096


def why_unavailable() -> str | None:
    """Why CUDA does not work on this machine, in one line; None if it does."""
    if SIMULATED or cuda.is_available():
        return None
    error = cuda.cuda_error()
    if error is None:
        return "device cuda found no NVIDIA GPU that works with the libraries here"
    # the driver's message, on one line
    reason = " ".join(str(error).split()).removeprefix("Error at driver init: ").rstrip(": .")
    return f"device cuda needs an NVIDIA GPU and its driver: {reason}"


def kernel(function: Callable[..., Any], **limits: Any) -> Any:
    """Compile on first use, and keep the code on disk where that is possible; ``limits``: options
    of `cuda.jit`.
    """
    if SIMULATED:
        return cuda.jit(function)
    if _FOLDER is None:
        return cuda.jit(**limits)(function)
    # numba-cuda reads the folder from its configuration when it decorates, and has no argument for it
    others = cuda.config.CACHE_DIR  # of kernels that are not ours
    try:
        cuda.config.CACHE_DIR = str(_FOLDER)
        return cuda.jit(cache=True, **limits)(function)
    finally:
        cuda.config.CACHE_DIR = others


def cooperative(threads: int, blocks: int) -> Callable[[Callable[..., Any]], Any]:
    """A `kernel` of which ``blocks`` of at most so many threads fit a multiprocessor together, by
    their registers.
    """
    return partial(kernel, launch_bounds=(threads, blocks))


def device(function: Callable[..., Any]) -> Any:
    """A piece of kernels."""
    return cuda.jit(device=True)(function)


def launch(compiled: Any, size: int, *args: Any) -> None:
    """Start a kernel that strides through ``size`` elements with `cuda.grid(1)` and
    `cuda.gridsize(1)`.
    """
    if size:
        compiled[min(-(-size // _THREADS), _MOST_BLOCKS), _THREADS](*args)
