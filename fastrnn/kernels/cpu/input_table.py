"""The input of a layer that needs no product: one-hot tokens choose rows of a table, and every layer adds its biases.

The table has the columns of `cells`' gates: block k of the first G takes gate ``order[k]`` of W_ih and b_ih, the last G
blocks take b_hh. For a layer with dense input it is the single row of biases.
"""

import numpy as np

from .jit import allocating_function, kernel

_BLOCK = 16  # columns transposed together: as many as a cache line holds


@allocating_function
def _gate_rows(order, H, lo, hi):
    """The rows of W_ih and b_ih that columns lo..hi take; beyond G*H there are none, marked -1."""
    rows = np.full(hi - lo, -1)
    for n in range(hi - lo):
        column = lo + n
        if column < order.size * H:
            rows[n] = order[column // H] * H + column % H
    return rows


@kernel
def table_forward(table, w_ih, b_ih, b_hh, order, one_hot, lo, hi):
    """Columns lo..hi of table (V, P) from w_ih (G*H, V), or, when not ``one_hot``, of (1, P) from the biases alone."""
    V, P = table.shape
    width = b_ih.size
    rows = _gate_rows(order, width // order.size, lo, hi)
    bias = np.zeros(hi - lo, table.dtype)
    for n in range(hi - lo):
        if rows[n] >= 0:
            bias[n] += b_ih[rows[n]]
        if lo + n >= P - width:
            bias[n] += b_hh[lo + n - (P - width)]
    for n0 in range(0, hi - lo, _BLOCK):
        n1 = min(n0 + _BLOCK, hi - lo)
        for v in range(V):
            to = table[v, lo:hi]
            for n in range(n0, n1):
                to[n] = bias[n] + (w_ih[rows[n], v] if one_hot and rows[n] >= 0 else table.dtype.type(0))


@kernel
def table_backward(dtable, dw_ih, db_ih, db_hh, order, one_hot, lo, hi):
    """Add columns lo..hi of the table's gradient dtable (V, P) to dw_ih and the biases."""
    V, P = dtable.shape
    width = db_ih.size
    rows = _gate_rows(order, width // order.size, lo, hi)
    bias = np.zeros(hi - lo, dtable.dtype)
    for v in range(V):
        row = dtable[v, lo:hi]
        for n in range(hi - lo):
            bias[n] += row[n]
    for n in range(hi - lo):
        if lo + n >= P - width:
            db_hh[lo + n - (P - width)] += bias[n]
        if rows[n] >= 0:
            db_ih[rows[n]] += bias[n]
    if one_hot:
        for n0 in range(0, hi - lo, _BLOCK):
            n1 = min(n0 + _BLOCK, hi - lo)
            for v in range(V):
                row = dtable[v, lo:hi]
                for n in range(n0, n1):
                    if rows[n] >= 0:
                        dw_ih[rows[n], v] += row[n]
