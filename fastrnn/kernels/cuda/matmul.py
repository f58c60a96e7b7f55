"""Large matrix products: cuBLAS where it is installed, else a tiled kernel of our own.

A factor is (array, at, row): rows of ``row`` numbers that begin at element ``at`` of the array.
``as_bfloat16``: both factors may be rounded to bfloat16; their products are added up in float32.
cuBLAS does that on tensor cores.
"""

from functools import cache

import numpy as np

from .bfloat16 import rounded
from .cublas import load_cublas
from .jit import SIMULATED, cuda, device, kernel
from .memory import flat, synchronize, zeros
from .target import SIDE

cublas = load_cublas()

_EACH = 4  # rows, and columns, that each thread of a block makes
_TILE = SIDE * _EACH


def multiply(to, a, b, m, n, k, accumulate, transposed=False, as_bfloat16=False):
    """C (m, n) = or += A (m, k) B (k, n); ``transposed``: A is stored as (k, m). Each factor as
    above.
    """
    if not m * n * k:
        return
    if cublas is not None:
        # cuBLAS stores by columns, so it sees C, A and B transposed: C^T = B^T A^T.
        (c_at, c_row), (a_at, a_row), (b_at, b_row) = ((_address(x, at), row) for x, at, row in (to, a, b))
        factors = (b_at, b_row, False), (a_at, a_row, transposed)
        cublas.gemm(to[0].dtype, (n, m, k), *factors, (c_at, c_row), accumulate, as_bfloat16)
        return
    (c, c_at, c_row), (a, a_at, a_row), (b, b_at, b_row) = to, a, b
    grid = (-(-n // _TILE), -(-m // _TILE))
    _product(c.dtype.str, as_bfloat16)[grid, (SIDE, SIDE)](
        flat(c), c_at, c_row, flat(a), a_at, a_row, transposed, flat(b), b_at, b_row, m, n, k, accumulate
    )


def _address(array, at):
    return array.__cuda_array_interface__["data"][0] + at * array.dtype.itemsize


@device
def _unchanged(x):
    return x


@cache
def _product(kind, as_bfloat16):
    """The kernel for numbers of this type: a block makes a tile of C from slabs of A and B in
    shared memory.
    """
    number = np.dtype(kind).type
    factor = rounded if as_bfloat16 else _unchanged
    sums, slab_a, slab_b = _EACH * _EACH, (SIDE, _TILE + 1), (SIDE, _TILE)

    @kernel
    def product(c, c_at, c_row, a, a_at, a_row, transposed, b, b_at, b_row, m, n, k, accumulate):
        a_tile = cuda.shared.array(slab_a, number)
        b_tile = cuda.shared.array(slab_b, number)
        acc = cuda.local.array(sums, number)
        x, y = cuda.threadIdx.x, cuda.threadIdx.y
        row0, column0 = cuda.blockIdx.y * _TILE, cuda.blockIdx.x * _TILE
        for i in range(sums):
            acc[i] = number(0)
        for k0 in range(0, k, SIDE):
            for q in range(_EACH):
                s = q * SIDE
                # neighbouring threads read neighbouring numbers of A whichever way it lies
                if transposed:
                    inside = k0 + y < k and row0 + s + x < m
                    a_tile[y, s + x] = factor(a[a_at + (k0 + y) * a_row + row0 + s + x]) if inside else number(0)
                else:
                    inside = k0 + x < k and row0 + s + y < m
                    a_tile[x, s + y] = factor(a[a_at + (row0 + s + y) * a_row + k0 + x]) if inside else number(0)
                inside = k0 + y < k and column0 + s + x < n
                b_tile[y, s + x] = factor(b[b_at + (k0 + y) * b_row + column0 + s + x]) if inside else number(0)
            cuda.syncthreads()
            for i in range(SIDE):
                for p in range(_EACH):
                    left = a_tile[i, p * SIDE + y]
                    for q in range(_EACH):
                        acc[p * _EACH + q] += left * b_tile[i, q * SIDE + x]
            cuda.syncthreads()
        for p in range(_EACH):
            row = row0 + p * SIDE + y
            for q in range(_EACH):
                column = column0 + q * SIDE + x
                if row < m and column < n:
                    at = c_at + row * c_row + column
                    c[at] = acc[p * _EACH + q] + c[at] if accumulate else acc[p * _EACH + q]

    return product


PEAK = (64, 16, 16, 1) if SIMULATED else (4096, 4096, 4096, 20)  # rows, k, n, repeats that show the peak


def multiply_repeatedly(packed, rows, k, n, repeats):
    """The product of zeros (rows, k) with packed (k, n) again and again, to measure its peak."""
    a, c = zeros(rows * k, packed.dtype), zeros(rows * n, packed.dtype)
    for _ in range(repeats):
        multiply((c, 0, n), (a, 0, k), (packed, 0, n), rows, n, k, False)
    synchronize()
