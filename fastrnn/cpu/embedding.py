"""The input of a layer that needs no product: one-hot tokens choose rows of a table, and every layer adds its biases.

The table has the columns of `cells`' gates: block k of the first G takes gate ``order[k]`` of W_ih and b_ih, the last G
blocks take b_hh. For a layer with dense input it is the single row of biases.
"""

from .compiling import kernel


@kernel
def table_forward(table, w_ih, b_ih, b_hh, order, one_hot, lo, hi):
    """Columns lo..hi of table (V, P) from w_ih (G*H, V), or, when not ``one_hot``, of (1, P) from the biases alone."""
    V, P = table.shape
    width, H = b_ih.size, b_ih.size // order.size
    for column in range(lo, hi):
        bias = table.dtype.type(0)
        if column < width:
            bias += b_ih[order[column // H] * H + column % H]
        if column >= P - width:
            bias += b_hh[column - (P - width)]
        for v in range(V):
            table[v, column] = bias
        if one_hot and column < width:
            weights = w_ih[order[column // H] * H + column % H]
            for v in range(V):
                table[v, column] += weights[v]


@kernel
def table_backward(dtable, dgates, ids, dw_ih, db_ih, db_hh, order, one_hot, lo, hi):
    """Add columns lo..hi of the gradient dgates (T, B, P) to dw_ih and the biases; dtable (V, P) is working memory."""
    T, B, P = dgates.shape
    V = dtable.shape[0]
    width, H = db_ih.size, db_ih.size // order.size
    for v in range(V):
        for column in range(lo, hi):
            dtable[v, column] = 0
    for t in range(T):
        for b in range(B):
            total, row = dtable[ids[t, b]], dgates[t, b]
            for column in range(lo, hi):
                total[column] += row[column]
    for column in range(lo, hi):
        bias = dtable.dtype.type(0)
        for v in range(V):
            bias += dtable[v, column]
        if column >= P - width:
            db_hh[column - (P - width)] += bias
        if column < width:
            gate_row = order[column // H] * H + column % H
            db_ih[gate_row] += bias
            if one_hot:
                for v in range(V):
                    dw_ih[gate_row, v] += dtable[v, column]
