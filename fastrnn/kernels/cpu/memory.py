"""Arrays aligned to cache lines, so that a vector load never straddles two lines; large arrays on
huge pages.

Transfers between device and host return their argument: the CPU's arrays are the host's. The CUDA
counterpart is `fastrnn.kernels.cuda.memory`.
"""

import contextlib
import mmap
import sys
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from .jit import allocating_function
from .team import shared_kernel

_LINE = 64
_HUGE = 1 << 21  # bytes of a huge page of Linux, on x86-64 and most of Arm
_LARGE = _HUGE // 4  # bytes; larger arrays get pages of their own
Array = np.ndarray[Any, Any]


def zeros(shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray[Any, Any]:
    """Array of zeros, C-contiguous, first element on a 64-byte boundary."""
    kind = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    # NumPy aligns to 16 bytes only, so there is room for a shift
    raw = _huge_pages(size) if size >= _LARGE else np.zeros(size + _LINE, np.uint8)
    # bytes from the start of the block to the next cache line
    start = -raw.ctypes.data % _LINE
    return raw[start : start + size].view(kind).reshape(shape)


def _huge_pages(size: int) -> Array:
    """``size`` zero bytes, cache-line aligned, on huge pages if the system has them: one TLB entry
    for 512 pages.

    Raises `MemoryError`.
    """
    if sys.platform != "linux":
        return np.zeros(size + _LINE, np.uint8)
    try:
        pages = mmap.mmap(-1, size + _HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError):
        raise MemoryError(f"no memory for {size:,} bytes") from None
    with contextlib.suppress(OSError):  # Linux built without huge pages
        pages.madvise(mmap.MADV_HUGEPAGE)
    # the array keeps the mapping alive; it begins at the first huge page of it
    raw = np.frombuffer(pages, np.uint8)
    return raw[-raw.ctypes.data % _HUGE :]


def copy(to: Array, values: Any) -> None:
    """``to[...] = values``."""
    to[...] = values


def copy_state(to: Array, n: int, values: Array, m: int, lo: int, hi: int) -> None:
    """to (N, B, H)[n, lo:hi] = values (M, B, H)[m, lo:hi]."""
    to[n, lo:hi] = values[m, lo:hi]


def clear(array: Array, lo: int, hi: int) -> None:
    """array[lo:hi] = 0."""
    if array.ndim == 1:
        _clear(array, lo, hi)
    else:
        array[lo:hi] = 0


@shared_kernel
def _clear(array: Any, lo: Any, hi: Any) -> None:
    """array[lo:hi] = 0, of one dimension."""
    array[lo:hi] = 0


def clone(array: Array) -> Array:
    """A copy on the same device."""
    return array.copy()


def to_device(array: Array) -> Array:
    """The array on the device; on the CPU the array itself."""
    return array


def to_host(array: Array) -> Array:
    """The array as a NumPy array; on the CPU the array itself, not a copy."""
    return array


def synchronize() -> None:
    """Wait until all work started on the device is done; on the CPU nothing to do."""


class _Shared(threading.local):
    """Memory of `shared_memory`, flat; other Python threads have their own."""

    def __init__(self) -> None:
        self.arrays: dict[tuple[str, Any], Array] = {}


_shared = _Shared()


def shared_memory(name: str, shape: tuple[int, int], dtype: npt.DTypeLike) -> Array:
    """An array that the threads of a kernel share, with any content: the same memory for the same name, which grows."""
    key, size = (name, np.dtype(dtype)), shape[0] * shape[1]
    memory = _shared.arrays.get(key)
    if memory is None or memory.size < size:
        memory = _shared.arrays[key] = zeros(size, dtype)
    return memory[:size].reshape(shape)


@allocating_function
def working_memory(size: Any, like: Any) -> Any:
    """Inside a kernel: ``size`` uninitialised elements of the type of ``like``, cache-line aligned."""
    # uninitialised: every caller writes what it reads, and zeroing would touch the memory twice
    raw = np.empty(size + _LINE // like.itemsize, like.dtype)
    start = (-raw.ctypes.data % _LINE) // like.itemsize
    return raw[start : start + size]
