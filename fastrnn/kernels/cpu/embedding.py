"""Inputs that need no matrix product: ids choose rows of a table.

An embedding table holds a vector for each word, or for each character of a spelling. The input table
of a layer with one-hot tokens holds the products W_ih x for each token, and the biases. It has the
columns of the cell's gates (see `recurrence`): block k of the first G adds gate ``gate_order[k]`` of
W_ih and b_ih, the last G blocks add b_hh. For a layer with dense input the table is a single row of
biases.
"""

import numpy as np

from .blocks import copy
from .jit import allocating_function
from .team import shared_kernel

_BLOCK = 16  # columns transposed together: one cache line of float32


@allocating_function
def _gate_rows(gate_order, H, col_lo, col_hi):
    """Row of W_ih and b_ih that each column col_lo..col_hi takes; -1 beyond G*H, where there is
    none.
    """
    rows = np.full(col_hi - col_lo, -1)
    for n in range(col_hi - col_lo):
        column = col_lo + n
        if column < gate_order.size * H:
            rows[n] = gate_order[column // H] * H + column % H
    return rows


@shared_kernel
def table_forward(table, w_ih, b_ih, b_hh, gate_order, one_hot, col_lo, col_hi):
    """Columns col_lo..col_hi of table (V, P) from w_ih (G*H, V); if not ``one_hot``, of table (1,
    P) from the biases alone.
    """
    V, P = table.shape
    gate_width = b_ih.size
    # which row of W_ih each column is; looked up once, not for each of the V tokens
    rows = _gate_rows(gate_order, gate_width // gate_order.size, col_lo, col_hi)
    bias = np.zeros(col_hi - col_lo, table.dtype)
    for n in range(col_hi - col_lo):
        if rows[n] >= 0:
            bias[n] += b_ih[rows[n]]
        if col_lo + n >= P - gate_width:
            bias[n] += b_hh[col_lo + n - (P - gate_width)]
    # _BLOCK columns at a time: the rows of W_ih that they come from stay in cache while v advances
    # table[:, block] = W_ih[rows of the block, :]^T + bias
    for n0 in range(0, col_hi - col_lo, _BLOCK):
        n1 = min(n0 + _BLOCK, col_hi - col_lo)
        for v in range(V):
            to = table[v, col_lo:col_hi]
            for n in range(n0, n1):
                to[n] = bias[n] + (w_ih[rows[n], v] if one_hot and rows[n] >= 0 else table.dtype.type(0))


@shared_kernel
def table_backward(dtable, dw_ih, db_ih, db_hh, gate_order, one_hot, col_lo, col_hi):
    """Add columns col_lo..col_hi of the table's gradient dtable (V, P) to dw_ih and the biases."""
    V, P = dtable.shape
    gate_width = db_ih.size
    rows = _gate_rows(gate_order, gate_width // gate_order.size, col_lo, col_hi)
    bias = np.zeros(col_hi - col_lo, dtable.dtype)
    # the gradient of a bias is the column sum
    for v in range(V):
        row = dtable[v, col_lo:col_hi]
        for n in range(col_hi - col_lo):
            bias[n] += row[n]
    for n in range(col_hi - col_lo):
        if col_lo + n >= P - gate_width:
            db_hh[col_lo + n - (P - gate_width)] += bias[n]
        if rows[n] >= 0:
            db_ih[rows[n]] += bias[n]
    # W_ih's gradient [rows of the block, :] += dtable[:, block]^T
    if one_hot:
        for n0 in range(0, col_hi - col_lo, _BLOCK):
            n1 = min(n0 + _BLOCK, col_hi - col_lo)
            for v in range(V):
                row = dtable[v, col_lo:col_hi]
                for n in range(n0, n1):
                    if rows[n] >= 0:
                        dw_ih[rows[n], v] += row[n]


@shared_kernel
def embedding_forward(x, at, table, ids, row_lo, row_hi):
    """x[t, b, at : at + E] = table[ids[t, b]] for rows row_lo..row_hi; x (T, B, F), table (V, E),
    ids (T, B).
    """
    for t in range(ids.shape[0]):
        for b in range(row_lo, row_hi):
            # ``at``: several tables fill the F columns of x side by side
            copy(x[t, b], at, table[ids[t, b]], 0, table.shape[1])


@shared_kernel
def embedding_backward(dtable, dx, at, ids, col_lo, col_hi):
    """Add columns col_lo..col_hi of the gradient of the table (V, E) to dtable, from dx (T, B, F).

    Threads share columns, not rows: two rows may have the same id.
    """
    for t in range(ids.shape[0]):
        for b in range(ids.shape[1]):
            to, row = dtable[ids[t, b], col_lo:col_hi], dx[t, b, at + col_lo : at + col_hi]
            for j in range(to.size):
                to[j] += row[j]
