"""Weight gradients of a whole window:  dW = sum over k of dgates[k]^T x[k],  k = (time step, batch row).

They are split by gate columns, so that each sum runs over k in the same order whatever the number of threads. Both
factors are packed a few k at a time: where they lie, they are a long stride apart, and each read would cost a page
and a cache line; and what is packed is used for everything that needs it while it is in cache.
"""

import numpy as np

from .compiling import inlined, kernel
from .matmul import SCRATCH, VECTORS, copy, copy_rows, lanes_of, panel_vectors
from .tile import ROWS, tile
from .walk import flat

_DEPTH = 128  # k that are packed together: a panel of them fits the first cache
_GROUP = 8 * ROWS  # columns of the gate gradients packed side by side


@kernel
def layer_gradient(dw_ih, dw_hh, dtable, cell, width, ids, x, order, lo, hi):
    """Gate columns lo..hi: add to dw_ih (G*H, F) and dw_hh (G*H, H); overwrite dtable (V, P), see `table_backward`.

    cell.gates holds the gradients (T, B, P), cell.h[:-1] what the steps started from; x (T, B, F) with F = 0 for
    one-hot input, where ids (T, B) choose rows of dtable.
    """
    T, B, P = cell.gates.shape
    H, F = cell.h.shape[2], x.shape[2]
    dtable[:, lo:hi] = 0
    packed_h = np.empty(_DEPTH * (H + lanes_of(dw_hh) * VECTORS), dw_hh.dtype)
    packed_x = np.empty(_DEPTH * (F + lanes_of(dw_hh) * VECTORS), dw_hh.dtype)
    packed_gates = np.empty(_DEPTH * _GROUP, dw_hh.dtype)
    scratch = np.empty(SCRATCH, dw_hh.dtype)
    rows_h, rows_x = flat(cell.h), flat(x)
    gates, row_ids = flat(cell.gates), flat(ids)
    for k0 in range(0, T * B, _DEPTH):
        depth = min(_DEPTH, T * B - k0)
        pack_rows(packed_h, rows_h, H, k0, depth)
        if F:
            pack_rows(packed_x, rows_x, F, k0, depth)
        column = lo
        while column < hi:
            count = min(_GROUP, hi - column, (column // H + 1) * H - column)
            for k in range(depth):
                copy(packed_gates, k * _GROUP, gates, (k0 + k) * P + column, count)
            add_to_table(dtable, row_ids, k0, depth, packed_gates, column, count)
            if F and column < width:
                row = order[column // H] * H + column % H
                add_outer(dw_ih, row, packed_gates, packed_x, count, depth, scratch)
            if column >= P - width:
                add_outer(dw_hh, column - (P - width), packed_gates, packed_h, count, depth, scratch)
            column += count


@inlined
def add_to_table(dtable, ids, k0, depth, packed_gates, column, count):
    for k in range(depth):
        to = dtable[ids[k0 + k], column : column + count]
        row = packed_gates[k * _GROUP : k * _GROUP + count]
        for n in range(row.size):
            to[n] += row[n]


@kernel
def weight_gradient(dw, dz, x, lo, hi):
    """Add rows lo..hi of  dw (V, F) = sum_k dz[k]^T x[k]  for dz (K, V), x (K, F)."""
    K, V = dz.shape
    F = x.shape[1]
    packed_x = np.empty(_DEPTH * (F + lanes_of(dw) * VECTORS), dw.dtype)
    packed_z = np.empty(_DEPTH * _GROUP, dw.dtype)
    scratch = np.empty(SCRATCH, dw.dtype)
    rows_x, rows_z = flat(x), flat(dz)
    for k0 in range(0, K, _DEPTH):
        depth = min(_DEPTH, K - k0)
        pack_rows(packed_x, rows_x, F, k0, depth)
        for row in range(lo, hi, _GROUP):
            count = min(_GROUP, hi - row)
            for k in range(depth):
                copy(packed_z, k * _GROUP, rows_z, (k0 + k) * V + row, count)
            add_outer(dw, row, packed_z, packed_x, count, depth, scratch)


@inlined
def add_outer(dw, to_row, packed_gates, packed_x, rows, depth, scratch):
    """dw[to_row + m] += sum_k packed_gates[k, m] * packed_x[k] for m < rows."""
    F = dw.shape[1]
    lanes = lanes_of(dw)
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
                tile(some, vectors, packed_gates, m, 1, _GROUP, packed_x, depth * column, c, to_c, F, depth, 1)
            else:
                copy_rows(scratch, 0, width, c, to_c, F, some, filled)
                tile(some, vectors, packed_gates, m, 1, _GROUP, packed_x, depth * column, scratch, 0, width, depth, 1)
                copy_rows(c, to_c, F, scratch, 0, width, some, filled)
            m += some
        column += width


@inlined
def pack_rows(packed, source, F, k0, depth):
    """Panels of rows k0.. of a flat (K, F) array, as `pack` makes them, F columns wide and ``depth`` deep."""
    lanes = lanes_of(packed)
    column = 0
    while column < F:
        width = panel_vectors(F, column, lanes) * lanes
        filled = min(width, F - column)
        for k in range(depth):
            at = depth * column + k * width
            copy(packed, at, source, (k0 + k) * F + column, filled)
            if filled < width:
                packed[at + filled : at + width] = 0
        column += width
