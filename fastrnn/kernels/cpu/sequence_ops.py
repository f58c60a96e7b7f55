"""Sequences that are read from both ends, and what is taken from a sequence as a whole, for a range of batch rows.

``reversal`` (T, B) says for each step which step stands there when each row is reversed inside its own span; it is its
own inverse. Rows are right-aligned: one of length n stands at steps T-n to T-1.
"""

from .jit import kernel
from .matmul import copy


@kernel
def gather(out, x, reversal, lo, hi):
    """out[t, b] = x[reversal[t, b], b]; both (T, B, F)."""
    T, _, F = x.shape
    for t in range(T):
        for b in range(lo, hi):
            copy(out[t, b], 0, x[reversal[t, b], b], 0, F)


@kernel
def add_gathered(out, x, reversal, lo, hi):
    """out[t, b] += x[reversal[t, b], b]; both (T, B, F)."""
    for t in range(x.shape[0]):
        for b in range(lo, hi):
            to, row = out[t, b], x[reversal[t, b], b]
            for j in range(row.size):
                to[j] += row[j]


@kernel
def join(y, forward, backward, reversal, lo, hi):
    """y (T, B, 2H): beside each step of ``forward`` (T, B, H) that step of ``backward``, which ran over the reverse."""
    T, _, H = forward.shape
    for t in range(T):
        for b in range(lo, hi):
            copy(y[t, b], 0, forward[t, b], 0, H)
            copy(y[t, b], H, backward[reversal[t, b], b], 0, H)


@kernel
def split(dforward, dbackward, dy, reversal, lo, hi):
    """The gradients of `join`'s inputs from dy (T, B, 2H)."""
    T, _, H = dforward.shape
    for t in range(T):
        for b in range(lo, hi):
            copy(dforward[t, b], 0, dy[t, b], 0, H)
            copy(dbackward[t, b], 0, dy[reversal[t, b], b], H, H)


@kernel
def pool_sequence(out, y, lengths, half, lo, hi):
    """out (1, B, W or 2W) from y (T, B, W): each direction's last output; then, if there is room, the mean over steps.

    The first ``half`` columns of y are read forward and end at step T-1; the others end where the row begins.
    """
    T, _, W = y.shape
    for b in range(lo, hi):
        first, to = T - lengths[b], out[0, b]
        copy(to, 0, y[T - 1, b], 0, half)
        copy(to, half, y[first, b], half, W - half)
        if to.size == 2 * W:
            part = y.dtype.type(1 / lengths[b])
            to[W:] = 0
            for t in range(first, T):
                row = y[t, b]
                for j in range(W):
                    to[W + j] += row[j] * part


@kernel
def pool_backward(dy, dout, lengths, half, lo, hi):
    """dy (T, B, W) of `pool_sequence` from dout (1, B, W or 2W); 0 in the padding."""
    T, _, W = dy.shape
    for b in range(lo, hi):
        first, row = T - lengths[b], dout[0, b]
        part = dy.dtype.type(1 / lengths[b])
        dy[:, b] = 0
        if row.size == 2 * W:
            for t in range(first, T):
                to = dy[t, b]
                for j in range(W):
                    to[j] = row[W + j] * part
        for j in range(W):
            dy[T - 1 if j < half else first, b, j] += row[j]
