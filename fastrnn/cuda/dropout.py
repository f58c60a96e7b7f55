"""Dropout with the masks of `fastrnn.cpu.dropout`: a function of (key, position)."""

import numpy as np

from .compiling import cuda, device, kernel, launch
from .memory import flat

_U = np.uint64  # 32-bit arithmetic in 64 bits: nothing overflows, in the simulator either
_LOW = _U(0xFFFFFFFF)


@device
def _hash(n, key):
    x = ((_U(n) * _U(0x9E3779B1)) & _LOW) ^ _U(key)
    x = ((x ^ (x >> _U(16))) * _U(0x85EBCA6B)) & _LOW
    x = ((x ^ (x >> _U(13))) * _U(0xC2B2AE35)) & _LOW
    return x ^ (x >> _U(16))


@kernel
def _dropout(out, x, key, threshold, factor, zero):
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        out[i] = x[i] * factor if _hash(_U(i) & _LOW, key) <= threshold else zero


def dropout(out, x, key, keep, lo, hi):
    """out (T, B, H) = x with dropped units; out may be x. key: uint32; keep: a probability."""
    number = x.dtype.type
    threshold = _U(np.uint32(keep * 4294967295.0))
    launch(_dropout, x.size, flat(out), flat(x), _U(key), threshold, number(1 / keep), number(0))
