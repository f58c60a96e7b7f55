"""Packed weights: their order in memory and their number format.

GPU threads read plain row-major (k, n) matrices: neighbours in n are adjacent, so reads of
neighbouring threads coalesce. bfloat16 (the upper half of a float32, rounded to nearest, ties to
even) stays float32 in memory; where products are to be taken as bfloat16, packed weights say so by
their type: int32, with the bits of float32, the tag of pairs in
`fastrnn.kernels.cpu.packed_formats`. cuBLAS is allowed to round both factors, which it does where
that is faster; a product of our own calls `round_to_bfloat16`.
"""

import numpy as np

from .jit import SIMULATED, cuda, device, kernel, launch
from .memory import constant, kept_view

if SIMULATED:
    # the simulator has no libdevice
    def bits_of(x):
        return int(np.float32(x).view(np.int32))

    def _number(bits):
        return np.int64(bits).astype(np.int32).view(np.float32)

else:
    from numba.cuda import libdevice

    bits_of = device(lambda x: np.int64(libdevice.float_as_int(x)))
    _number = device(lambda bits: libdevice.int_as_float(np.int32(bits)))


@device
def round_to_bfloat16(x):
    """The bfloat16 nearest to a float32, as a float32; NaN stays NaN."""
    bits = bits_of(x)
    # add 0x7FFF, and 1 more if the kept part is odd: round to nearest, ties to even
    return _number((bits + 0x7FFF + (bits >> 16 & 1)) & ~0xFFFF) if x == x else x


def uses_bfloat16(packed):
    """Whether products with these packed weights are taken as bfloat16."""
    return packed.dtype == np.int32


def numbers(packed):
    """Packed weights as the numbers that they are."""
    return kept_view(packed, "numbers", lambda: packed.view(np.float32)) if uses_bfloat16(packed) else packed


def packed_size(k, n, dtype):
    """Number of elements of a packed (k, n) matrix."""
    return k * n


def panels(n, dtype):
    """Units of work of `pack`: 1, as one host thread launches it."""
    return 1


@kernel
def _pack(matrix, gate_order, gate_rows, transposed, packed):
    # thread i writes packed[i]: writes coalesce, and of the two layouts only one lets reads coalesce too
    rows, columns = matrix.shape
    for i in range(cuda.grid(1), rows * columns, cuda.gridsize(1)):
        if transposed:
            r, column = i % rows, i // rows
        else:
            r, column = i // columns, i % columns
        packed[i] = matrix[gate_order[r // gate_rows] * gate_rows + r % gate_rows, column]


def pack(matrix, gate_order, gate_rows, transposed, packed, start, stop):
    """Copy a (R, C) matrix, or its transpose, to ``packed``, with gate blocks in ``gate_order``;
    see `cpu.packing`.
    """
    launch(_pack, matrix.size, matrix, constant(gate_order), gate_rows, transposed, numbers(packed))
