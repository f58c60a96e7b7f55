"""Weight gradients of a window. Factors are small integers, so every sum is exact."""

import numpy as np
import pytest

from fastrnn.kernels.arguments import LayerGradients, LayerInput
from fastrnn.kernels.cpu.gru import GRU
from fastrnn.kernels.cpu.target import TARGET
from fastrnn.kernels.cpu.weight_gradient import layer_gradient, weight_gradient

GRU_ORDER = np.array([2, 0, 1])

both_types = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def whole(rng, dtype, *shape):
    return rng.integers(-8, 9, shape).astype(dtype)


@pytest.mark.parametrize("depth", [1, 5, 131, 257])
@pytest.mark.parametrize("rows", [1, 13, 65, 100])
@pytest.mark.parametrize("features", [1, 13, 65, TARGET.panel(32)])
@both_types
def test_weight_gradient_adds(dtype, features, rows, depth, rng):
    dz, x, dw = whole(rng, dtype, depth, rows), whole(rng, dtype, depth, features), whole(rng, dtype, rows, features)
    expected = dw + dz.T @ x
    middle = (rows + 1) // 2
    for lo, hi in [(0, 1), (1, middle), (middle, rows)]:
        weight_gradient(dw, dz, x, dw, lo, hi)
    np.testing.assert_array_equal(dw, expected)


@both_types
def test_weight_gradient_has_the_same_bits_for_any_partition(dtype, rng):
    dz, x = rng.normal(size=(150, 60)).astype(dtype), rng.normal(size=(150, 65)).astype(dtype)
    one, many = np.zeros((2, 60, 65), dtype)
    weight_gradient(one, dz, x, one, 0, 60)
    for lo, hi in [(0, 7), (7, 8), (8, 8), (8, 41), (41, 60)]:
        weight_gradient(many, dz, x, many, lo, hi)
    assert np.abs(one).max() > 1
    np.testing.assert_array_equal(many, one)


def make_window(rng, dtype, steps, batch, hidden, features, vocab):
    """Gate gradients (blocks n, r, z, n) and states of a GRU layer, ids, and input."""
    cell = GRU(
        whole(rng, dtype, steps, batch, 4 * hidden),
        whole(rng, dtype, steps + 1, batch, hidden),
        np.zeros((steps + 1, batch, 0), dtype),
    )
    ids = rng.integers(vocab, size=(steps, batch)).astype(np.int32)
    return cell, ids, whole(rng, dtype, steps, batch, features)


SIZES = [(1, 1, 1, 1), (4, 3, 5, 13), (19, 7, 65, 9), (5, 2, 50, 65), (3, 2, 7, 0)]  # T, B, H, F


@pytest.mark.parametrize("shares", [1, 3])
@pytest.mark.parametrize("size", SIZES, ids=str)
@both_types
def test_layer_gradient_equals_numpy(dtype, size, shares, rng):
    """W_ih, in torch.nn's order r, z, n, from blocks n, r, z; W_hh from r, z, n; the table from all
    blocks.
    """
    (T, B, H, F), V = size, 6
    cell, ids, x = make_window(rng, dtype, T, B, H, F, V if F == 0 else 1)
    dw_ih, dw_hh, dtable = whole(rng, dtype, 3 * H, F), whole(rng, dtype, 3 * H, H), np.full((V, 4 * H), np.nan, dtype)
    gates, h_prev = cell.gates.reshape(T * B, 4 * H), cell.h[:-1].reshape(T * B, H)
    from_x = gates[:, np.r_[H : 3 * H, :H]]
    expected = [
        dw_ih + from_x.T @ x.reshape(T * B, F),
        dw_hh + gates[:, H:].T @ h_prev,
        np.eye(V)[ids.ravel()].T @ gates,
    ]
    # N-grams of two lengths at each position, some of them none.
    ngrams = rng.integers(-1, 4, (T, B, 2)).astype(np.int32)
    drows = whole(rng, dtype, 4, 3 * H)
    expected.append(drows + sum(np.eye(5)[ngrams[:, :, k].ravel()].T[:4] @ from_x for k in range(2)))
    inputs = LayerInput(ids, dtable, x, ngrams, drows, GRU_ORDER)
    for n in range(shares):
        lo, hi = 4 * H * n // shares, 4 * H * (n + 1) // shares
        layer_gradient(LayerGradients(dw_ih, dw_hh, dtable, drows), cell, inputs, dw_hh, lo, hi)
    for computed, wanted in zip([dw_ih, dw_hh, dtable, drows], expected, strict=True):
        np.testing.assert_array_equal(computed, wanted)
