"""Matrix products with a packed second factor, built on the micro-kernel.

The loops follow BLIS: the micro-panels of B (k x NR) are the outer loop, and blocks of up to MR
rows of A the inner one. All of k is one block (KC = k), so C is written once. The panels are packed
once and used for every time step.
"""

import numpy as np
from numba import types

from .amx import TILE, amx_micro_kernel, configure, release
from .jit import allocating_function, device_function, kernel, specialize
from .memory import working_memory
from .micro_kernel import MR, micro_kernel
from .packing import VECTORS, k_per_element, lanes_of, pack_row, panel_vectors, units
from .target import TARGET

# elements of C in one full block of float32; float64 needs half
SCRATCH_SIZE = max(MR, 2 * TILE if TARGET.amx else 0) * VECTORS * TARGET.bytes_ // 4


@allocating_function
def product_memory(c, b, k, rows):
    """Working memory for `multiply`: SCRATCH_SIZE elements like c for a partly filled panel, and
    packed rows of A.

    The latter, ``rows`` rows of k numbers, is only needed if the packed b holds pairs.
    """
    return working_memory(SCRATCH_SIZE, c), working_memory(units(b, k) * rows if k_per_element(b) == 2 else 0, b)


def multiply(c, a, b, k, n, steps, rows, accumulate, memory):
    """C[t, m, :n] = A[t, m, :k] @ B, plus C if ``accumulate``, for ``steps`` x ``rows`` rows. B is
    packed (k, n).

    a and c are (flat array, at, step, row): A[t, m, i] is element at + t*step + m*row + i. If B
    holds pairs of bfloat16, A's rows are packed first. ``memory``: from `product_memory`.
    """


@specialize(multiply)
def _multiply(c, a, b, k, n, steps, rows, accumulate, memory):
    def direct(c, a, b, k, n, steps, rows, accumulate, memory):
        multiply_units(c, a, b, k, n, steps, rows, accumulate, memory[0])

    def with_packed_rows(c, a, b, k, n, steps, rows, accumulate, memory):
        scratch, pairs = memory
        size = units(b, k)
        source, at, step, row = a
        for t in range(steps):
            for m in range(rows):
                pack_row(pairs, (t * rows + m) * size, source, at + t * step + m * row, k)
        # size - size is a zero of the index type: a literal 0 would compile the callee for another
        # type
        multiply_packed_pairs(c, (pairs, size - size, rows * size, size), b, size, n, steps, rows, accumulate, scratch)

    return with_packed_rows if b.dtype in (types.int32, types.uint32) else direct


@device_function
def multiply_units(c, a, b, k, n, steps, rows, accumulate, scratch):
    """`multiply` with A in B's elements, of which there are k. A micro-panel stays in cache for all
    rows.
    """
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
            # blocks of nearly equal size: 25 rows are split as 5 x 5, not 4 x 6 + 1
            blocks = (rows + MR - 1) // MR
            for block in range(blocks):
                some = (rows - m + blocks - block - 1) // (blocks - block)
                # A[t, m : m + some, :] and C[t, m : m + some, column : column + width]
                from_a = a_at + t * a_step + m * a_row
                to_c = c_at + t * c_step + m * c_row + column
                if filled == width:
                    micro_kernel(some, vectors, source, from_a, a_row, 1, b, k * column, to, to_c, c_row, k, accumulate)
                else:
                    # the last panel is wider than C: compute it in scratch memory
                    if accumulate:
                        copy_rows(scratch, 0, width, to, to_c, c_row, some, filled)
                    micro_kernel(
                        some, vectors, source, from_a, a_row, 1, b, k * column, scratch, 0, width, k, accumulate
                    )
                    copy_rows(to, to_c, c_row, scratch, 0, width, some, filled)
                m += some
        column += width


@device_function
def copy_rows(to, to_at, to_row, source, from_at, from_row, rows, columns):
    """Copy a (rows, columns) sub-matrix; rows lie ``to_row`` and ``from_row`` elements apart."""
    for m in range(rows):
        copy(to, to_at + m * to_row, source, from_at + m * from_row, columns)


@device_function
def copy(to, to_at, source, from_at, count):
    """to[to_at + n] = source[from_at + n] for n < count. Slices start indices at 0, so the loop
    vectorises.
    """
    a, b = to[to_at : to_at + count], source[from_at : from_at + count]
    for n in range(b.size):
        a[n] = b[n]


@device_function
def multiply_amx(c, a, b, k, n, steps, rows, accumulate, scratch):
    """`multiply_units` of bfloat16 pairs on AMX tiles: up to 2 x 16 rows at a time."""
    source, a_at, a_step, a_row = a
    to, c_at, c_step, c_row = c
    blocks = (rows + 2 * TILE - 1) // (2 * TILE)
    m = 0
    for block in range(blocks):
        some = (rows - m + blocks - block - 1) // (blocks - block)
        # two row tiles of nearly equal height, or one
        upper = some if some <= TILE else (some + 1) // 2
        row_tiles = 1 if some <= TILE else 2
        configure(upper, some - upper)
        column = 0
        while column < n:
            vectors = panel_vectors(n, column, TILE)
            width = vectors * TILE
            filled = min(width, n - column)
            for t in range(steps):
                # A[t, m : m + some, :] and C[t, m : m + some, column : column + width]
                from_a = a_at + t * a_step + m * a_row
                to_c = c_at + t * c_step + m * c_row + column
                if filled == width:
                    amx_micro_kernel(
                        row_tiles, vectors, source, from_a, a_row, upper * a_row, b, k * column, to, to_c, c_row,
                        upper * c_row, k, accumulate,
                    )  # fmt: skip
                else:
                    if accumulate:
                        copy_rows(scratch, 0, width, to, to_c, c_row, some, filled)
                    amx_micro_kernel(
                        row_tiles, vectors, source, from_a, a_row, upper * a_row, b, k * column, scratch, 0, width,
                        upper * width, k, accumulate,
                    )  # fmt: skip
                    copy_rows(to, to_c, c_row, scratch, 0, width, some, filled)
            column += width
        m += some
    release()


multiply_packed_pairs = multiply_amx if TARGET.amx else multiply_units  # A and B hold pairs of bfloat16


@kernel
def multiply_repeatedly(packed, rows, k, n, repeats):
    """Multiply zeros (rows, k) with packed (k, n) ``repeats`` times: the micro-kernel alone, to
    measure its peak.
    """
    a, c = np.zeros(rows * k, packed.dtype), np.zeros(rows * n, packed.dtype)
    scratch = working_memory(SCRATCH_SIZE, packed)
    for _ in range(repeats):
        multiply_units((c, 0, 0, n), (a, 0, 0, k), packed, k, n, 1, rows, 0, scratch)


PEAK = (48, 256, 256, 200)  # rows, k, n, repeats of `multiply_repeatedly`: small enough to stay in cache
