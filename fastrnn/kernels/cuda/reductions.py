"""Sums over the threads of a block, and over the rows of a matrix, in a fixed order."""

from functools import cache

import numpy as np

from .jit import SIMULATED, cuda, device, kernel
from .memory import flat

_WIDE, _DEEP = (2, 2) if SIMULATED else (32, 16)  # columns of a block, and threads that share one; powers of 2


@device
def add_up(shared, me):
    """shared[0] becomes the sum of a shared array: one number a thread, a power of 2 of them;
    ``me``: this one.
    """
    cuda.syncthreads()
    half = shared.size // 2
    while half > 0:
        if me < half:
            shared[me] += shared[me + half]
        cuda.syncthreads()
        half //= 2


def sum_columns(to, source, rows, accumulate):
    """to (N,) = or += the sum over the rows of a contiguous array of ``rows`` x N numbers."""
    if to.size:
        to = flat(to)
        blocks = -(-to.size // _WIDE)
        _sum_columns(to.dtype.str)[blocks, (_WIDE, _DEEP)](to, flat(source), rows, accumulate)


@cache
def _sum_columns(kind):
    number = np.dtype(kind).type
    size = (_DEEP, _WIDE)

    @kernel
    def sum_rows(to, source, rows, accumulate):
        shared = cuda.shared.array(size, number)
        x, y = cuda.threadIdx.x, cuda.threadIdx.y
        # thread (x, y) adds rows y, y + _DEEP, ... of its column; reads of a row coalesce
        column = cuda.blockIdx.x * _WIDE + x
        total = number(0)
        if column < to.size:
            for k in range(y, rows, _DEEP):
                total += source[k * to.size + column]
        shared[y, x] = total
        cuda.syncthreads()
        # halves of the threads of a column are added to each other
        half = _DEEP // 2
        while half > 0:
            if y < half:
                shared[y, x] += shared[y + half, x]
            cuda.syncthreads()
            half //= 2
        if y == 0 and column < to.size:
            to[column] = shared[0, x] + to[column] if accumulate else shared[0, x]

    return sum_rows
