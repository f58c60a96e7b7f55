"""Arrays on the GPU, and copies to and from the host."""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .jit import cuda, kernel, launch

Array = Any


@kernel
def _fill(to, value):
    for i in range(cuda.grid(1), to.size, cuda.gridsize(1)):
        to[i] = value


def zeros(shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """C-contiguous zeros on the device."""
    array = cuda.device_array(shape, np.dtype(dtype))
    copy(array, 0)
    return array


def copy(to: Array, values: Any) -> None:
    """``to[...] = values``; either may be on the host or on the device; ``values`` may be a scalar."""
    if not is_here(to):
        to[...] = to_host(values)
    elif np.ndim(values) == 0:
        launch(_fill, to.size, flat(to), to.dtype.type(values))
    elif to.size:
        if not is_here(values):
            values = np.ascontiguousarray(np.broadcast_to(values, to.shape), to.dtype)
        to.copy_to_device(values)


def clone(array: Array) -> Array:
    """A copy on the same device."""
    if not is_here(array):
        return array.copy()
    other = cuda.device_array(array.shape, array.dtype)
    copy(other, array)
    return other


def to_device(array: np.ndarray[Any, Any]) -> Array:
    """The array on the device."""
    return array if is_here(array) or not array.size else cuda.to_device(np.ascontiguousarray(array))


def to_host(array: Array) -> np.ndarray[Any, Any]:
    """The array as a NumPy array; waits for the kernels that compute it."""
    found: np.ndarray[Any, Any] = array.copy_to_host() if is_here(array) else np.asarray(array)
    return found


def is_here(array: Any) -> bool:
    """Whether the array lies on the device."""
    return hasattr(array, "copy_to_host")


def flat(array: Array) -> Array:
    """View of an array as one dimension."""
    return array.reshape(array.size)


def synchronize() -> None:
    """Wait until all work started on the device is done."""
    cuda.synchronize()


def constant(array: np.ndarray[Any, Any]) -> Array:
    """A small array of the host, copied to the device once."""
    return _constant(array.tobytes(), array.dtype.str)


@cache
def _constant(numbers: bytes, kind: str) -> Array:
    return cuda.to_device(np.frombuffer(numbers, kind).copy())
