"""Weights in the order in which GPU threads read them: plain row-major (k, n) matrices.

Neighbours in n are adjacent, so reads of neighbouring threads coalesce.
"""

from .bfloat16 import numbers
from .jit import cuda, kernel, launch
from .memory import constant


def packed_size(k, n, dtype):
    """Number of elements of a packed (k, n) matrix."""
    return k * n


def panels(n, dtype):
    """Units of work of `pack`: 1, as one host thread launches it."""
    return 1


@kernel
def _pack(matrix, gate_order, gate_rows, transposed, packed):
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
