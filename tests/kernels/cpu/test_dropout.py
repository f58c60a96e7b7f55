"""Dropout: the mask is a function of key and position only."""

import numpy as np
import pytest

from fastrnn.kernels.cpu.sequence_ops import dropout

T, B, H = 9, 7, 131
SIZE = T * B * H


def dropped(x, keep, key=1, shares=((0, B),)):
    out = np.full_like(x, np.nan)
    for lo, hi in shares:
        dropout(out, x, np.uint32(key), keep, 0, B, lo, hi)
    return out


def kept(keep, key):
    return dropped(np.ones((T, B, H), np.float32), keep, key) != 0


def within_five_sigma(mask, share):
    return abs(mask.mean() - share) < 5 * np.sqrt(share * (1 - share) / mask.size)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.99])
def test_kept_share_is_the_keep_probability(keep):
    for key in (0, 1, 77, 2**31, 2**32 - 1):
        assert within_five_sigma(kept(keep, key), keep)


def test_units_are_independent():
    """A quarter of neighbours in time, batch, layer and key are both kept."""
    mask, other = kept(0.5, 6), kept(0.5, 7)
    for pairs in (mask[1:] & mask[:-1], mask[:, 1:] & mask[:, :-1], mask[..., 1:] & mask[..., :-1], mask & other):
        assert within_five_sigma(pairs, 0.25)
    for axes in ((0, 1), (0, 2), (1, 2)):
        means = mask.mean(axes)
        assert np.abs(means - 0.5).max() < 5 * 0.5 / np.sqrt(SIZE / means.size)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_are_scaled_or_zero(dtype, rng):
    x = rng.normal(size=(T, B, H)).astype(dtype)
    out = dropped(x, 0.8)
    assert out.dtype == dtype
    np.testing.assert_allclose(out, np.where(out == 0, 0, x / 0.8), rtol=1e-6)
    assert out.mean() == pytest.approx(x.mean(), abs=5 * np.sqrt(0.25 / SIZE))


def test_same_mask_for_forward_and_backward(rng):
    y, dy = rng.normal(size=(2, T, B, H)).astype(np.float32)
    np.testing.assert_array_equal(dropped(y, 0.6, 9) == 0, dropped(dy, 0.6, 9) == 0)
    np.testing.assert_array_equal(dropped(y, 0.6, 9) == 0, ~kept(0.6, 9))


@pytest.mark.parametrize("shares", [[(0, 3), (3, B)], [(b, b + 1) for b in range(B)], [(2, B), (0, 0), (0, 2)]])
def test_mask_does_not_depend_on_row_partition(shares, rng):
    x = rng.normal(size=(T, B, H)).astype(np.float32)
    np.testing.assert_array_equal(dropped(x, 0.5, 3, shares), dropped(x, 0.5, 3))


def test_rows_of_a_larger_batch_have_the_masks_of_their_positions(rng):
    x = rng.normal(size=(T, B, H)).astype(np.float32)
    out = np.full((T, 3, H), np.nan, np.float32)
    dropout(out, np.ascontiguousarray(x[:, 2:5]), np.uint32(3), 0.5, 2, B, 0, 3)
    np.testing.assert_array_equal(out, dropped(x, 0.5, 3)[:, 2:5])


def test_dropout_works_in_place(rng):
    x = rng.normal(size=(T, B, H)).astype(np.float32)
    expected = dropped(x, 0.5, 4)
    dropout(x, x, np.uint32(4), 0.5, 0, B, 0, B)
    np.testing.assert_array_equal(x, expected)


def test_keep_probability_one_changes_nothing(rng):
    x = rng.normal(size=(T, B, H)).astype(np.float32)
    np.testing.assert_array_equal(dropped(x, 1.0), x)


def test_masks_differ_between_keys():
    assert len({kept(0.5, key).tobytes() for key in range(50)}) == 50
