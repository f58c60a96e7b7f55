"""Inverted dropout with a counter-based mask: a function of (key, position), so no mask is stored
for the backward pass.

out = x / keep with probability ``keep``, else 0 (Srivastava et al. 2014). The random bits are
MurmurHash3's 32-bit finaliser of the position mixed with the key.
"""

import numpy as np

from .jit import device_function, kernel


@device_function
def _hash(n, key):
    """32 random bits of position ``n`` (uint32) under ``key`` (uint32)."""
    x = np.uint32(n * np.uint32(0x9E3779B1)) ^ key
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    x = np.uint32((x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return x ^ (x >> np.uint32(16))


@kernel
def dropout(out, x, key, keep, begin, batch, row_lo, row_hi):
    """Rows row_lo..row_hi of out (T, B, H) = dropout of x; out may be x.

    ``key``: uint32; ``keep``: probability that a unit is kept. x holds rows ``begin``.. of a batch
    of ``batch`` rows, and gets the masks of these rows: the mask does not depend on how the batch
    is divided among processes.
    """
    T, _, H = x.shape
    threshold = np.uint32(keep * 4294967295.0)
    zero, factor = x.dtype.type(0), x.dtype.type(1 / keep)
    for t in range(T):
        for b in range(row_lo, row_hi):
            to, row = out[t, b], x[t, b]
            # position of unit 0 in the whole batch, as in a (T, batch, H) array
            first = np.uint32((t * batch + begin + b) * H)
            for j in range(H):
                kept = _hash(np.uint32(first + np.uint32(j)), key) <= threshold
                to[j] = row[j] * factor if kept else zero
