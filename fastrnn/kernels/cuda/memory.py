"""Arrays on the device, and the ways there and back."""

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
    """Zeros of this shape on the device, C-contiguous."""
    array = cuda.device_array(shape, np.dtype(dtype))
    copy(array, 0)
    return array


def copy(to: Array, values: Any) -> None:
    """``to[...] = values``; each of the two may lie here or there, ``values`` may be one number."""
    if not is_here(to):
        to[...] = to_host(values)
    elif np.ndim(values) == 0:
        launch(_fill, to.size, flat(to), to.dtype.type(values))
    elif to.size:
        if not is_here(values):
            values = np.ascontiguousarray(np.broadcast_to(values, to.shape), to.dtype)
        to.copy_to_device(values)


def clone(array: Array) -> Array:
    """A copy that lies where the array does."""
    if not is_here(array):
        return array.copy()
    other = cuda.device_array(array.shape, array.dtype)
    copy(other, array)
    return other


def to_device(array: np.ndarray[Any, Any]) -> Array:
    """The same numbers where kernels can read them."""
    return array if is_here(array) or not array.size else cuda.to_device(np.ascontiguousarray(array))


def to_host(array: Array) -> np.ndarray[Any, Any]:
    """The same numbers as a NumPy array; waits for the kernels that make them."""
    found: np.ndarray[Any, Any] = array.copy_to_host() if is_here(array) else np.asarray(array)
    return found


def is_here(array: Any) -> bool:
    """Whether the array lies on the device."""
    return hasattr(array, "copy_to_host")


def flat(array: Array) -> Array:
    """The same numbers as one dimension."""
    return array.reshape(array.size)


def synchronize() -> None:
    """Wait until all that was started is done."""
    cuda.synchronize()


def constant(array: np.ndarray[Any, Any]) -> Array:
    """A small array of the host as one of the device, copied there once."""
    return _constant(array.tobytes(), array.dtype.str)


@cache
def _constant(numbers: bytes, kind: str) -> Array:
    return cuda.to_device(np.frombuffer(numbers, kind).copy())
