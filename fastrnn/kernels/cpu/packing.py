"""Packing of matrices into the micro-panels that the micro-kernels read.

A packed matrix B (k, n) is a flat array of micro-panels of NR = VECTORS * lanes columns, each
row-major (k, NR):

    panel 0: B[0, 0:NR] B[1, 0:NR] ...      panel 1: B[0, NR:2*NR] B[1, NR:2*NR] ...

The last panel is a single vector wide if that is enough, else NR, and is padded with zeros. An
element holds one k or a pair of k in one or three parts, and rows of bfloat16 are interleaved (see
`packed_formats`); ``units`` counts elements. A function without a body is implemented by the one
below it, for the format of its array.
"""

from typing import Any

import numpy as np

from .jit import device_function, specialize
from .packed_formats import (
    PAIRS,
    by_format,
    fill_pair_parts,
    fill_pairs,
    format_of,
    packed_format,
    row_pairs,
    subtract_bfloat16,
    to_bfloat16,
    to_pair,
)
from .target import TARGET
from .team import shared_kernel
from .transpose import SIDE, transpose

VECTORS = TARGET.vectors  # NR in vectors
_VECTOR_BYTES = TARGET.bytes_
_LINE = 16  # rows and columns transposed together: a square that stays in the L1 cache


def panels(n: int, dtype: np.dtype[Any]) -> int:
    """Number of micro-panels of a packed matrix with n columns."""
    return -(-n // TARGET.panel(_summed_bits(dtype)))


def packed_size(k: int, n: int, dtype: np.dtype[Any]) -> int:
    """Number of elements of a packed (k, n) matrix, with padding."""
    packed = packed_format(dtype)
    lanes = TARGET.lanes(_summed_bits(dtype))
    wide = TARGET.panel(_summed_bits(dtype))
    left = n % wide  # columns of the last, narrower panel
    depth = -(-k // (2 * PAIRS)) * PAIRS * packed.parts if packed.is_paired else k
    return depth * (n - left + (0 if left == 0 else lanes if left <= lanes else wide))


def _summed_bits(dtype: np.dtype[Any]) -> int:
    """Bits of the sums of products of such elements: a vector holds one sum per column."""
    return packed_format(dtype).accumulator.itemsize * 8


def units(packed, k):
    """Elements of a column of ``packed`` that k numbers take, with padding."""


@specialize(units)
def _units(packed, k):
    parts_each = format_of(packed).parts

    def single(packed, k):
        return k

    def groups(packed, k):
        # whole groups of PAIRS pairs, each in every part
        return (k + 2 * PAIRS - 1) // (2 * PAIRS) * PAIRS * parts_each

    return by_format(packed, single, groups, groups)


def k_per_element(packed):
    """Neighbouring k in one element of ``packed``: 2 for pairs of bfloat16, else 1."""


@specialize(k_per_element)
def _k_per_element(packed):
    return by_format(packed, lambda packed: 1, lambda packed: 2, lambda packed: 2)


def element_row(packed, k):
    """Row of the element that holds the even k; of three parts, the first."""


@specialize(element_row)
def _element_row(packed, k):
    parts_each = format_of(packed).parts

    def in_groups(packed, k):
        # the other parts of a group of PAIRS pairs lie between it and the next group
        return k // (2 * PAIRS) * parts_each * PAIRS + k % (2 * PAIRS) // 2

    return by_format(packed, lambda packed, k: k, lambda packed, k: k // 2, in_groups)


@device_function
def lanes_of(array):
    """Sums per vector for elements of this array; bfloat16 is summed in float32."""
    return _VECTOR_BYTES // max(array.itemsize, 4)


@device_function
def panel_vectors(n, column, lanes):
    """Width in vectors of the micro-panel that starts at ``column`` of n."""
    return 1 if n - column <= lanes else VECTORS


@device_function
def interleaved_place(width, n):
    """Place of column n in a row of an interleaved panel: the columns of two vectors alternate."""
    lanes = _VECTOR_BYTES // 4
    if width == lanes:
        return n
    vector, lane = n // lanes, n % lanes
    return vector // 2 * 2 * lanes + 2 * lane + vector % 2


def fill_column(packed, at, width, n, k, row):
    """Column n of the panel at ``at``, from the even k on, from a row of numbers."""


@specialize(fill_column)
def _fill_column(packed, at, width, n, k, row):
    def single(packed, at, width, n, k, row):
        to = packed[at + k * width + n : at + (k + row.size) * width : width]
        for i in range(row.size):
            to[i] = row[i]

    def interleaved(packed, at, width, n, k, row):
        first = at + k * width + interleaved_place(width, n)
        for i in range(row.size):
            packed[first + i * width] = to_bfloat16(row[i])

    def pairs(packed, at, width, n, k, row):
        to = packed[at + k // 2 * width + n : at + (k + row.size + 1) // 2 * width : width]
        for i in range(row.size // 2):
            to[i] = to_pair(row[2 * i], row[2 * i + 1])
        if row.size % 2:
            to[row.size // 2] = to_pair(row[row.size - 1], row.dtype.type(0))

    def parts(packed, at, width, n, k, row):
        apart = PAIRS * width  # elements from a part to the next
        zero = row.dtype.type(0)
        to = packed[at + element_row(packed, k) * width + n :]
        for i in range((row.size + 1) // 2):
            x, y = row[2 * i], row[2 * i + 1] if 2 * i + 1 < row.size else zero
            to[i * width] = to_pair(x, y)
            x, y = subtract_bfloat16(x), subtract_bfloat16(y)
            to[i * width + apart] = to_pair(x, y)
            to[i * width + 2 * apart] = to_pair(subtract_bfloat16(x), subtract_bfloat16(y))

    return by_format(packed, interleaved if format_of(packed).is_interleaved else single, pairs, parts)


def square_size(packed):
    """Columns n and numbers k that `fill_square` takes."""


@specialize(square_size)
def _square_size(packed):
    if format_of(packed).is_paired:
        return lambda packed: (_LINE, 2 * _LINE)
    return (lambda packed: (SIDE, SIDE)) if _in_registers(packed) else (lambda packed: (_LINE, _LINE))


def fill_square(packed, at, width, n, k, source, from_at, row):
    """Columns n.. of the panel at ``at``, from k on, each from a row of a flat array; rows lie
    ``row`` apart.
    """


@specialize(fill_square)
def _fill_square(packed, at, width, n, k, source, from_at, row):
    def one_by_one(packed, at, width, n, k, source, from_at, row):
        for i in range(_LINE):
            first = from_at + i * row
            fill_column(packed, at, width, n + i, k, source[first : first + _LINE])

    def in_registers(packed, at, width, n, k, source, from_at, row):
        transpose(packed, at + element_row(packed, k) * width + n, width, source, from_at, row)

    return in_registers if _in_registers(packed) else one_by_one


def _in_registers(packed: Any) -> bool:
    """Whether `transpose` can write this format: its elements have the 4 bytes of a float32."""
    return format_of(packed).dtype.itemsize == 4


def fill_row(packed, at, width, k, source, first_at, second_at, count):
    """Row k of the panel at ``at`` from source[first_at:]; for pairs also row k + 1 from
    source[second_at:].

    ``second_at`` is negative if there is no row k + 1.
    """


@specialize(fill_row)
def _fill_row(packed, at, width, k, source, first_at, second_at, count):
    def single(packed, at, width, k, source, first_at, second_at, count):
        to, numbers = packed[at + k * width : at + k * width + count], source[first_at : first_at + count]
        for i in range(numbers.size):
            to[i] = numbers[i]

    def interleaved(packed, at, width, k, source, first_at, second_at, count):
        for i in range(count):
            packed[at + k * width + interleaved_place(width, i)] = to_bfloat16(source[first_at + i])

    def pairs(packed, at, width, k, source, first_at, second_at, count):
        fill_pairs(packed, at + k // 2 * width, source, first_at, second_at, count)

    def parts(packed, at, width, k, source, first_at, second_at, count):
        to = at + element_row(packed, k) * width
        fill_pair_parts(packed, to, PAIRS * width, source, first_at, second_at, count)

    return by_format(packed, interleaved if format_of(packed).is_interleaved else single, pairs, parts)


def pack_row(packed, at, source, from_at, k):
    """Convert a row of A, k numbers of a flat array, to the pairs that match a B of pairs."""


@specialize(pack_row)
def _pack_row(packed, at, source, from_at, k):
    def one_by_one(packed, at, source, from_at, k):
        # the halves of a pair are neighbours, so a row of pairs is a row of bfloat16
        numbers, to = source[from_at : from_at + k], packed.view(np.uint16)[2 * at : 2 * (at + units(packed, k))]
        for i in range(numbers.size):
            to[i] = to_bfloat16(numbers[i])
        for i in range(numbers.size, to.size):
            to[i] = 0

    def on_tiles(packed, at, source, from_at, k):
        # whole groups of 16 pairs in registers; the rest is padded with zeros
        whole = k - k % (2 * PAIRS)
        for k0 in range(0, whole, 2 * PAIRS):
            row_pairs(packed, at + element_row(packed, k0), source, from_at + k0)
        if whole < k:
            for i in range(element_row(packed, whole), units(packed, k)):
                packed[at + i] = 0
            fill_column(packed, at, 1, 0, whole, source[from_at + whole : from_at + k])

    return on_tiles if TARGET.amx else one_by_one


@shared_kernel
def pack(matrix, gate_order, gate_rows, transposed, packed, start, stop):
    """Fill micro-panels start..stop of ``packed`` from a (R, C) matrix whose rows form gate blocks
    of ``gate_rows`` rows.

    Row r of B is row ``gate_order[r // gate_rows] * gate_rows + r % gate_rows`` of the matrix: the
    kernels keep the GRU's gates in another order than torch.nn. Packed is B (k = rows, n =
    columns), or its transpose if ``transposed``.
    """
    rows, columns = matrix.shape
    # B is (k_size, n_size); `matrix` holds it as it is, or its transpose
    numbers = matrix.reshape(matrix.size)
    k_size = columns if transposed else rows
    n_size = rows if transposed else columns
    lanes = lanes_of(packed)
    step = k_per_element(packed)
    for p in range(start, stop):
        column = p * lanes * VECTORS
        width = panel_vectors(n_size, column, lanes) * lanes
        filled = min(width, n_size - column)
        # the panel begins after all columns before it
        at = units(packed, k_size) * column
        # columns beyond n: the micro-kernel multiplies them too, and what memory held could be subnormal,
        # which is slow
        if filled < width:
            packed[at : at + units(packed, k_size) * width] = 0
        if transposed:
            # column n of B is a row of the matrix: squares, as reading row by row would touch another line of
            # the panel for every number
            some, deep = square_size(packed)
            for n0 in range(0, filled, some):
                last = min(n0 + some, filled)
                first_row = gate_order[(column + n0) // gate_rows] * gate_rows + (column + n0) % gate_rows
                # the columns of a whole square come from consecutive rows of one gate block
                whole = last - n0 == some and (column + n0) // gate_rows == (column + last - 1) // gate_rows
                for k0 in range(0, k_size, deep):
                    if whole and k0 + deep <= k_size:
                        fill_square(packed, at, width, n0, k0, numbers, first_row * columns + k0, columns)
                    else:
                        for n in range(n0, last):
                            r = gate_order[(column + n) // gate_rows] * gate_rows + (column + n) % gate_rows
                            fill_column(packed, at, width, n, k0, matrix[r, k0 : min(k0 + deep, k_size)])
        else:
            # row k of B is a row of the matrix: copied as it is; for pairs rows k and k + 1 are interleaved
            for k in range(0, k_size, step):
                first = (gate_order[k // gate_rows] * gate_rows + k % gate_rows) * columns + column
                second = -1
                if step == 2 and k + 1 < k_size:
                    second = (gate_order[(k + 1) // gate_rows] * gate_rows + (k + 1) % gate_rows) * columns + column
                fill_row(packed, at, width, k, numbers, first, second, filled)


@device_function
def pack_rows(packed, source, columns, k0, depth, start, stop):
    """Pack rows k0 .. k0 + depth of a flat (K, columns) array into micro-panels start..stop, ``depth``
    deep, as `pack` does.
    """
    lanes = lanes_of(packed)
    step = k_per_element(packed)
    column, end = start * lanes * VECTORS, min(stop * lanes * VECTORS, columns)
    while column < end:
        width = panel_vectors(columns, column, lanes) * lanes
        filled = min(width, columns - column)
        at = units(packed, depth) * column
        # zeros in the padding: columns beyond the matrix, and k beyond ``depth`` in the last group
        # of pairs
        if filled < width or (step > 1 and depth % (2 * PAIRS)):
            packed[at : at + units(packed, depth) * width] = 0
        for k in range(0, depth, step):
            first = (k0 + k) * columns + column
            second = first + columns if k + 1 < depth else -1
            fill_row(packed, at, width, k, source, first, second, filled)
        column += width
