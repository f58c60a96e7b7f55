"""Packing and products. Factors are small integers, so every sum is exact."""

import itertools

import numpy as np
import pytest

from fastrnn.kernels.cpu.blocks import PackedColumns, PackedMatrix, StepBlock, flat
from fastrnn.kernels.cpu.jit import kernel
from fastrnn.kernels.cpu.matmul import multiply, product_memory
from fastrnn.kernels.cpu.ops import panels
from fastrnn.kernels.cpu.packing import VECTORS, pack, packed_size
from fastrnn.kernels.cpu.target import TARGET

LANES = TARGET.lanes(32)
PANEL = TARGET.panel(32)
GRU_ORDER = np.array([2, 0, 1])

both_types = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@kernel
def product(a, b, c, n, lo, hi, accumulate):
    """C[:, lo:hi, 1:n+1] = A[:, lo:hi] @ B (+ C), C (T, M, >= n+1): the margin on either side must
    not change.
    """
    T, M, k = a.shape
    width = c.shape[2]
    memory = product_memory(c, b, k, T * (hi - lo))
    multiply(
        StepBlock(flat(c), lo * width + 1, M * width, width),
        StepBlock(flat(a), lo * k, M * k, k),
        PackedMatrix(b, k, n),
        T,
        hi - lo,
        accumulate,
        memory,
    )


@kernel
def product_of_columns(a, b, c, lo, hi, period):
    """The columns lo..hi of each period of C (M, n) = A (M, k) @ B."""
    rows, k = a.shape
    n = c.shape[1]
    memory = product_memory(c, b, k, rows)
    columns = PackedColumns(b, k, n, lo, hi, period)
    multiply(StepBlock(flat(c), 0, rows * n, n), StepBlock(flat(a), 0, rows * k, k), columns, 1, rows, 0, memory)


def whole(rng, dtype, *shape):
    return rng.integers(-8, 9, shape).astype(dtype)


def in_order(matrix, order, block):
    """Gate blocks of rows, reordered."""
    return np.concatenate([matrix[gate * block : (gate + 1) * block] for gate in order])


def packed(matrix, order, block, transposed, shares=1):
    """`pack` into memory full of NaN, divided into ``shares``."""
    k, n = matrix.shape[::-1] if transposed else matrix.shape
    out = np.full(packed_size(k, n, matrix.dtype), np.nan, matrix.dtype)
    cuts = np.linspace(0, panels(n, matrix.dtype), shares + 1).astype(int).tolist()
    for start, stop in itertools.pairwise(cuts):
        pack(matrix, order, block, transposed, out, start, stop)
    return out


def unpacked(data, k, n):
    """The matrix (k, n) in these panels, and the padding beside it."""
    lanes = TARGET.bytes_ // data.itemsize
    columns, at = [], 0
    while at < n:
        width = lanes if n - at <= lanes else lanes * VECTORS
        columns.append(data[k * at : k * (at + width)].reshape(k, width))
        at += width
    matrix = np.concatenate(columns, axis=1)
    return matrix[:, :n], matrix[:, n:]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shares", [1, 3])
@pytest.mark.parametrize("columns", [1, LANES - 1, LANES + 1, 65, PANEL, PANEL + 1, 2 * PANEL + LANES + 1])
@both_types
def test_pack_equals_numpy(dtype, columns, shares, transposed, rng):
    """The candidate gate of the GRU comes first in the kernels and last in torch.nn."""
    block = 7
    matrix = whole(rng, dtype, 3 * block, columns)
    expected = in_order(matrix, GRU_ORDER, block)
    expected = expected.T if transposed else expected
    found, beside = unpacked(packed(matrix, GRU_ORDER, block, transposed, shares), *expected.shape)
    np.testing.assert_array_equal(found, expected)
    assert not beside.any()


SIZES = [
    (1, 1, 1, 1),
    (1, 1, 5, 65),
    (3, 7, 13, 65),
    (2, 6, 32, PANEL),
    (1, 25, 17, 100),
    (9, 13, 3, LANES + 1),
    (1, 2, 3, LANES),
    # one and two rows with as many panels as are multiplied at once, and more
    (2, 1, 5, 4 * PANEL),
    (1, 1, 7, 9 * PANEL + 1),
    (1, 2, 5, 5 * PANEL),
]


@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("size", SIZES, ids=str)
@both_types
def test_product_equals_numpy(dtype, size, accumulate, rng):
    steps, rows, k, n = size
    a, b, c = whole(rng, dtype, steps, rows, k), whole(rng, dtype, k, n), whole(rng, dtype, steps, rows, n + 3)
    expected = c.copy()
    expected[:, :, 1 : n + 1] = a @ b + accumulate * c[:, :, 1 : n + 1]
    product(a, packed(b, np.array([0]), k, False), c, n, 0, rows, accumulate)
    np.testing.assert_array_equal(c, expected)


@both_types
def test_product_of_some_rows_has_the_same_bits(dtype, rng):
    """A row's sum does not depend on the rows beside it or on their number."""
    a, b = rng.normal(size=(2, 13, 37)).astype(dtype), rng.normal(size=(37, 65)).astype(dtype)
    b = packed(b, np.array([0]), 37, False)
    together, apart = np.zeros((2, 2, 13, 67), dtype)
    product(a, b, together, 65, 0, 13, 0)
    for lo, hi in [(0, 1), (1, 3), (3, 8), (8, 8), (8, 13)]:
        product(a, b, apart, 65, lo, hi, 0)
    assert np.abs(together).max() > 1
    np.testing.assert_array_equal(apart, together)


@pytest.mark.parametrize("rows", [1, 2, 7])
@pytest.mark.parametrize(("lo", "hi"), [(0, 2), (1, 5), (2, 3), (0, 5)])
@both_types
def test_product_of_some_columns_of_each_period(dtype, lo, hi, rows, rng):
    """Threads that divide the units compute columns of each gate: panels of two gates are not neighbours."""
    panel, gates, k = TARGET.panel(8 * np.dtype(dtype).itemsize), 3, 6
    period = 5 * panel
    a, b = whole(rng, dtype, rows, k), whole(rng, dtype, k, gates * period)
    c = np.full((rows, gates * period), np.nan, dtype)
    product_of_columns(a, packed(b, np.array([0]), k, False), c, lo * panel, hi * panel, period)
    expected = np.full((rows, gates, period), np.nan, dtype)
    expected[:, :, lo * panel : hi * panel] = (a @ b).reshape(expected.shape)[:, :, lo * panel : hi * panel]
    np.testing.assert_array_equal(c, expected.reshape(c.shape))
