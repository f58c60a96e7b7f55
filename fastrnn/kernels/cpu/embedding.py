"""Embedding table: rows chosen by ids, for words and for encodings of their spelling."""

from .blocks import copy
from .jit import kernel


@kernel
def embedding_forward(x, at, table, ids, row_lo, row_hi):
    """x[t, b, at : at + E] = table[ids[t, b]] for rows row_lo..row_hi; x (T, B, F), table (V, E),
    ids (T, B).
    """
    for t in range(ids.shape[0]):
        for b in range(row_lo, row_hi):
            copy(x[t, b], at, table[ids[t, b]], 0, table.shape[1])


@kernel
def embedding_backward(dtable, dx, at, ids, col_lo, col_hi):
    """Add columns col_lo..col_hi of the gradient of the table (V, E) to dtable, from dx (T, B, F).

    Threads share columns, not rows: two rows may have the same id.
    """
    for t in range(ids.shape[0]):
        for b in range(ids.shape[1]):
            to, row = dtable[ids[t, b], col_lo:col_hi], dx[t, b, at + col_lo : at + col_hi]
            for j in range(to.size):
                to[j] += row[j]
