"""Weight gradients of a whole window:  dW = sum over k of dgates[k]^T x[k],  k = (time step, batch
row).

Threads share gate columns, so each sum runs over k in the same order for any number of threads.
Both factors are packed KC values of k at a time: in place their elements lie a long stride apart,
and each read would touch another page and cache line. A packed block is used for all products that
need it while it is in cache.
"""

from numba import types

from .amx import TILE
from .blocks import INDEX_ZERO, Block, MicroPanel, PackedMatrix, StepBlock, copy_rows, flat
from .jit import device_function, kernel, specialize
from .matmul import SCRATCH_SIZE, multiply_amx, packed_row
from .memory import working_memory
from .micro_kernel import MR, micro_kernel
from .packing import VECTORS, element_row, fill_row, k_per_element, lanes_of, pack_rows, panel_vectors, units
from .target import TARGET
from .transpose import transpose_pairs

_KC = 128  # k packed together, an even number: a micro-panel fits the L1 cache
_KC_AMX = 256  # for bfloat16 on AMX: two column tiles of a panel take a third of the L1 cache; 512 and 128 are slower
_MC = 512 if TARGET.amx else 8 * MR  # gate columns packed side by side
_GROUP = 32  # k whose gates are read once, for the table and for packing, while they are in the L1 cache


def _on_tiles(array):
    """Whether products of arrays of this Numba type run on AMX tiles."""
    return TARGET.amx and array.dtype in (types.int32, types.uint32)


@kernel
def layer_gradient(gradients, cell, inputs, gate_order, packed_like, col_lo, col_hi):
    """Compute gate columns col_lo..col_hi of the gradients of a layer's weights.

    Args:
        gradients: `LayerGradients`; see `table_backward` for the last.
        cell: The layer's arrays after `layer_backward`: ``gates`` are gradients (T, B, P),
            ``h[:-1]`` the state before each step.
        inputs: `LayerInput`.
        gate_order: (G,), the cell's input order.
        packed_like: Array of the element type to multiply in.
        col_lo: First of the P gate columns.
        col_hi: End of the columns.
    """
    T, B, P = cell.gates.shape
    H, F = cell.h.shape[2], inputs.x.shape[2]
    dw_ih, dw_hh, dtable = gradients
    gate_width = dw_hh.shape[0]
    dtable[:, col_lo:col_hi] = 0

    # one block of k: of h and x, with room for a padded last panel, and of _MC gate columns
    deepest = block_depth(packed_like)
    packed_h = working_memory(units(packed_like, deepest) * (H + lanes_of(dw_hh) * VECTORS), packed_like)
    packed_x = working_memory(units(packed_like, deepest) * (F + lanes_of(dw_hh) * VECTORS), packed_like)
    packed_gates = working_memory(packed_row(packed_like, deepest) * _MC, packed_like)
    scratch = working_memory(SCRATCH_SIZE, dw_hh)
    rows_h, rows_x = flat(cell.h), flat(inputs.x)
    gates, row_ids = flat(cell.gates), flat(inputs.ids)

    for k0 in range(0, T * B, deepest):
        depth = min(deepest, T * B - k0)
        pack_rows(packed_h, rows_h, H, k0, depth)
        if F:
            pack_rows(packed_x, rows_x, F, k0, depth)
        column = col_lo
        while column < col_hi:
            # a block of columns does not cross gates: their weight rows need not be consecutive
            count = min(_MC, col_hi - column, (column // H + 1) * H - column)
            for k in range(0, depth, _GROUP):
                some = min(_GROUP, depth - k)
                add_to_table(dtable, row_ids, gates, P, k0 + k, some, column, count)
                pack_columns(packed_gates, gates, P, k0 + k, k, some, depth, column, count, scratch)
            # the first G*H columns belong to W_ih, in input order, the last G*H to W_hh
            if F and column < gate_width:
                row = gate_order[column // H] * H + column % H
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


@kernel
def weight_gradient(dw, dz, x, packed_like, row_lo, row_hi):
    """Add rows row_lo..row_hi of dw (V, F) = sum_k dz[k]^T x[k] for dz (K, V), x (K, F).

    Products use the element type of the array ``packed_like``.
    """
    K, V = dz.shape
    F = x.shape[1]
    deepest = block_depth(packed_like)
    units_x = units(packed_like, deepest) * (F + lanes_of(dw) * VECTORS)
    packed_x = working_memory(units_x, packed_like)
    packed_z = working_memory(packed_row(packed_like, deepest) * _MC, packed_like)
    scratch = working_memory(SCRATCH_SIZE, dw)
    rows_x, rows_z = flat(x), flat(dz)
    for k0 in range(0, K, deepest):
        depth = min(deepest, K - k0)
        pack_rows(packed_x, rows_x, F, k0, depth)
        for row in range(row_lo, row_hi, _MC):
            count = min(_MC, row_hi - row)
            pack_columns(packed_z, rows_z, V, k0, 0, depth, depth, row, count, scratch)
            add_outer_products(dw, row, packed_z, packed_x, count, depth, scratch)


def pack_columns(packed, source, row_size, k0, to_k, some, depth, column, count, scratch):
    """Pack ``count`` columns of ``some`` rows from row k0 of a flat (K, row_size) float array for
    `add_outer_products`: as values to_k.. of a block of ``depth`` values of k.
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
def _pack_columns(packed, source, row_size, k0, to_k, some, depth, column, count, scratch):
    def by_row(packed, source, row_size, k0, to_k, some, depth, column, count, scratch):
        step = k_per_element(packed)
        for k in range(0, some, step):
            first = (k0 + k) * row_size + column
            second = first + row_size if k + 1 < some else -1
            fill_row(packed, 0, _MC, to_k + k, source, first, second, count)

    def by_column(packed, source, row_size, k0, to_k, some, depth, column, count, scratch):
        size = packed_row(packed, depth)
        for k in range(0, some, 2 * TILE):
            for m in range(0, count, TILE):
                at, to = (k0 + k) * row_size + column + m, m * size + element_row(packed, to_k + k)
                if k + 2 * TILE <= some and m + TILE <= count:
                    transpose_pairs(packed, to, size, source, at, row_size)
                else:
                    # an incomplete block: copy it into zeros first
                    scratch[: 2 * TILE * TILE] = 0
                    rows = min(2 * TILE, some - k)
                    columns = min(TILE, count - m)
                    copy_rows(Block(scratch, INDEX_ZERO, TILE), Block(source, at, row_size), rows, columns)
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
