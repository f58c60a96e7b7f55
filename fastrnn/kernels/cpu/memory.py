"""Arrays that start on a cache line, so that a vector load never straddles two lines, and large ones on huge pages.

The ways to a device and back lead nowhere here: the CPU's arrays are the host's (see `fastrnn.kernels.cuda.memory`).
"""

import contextlib
import mmap
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from .jit import allocating_function

_LINE = 64
_HUGE = 1 << 21  # bytes of a huge page of Linux, on x86-64 and most of Arm
_LARGE = _HUGE // 4  # from here on an array gets pages of its own
Array = np.ndarray[Any, Any]


def zeros(shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray[Any, Any]:
    """Zeros of this shape, C-contiguous, the first element on a 64-byte boundary."""
    kind = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    raw = _huge_pages(size) if size >= _LARGE else np.zeros(size + _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + size].view(kind).reshape(shape)


def _huge_pages(size: int) -> Array:
    """Room for ``size`` zero bytes from a cache line on, on huge pages where the system gives them: one entry in the
    processor's table of pages for 512."""
    if sys.platform != "linux":
        return np.zeros(size + _LINE, np.uint8)
    try:
        pages = mmap.mmap(-1, size + _HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError):
        raise MemoryError(f"no memory for {size:,} bytes") from None
    with contextlib.suppress(OSError):  # a kernel without them
        pages.madvise(mmap.MADV_HUGEPAGE)
    raw = np.frombuffer(pages, np.uint8)
    return raw[-raw.ctypes.data % _HUGE :]


def copy(to: Array, values: Any) -> None:
    """``to[...] = values``."""
    to[...] = values


def clone(array: Array) -> Array:
    """A copy that lies where the array does."""
    return array.copy()


def to_device(array: Array) -> Array:
    """The same numbers where kernels can read them."""
    return array


def to_host(array: Array) -> Array:
    """The same numbers as a NumPy array; not a copy, if they are one."""
    return array


def synchronize() -> None:
    """Wait until all that was started is done."""


@allocating_function
def working_memory(size: Any, like: Any) -> Any:
    """Within a kernel: ``size`` elements of the type of the array ``like``, from a line's start, not set."""
    raw = np.empty(size + _LINE // like.itemsize, like.dtype)
    start = (-raw.ctypes.data % _LINE) // like.itemsize
    return raw[start : start + size]
