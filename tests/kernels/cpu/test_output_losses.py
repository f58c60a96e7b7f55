"""Softmax cross-entropy of one position, in place, against the reference implementation."""

import math

import numpy as np
import pytest

from fastrnn.kernels.cpu import output_losses as kernels
from fastrnn.kernels.cpu.jit import kernel
from fastrnn.reference import cross_entropy, cross_entropy_backward

V = 37

both_types = pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])


@kernel
def softmax_cross_entropy(z, target, scale):
    return kernels.softmax_cross_entropy(z, target, scale)


@both_types
@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_equals_the_textbook(scale, dtype, tolerance, rng):
    for spread in (0.1, 1.0, 10.0):
        logits, target = rng.normal(scale=spread, size=V).astype(dtype), int(rng.integers(V))
        z, exact = logits.copy(), logits.astype(np.float64)[None, None]
        loss = softmax_cross_entropy(z, target, dtype(scale))
        assert loss == pytest.approx(cross_entropy(exact, np.array([[target]])), rel=10 * tolerance, abs=tolerance)
        expected = scale * cross_entropy_backward(exact, np.array([[target]]))[0, 0]
        np.testing.assert_allclose(z, expected, rtol=0, atol=scale * tolerance)


@both_types
def test_loss_is_invariant_to_a_common_shift(dtype, tolerance):
    z, shifted = np.arange(5, dtype=dtype), np.arange(5, dtype=dtype) + dtype(1024)
    assert softmax_cross_entropy(z, 1, dtype(1)) == softmax_cross_entropy(shifted, 1, dtype(1))
    np.testing.assert_array_equal(z, shifted)


@both_types
def test_unscored_position_has_no_loss_and_gradient(dtype, tolerance, rng):
    z = rng.normal(size=V).astype(dtype)
    assert softmax_cross_entropy(z, -1, dtype(1)) == 0
    assert not z.any()


@both_types
def test_loss_of_certain_and_impossible_targets(dtype, tolerance):
    z = np.array([0, 80, 0], dtype)
    assert softmax_cross_entropy(z.copy(), 1, dtype(1)) == pytest.approx(0, abs=tolerance)
    assert softmax_cross_entropy(z.copy(), 0, dtype(1)) == pytest.approx(80)
    assert math.isfinite(softmax_cross_entropy(np.array([0, 1e6, 0], dtype), 0, dtype(1)))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("at", [0, 1, V // 2, V - 1])
@both_types
def test_non_finite_logits_reach_the_loss(dtype, tolerance, at, bad, rng):
    for target in (0, 1, V - 1):
        z = rng.normal(size=V).astype(dtype)
        z[at] = bad
        assert not math.isfinite(softmax_cross_entropy(z, target, dtype(1)))
