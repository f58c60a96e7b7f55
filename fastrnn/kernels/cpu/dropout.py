"""Dropout whose mask is a function of (key, position): nothing to store, and the backward pass draws it again.

out = x / keep with probability ``keep``, else 0 ("inverted" dropout, Srivastava et al. 2014). The bits are
MurmurHash3's 32-bit finaliser of the position mixed with the key.
"""

import numpy as np

from .jit import device_function, kernel


@device_function
def _hash(n, key):
    x = np.uint32(n * np.uint32(0x9E3779B1)) ^ key
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    x = np.uint32((x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return x ^ (x >> np.uint32(16))


@kernel
def dropout(out, x, key, keep, begin, batch, lo, hi):
    """Rows lo..hi of out (T, B, H) = x with dropped units; out may be x. key: uint32; keep: a probability.

    x is rows begin.. of a batch of ``batch`` rows, and has the masks of its place there.
    """
    T, _, H = x.shape
    threshold = np.uint32(keep * 4294967295.0)
    zero, factor = x.dtype.type(0), x.dtype.type(1 / keep)
    for t in range(T):
        for b in range(lo, hi):
            to, row = out[t, b], x[t, b]
            first = np.uint32((t * batch + begin + b) * H)
            for j in range(H):
                kept = _hash(np.uint32(first + np.uint32(j)), key) <= threshold
                to[j] = row[j] * factor if kept else zero
