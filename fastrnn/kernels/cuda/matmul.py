"""Large matrix products: cuBLAS where it is installed, else a tiled kernel of our own.

``as_bfloat16``: both factors may be rounded to bfloat16; their products are added up in float32.
cuBLAS does that on tensor cores.

The tiled kernel: a block of SIDE x SIDE threads makes a tile of C, SIDE * _EACH numbers on each side.
It reads slabs of A and B, SIDE terms deep, into shared memory; thread (x, y) adds up the _EACH x _EACH
numbers of C whose rows are y and whose columns are x modulo SIDE, so that neighbouring threads read
neighbouring columns of B and write neighbouring columns of C:

                         B slab (SIDE, tile)
                         |     x     |     x     |
    A slab (SIDE, tile)  +-----------+-----------+
      y                  |     *     |     *     |      * : sums of thread (x, y)
      y                  |     *     |     *     |
"""

from functools import cache

import numpy as np

from .arguments import Matrix, ProductShape
from .cublas import load_cublas
from .jit import SIMULATED, cuda, device, kernel
from .memory import flat, synchronize, zeros
from .packing import round_to_bfloat16
from .target import SIDE

cublas = load_cublas()

_EACH = 4  # rows, and columns, that each thread of a block makes
_TILE = SIDE * _EACH


def multiply(c, a, b, shape, as_bfloat16=False):
    """C (m, n) = or += A (m, k) B (k, n); `Matrix` each, and `ProductShape`."""
    m, n, k, accumulate, transposed = shape
    if not m * n * k:
        return
    if cublas is not None:
        # cuBLAS stores by columns, so it sees C, A and B transposed: C^T = B^T A^T.
        factors = (_address(b), b.row_stride, False), (_address(a), a.row_stride, transposed)
        to = _address(c), c.row_stride
        cublas.gemm(c.array.dtype, (n, m, k), *factors, to, accumulate, as_bfloat16)
        return
    grid = (-(-n // _TILE), -(-m // _TILE))
    c, a, b = (matrix._replace(array=flat(matrix.array)) for matrix in (c, a, b))
    _product(c.array.dtype.str, as_bfloat16)[grid, (SIDE, SIDE)](c, a, b, shape)


def _address(matrix):
    array = matrix.array
    return array.__cuda_array_interface__["data"][0] + matrix.start * array.dtype.itemsize


@device
def _identity(x):
    return x


@cache
def _product(kind, as_bfloat16):
    """The tiled kernel for numbers of this type."""
    number = np.dtype(kind).type
    convert = round_to_bfloat16 if as_bfloat16 else _identity
    # one more column of A: threads that store a column of the slab use different banks
    sums, slab_a, slab_b = _EACH * _EACH, (SIDE, _TILE + 1), (SIDE, _TILE)

    @kernel
    def product(c, a, b, shape):
        m, n, k, accumulate, transposed = shape
        a_tile = cuda.shared.array(slab_a, number)
        b_tile = cuda.shared.array(slab_b, number)
        acc = cuda.local.array(sums, number)
        x, y = cuda.threadIdx.x, cuda.threadIdx.y
        row0, column0 = cuda.blockIdx.y * _TILE, cuda.blockIdx.x * _TILE
        for i in range(sums):
            acc[i] = number(0)

        for k0 in range(0, k, SIDE):
            # A[row0 : row0 + _TILE, k0 : k0 + SIDE]^T and B[k0 : k0 + SIDE, column0 : column0 + _TILE]
            for q in range(_EACH):
                s = q * SIDE
                # neighbouring threads read neighbouring numbers of A whichever way it lies
                if transposed:
                    inside = k0 + y < k and row0 + s + x < m
                    at = a.start + (k0 + y) * a.row_stride + row0 + s + x
                    a_tile[y, s + x] = convert(a.array[at]) if inside else number(0)
                else:
                    inside = k0 + x < k and row0 + s + y < m
                    at = a.start + (row0 + s + y) * a.row_stride + k0 + x
                    a_tile[x, s + y] = convert(a.array[at]) if inside else number(0)
                inside = k0 + y < k and column0 + s + x < n
                at = b.start + (k0 + y) * b.row_stride + column0 + s + x
                b_tile[y, s + x] = convert(b.array[at]) if inside else number(0)
            cuda.syncthreads()

            # a rank-1 update of the thread's sums for each term of the slabs
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
                    at = c.start + row * c.row_stride + column
                    c.array[at] = acc[p * _EACH + q] + c.array[at] if accumulate else acc[p * _EACH + q]

    return product


PEAK = (64, 16, 16, 1) if SIMULATED else (4096, 4096, 4096, 20)  # rows, k, n, repeats that show the peak


def multiply_repeatedly(packed, rows, k, n, repeats):
    """The product of zeros (rows, k) with packed (k, n) again and again, to measure its peak."""
    a, c = zeros(rows * k, packed.dtype), zeros(rows * n, packed.dtype)
    for _ in range(repeats):
        multiply(Matrix(c, 0, n), Matrix(a, 0, k), Matrix(packed, 0, n), ProductShape(rows, n, k, False, False))
    synchronize()
