"""Matrix products on the tile: weights packed into panels once, then used for every time step.

A packed matrix is a flat array of panels. A full panel holds TARGET.vectors vectors of columns; what is left over is
one panel of a single vector, or one more full panel, filled up with zeros.
"""

from typing import Any

import numpy as np

from .bfloat16 import as_element, copy_as
from .compiling import inlined, kernel
from .target import TARGET
from .tile import ROWS, tile

VECTORS = TARGET.vectors
_REGISTER = TARGET.bytes_
_LINE = 16  # rows and columns transposed together: a square that stays in the first cache
SCRATCH = ROWS * VECTORS * _REGISTER // 4  # numbers in one full tile (of float32; float64 needs half)


def packed_size(k: int, n: int, dtype: np.dtype[Any]) -> int:
    """Elements of a packed (k, n) matrix."""
    lanes = TARGET.lanes(max(dtype.itemsize, 4) * 8)  # bfloat16 is summed up in float32
    wide = lanes * VECTORS
    left = n % wide
    return int(k * (n - left + (0 if left == 0 else lanes if left <= lanes else wide)))


@inlined
def lanes_of(array):
    return _REGISTER // max(array.itemsize, 4)


@inlined
def panel_vectors(n, column, lanes):
    """Vectors of the panel that starts at this column of n."""
    return 1 if n - column <= lanes else VECTORS


@kernel
def pack(matrix, order, block, transposed, packed, start, stop):
    """Fill panels start..stop of ``packed`` from a (R, C) matrix whose rows come in gate blocks of ``block`` rows.

    Row r of the matrix as it is meant here is its row ``order[r // block] * block + r % block``: GRU keeps its gates in
    another order than torch.nn. Packed is B = matrix (k = rows, n = columns), or its transpose when ``transposed``.
    """
    rows, columns = matrix.shape
    k_size = columns if transposed else rows
    n_size = rows if transposed else columns
    lanes = lanes_of(packed)
    for p in range(start, stop):
        column = p * lanes * VECTORS
        width = panel_vectors(n_size, column, lanes) * lanes
        filled = min(width, n_size - column)
        panel = packed[k_size * column : k_size * (column + width)].reshape(k_size, width)
        if filled < width:
            panel[:, filled:] = 0
        if transposed:
            for n0 in range(0, filled, _LINE):
                for k0 in range(0, k_size, _LINE):
                    for n in range(n0, min(n0 + _LINE, filled)):
                        r = order[(column + n) // block] * block + (column + n) % block
                        row = matrix[r, k0 : min(k0 + _LINE, k_size)]
                        to = panel[k0 : k0 + row.size, n]
                        for k in range(row.size):
                            to[k] = as_element(packed, row[k])
        else:
            for k in range(k_size):
                row = matrix[order[k // block] * block + k % block]
                copy_as(panel[k], 0, row, column, filled)


@inlined
def multiply(
    a, a_at, a_step, a_row, b, k, n, c, c_at, c_step, c_row, steps, rows, accumulate, scratch
):  # fmt: skip
    """C[t, m, :n] = A[t, m, :k] @ B for ``steps`` x ``rows`` rows, added to C if ``accumulate``. B is packed (k, n).

    Arrays are seen flat: A[t, m, i] at a_at + t*a_step + m*a_row + i, C alike. A panel stays in cache for all rows.
    ``scratch``: SCRATCH numbers, for a panel that is only partly filled.
    """
    lanes = lanes_of(b)
    column = 0
    while column < n:
        vectors = panel_vectors(n, column, lanes)
        width = vectors * lanes
        filled = min(width, n - column)
        for t in range(steps):
            m = 0
            blocks = (rows + ROWS - 1) // ROWS
            for block in range(blocks):
                # equal blocks: 25 rows go as 5 x 5, not 4 x 6 + 1
                some = (rows - m + blocks - block - 1) // (blocks - block)
                from_a = a_at + t * a_step + m * a_row
                to_c = c_at + t * c_step + m * c_row + column
                if filled == width:
                    tile(some, vectors, a, from_a, a_row, 1, b, k * column, c, to_c, c_row, k, accumulate)
                else:
                    if accumulate:
                        copy_rows(scratch, 0, width, c, to_c, c_row, some, filled)
                    tile(some, vectors, a, from_a, a_row, 1, b, k * column, scratch, 0, width, k, accumulate)
                    copy_rows(c, to_c, c_row, scratch, 0, width, some, filled)
                m += some
        column += width


@inlined
def copy_rows(to, to_at, to_row, source, from_at, from_row, rows, columns):
    for m in range(rows):
        copy(to, to_at + m * to_row, source, from_at + m * from_row, columns)


@inlined
def copy(to, to_at, source, from_at, count):
    """to[to_at:][:count] = source[from_at:][:count]. Indices from 0 need no test for negative ones: this vectorises."""
    a, b = to[to_at : to_at + count], source[from_at : from_at + count]
    for n in range(b.size):
        a[n] = b[n]


@kernel
def multiply_repeatedly(packed, rows, k, n, repeats):
    """The product of zeros (rows, k) with packed (k, n) again and again: nothing but the tile, to measure its peak."""
    a, c = np.zeros(rows * k, packed.dtype), np.zeros(rows * n, packed.dtype)
    scratch = np.empty(SCRATCH, packed.dtype)
    for _ in range(repeats):
        multiply(a, 0, 0, k, packed, k, n, c, 0, 0, n, 1, rows, 0, scratch)
