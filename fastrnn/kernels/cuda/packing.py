"""Weights in the order in which threads read them: plain matrices (k, n), neighbours in n beside
each other.
"""

from .bfloat16 import numbers
from .jit import cuda, kernel, launch
from .memory import constant


def packed_size(k, n, dtype):
    """Elements of a packed (k, n) matrix."""
    return k * n


def panels(n, dtype):
    """Parts that packing may be divided into: there is one thread, and so one part."""
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
    """Fill ``packed`` from a (R, C) matrix, or its transpose, with its gate blocks in this
    gate_order; see `cpu.packing`.
    """
    launch(_pack, matrix.size, matrix, constant(gate_order), gate_rows, transposed, numbers(packed))
