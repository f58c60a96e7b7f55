"""Matrix products on the tile, with a packed second factor that is used for every time step."""

import numpy as np
from numba import types

from .amx import TILE, configure, panel_product, release
from .jit import allocating_function, device_function, kernel, specialize
from .memory import working_memory
from .micro_kernel import ROWS, tile
from .packing import VECTORS, lanes_of, numbers_in, pack_row, panel_vectors, units
from .target import TARGET

# numbers in one full tile (of float32; float64 needs half)
SCRATCH = max(ROWS, 2 * TILE if TARGET.amx else 0) * VECTORS * TARGET.bytes_ // 4


@allocating_function
def product_memory(c, b, k, rows):
    """What `multiply` works in: numbers like those of the array c for a panel that is only partly filled, and so many
    rows of k numbers in pairs, where the packed b holds pairs."""
    return working_memory(SCRATCH, c), working_memory(units(b, k) * rows if numbers_in(b) == 2 else 0, b)


def multiply(c, a, b, k, n, steps, rows, accumulate, memory):
    """C[t, m, :n] = A[t, m, :k] @ B for ``steps`` x ``rows`` rows, added to C if ``accumulate``. B is packed (k, n).

    a and c are (flat array, at, step, row): A[t, m, i] lies at at + t*step + m*row + i. Where B holds pairs of
    bfloat16, A's rows are packed first. ``memory``: of `product_memory`.
    """


@specialize(multiply)
def _multiply(c, a, b, k, n, steps, rows, accumulate, memory):
    def plain(c, a, b, k, n, steps, rows, accumulate, memory):
        multiply_units(c, a, b, k, n, steps, rows, accumulate, memory[0])

    def rounded(c, a, b, k, n, steps, rows, accumulate, memory):
        scratch, pairs = memory
        size = units(b, k)
        source, at, step, row = a
        for t in range(steps):
            for m in range(rows):
                pack_row(pairs, (t * rows + m) * size, source, at + t * step + m * row, k)
        multiply_pairs(c, (pairs, size - size, rows * size, size), b, size, n, steps, rows, accumulate, scratch)

    return rounded if b.dtype in (types.int32, types.uint32) else plain


@device_function
def multiply_units(c, a, b, k, n, steps, rows, accumulate, scratch):
    """`multiply` with A in B's units, of which there are k. A panel stays in cache for all rows."""
    source, a_at, a_step, a_row = a
    to, c_at, c_step, c_row = c
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
                    tile(some, vectors, source, from_a, a_row, 1, b, k * column, to, to_c, c_row, k, accumulate)
                else:
                    if accumulate:
                        copy_rows(scratch, 0, width, to, to_c, c_row, some, filled)
                    tile(some, vectors, source, from_a, a_row, 1, b, k * column, scratch, 0, width, k, accumulate)
                    copy_rows(to, to_c, c_row, scratch, 0, width, some, filled)
                m += some
        column += width


@device_function
def copy_rows(to, to_at, to_row, source, from_at, from_row, rows, columns):
    for m in range(rows):
        copy(to, to_at + m * to_row, source, from_at + m * from_row, columns)


@device_function
def copy(to, to_at, source, from_at, count):
    """to[to_at:][:count] = source[from_at:][:count]. Indices from 0 need no test for negative ones: this vectorises."""
    a, b = to[to_at : to_at + count], source[from_at : from_at + count]
    for n in range(b.size):
        a[n] = b[n]


@device_function
def multiply_on_tiles(c, a, b, k, n, steps, rows, accumulate, scratch):
    """`multiply_units` of pairs, with AMX."""
    source, a_at, a_step, a_row = a
    to, c_at, c_step, c_row = c
    blocks = (rows + 2 * TILE - 1) // (2 * TILE)
    m = 0
    for block in range(blocks):
        some = (rows - m + blocks - block - 1) // (blocks - block)
        upper = some if some <= TILE else (some + 1) // 2
        row_tiles = 1 if some <= TILE else 2
        configure(upper, some - upper)
        column = 0
        while column < n:
            vectors = panel_vectors(n, column, TILE)
            width = vectors * TILE
            filled = min(width, n - column)
            for t in range(steps):
                from_a = a_at + t * a_step + m * a_row
                to_c = c_at + t * c_step + m * c_row + column
                if filled == width:
                    panel_product(
                        row_tiles, vectors, source, from_a, a_row, upper * a_row, b, k * column, to, to_c, c_row,
                        upper * c_row, k, accumulate,
                    )  # fmt: skip
                else:
                    if accumulate:
                        copy_rows(scratch, 0, width, to, to_c, c_row, some, filled)
                    panel_product(
                        row_tiles, vectors, source, from_a, a_row, upper * a_row, b, k * column, scratch, 0, width,
                        upper * width, k, accumulate,
                    )  # fmt: skip
                    copy_rows(to, to_c, c_row, scratch, 0, width, some, filled)
            column += width
        m += some
    release()


multiply_pairs = multiply_on_tiles if TARGET.amx else multiply_units  # with A and B in pairs of bfloat16


@kernel
def multiply_repeatedly(packed, rows, k, n, repeats):
    """The product of zeros (rows, k) with packed (k, n) again and again: nothing but the tile, to measure its peak."""
    a, c = np.zeros(rows * k, packed.dtype), np.zeros(rows * n, packed.dtype)
    scratch = working_memory(SCRATCH, packed)
    for _ in range(repeats):
        multiply_units((c, 0, 0, n), (a, 0, 0, k), packed, k, n, 1, rows, 0, scratch)


PEAK = (48, 256, 256, 200)  # rows, k, n, repeats that show the peak: in cache
