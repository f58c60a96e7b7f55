"""bfloat16: the upper half of a float32, rounded to nearest, ties to even.

Numbers stay float32 in memory; where products are to be taken as bfloat16, packed weights say so by
their type: int32, with the bits of float32. cuBLAS is allowed to round both factors, which it does
where that is faster; a product of our own calls `rounded`.
"""

import numpy as np

from .jit import SIMULATED, device
from .memory import kept_view

if SIMULATED:

    def bits_of(x):
        return int(np.float32(x).view(np.int32))

    def _number(bits):
        return np.int64(bits).astype(np.int32).view(np.float32)

else:
    from numba.cuda import libdevice

    bits_of = device(lambda x: np.int64(libdevice.float_as_int(x)))
    _number = device(lambda bits: libdevice.int_as_float(np.int32(bits)))


@device
def rounded(x):
    """The bfloat16 nearest to a float32, as a float32; NaN stays NaN."""
    bits = bits_of(x)
    return _number((bits + 0x7FFF + (bits >> 16 & 1)) & ~0xFFFF) if x == x else x


def is_rounded(packed):
    """Whether products with these packed weights are taken as bfloat16."""
    return packed.dtype == np.int32


def numbers(packed):
    """Packed weights as the numbers that they are."""
    return kept_view(packed, "numbers", lambda: packed.view(np.float32)) if is_rounded(packed) else packed
