"""Sums over units: exact where rounding allows, and the same bits however threads divide the units."""

import itertools
import math

import numpy as np
import plain_kernels
import pytest

from fastrnn.kernels.cell_math import UNIT_BLOCK, unit_blocks
from fastrnn.kernels.cpu.block_sums import add_blocks, dot_blocks
from fastrnn.kernels.cpu.jit import kernel

every_size = pytest.mark.parametrize("units", [1, 15, 16, 17, 63, 64, 65, 200, 768])
both_types = pytest.mark.parametrize("dtype", [np.float32, np.float64])


STRIDE = 3  # numbers from the sum of a block to the next


@kernel
def sum_products(sums, at, x, y, start, count):
    dot_blocks(sums, STRIDE * at + 1, STRIDE, x, y, start, count)


@kernel
def add_all(sums, total):
    total[0] = add_blocks(sums, 1, STRIDE, sums.size // STRIDE)


def total_of(sums):
    total, spread = np.zeros(1, sums.dtype), np.full((len(sums), STRIDE), np.nan, sums.dtype)
    spread[:, 1] = sums
    add_all(spread.ravel(), total)
    return total[0]


def blocks_of(x, y, ends):
    """The sums of all blocks, computed in parts of the units between these ends."""
    sums = np.full((unit_blocks(len(x)), STRIDE), np.nan, x.dtype)
    for lo, hi in itertools.pairwise(ends):
        sum_products(sums.reshape(-1), lo // UNIT_BLOCK, x, y, lo, hi - lo)
    return sums[:, 1].copy()


@every_size
@both_types
def test_sums_of_small_integers_are_exact(units, dtype, rng):
    x, y = rng.integers(-9, 10, (2, units)).astype(dtype)
    assert total_of(blocks_of(x, y, [0, units])) == x @ y


@every_size
def test_sums_are_as_close_as_their_type_allows(units, rng):
    x = rng.normal(size=units)
    exact = math.fsum(v * v for v in x.tolist())
    assert total_of(blocks_of(x, x, [0, units])) == pytest.approx(exact, rel=1e-15 * max(1, units / 64))
    assert total_of(blocks_of(*2 * [x.astype(np.float32)], [0, units])) == pytest.approx(exact, rel=1e-6)


@both_types
def test_division_at_ends_of_blocks_changes_no_bit(dtype, rng):
    x, y = rng.normal(size=(2, 330)).astype(dtype)
    whole = blocks_of(x, y, [0, 330])
    for ends in ([0, 64, 330], [0, 128, 192, 330], [0, 64, 128, 192, 256, 320, 330]):
        np.testing.assert_array_equal(blocks_of(x, y, ends), whole)


@plain_kernels.compiled_only
def test_order_of_additions_is_kept():
    """1e8 + 1 is 1e8 in float32: in this order the small numbers are lost, in others they are not."""
    assert total_of(np.array([1e8, 1, 1, 1, 1, 1, 1, -1e8], np.float32)) == 0
    assert total_of(np.array([1, 1, 1, 1, 1, 1, 1e8, -1e8], np.float32)) == 8


def test_nan_and_infinity_are_not_lost():
    x = np.ones(70, np.float32)
    for value in (np.nan, np.inf):
        x[69] = value
        assert not np.isfinite(total_of(blocks_of(x, x, [0, 70])))
