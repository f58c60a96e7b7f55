"""The elements of packed matrices: which k an element holds, and filling rows and columns of a panel with them.

An element is a float32 or float64, a bfloat16 (uint16), two neighbouring k of bfloat16 (int32), or such a pair of a
float32's three parts (uint32: of each 32 k first 16 pairs of the upper parts, then of the middle, then of the lower
ones); ``units`` counts them.
"""

import numpy as np
from numba import types

from .bfloat16 import PARTS, as_element, pair_up, pair_up_parts, rounded_off, to_bfloat16, to_pair
from .compiling import chosen_by_type
from .pairs import row_pairs
from .target import TARGET
from .transposing import SIDE, transpose

PAIRS = 16 if TARGET.amx else 1  # pairs of k are filled up with zeros to a multiple of this
_LINE = 16  # rows and columns transposed together: a square that stays in the first cache


def units(packed, k):
    """Elements of ``packed`` that k numbers take."""


def numbers_in(packed):
    """Neighbouring k in one element of ``packed``: 2 of bfloat16 pairs, else 1."""


def row_of(packed, k):
    """Where the even k stands among the elements of a column; of three parts, the first."""


def fill_column(packed, at, width, n, k, row):
    """Column n of the panel at ``at``, from the even k on, from a row of numbers."""


def square(packed):
    """How many columns n and how many k `fill_square` takes."""


def fill_square(packed, at, width, n, k, source, from_at, row):
    """Columns n.. of the panel at ``at``, from k on, each from a row of a flat array; rows lie ``row`` apart."""


def fill_row(packed, at, width, k, source, first_at, second_at, count):
    """Row k of the panel at ``at`` from source[first_at:]; of pairs also row k + 1 from source[second_at:].

    ``second_at`` is negative where there is no row k + 1.
    """


def pack_row(packed, at, source, from_at, k):
    """A row of the first factor, k numbers of a flat array, as the pairs that go with a second factor of pairs."""


@chosen_by_type(units)
def _units(packed, k):
    if packed.dtype == types.uint32:
        return lambda packed, k: (k + 2 * PAIRS - 1) // (2 * PAIRS) * PAIRS * PARTS
    if packed.dtype == types.int32:
        return lambda packed, k: (k + 2 * PAIRS - 1) // (2 * PAIRS) * PAIRS
    return lambda packed, k: k


@chosen_by_type(numbers_in)
def _numbers_in(packed):
    return (lambda packed: 2) if packed.dtype in (types.int32, types.uint32) else (lambda packed: 1)


@chosen_by_type(row_of)
def _row_of(packed, k):
    if packed.dtype == types.uint32:
        return lambda packed, k: k // (2 * PAIRS) * PARTS * PAIRS + k % (2 * PAIRS) // 2
    return (lambda packed, k: k // 2) if packed.dtype == types.int32 else (lambda packed, k: k)


@chosen_by_type(fill_column)
def _fill_column(packed, at, width, n, k, row):
    def one_by_one(packed, at, width, n, k, row):
        to = packed[at + k * width + n : at + (k + row.size) * width : width]
        for i in range(row.size):
            to[i] = as_element(packed, row[i])

    def pairs(packed, at, width, n, k, row):
        to = packed[at + k // 2 * width + n : at + (k + row.size + 1) // 2 * width : width]
        for i in range(row.size // 2):
            to[i] = to_pair(row[2 * i], row[2 * i + 1])
        if row.size % 2:
            to[row.size // 2] = to_pair(row[row.size - 1], row.dtype.type(0))

    def parts(packed, at, width, n, k, row):
        apart, zero = PAIRS * width, row.dtype.type(0)
        to = packed[at + row_of(packed, k) * width + n :]
        for i in range((row.size + 1) // 2):
            x, y = row[2 * i], row[2 * i + 1] if 2 * i + 1 < row.size else zero
            to[i * width] = to_pair(x, y)
            x, y = rounded_off(x), rounded_off(y)
            to[i * width + apart] = to_pair(x, y)
            to[i * width + 2 * apart] = to_pair(rounded_off(x), rounded_off(y))

    if packed.dtype == types.uint32:
        return parts
    return pairs if packed.dtype == types.int32 else one_by_one


@chosen_by_type(square)
def _square(packed):
    if packed.dtype in (types.int32, types.uint32):
        return lambda packed: (_LINE, 2 * _LINE)
    return (lambda packed: (SIDE, SIDE)) if packed.dtype == types.float32 else (lambda packed: (_LINE, _LINE))


@chosen_by_type(fill_square)
def _fill_square(packed, at, width, n, k, source, from_at, row):
    def one_by_one(packed, at, width, n, k, source, from_at, row):
        for i in range(_LINE):
            first = from_at + i * row
            fill_column(packed, at, width, n + i, k, source[first : first + _LINE])

    def in_registers(packed, at, width, n, k, source, from_at, row):
        transpose(packed, at + row_of(packed, k) * width + n, width, source, from_at, row)

    return in_registers if packed.dtype in (types.float32, types.int32, types.uint32) else one_by_one


@chosen_by_type(fill_row)
def _fill_row(packed, at, width, k, source, first_at, second_at, count):
    def one_by_one(packed, at, width, k, source, first_at, second_at, count):
        to, numbers = packed[at + k * width : at + k * width + count], source[first_at : first_at + count]
        for i in range(numbers.size):
            to[i] = as_element(packed, numbers[i])

    def pairs(packed, at, width, k, source, first_at, second_at, count):
        pair_up(packed, at + k // 2 * width, source, first_at, second_at, count)

    def parts(packed, at, width, k, source, first_at, second_at, count):
        to = at + row_of(packed, k) * width
        pair_up_parts(packed, to, PAIRS * width, source, first_at, second_at, count)

    if packed.dtype == types.uint32:
        return parts
    return pairs if packed.dtype == types.int32 else one_by_one


@chosen_by_type(pack_row)
def _pack_row(packed, at, source, from_at, k):
    def one_by_one(packed, at, source, from_at, k):
        numbers, to = source[from_at : from_at + k], packed.view(np.uint16)[2 * at : 2 * (at + units(packed, k))]
        for i in range(numbers.size):
            to[i] = to_bfloat16(numbers[i])
        for i in range(numbers.size, to.size):
            to[i] = 0

    def on_tiles(packed, at, source, from_at, k):
        whole = k - k % (2 * PAIRS)
        for k0 in range(0, whole, 2 * PAIRS):
            row_pairs(packed, at + row_of(packed, k0), source, from_at + k0)
        if whole < k:
            for i in range(row_of(packed, whole), units(packed, k)):
                packed[at + i] = 0
            fill_column(packed, at, 1, 0, whole, source[from_at + whole : from_at + k])

    return on_tiles if TARGET.amx else one_by_one
