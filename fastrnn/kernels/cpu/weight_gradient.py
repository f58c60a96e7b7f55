"""Weight gradients of a whole window:  dW = sum over k of dgates[k]^T x[k],  k = (time step, batch row).

They are split by gate columns, so that each sum runs over k in the same order whatever the number of threads. Both
factors are packed a few k at a time: where they lie, they are a long stride apart, and each read would cost a page
and a cache line; and what is packed is used for everything that needs it while it is in cache.
"""

from numba import types

from .amx import TILE
from .jit import device_function, kernel, specialize
from .matmul import SCRATCH, copy_rows, multiply_on_tiles
from .memory import working_memory
from .micro_kernel import ROWS, tile
from .packing import VECTORS, fill_row, lanes_of, numbers_in, pack_rows, panel_vectors, row_of, units
from .recurrence import flat
from .target import TARGET
from .transpose import transpose_pairs

_DEPTH = 128  # k that are packed together, an even number: a panel of them fits the first cache
_DEPTH_ON_TILES = 512  # more bfloat16 with AMX, so that sums are seldom fetched and put back; not of three parts
_GROUP = 64 if TARGET.amx else 8 * ROWS  # columns of the gate gradients packed side by side


def _on_tiles(array):
    """Whether products of such an array, as the compiler sees it, run on AMX."""
    return TARGET.amx and array.dtype in (types.int32, types.uint32)


@kernel
def layer_gradient(dw_ih, dw_hh, dtable, cell, width, ids, x, order, like, lo, hi):
    """Gate columns lo..hi: add to dw_ih (G*H, F) and dw_hh (G*H, H); overwrite dtable (V, P), see `table_backward`.

    cell.gates holds the gradients (T, B, P), cell.h[:-1] what the steps started from; x (T, B, F) with F = 0 for
    one-hot input, where ids (T, B) choose rows of dtable. Products take elements of the type of the array ``like``.
    """
    T, B, P = cell.gates.shape
    H, F = cell.h.shape[2], x.shape[2]
    dtable[:, lo:hi] = 0
    packed_h = working_memory(units(like, most_together(like)) * (H + lanes_of(dw_hh) * VECTORS), like)
    packed_x = working_memory(units(like, most_together(like)) * (F + lanes_of(dw_hh) * VECTORS), like)
    packed_gates = working_memory(units(like, most_together(like)) * _GROUP, like)
    scratch = working_memory(SCRATCH, dw_hh)
    rows_h, rows_x = flat(cell.h), flat(x)
    gates, row_ids = flat(cell.gates), flat(ids)
    for k0 in range(0, T * B, most_together(like)):
        depth = min(most_together(like), T * B - k0)
        pack_rows(packed_h, rows_h, H, k0, depth)
        if F:
            pack_rows(packed_x, rows_x, F, k0, depth)
        column = lo
        while column < hi:
            count = min(_GROUP, hi - column, (column // H + 1) * H - column)
            add_to_table(dtable, row_ids, gates, P, k0, depth, column, count)
            pack_columns(packed_gates, gates, P, k0, depth, column, count, scratch)
            if F and column < width:
                row = order[column // H] * H + column % H
                add_outer(dw_ih, row, packed_gates, packed_x, count, depth, scratch)
            if column >= P - width:
                add_outer(dw_hh, column - (P - width), packed_gates, packed_h, count, depth, scratch)
            column += count


@device_function
def add_to_table(dtable, ids, gates, P, k0, depth, column, count):
    for k in range(depth):
        to = dtable[ids[k0 + k], column : column + count]
        row = gates[(k0 + k) * P + column : (k0 + k) * P + column + count]
        for n in range(row.size):
            to[n] += row[n]


@kernel
def weight_gradient(dw, dz, x, like, lo, hi):
    """Add rows lo..hi of  dw (V, F) = sum_k dz[k]^T x[k]  for dz (K, V), x (K, F); ``like`` as above."""
    K, V = dz.shape
    F = x.shape[1]
    packed_x = working_memory(units(like, most_together(like)) * (F + lanes_of(dw) * VECTORS), like)
    packed_z = working_memory(units(like, most_together(like)) * _GROUP, like)
    scratch = working_memory(SCRATCH, dw)
    rows_x, rows_z = flat(x), flat(dz)
    for k0 in range(0, K, most_together(like)):
        depth = min(most_together(like), K - k0)
        pack_rows(packed_x, rows_x, F, k0, depth)
        for row in range(lo, hi, _GROUP):
            count = min(_GROUP, hi - row)
            pack_columns(packed_z, rows_z, V, k0, depth, row, count, scratch)
            add_outer(dw, row, packed_z, packed_x, count, depth, scratch)


def pack_columns(packed, source, row_size, k0, depth, column, count, scratch):
    """``count`` columns of rows k0.. of a flat (K, row_size) float array, as `add_outer` reads them."""


def add_outer(dw, to_row, packed_gates, packed_x, rows, depth, scratch):
    """dw[to_row + m] += sum_k packed_gates[k, m] * packed_x[k] for m < rows."""


def most_together(like):
    """How many k are packed together."""


@specialize(most_together)
def _most_together(like):
    return (lambda like: _DEPTH_ON_TILES) if TARGET.amx and like.dtype == types.int32 else (lambda like: _DEPTH)


@specialize(pack_columns)
def _pack_columns(packed, source, row_size, k0, depth, column, count, scratch):
    def by_row(packed, source, row_size, k0, depth, column, count, scratch):
        step = numbers_in(packed)
        for k in range(0, depth, step):
            first = (k0 + k) * row_size + column
            second = first + row_size if k + 1 < depth else -1
            fill_row(packed, 0, _GROUP, k, source, first, second, count)

    def by_column(packed, source, row_size, k0, depth, column, count, scratch):
        size = units(packed, depth)
        for k in range(0, depth, 2 * TILE):
            for m in range(0, count, TILE):
                at, to = (k0 + k) * row_size + column + m, m * size + row_of(packed, k)
                if k + 2 * TILE <= depth and m + TILE <= count:
                    transpose_pairs(packed, to, size, source, at, row_size)
                else:
                    scratch[: 2 * TILE * TILE] = 0
                    rows, columns = min(2 * TILE, depth - k), min(TILE, count - m)
                    copy_rows(scratch, 0, TILE, source, at, row_size, rows, columns)
                    transpose_pairs(packed, to, size, scratch, 0, TILE)

    return by_column if _on_tiles(packed) else by_row


@specialize(add_outer)
def _add_outer(dw, to_row, packed_gates, packed_x, rows, depth, scratch):
    def in_registers(dw, to_row, packed_gates, packed_x, rows, depth, scratch):
        F = dw.shape[1]
        lanes = lanes_of(dw)
        k = units(packed_x, depth)
        c = dw.reshape(dw.size)
        blocks = (rows + ROWS - 1) // ROWS
        column = 0
        while column < F:
            vectors = panel_vectors(F, column, lanes)
            width = vectors * lanes
            filled = min(width, F - column)
            m = 0
            for n in range(blocks):
                some = (rows - m + blocks - n - 1) // (blocks - n)
                to_c = (to_row + m) * F + column
                if filled == width:
                    tile(some, vectors, packed_gates, m, 1, _GROUP, packed_x, k * column, c, to_c, F, k, 1)
                else:
                    copy_rows(scratch, 0, width, c, to_c, F, some, filled)
                    tile(some, vectors, packed_gates, m, 1, _GROUP, packed_x, k * column, scratch, 0, width, k, 1)
                    copy_rows(c, to_c, F, scratch, 0, width, some, filled)
                m += some
            column += width

    def on_tiles(dw, to_row, packed_gates, packed_x, rows, depth, scratch):
        F, k = dw.shape[1], units(packed_x, depth)
        to = (dw.reshape(dw.size), to_row * F, F - F, F)
        multiply_on_tiles(to, (packed_gates, F - F, F - F, k), packed_x, k, F, 1, rows, 1, scratch)

    return on_tiles if _on_tiles(packed_x) else in_registers
