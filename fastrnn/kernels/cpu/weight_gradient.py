"""Weight gradients of a whole window:  dW = sum over k of dgates[k]^T x[k],  k = (time step, batch
row).

Threads divide gate columns, so each sum runs over k in the same order for any number of threads.
Both factors are packed KC values of k at a time: in place their elements lie a long stride apart,
and each read would touch another page and cache line. A packed block is used for all products that
need it while it is in cache. All threads need all columns of x, so they divide its panels, pack them
into memory that they share, and wait for each other once a block.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import types

from .amx import TILE
from .blocks import INDEX_ZERO, Block, MicroPanel, PackedMatrix, StepBlock, copy_rows, flat
from .jit import device_function, specialize
from .matmul import SCRATCH_SIZE, multiply_amx, packed_row
from .memory import shared_memory, working_memory
from .micro_kernel import MR, micro_kernel
from .packing import (
    VECTORS,
    element_row,
    fill_row,
    k_per_element,
    lanes_of,
    pack_rows,
    packed_size,
    panel_vectors,
    units,
)
from .target import TARGET
from .team import cooperative_kernel, part_of, wait_for_group
from .transpose import transpose_pairs

_KC = 128  # k packed together, an even number: a micro-panel fits the L1 cache
_KC_AMX = 256  # for bfloat16 on AMX: two column tiles of a panel take a third of the L1 cache; 512 and 128 are slower
# Gate columns packed side by side: each panel of the states is read once for so many. 48 instead of 132 took up to 1.16
# times as long on AVX2, 258 and 516 slightly longer.
_MC = 512 if TARGET.amx else 22 * MR
_GROUP = 32  # k whose gates are read once, for the table and for packing, while they are in the L1 cache


def _on_tiles(array):
    """Whether products of arrays of this Numba type run on AMX tiles."""
    return TARGET.amx and array.dtype in (types.int32, types.uint32)


class SharedPanels(NamedTuple):
    """Memory for blocks of k of the second factors, packed: two each, used in turn.

    While slow threads still read one block, fast ones pack the next.
    """

    h: Any
    """(2, elements): the states."""
    x: Any
    """(2, elements): the inputs."""


def _layer_panels(team, gradients, cell, inputs, packed_like, col_lo, col_hi):
    """The memory that threads share in `layer_gradient`."""
    h, x = (_block_of(a.shape[2], packed_like.dtype) for a in (cell.h, inputs.x))
    return SharedPanels(shared_memory("h", h, packed_like.dtype), shared_memory("x", x, packed_like.dtype))


def _linear_panels(team, dw, dz, x, packed_like, row_lo, row_hi):
    """The memory that threads share in `weight_gradient`, as that of x in `SharedPanels`."""
    return shared_memory("x", _block_of(x.shape[1], packed_like.dtype), packed_like.dtype)


@lru_cache(maxsize=64)
def _block_of(columns, dtype):
    """Shape of two blocks of so many columns."""
    depth = _KC_AMX if TARGET.amx and dtype == np.int32 else _KC
    return 2, packed_size(depth, columns, dtype)


@device_function
def _buffer_index(thread, block):
    """Which of the two blocks of memory to use; one thread alone uses one, which then stays in cache."""
    return block % 2 if thread.of > 1 else 0


@device_function
def _pack_part(thread, packed, source, columns, k0, depth):
    """Pack this thread's part of the panels of a block of k."""
    width = VECTORS * lanes_of(packed)
    panels = (columns + width - 1) // width
    start, stop = part_of(thread, 0, panels)
    pack_rows(packed, source, columns, k0, depth, start, stop)


@cooperative_kernel(plan=_layer_panels)
def layer_gradient(thread, gradients, cell, inputs, packed_like, col_lo, col_hi):
    """Compute gate columns col_lo..col_hi of the gradients of a layer's weights.

    Args:
        thread: The `Thread` that computes a part of the columns. Its plan: `SharedPanels`.
        gradients: `LayerGradients`; see `table_backward` for ``dtable``.
        cell: The layer's arrays after `layer_backward`: ``gates`` are gradients (T, B, P),
            ``h[:-1]`` the state before each step.
        inputs: `LayerInput`.
        packed_like: Array of the element type to multiply in.
        col_lo: First of the P gate columns.
        col_hi: End of the columns.
    """
    T, B, P = cell.gates.shape
    H, F = cell.h.shape[2], inputs.x.shape[2]
    dw_ih, dw_hh, dtable, dngram_rows = gradients
    gate_width = dw_hh.shape[0]
    first, end = part_of(thread, col_lo, col_hi)
    dtable[:, first:end] = 0

    # one block of k of _MC gate columns
    kc = block_depth(packed_like)
    packed_gates = working_memory(packed_row(packed_like, kc) * _MC, packed_like)
    scratch = working_memory(SCRATCH_SIZE, dw_hh)
    rows_h, rows_x = flat(cell.h), flat(inputs.x)
    gates, row_ids, ngrams = flat(cell.gates), flat(inputs.ids), flat(inputs.ngrams)
    each = inputs.ngrams.shape[2]

    for k0 in range(0, T * B, kc):
        depth = min(kc, T * B - k0)
        buffer = _buffer_index(thread, k0 // kc)
        packed_h, packed_x = thread.plan.h[buffer], thread.plan.x[buffer]
        _pack_part(thread, packed_h, rows_h, H, k0, depth)
        if F:
            _pack_part(thread, packed_x, rows_x, F, k0, depth)
        wait_for_group(thread, 0, thread.of)
        column = first
        while column < end:
            # a block of columns does not cross gates: their weight rows need not be consecutive
            count = min(_MC, end - column, (column // H + 1) * H - column)
            # the first G*H columns belong to W_ih and to n-grams, in input order, the last G*H to W_hh
            row = inputs.gate_order[column // H] * H + column % H if column < gate_width else 0
            for k in range(0, depth, _GROUP):
                group_size = min(_GROUP, depth - k)
                add_to_table(dtable, row_ids, gates, P, k0 + k, group_size, column, count)
                if column < gate_width:
                    add_to_ngrams(dngram_rows, ngrams, each, gates, P, k0 + k, group_size, (column, row, count))
                rows = Block(gates, (k0 + k) * P + column, P)
                pack_columns(packed_gates, rows, group_size, k, depth, count, scratch)
            if F and column < gate_width:
                add_outer_products(dw_ih, row, packed_gates, packed_x, count, depth, scratch)
            if column >= P - gate_width:
                add_outer_products(dw_hh, column - (P - gate_width), packed_gates, packed_h, count, depth, scratch)
            column += count


@device_function
def add_to_table(dtable, ids, gates, P, k0, depth, column, count):
    """dtable[ids[k], columns] += gates[k, columns] for k0 <= k < k0 + depth."""
    for k in range(depth):
        to = dtable[ids[k0 + k], column : column + count]
        row = gates[(k0 + k) * P + column : (k0 + k) * P + column + count]
        for n in range(row.size):
            to[n] += row[n]


@device_function
def add_to_ngrams(drows, ngrams, each, gates, P, k0, depth, columns):
    """drows[n, row : row + count] += gates[k, column : column + count] for k0 <= k < k0 + depth and the n-grams n of k.

    ``ngrams``: ``each`` numbers for each k, -1 for none. ``columns``: column, row and count.
    """
    column, row, count = columns
    for k in range(k0, k0 + depth):
        for n in range(k * each, (k + 1) * each):
            if ngrams[n] >= 0:
                to = drows[ngrams[n], row : row + count]
                source = gates[k * P + column : k * P + column + count]
                for i in range(source.size):
                    to[i] += source[i]


@cooperative_kernel(plan=_linear_panels)
def weight_gradient(thread, dw, dz, x, packed_like, row_lo, row_hi):
    """Add rows row_lo..row_hi of dw (V, F) = sum_k dz[k]^T x[k] for dz (K, V), x (K, F).

    Products use the element type of the array ``packed_like``. The plan of ``thread``: two blocks
    of x.
    """
    K, V = dz.shape
    F = x.shape[1]
    first, end = part_of(thread, row_lo, row_hi)
    kc = block_depth(packed_like)
    packed_z = working_memory(packed_row(packed_like, kc) * _MC, packed_like)
    scratch = working_memory(SCRATCH_SIZE, dw)
    rows_x, rows_z = flat(x), flat(dz)
    for k0 in range(0, K, kc):
        depth = min(kc, K - k0)
        packed_x = thread.plan[_buffer_index(thread, k0 // kc)]
        _pack_part(thread, packed_x, rows_x, F, k0, depth)
        wait_for_group(thread, 0, thread.of)
        for row in range(first, end, _MC):
            count = min(_MC, end - row)
            rows = Block(rows_z, k0 * V + row, V)
            pack_columns(packed_z, rows, depth, INDEX_ZERO, depth, count, scratch)
            add_outer_products(dw, row, packed_z, packed_x, count, depth, scratch)


def pack_columns(packed, source, rows, to_k, depth, count, scratch):
    """Pack ``count`` columns of ``rows`` rows of a `Block` for `add_outer_products`: as values to_k.. of
    a block of ``depth`` values of k.
    """


def add_outer_products(dw, to_row, packed_gates, packed_x, rows, depth, scratch):
    """dw[to_row + m] += sum_k packed_gates[k, m] * packed_x[k] for m < rows."""


def block_depth(packed_like):
    """KC: number of k packed together."""


@specialize(block_depth)
def _block_depth(packed_like):
    if TARGET.amx and packed_like.dtype == types.int32:
        return lambda packed_like: _KC_AMX
    return lambda packed_like: _KC


@specialize(pack_columns)
def _pack_columns(packed, source, rows, to_k, depth, count, scratch):
    def by_row(packed, source, rows, to_k, depth, count, scratch):
        step = k_per_element(packed)
        for k in range(0, rows, step):
            first = source.start + k * source.row_stride
            second = first + source.row_stride if k + 1 < rows else -1
            fill_row(packed, 0, _MC, to_k + k, source.data, first, second, count)

    def by_column(packed, source, rows, to_k, depth, count, scratch):
        size = packed_row(packed, depth)
        for k in range(0, rows, 2 * TILE):
            for m in range(0, count, TILE):
                at, to = source.start + k * source.row_stride + m, m * size + element_row(packed, to_k + k)
                if k + 2 * TILE <= rows and m + TILE <= count:
                    transpose_pairs(packed, to, size, source.data, at, source.row_stride)
                else:
                    # an incomplete block: copy it into zeros first
                    scratch[: 2 * TILE * TILE] = 0
                    square = Block(source.data, at, source.row_stride)
                    copy_rows(Block(scratch, INDEX_ZERO, TILE), square, min(2 * TILE, rows - k), min(TILE, count - m))
                    transpose_pairs(packed, to, size, scratch, 0, TILE)

    return by_column if _on_tiles(packed) else by_row


@specialize(add_outer_products)
def _add_outer_products(dw, to_row, packed_gates, packed_x, rows, depth, scratch):
    def in_registers(dw, to_row, packed_gates, packed_x, rows, depth, scratch):
        F = dw.shape[1]
        lanes = lanes_of(dw)
        k = units(packed_x, depth)
        c = dw.reshape(dw.size)
        blocks = (rows + MR - 1) // MR
        column = 0
        while column < F:
            vectors = panel_vectors(F, column, lanes)
            width = vectors * lanes
            filled = min(width, F - column)
            panel = MicroPanel(packed_x, k * column, vectors)
            m = 0
            for n in range(blocks):
                height = (rows - m + blocks - n - 1) // (blocks - n)
                # dw[to_row + m :][:height, column : column + width]
                c_block = Block(c, (to_row + m) * F + column, F)
                # A is packed_gates, stored (k, _MC): its rows are neighbours, and k lies _MC apart
                a_block = Block(packed_gates, m, 1)
                if filled == width:
                    micro_kernel(height, a_block, _MC, panel, c_block, k, 1)
                else:
                    wide = Block(scratch, INDEX_ZERO, width)
                    copy_rows(wide, c_block, height, filled)
                    micro_kernel(height, a_block, _MC, panel, wide, k, 1)
                    copy_rows(c_block, wide, height, filled)
                m += height
            column += width

    def on_tiles(dw, to_row, packed_gates, packed_x, rows, depth, scratch):
        F = dw.shape[1]
        k = units(packed_x, depth)
        to_dw = StepBlock(dw.reshape(dw.size), to_row * F, INDEX_ZERO, F)
        # packed_gates is stored transposed, (columns, k)
        from_gates = StepBlock(packed_gates, INDEX_ZERO, INDEX_ZERO, packed_row(packed_x, depth))
        multiply_amx(to_dw, from_gates, PackedMatrix(packed_x, k, F), 1, rows, 1, 0, scratch)

    return on_tiles if _on_tiles(packed_x) else in_registers
