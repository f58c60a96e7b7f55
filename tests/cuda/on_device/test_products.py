"""Matrix products, sums and dropout masks of the GPU or its simulator against NumPy and the CPU."""

import numpy as np
import pytest

from fastrnn.cpu.kernels import dropout as cpu_dropout
from fastrnn.cuda.kernels import dropout, to_device, to_host
from fastrnn.cuda.matmul import multiply
from fastrnn.cuda.sums import sum_columns


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (9, 3, 5), (8, 17, 2)])
def test_products(m, n, k, accumulate, transposed, rng):
    """Of parts of wider arrays, also where sizes fill no tile."""
    a, b = rng.normal(size=(k, m + 2) if transposed else (m, k + 2)), rng.normal(size=(k, n))
    c = rng.normal(size=(m, n + 1))
    left = a[:, 2:].T if transposed else a[:, 2:]
    expected = c.copy()
    expected[:, 1:] = left @ b + (c[:, 1:] if accumulate else 0)
    here = to_device(c)
    multiply((here, 1, n + 1), (to_device(a), 2, a.shape[1]), (to_device(b), 0, n), m, n, k, accumulate, transposed)
    np.testing.assert_allclose(to_host(here), expected, rtol=1e-12, atol=1e-12)


def test_sums(rng):
    matrix, to = rng.normal(size=(7, 5)), rng.normal(size=5)
    here = to_device(to)
    sum_columns(here, to_device(matrix), 7, True)
    np.testing.assert_allclose(to_host(here), to + matrix.sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize(("key", "begin", "batch"), [(0, 0, 5), (0xFFFFFFFF, 2, 9)])
def test_masks_are_those_of_the_cpu(key, begin, batch, rng):
    x = rng.normal(size=(3, 5, 7)).astype(np.float32)
    expected, here = np.empty_like(x), to_device(x)
    cpu_dropout(expected, x, np.uint32(key), 0.6, begin, batch, 0, 5)
    dropout(here, here, np.uint32(key), 0.6, begin, batch, 0, 5)
    np.testing.assert_array_equal(to_host(here), expected)
