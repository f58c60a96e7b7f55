"""Sigmoid, tanh and exp inside kernels, against NumPy in float64."""

import numpy as np
import pytest
from plain_kernels import compiled_only

from fastrnn.kernels.cpu import activations
from fastrnn.kernels.cpu.jit import kernel
from fastrnn.kernels.cpu.target import TARGET


@kernel
def tanh(out, x):
    for n in range(x.size):
        out[n] = activations.tanh(x[n])


@kernel
def sigmoid(out, x):
    for n in range(x.size):
        out[n] = activations.sigmoid(x[n])


@kernel
def exp(out, x):
    for n in range(x.size):
        out[n] = activations.exp(x[n])


def exact_sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


# kernel, NumPy's, the largest |x| to try, the error that must be small, how small in float32
FUNCTIONS = {
    "tanh": (tanh, np.tanh, 12.0, "absolute", 2.5e-7),
    "tanh, relative": (tanh, np.tanh, 12.0, "relative", 5e-7),
    "sigmoid": (sigmoid, exact_sigmoid, 30.0, "absolute", 1.5e-7),
    "exp": (exp, np.exp, 86.0, "relative", 2e-7),
}
every_function = pytest.mark.parametrize("name", FUNCTIONS)


def apply(function, x):
    out = np.full_like(x, np.nan)
    function(out, x)
    return out


def errors(computed, expected, kind):
    difference = np.abs(computed.astype(np.float64) - expected)
    return difference / np.abs(expected) if kind == "relative" else difference


@compiled_only
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_function
def test_activations_are_accurate(name, dtype):
    function, exact, most, kind, allowed = FUNCTIONS[name]
    steps = np.geomspace(1e-6, most, 20_001)
    x = np.concatenate([-steps[::-1], steps]).astype(dtype)
    error = errors(apply(function, x), exact(x.astype(np.float64)), kind)
    if TARGET.name in ("AVX", "128-bit"):
        allowed *= 1.3  # each step of a polynomial rounds twice where multiply-adds are not fused
    assert error.max() < (allowed if dtype == np.float32 else 1e-14)


@every_function
def test_scalar_and_vector_code_give_the_same_bits(name, rng):
    """Vector code and the scalar remainder of a row must agree."""
    function, x = FUNCTIONS[name][0], rng.normal(scale=3, size=101).astype(np.float32)
    alone = np.concatenate([apply(function, x[n : n + 1].copy()) for n in range(x.size)])
    np.testing.assert_array_equal(apply(function, x), alone)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_saturate(dtype):
    x = np.array([-np.inf, -1e30, -1000, -40, 0, 40, 1000, 1e30, np.inf], dtype)
    ends = np.sign(x)
    np.testing.assert_allclose(apply(tanh, x), ends, rtol=0, atol=2.5e-7)
    np.testing.assert_allclose(apply(sigmoid, x), (ends + 1) / 2, rtol=0, atol=2.5e-7)
    assert np.abs(apply(tanh, x)).max() <= 1
    assert apply(sigmoid, x).min() >= 0
    assert apply(sigmoid, x).max() <= 1


@pytest.mark.parametrize("function", [tanh, sigmoid, exp], ids=["tanh", "sigmoid", "exp"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_is_propagated(function, dtype):
    x = np.zeros(70, dtype)
    x[[0, 33, 69]] = np.nan
    np.testing.assert_array_equal(np.isnan(apply(function, x)), np.isnan(x))


def test_float32_exp_is_clipped():
    low, high = apply(exp, np.array([-1000, 1000], np.float32))
    assert low == pytest.approx(np.exp(-87), rel=1e-6)
    assert high == pytest.approx(np.exp(88), rel=1e-6)


def test_tanh_is_odd_and_sigmoid_symmetric():
    x = np.linspace(0, 10, 1001, dtype=np.float32)
    np.testing.assert_array_equal(apply(tanh, -x), -apply(tanh, x))
    np.testing.assert_allclose(apply(sigmoid, -x), 1 - apply(sigmoid, x), rtol=0, atol=1e-7)
    assert np.all(np.diff(apply(tanh, np.linspace(-3, 3, 301, dtype=np.float32))) > 0)
