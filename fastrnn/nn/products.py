"""How products are taken: the type of the packed weights."""

from typing import Any

import numpy as np

from ..errors import BackendError


def packed_type(kernels: Any, dtype: np.dtype[Any], products: str) -> np.dtype[Any]:
    """The type of the elements of packed weights, for ``products`` "exact", "rounded" or "bfloat16".

    "rounded" takes the weights as bfloat16, half the memory to read, only to predict with, where that gains anything;
    "bfloat16" takes both factors so and adds up in float32. Both are for float32 numbers; float64's products are always
    exact. Raises `BackendError` where the processor cannot do that.
    """
    if products == "exact" or dtype != np.float32:
        return dtype
    target = kernels.TARGET
    if products == "rounded":
        return np.dtype(np.uint16) if target.rounded else dtype
    if not target.bfloat16_dot:
        raise BackendError(
            f"precision bfloat16 needs a processor with AVX-512 BF16; this is {target.name}: use float32"
        )
    return np.dtype(np.int32)
