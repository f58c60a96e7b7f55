"""Matrices as the tile reads them: panels of columns, each k of a panel side by side in memory.

A packed matrix is a flat array of panels. A full panel holds TARGET.vectors vectors of columns; what is left over is
one panel of a single vector, or one more full panel, filled up with zeros. What an element is: `elements`.
"""

from typing import Any

import numpy as np

from .bfloat16 import PARTS
from .compiling import inlined, kernel
from .elements import PAIRS, fill_column, fill_row, fill_square, numbers_in, square, units
from .target import TARGET

VECTORS = TARGET.vectors
_REGISTER = TARGET.bytes_


def panels(n: int, dtype: np.dtype[Any]) -> int:
    """Panels of a packed matrix with n columns."""
    return -(-n // TARGET.panel(_summed_bits(dtype)))


def _summed_bits(dtype: np.dtype[Any]) -> int:
    """Bits of the type in which such elements are summed up: bfloat16 in float32."""
    return max(dtype.itemsize, 4) * 8


def packed_size(k: int, n: int, dtype: np.dtype[Any]) -> int:
    """Elements of a packed (k, n) matrix."""
    lanes, wide = TARGET.lanes(_summed_bits(dtype)), TARGET.panel(_summed_bits(dtype))
    left = n % wide
    parts = PARTS if dtype == np.uint32 else 1
    depth = -(-k // (2 * PAIRS)) * PAIRS * parts if dtype in (np.int32, np.uint32) else k
    return depth * (n - left + (0 if left == 0 else lanes if left <= lanes else wide))


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
    numbers = matrix.reshape(matrix.size)
    k_size = columns if transposed else rows
    n_size = rows if transposed else columns
    lanes = lanes_of(packed)
    step = numbers_in(packed)
    for p in range(start, stop):
        column = p * lanes * VECTORS
        width = panel_vectors(n_size, column, lanes) * lanes
        filled = min(width, n_size - column)
        at = units(packed, k_size) * column
        if filled < width:
            packed[at : at + units(packed, k_size) * width] = 0
        if transposed:
            some, deep = square(packed)
            for n0 in range(0, filled, some):
                last = min(n0 + some, filled)
                first_row = order[(column + n0) // block] * block + (column + n0) % block
                whole = last - n0 == some and (column + n0) // block == (column + last - 1) // block
                for k0 in range(0, k_size, deep):
                    if whole and k0 + deep <= k_size:
                        fill_square(packed, at, width, n0, k0, numbers, first_row * columns + k0, columns)
                    else:
                        for n in range(n0, last):
                            r = order[(column + n) // block] * block + (column + n) % block
                            fill_column(packed, at, width, n, k0, matrix[r, k0 : min(k0 + deep, k_size)])
        else:
            for k in range(0, k_size, step):
                first = (order[k // block] * block + k % block) * columns + column
                second = -1
                if step == 2 and k + 1 < k_size:
                    second = (order[(k + 1) // block] * block + (k + 1) % block) * columns + column
                fill_row(packed, at, width, k, numbers, first, second, filled)


@inlined
def pack_rows(packed, source, columns, k0, depth):
    """Panels, ``depth`` deep, of rows k0.. of a flat (K, columns) array, as `pack` makes them."""
    lanes = lanes_of(packed)
    step = numbers_in(packed)
    column = 0
    while column < columns:
        width = panel_vectors(columns, column, lanes) * lanes
        filled = min(width, columns - column)
        at = units(packed, depth) * column
        if filled < width or (step > 1 and depth % (2 * PAIRS)):
            packed[at : at + units(packed, depth) * width] = 0
        for k in range(0, depth, step):
            first = (k0 + k) * columns + column
            second = first + columns if k + 1 < depth else -1
            fill_row(packed, at, width, k, source, first, second, filled)
        column += width
