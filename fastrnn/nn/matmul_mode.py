"""How products are taken: the type of the packed weights."""

from typing import Any

import numpy as np

from ..errors import BackendError

SPLIT_FROM = 256  # hidden units or outputs; below, taking the factors apart costs what it saves (measured)


def packed_type(kernels: Any, dtype: np.dtype[Any], matmul_mode: str, hidden: int) -> np.dtype[Any]:
    """The type of the elements of packed weights, for ``matmul_mode`` "exact", "split", "rounded" or "bfloat16".

    "split" takes both factors as sums of three bfloat16, where the processor has AMX and the layers are wide: as exact
    as float32 is, up to 1.3 times as fast in training, slower for a few rows. "rounded" takes the weights as bfloat16,
    half the memory to read, only to predict with, where that gains anything; "bfloat16" takes both factors so and adds
    up in float32. All are for float32 numbers; float64's products are always exact. Raises `BackendError` where the
    processor cannot do that.
    """
    if matmul_mode == "exact" or dtype != np.float32:
        return dtype
    target = kernels.TARGET
    if matmul_mode == "split":
        return np.dtype(np.uint32) if target.amx and hidden >= SPLIT_FROM else dtype
    if matmul_mode == "rounded":
        return np.dtype(np.uint16) if target.rounded else dtype
    if not target.bfloat16_dot:
        raise BackendError(f"precision bfloat16 needs {target.bfloat16_needs}; this is {target.name}: use float32")
    return np.dtype(np.int32)


PRECISE = "split"  # how a finished model is evaluated, whatever it was trained with: as exactly as float32 is
_IN_CACHE = 256  # hidden units up to which AMX is also the fastest way for few rows (measured)
_UNITS = 128  # of a layer that are worth a thread of their own
_MANY = 16  # samples side by side from which it is for every size: a tile's rows


def sampling_mode(kernels: Any, hidden: int, count: int) -> str:
    """How ``count`` samples are drawn side by side, unless exactly: reading few bytes, and wasting no tile."""
    return "bfloat16" if kernels.TARGET.amx and (hidden <= _IN_CACHE or count >= _MANY) else "rounded"


def sharing(kernels: Any, hidden: int, count: int, threads: int) -> int:
    """Among how many of so many threads the units of each layer are shared when ``count`` samples are drawn; 1: each
    thread takes some of the samples."""
    return min(threads, hidden // _UNITS) if kernels.BARRIER and hidden > _IN_CACHE and count < _MANY else 1
