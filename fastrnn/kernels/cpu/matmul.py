"""Matrix products with a packed second factor, built on the micro-kernel.

The loops follow BLIS: the micro-panels of B (k x NR) are the outer loop, and blocks of up to MR
rows of A the inner one. All of k is one block (KC = k), so C is written once. The panels are packed
once and used for every time step.
"""

from typing import Any

import numpy as np
from numba import types

from .amx import TILE, amx_micro_kernel, configure, release
from .blocks import INDEX_ZERO, Block, MicroPanel, PackedMatrix, StepBlock, copy_rows
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


def multiply(c, a, b, steps, rows, accumulate, memory):
    """C[t, m, :n] = A[t, m, :k] @ B, plus C if ``accumulate``, for ``steps`` x ``rows`` rows.

    Args:
        c: `StepBlock`.
        a: `StepBlock`. If B holds pairs of bfloat16, its rows are packed first.
        b: `PackedMatrix` (k, n).
        steps: Number of time steps.
        rows: Number of rows of each step.
        accumulate: 1 to add to C, 0 to overwrite it.
        memory: From `product_memory`.
    """


@specialize(multiply)
def _multiply(c, a, b, steps, rows, accumulate, memory):
    def direct(c, a, b, steps, rows, accumulate, memory):
        multiply_units(c, a, b, steps, rows, accumulate, memory[0])

    def with_packed_rows(c, a, b, steps, rows, accumulate, memory):
        scratch, pairs = memory
        size = units(b.panels, b.k)
        for t in range(steps):
            for m in range(rows):
                row_start = a.start + t * a.step_stride + m * a.row_stride
                pack_row(pairs, (t * rows + m) * size, a.data, row_start, b.k)
        packed_rows = StepBlock(pairs, INDEX_ZERO, rows * size, size)
        multiply_packed_pairs(c, packed_rows, PackedMatrix(b.panels, size, b.n), steps, rows, accumulate, scratch)

    return with_packed_rows if element_type(b) in (types.int32, types.uint32) else direct


def element_type(b: Any) -> Any:
    """Numba type of the elements of a `PackedMatrix`, given its Numba type."""
    return b.types[b.fields.index("panels")].dtype


@device_function
def multiply_units(c, a, b, steps, rows, accumulate, scratch):
    """`multiply` with A in B's elements, of which there are k. A micro-panel stays in cache for all
    rows.
    """
    lanes = lanes_of(b.panels)
    blocks = (rows + MR - 1) // MR
    column = 0
    while column < b.n:
        vectors = panel_vectors(b.n, column, lanes)
        width = vectors * lanes
        filled = min(width, b.n - column)
        panel = MicroPanel(b.panels, b.k * column, vectors)
        for t in range(steps):
            m = 0
            for block in range(blocks):
                # blocks of nearly equal size: 25 rows are split as 5 x 5, not 4 x 6 + 1
                height = (rows - m + blocks - block - 1) // (blocks - block)
                # A[t, m : m + height, :] and C[t, m : m + height, column : column + width]
                a_block = Block(a.data, a.start + t * a.step_stride + m * a.row_stride, a.row_stride)
                c_block = Block(c.data, c.start + t * c.step_stride + m * c.row_stride + column, c.row_stride)
                if filled == width:
                    micro_kernel(height, a_block, 1, panel, c_block, b.k, accumulate)
                else:
                    # the last panel is wider than C: compute it in scratch memory
                    wide = Block(scratch, INDEX_ZERO, width)
                    if accumulate:
                        copy_rows(wide, c_block, height, filled)
                    micro_kernel(height, a_block, 1, panel, wide, b.k, accumulate)
                    copy_rows(c_block, wide, height, filled)
                m += height
        column += width


@device_function
def multiply_amx(c, a, b, steps, rows, accumulate, scratch):
    """`multiply_units` of bfloat16 pairs on AMX tiles: up to 2 x 16 rows at a time."""
    blocks = (rows + 2 * TILE - 1) // (2 * TILE)
    m = 0
    for block in range(blocks):
        height = (rows - m + blocks - block - 1) // (blocks - block)
        # two row tiles of nearly equal height, or one
        upper = height if height <= TILE else (height + 1) // 2
        configure(upper, height - upper)
        column = 0
        while column < b.n:
            vectors = panel_vectors(b.n, column, TILE)
            width = vectors * TILE
            filled = min(width, b.n - column)
            panel = MicroPanel(b.panels, b.k * column, vectors)
            for t in range(steps):
                # A[t, m : m + height, :] and C[t, m : m + height, column : column + width]
                a_block = Block(a.data, a.start + t * a.step_stride + m * a.row_stride, a.row_stride)
                c_block = Block(c.data, c.start + t * c.step_stride + m * c.row_stride + column, c.row_stride)
                if filled == width:
                    amx_micro_kernel(upper, height, a_block, panel, c_block, b.k, accumulate)
                else:
                    wide = Block(scratch, INDEX_ZERO, width)
                    if accumulate:
                        copy_rows(wide, c_block, height, filled)
                    amx_micro_kernel(upper, height, a_block, panel, wide, b.k, accumulate)
                    copy_rows(c_block, wide, height, filled)
            column += width
        m += height
    release()


multiply_packed_pairs = multiply_amx if TARGET.amx else multiply_units  # A and B hold pairs of bfloat16


@kernel
def multiply_repeatedly(packed, rows, k, n, repeats):
    """Multiply zeros (rows, k) with packed (k, n) ``repeats`` times: the micro-kernel alone, to
    measure its peak.
    """
    a = StepBlock(np.zeros(rows * k, packed.dtype), INDEX_ZERO, INDEX_ZERO, k)
    c = StepBlock(np.zeros(rows * n, packed.dtype), INDEX_ZERO, INDEX_ZERO, n)
    b = PackedMatrix(packed, k, n)
    scratch = working_memory(SCRATCH_SIZE, packed)
    for _ in range(repeats):
        multiply_units(c, a, b, 1, rows, 0, scratch)


PEAK = (48, 256, 256, 200)  # rows, k, n, repeats of `multiply_repeatedly`: small enough to stay in cache
