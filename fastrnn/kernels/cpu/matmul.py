"""Matrix products with a packed second factor, built on the micro-kernel.

The loops follow BLIS: the micro-panels of B (k x NR) are the outer loop, and blocks of up to MR
rows of A the inner one. All of k is one block (KC = k), so C is written once. The panels are packed
once and used for every time step.
"""

from typing import Any

import numpy as np
from numba import types

from .amx import TILE, amx_micro_kernel, configure, release
from .blocks import INDEX_ZERO, Block, MicroPanel, PackedColumns, PackedMatrix, StepBlock, copy_rows
from .jit import allocating_function, device_function, inline_function, kernel, specialize
from .memory import working_memory
from .micro_kernel import MR, micro_kernel, panels_at_once
from .packing import VECTORS, k_per_element, lanes_of, pack_row, panel_vectors, units
from .target import TARGET

# elements of C in one full block of float32; float64 needs half
SCRATCH_SIZE = max(MR, 2 * TILE if TARGET.amx else 0) * VECTORS * TARGET.bytes_ // 4
_ODD_LINES = TILE if TARGET.amx else 0  # elements of a cache line
_ROWS_BYTES = 1 << 19  # of packed rows of A: a quarter of the L2 cache of a CPU with AMX
_SHALLOW = 8 * TILE  # k pairs: two column tiles of so many take a third of the L1 cache
_panels_at_once = inline_function(panels_at_once)


@allocating_function
def product_memory(c, b, k, rows):
    """Working memory for `multiply`: SCRATCH_SIZE elements like c for a partly filled panel, and
    packed rows of A.

    The latter, ``rows`` rows of k numbers, is only needed if the packed b holds pairs. Its last
    element counts the products, see `multiply_amx`.
    """
    packed_rows = working_memory((packed_row(b, k) * rows if k_per_element(b) == 2 else 0) + 1, b)
    packed_rows[-1] = 0
    return working_memory(SCRATCH_SIZE, c), packed_rows


@device_function
def packed_row(packed, k):
    """Elements from a packed row of A to the next."""
    # On AMX an odd number of cache lines: 16 rows a multiple of 4 KB apart would share a set of the L1 cache
    return units(packed, k) | _ODD_LINES


def multiply(c, a, b, steps, rows, accumulate, memory):
    """C[t, m, :n] = A[t, m, :k] @ B, plus C if ``accumulate``, for ``steps`` x ``rows`` rows.

    Of C only the columns that B names are computed.

    Args:
        c: `StepBlock`.
        a: `StepBlock`. If B holds pairs of bfloat16, its rows are packed first.
        b: `PackedMatrix` (k, n), or `PackedColumns` of it.
        steps: Number of time steps.
        rows: Number of rows of each step.
        accumulate: 1 to add to C, 0 to overwrite it.
        memory: From `product_memory`.
    """


@specialize(multiply)
def _multiply(c, a, b, steps, rows, accumulate, memory):
    def direct(c, a, b, steps, rows, accumulate, memory):
        multiply_units(c, a, b, steps, rows, accumulate, memory[0])

    deep = _all_deep if _computes_all(b) else _some_deep

    def with_packed_rows(c, a, b, steps, rows, accumulate, memory):
        scratch, pairs = memory
        row = packed_row(b.panels, b.k)
        packed_b = deep(b, units(b.panels, b.k))
        # as many steps at a time as have their packed rows in the L2 cache
        at_once = max(1, _ROWS_BYTES // max(rows * row * pairs.itemsize, 1)) if steps > 1 else 1
        for t0 in range(0, steps, at_once):
            some = min(at_once, steps - t0)
            for t in range(some):
                for m in range(rows):
                    row_start = a.start + (t0 + t) * a.step_stride + m * a.row_stride
                    pack_row(pairs, (t * rows + m) * row, a.data, row_start, b.k)
            packed_rows = StepBlock(pairs, INDEX_ZERO, rows * row, row)
            to_c = StepBlock(c.data, c.start + t0 * c.step_stride, c.step_stride, c.row_stride)
            backwards = pairs[-1] % 2
            pairs[-1] += 1
            multiply_packed_pairs(to_c, packed_rows, packed_b, some, rows, accumulate, backwards, scratch)

    return with_packed_rows if element_type(b) in (types.int32, types.uint32) else direct


def element_type(b: Any) -> Any:
    """Numba type of the elements of a `PackedMatrix`, given its Numba type."""
    return b.types[b.fields.index("panels")].dtype


@device_function
def multiply_units(c, a, b, steps, rows, accumulate, scratch):
    """`multiply` with A in B's elements, of which there are k. A micro-panel stays in cache for all
    rows; if there are few, several panels are taken at once.
    """
    lanes = lanes_of(b.panels)
    blocks = (rows + MR - 1) // MR
    each = VECTORS * lanes
    panels = panels_in(b, each)
    together = _panels_at_once(rows, VECTORS)
    number = 0
    while number < panels:
        column = panel_column(b, each, number)
        last, end = number + together - 1, column + together * each
        if last < panels and end <= b.n and panel_column(b, each, last) == end - each:
            vectors = together * VECTORS
        else:
            # the next panels are not neighbours, or the last one is not full
            last = number
            vectors = panel_vectors(b.n, column, lanes)
        number = last + 1
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


def panels_in(b, width):
    """Micro-panels, ``width`` columns wide, of the columns that are to be computed."""


def panel_column(b, width, number):
    """First column of one of `panels_in`."""


def _computes_all(b: Any) -> bool:
    """Whether all columns of B are computed, given its Numba type."""
    return b.instance_class is PackedMatrix


@specialize(panels_in)
def _panels_in(b, width):
    def of_all(b, width):
        return (b.n + width - 1) // width

    def of_some(b, width):
        return (b.hi - b.lo + width - 1) // width * (b.n // b.period)

    return of_all if _computes_all(b) else of_some


@specialize(panel_column)
def _panel_column(b, width, number):
    def of_all(b, width, number):
        return number * width

    def of_some(b, width, number):
        each = (b.hi - b.lo + width - 1) // width
        return number // each * b.period + b.lo + number % each * width

    return of_all if _computes_all(b) else of_some


@inline_function
def _all_deep(b, k):
    """B with rows of k elements."""
    return PackedMatrix(b.panels, k, b.n)


@inline_function
def _some_deep(b, k):
    """The same for some columns of B."""
    return PackedColumns(b.panels, k, b.n, b.lo, b.hi, b.period)


@inline_function
def _multiply_tiles(c, a, panel, k, size, accumulate, scratch):
    """The product of one or two row tiles and column tiles; ``size``: rows of the first, of both, columns left of C."""
    upper, rows, left = size
    if left >= min(panel.vectors, 2) * TILE:
        amx_micro_kernel(upper, rows, a, panel, c, k, accumulate)
    elif left > 0:
        # the last tiles are wider than C: compute them in scratch memory
        wide = Block(scratch, INDEX_ZERO, panel.vectors * TILE)
        if accumulate:
            copy_rows(wide, c, rows, left)
        amx_micro_kernel(upper, rows, a, panel, wide, k, accumulate)
        copy_rows(c, wide, rows, left)


@device_function
def _multiply_row_tiles(c, a, b, steps, rows, accumulate, backwards, scratch):
    """`multiply_amx` of at most 16 rows without its loops: one stream takes a twentieth less time (measured)."""
    configure(rows, 0)
    panels = panels_in(b, VECTORS * TILE)
    for n in range(panels):
        column = panel_column(b, VECTORS * TILE, panels - 1 - n if backwards else n)
        vectors = panel_vectors(b.n, column, TILE)
        for t in range(steps):
            a_block = Block(a.data, a.start + t * a.step_stride, a.row_stride)
            for tile in range(0, vectors, 2):
                # A[t, :] and C[t, :, from column + 16 tile]
                panel = MicroPanel(b.panels, b.k * column + tile * TILE, vectors)
                c_block = Block(c.data, c.start + t * c.step_stride + column + tile * TILE, c.row_stride)
                left = b.n - column - tile * TILE
                _multiply_tiles(c_block, a_block, panel, b.k, (rows, rows, left), accumulate, scratch)
    release()


@device_function
def multiply_amx(c, a, b, steps, rows, accumulate, backwards, scratch):
    """`multiply_units` of bfloat16 pairs on AMX tiles: up to 2 x 16 rows at a time.

    Products with the same B go through its panels forwards and ``backwards`` by turns: if B is
    larger than the L2 cache, the next product finds there what this one used last.
    """
    if c.step_stride == rows * c.row_stride and a.step_stride == rows * a.row_stride:
        # one matrix of steps * rows rows: fewer tiles that are not full
        rows *= steps
        steps = 1
    if 0 < steps * rows <= TILE:
        _multiply_row_tiles(c, a, b, steps, rows, accumulate, backwards, scratch)
        return
    blocks = (rows + 2 * TILE - 1) // (2 * TILE)
    configured = 0  # height of the blocks that the tiles are configured for
    upper = 0
    panels = panels_in(b, VECTORS * TILE)
    for n in range(panels):
        column = panel_column(b, VECTORS * TILE, panels - 1 - n if backwards else n)
        vectors = panel_vectors(b.n, column, TILE)
        # Two column tiles that fit the L1 cache are used for all rows before the next two
        together = 2 if b.k <= _SHALLOW else vectors
        for first in range(0, vectors, together):
            for t in range(steps):
                m = 0
                for block in range(blocks):
                    height = (rows - m + blocks - block - 1) // (blocks - block)
                    if height != configured:
                        # two row tiles of nearly equal height, or one
                        upper = height if height <= TILE else (height + 1) // 2
                        configure(upper, height - upper)
                        configured = height
                    a_block = Block(a.data, a.start + t * a.step_stride + m * a.row_stride, a.row_stride)
                    c_start = c.start + t * c.step_stride + m * c.row_stride + column
                    for tile in range(first, min(first + together, vectors), 2):
                        # A[t, m : m + height, :] and C[t, m : m + height, from column + 16 tile]
                        panel = MicroPanel(b.panels, b.k * column + tile * TILE, vectors)
                        c_block = Block(c.data, c_start + tile * TILE, c.row_stride)
                        left = b.n - column - tile * TILE
                        _multiply_tiles(c_block, a_block, panel, b.k, (upper, height, left), accumulate, scratch)
                    m += height
    release()


@device_function
def multiply_dot(c, a, b, steps, rows, accumulate, backwards, scratch):
    """`multiply_units` with the arguments of `multiply_amx`."""
    multiply_units(c, a, b, steps, rows, accumulate, scratch)


multiply_packed_pairs = multiply_amx if TARGET.amx else multiply_dot  # A and B hold pairs of bfloat16


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
