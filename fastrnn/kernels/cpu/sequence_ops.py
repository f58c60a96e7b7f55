"""Operations on sequences between and after recurrent layers: dropout, and reversal, joining and
pooling of padded sequences, for a range of batch rows.

Dropout is inverted: out = x / keep with probability ``keep``, else 0 (Srivastava et al. 2014). Its
mask is a function of (key, position), so none is stored for the backward pass. The random bits are
MurmurHash3's 32-bit finaliser of the position mixed with the key.

``reversal`` (T, B) is the source step of each step when each row is reversed within its own length;
it is its own inverse. Rows are right-aligned: a row of length n occupies steps T-n to T-1.
"""

import numpy as np

from .blocks import copy
from .jit import device_function
from .team import shared_kernel


@device_function
def _hash(n, key):
    """32 random bits of position ``n`` (uint32) under ``key`` (uint32)."""
    x = np.uint32(n * np.uint32(0x9E3779B1)) ^ key
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    x = np.uint32((x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return x ^ (x >> np.uint32(16))


@shared_kernel
def dropout(out, x, key, keep, begin, batch, row_lo, row_hi):
    """Rows row_lo..row_hi of out (T, B, H) = dropout of x; out may be x.

    ``key``: uint32; ``keep``: probability that a unit is kept. x holds rows ``begin``.. of a batch
    of ``batch`` rows, and gets the masks of these rows: the mask does not depend on how the batch
    is divided into parts of equal T.
    """
    T, _, H = x.shape
    # an integer to compare with: the same mask on every device, whatever its floating point
    threshold = np.uint32(keep * 4294967295.0)
    zero, factor = x.dtype.type(0), x.dtype.type(1 / keep)
    in_place = out.ctypes.data == x.ctypes.data
    for t in range(T):
        for b in range(row_lo, row_hi):
            to, row = out[t, b], x[t, b]
            # position of unit 0 in the whole batch, as in a (T, batch, H) array
            first = np.uint32((t * batch + begin + b) * H)
            # a loop over two names of one array would not be vectorised: nine times slower (measured)
            if in_place:
                for j in range(H):
                    kept = _hash(np.uint32(first + np.uint32(j)), key) <= threshold
                    to[j] = to[j] * factor if kept else zero
            else:
                for j in range(H):
                    kept = _hash(np.uint32(first + np.uint32(j)), key) <= threshold
                    to[j] = row[j] * factor if kept else zero


@shared_kernel
def gather(out, x, reversal, row_lo, row_hi):
    """out[t, b] = x[reversal[t, b], b]; both (T, B, F)."""
    T, _, F = x.shape
    for t in range(T):
        for b in range(row_lo, row_hi):
            copy(out[t, b], 0, x[reversal[t, b], b], 0, F)


@shared_kernel
def gather_add(out, x, reversal, row_lo, row_hi):
    """out[t, b] += x[reversal[t, b], b]; both (T, B, F)."""
    for t in range(x.shape[0]):
        for b in range(row_lo, row_hi):
            to, row = out[t, b], x[reversal[t, b], b]
            for j in range(row.size):
                to[j] += row[j]


@shared_kernel
def join(y, forward, backward, reversal, row_lo, row_hi):
    """y (T, B, 2H): ``forward`` (T, B, H) beside ``backward`` (T, B, H), which ran over the
    reversed sequence.
    """
    T, _, H = forward.shape
    for t in range(T):
        for b in range(row_lo, row_hi):
            copy(y[t, b], 0, forward[t, b], 0, H)
            copy(y[t, b], H, backward[reversal[t, b], b], 0, H)


@shared_kernel
def split(dforward, dbackward, dy, reversal, row_lo, row_hi):
    """Gradients of `join`'s inputs from dy (T, B, 2H)."""
    T, _, H = dforward.shape
    for t in range(T):
        for b in range(row_lo, row_hi):
            # `reversal` is its own inverse, so the gradient is gathered by the same indices
            copy(dforward[t, b], 0, dy[t, b], 0, H)
            copy(dbackward[t, b], 0, dy[reversal[t, b], b], H, H)


@shared_kernel
def pool_sequence(out, y, lengths, half, row_lo, row_hi):
    """out (1, B, W or 2W) from y (T, B, W): the last output of each direction; with 2W columns also
    the mean over steps.

    The first ``half`` columns of y run forward and end at step T-1; the others run backward and end
    at the row's first step.
    """
    T, _, W = y.shape
    for b in range(row_lo, row_hi):
        first, to = T - lengths[b], out[0, b]
        copy(to, 0, y[T - 1, b], 0, half)
        copy(to, half, y[first, b], half, W - half)
        if to.size == 2 * W:
            # the mean over the row's own steps: padding has no outputs
            part = y.dtype.type(1 / lengths[b])
            to[W:] = 0
            for t in range(first, T):
                row = y[t, b]
                for j in range(W):
                    to[W + j] += row[j] * part


@shared_kernel
def pool_backward(dy, dout, lengths, half, row_lo, row_hi):
    """dy (T, B, W) of `pool_sequence` from dout (1, B, W or 2W); 0 in the padding."""
    T, _, W = dy.shape
    for b in range(row_lo, row_hi):
        first, row = T - lengths[b], dout[0, b]
        part = dy.dtype.type(1 / lengths[b])
        # padding gets no gradient, and the row's own steps are added to below
        dy[:, b] = 0
        if row.size == 2 * W:
            for t in range(first, T):
                to = dy[t, b]
                for j in range(W):
                    to[j] = row[W + j] * part
        for j in range(W):
            dy[T - 1 if j < half else first, b, j] += row[j]
