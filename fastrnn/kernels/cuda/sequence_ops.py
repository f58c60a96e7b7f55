"""Dropout with the masks of `fastrnn.kernels.cpu.sequence_ops`: a function of (key, position)."""

import numpy as np

from .jit import cuda, device, kernel, launch

_U = np.uint64  # 32-bit arithmetic in 64 bits: nothing overflows, in the simulator either
_LOW = _U(0xFFFFFFFF)


@device
def _hash(n, key):
    """32 random bits of position ``n`` under ``key``, the same as on the CPU."""
    x = ((_U(n) * _U(0x9E3779B1)) & _LOW) ^ _U(key)
    x = ((x ^ (x >> _U(16))) * _U(0x85EBCA6B)) & _LOW
    x = ((x ^ (x >> _U(13))) * _U(0xC2B2AE35)) & _LOW
    return x ^ (x >> _U(16))


@kernel
def _dropout(out, x, key, threshold, factor, zero, begin, batch):
    _, B, H = x.shape
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        row, j = i // H, i % H
        t, b = row // B, row % B
        # position in the whole batch, as in a (T, batch, H) array: the mask does not depend on its division
        position = _U((t * batch + begin + b) * H + j) & _LOW
        out[t, b, j] = x[t, b, j] * factor if _hash(position, key) <= threshold else zero


def dropout(out, x, key, keep, begin, batch, row_lo, row_hi):
    """out (T, B, H) = dropout of x; out may be x. ``key``: uint32; ``keep``: probability that a
    unit is kept.

    x holds rows ``begin``.. of a batch of ``batch`` rows; see `fastrnn.kernels.cpu.sequence_ops`.
    """
    number = x.dtype.type
    threshold = _U(np.uint32(keep * 4294967295.0))
    launch(_dropout, x.size, out, x, _U(key), threshold, number(1 / keep), number(0), begin, batch)
