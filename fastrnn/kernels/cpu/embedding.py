"""Rows of a table, chosen by ids: embeddings of words, and what was read of the words' letters."""

from .jit import kernel
from .matmul import copy


@kernel
def lookup(x, at, table, ids, lo, hi):
    """x[t, b, at:][:E] = table[ids[t, b]] for rows lo..hi; x (T, B, F), table (V, E), ids (T, B)."""
    for t in range(ids.shape[0]):
        for b in range(lo, hi):
            copy(x[t, b], at, table[ids[t, b]], 0, table.shape[1])


@kernel
def lookup_backward(dtable, dx, at, ids, lo, hi):
    """Add columns lo..hi of the gradient of the table (V, E), from dx (T, B, F)."""
    for t in range(ids.shape[0]):
        for b in range(ids.shape[1]):
            to, row = dtable[ids[t, b], lo:hi], dx[t, b, at + lo : at + hi]
            for j in range(to.size):
                to[j] += row[j]
