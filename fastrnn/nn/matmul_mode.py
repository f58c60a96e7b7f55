"""Matrix-product precision: the type of the packed weights and of the other factor.

Let float32 be the parameters' type. float64 parameters use `EXACT` in every mode.

| constant       | value      | packed weights (NumPy type)         | other factor     | accumulation |
| -------------- | ---------- | ----------------------------------- | ---------------- | ------------ |
| `EXACT`        | "exact"    | float32 (float32)                   | float32          | float32      |
| `BF16X3`       | "split"    | sum of three bfloat16 (uint32)      | sum of the same  | float32      |
| `BF16_WEIGHTS` | "rounded"  | bfloat16 (uint16)                   | float32          | float32      |
| `BF16`         | "bfloat16" | pairs of bfloat16 (int32)           | bfloat16         | float32      |

The NumPy type is only a tag: it selects the kernels that unpack it (`fastrnn.kernels.cpu.packed_formats`).
`BF16X3` multiplies six of the nine pairs of parts; the other three lie below float32 rounding.
"""

from typing import Any

import numpy as np

from ..errors import BackendError
from ..kernels.backend import Backend

EXACT = "exact"
BF16X3 = "split"
BF16_WEIGHTS = "rounded"
BF16 = "bfloat16"

# Final evaluation uses this mode whatever the training precision: it is as exact as float32.
EVALUATION_MODE = BF16X3

# Hidden units or outputs. Below this width, splitting the factors costs more than AMX saves (measured).
BF16X3_MIN_WIDTH = 256
# Hidden units up to which AMX is also the fastest way to multiply a few rows (measured).
_AMX_MAX_HIDDEN = 256
# Units of a layer that justify one more thread (measured with two).
_MIN_UNITS_PER_THREAD = 128
# The same for a layer of at most `_AMX_MAX_HIDDEN` units on a processor without AMX.
_MIN_NARROW_UNITS = 64
# Rows of an AMX tile: from this many streams AMX is the fastest for every hidden size.
_TILE_ROWS = 16


def packed_dtype(kernels: Backend, dtype: np.dtype[Any], matmul_mode: str, hidden: int) -> np.dtype[Any]:
    """Return the element type of packed weights, see the table above.

    Args:
        kernels: Kernels of the device.
        dtype: Type of the parameters. Only float32 has modes other than `EXACT`.
        matmul_mode: `EXACT`, `BF16X3`, `BF16_WEIGHTS` or `BF16`. `BF16X3` is up to 1.3 times as
            fast as `EXACT` in training and slower for a few rows; it falls back to `EXACT`
            without AMX and for narrow layers. `BF16_WEIGHTS` halves the memory traffic of the
            weights and is for inference only; it falls back to `EXACT` where it gains nothing.
        hidden: Hidden units of the model.

    Raises:
        BackendError: `BF16` on a processor without bfloat16 products.
    """
    if matmul_mode == EXACT or dtype != np.float32:
        return dtype
    target = kernels.TARGET

    if matmul_mode == BF16X3:
        return np.dtype(np.uint32) if target.amx and hidden >= BF16X3_MIN_WIDTH else dtype
    if matmul_mode == BF16_WEIGHTS:
        return np.dtype(np.uint16) if target.rounded else dtype

    if not target.bfloat16_dot:
        raise BackendError(f"precision bfloat16 needs {target.bfloat16_needs}; this is {target.name}: use float32")
    return np.dtype(np.int32)


def sampling_mode(kernels: Backend, hidden: int, count: int) -> str:
    """Return the fastest inexact mode for sampling ``count`` streams in one batch.

    A few rows are limited by reading the weights, so the smallest weights win; from a full AMX
    tile of rows on, the tiles do.
    """
    if kernels.TARGET.amx and (hidden <= _AMX_MAX_HIDDEN or count >= _TILE_ROWS):
        return BF16
    return BF16_WEIGHTS


def threads_per_layer(kernels: Backend, hidden: int, count: int, threads: int) -> int:
    """Return how many threads divide the units of each layer when ``count`` streams are sampled.

    1: each thread takes some of the streams instead, with all units.
    """
    if not kernels.BARRIER or count >= _TILE_ROWS:
        return 1
    if hidden > _AMX_MAX_HIDDEN:
        return min(threads, hidden // _MIN_UNITS_PER_THREAD)
    # A narrow layer only if threads would be idle, and not on AMX, where it was not measured.
    if count < threads and not kernels.TARGET.amx:
        return max(1, min(threads, hidden // _MIN_NARROW_UNITS))
    return 1
