"""Gradient norm and optimisers, against NumPy versions over several steps."""

import math

import numpy as np
import pytest
from engine_cases import make_network
from random_cases import make_model, make_ngrams

from fastrnn.config import MOMENTS, Config
from fastrnn.kernels.cpu.optimizers import BLOCK
from fastrnn.kernels.cpu.thread_pool import WHOLE
from fastrnn.nn.network import Network
from fastrnn.shapes import ModelShape
from fastrnn.training.optimizers import Optimizer

SHAPE = ModelShape("rnn", 1, 48, 65)  # three blocks of parameters, the last one not full
LR, STEPS = 0.01, 4


def plain_adamw(p, g, moments, config, t):
    moments["m"] = config.beta1 * moments["m"] + (1 - config.beta1) * g
    moments["v"] = config.beta2 * moments["v"] + (1 - config.beta2) * g**2
    m, v = moments["m"] / (1 - config.beta1**t), moments["v"] / (1 - config.beta2**t)
    return p - LR * m / (np.sqrt(v) + 1e-8)


def plain_sgd(p, g, moments, config, t):
    return p - LR * g


def plain_momentum(p, g, moments, config, t):
    moments["m"] = config.beta1 * moments["m"] + g
    return p - LR * moments["m"]


def plain_rmsprop(p, g, moments, config, t):
    moments["v"] = config.beta2 * moments["v"] + (1 - config.beta2) * g**2
    return p - LR * g / (np.sqrt(moments["v"]) + 1e-8)


def plain_adagrad(p, g, moments, config, t):
    moments["v"] = moments["v"] + g**2
    return p - LR * g / (np.sqrt(moments["v"]) + 1e-10)


PLAIN = {
    "adamw": plain_adamw,
    "sgd": plain_sgd,
    "momentum": plain_momentum,
    "rmsprop": plain_rmsprop,
    "adagrad": plain_adagrad,
}
every_optimizer = pytest.mark.parametrize("name", MOMENTS)


def make_optimizer(rng, dtype=np.float64, threads=1, **settings):
    network = Network(SHAPE, dtype=dtype, threads=threads)
    network.parameters.flat[:] = rng.normal(size=network.parameters.flat.size)
    assert 2 * BLOCK < network.parameters.flat.size < 3 * BLOCK
    return network, Optimizer(network, Config(beta1=0.85, **settings))


def set_gradient(network, rng, norm=1.0):
    g = rng.normal(size=network.gradients.flat.size)
    network.gradients.flat[:] = g * (norm / np.linalg.norm(g))


def plain_step(p, g, moments, config, t, decay, factors=1.0):
    """Clipping, decoupled weight decay and learning-rate factors around the optimiser's own step."""
    norm = np.linalg.norm(g)
    if config.clip and norm > config.clip:
        g = g * config.clip / norm
    return p + factors * (PLAIN[config.optimizer](p, g, moments, config, t) - LR * decay * p - p)


@pytest.mark.parametrize(("weight_decay", "clip"), [(0.0, 0.0), (0.1, 0.0), (0.1, 2.0)])
@every_optimizer
def test_optimizer_equals_numpy(name, weight_decay, clip, rng):
    network, optimizer = make_optimizer(rng, optimizer=name, weight_decay=weight_decay, clip=clip)
    config, expected = optimizer.config, network.parameters.flat.copy()
    moments = {moment: np.zeros_like(expected) for moment in MOMENTS[name]}
    decay = np.concatenate([np.full(a.size, 0 if "bias" in n else weight_decay) for n, a in network.parameters.items()])
    for t in range(1, STEPS + 1):
        set_gradient(network, rng, norm=3.5 - t)  # above the clip, and below it
        expected = plain_step(expected, network.gradients.flat, moments, config, t, decay)
        optimizer.step(LR, optimizer.gradient_norm())
        np.testing.assert_allclose(network.parameters.flat, expected, rtol=1e-11, atol=1e-13)
    assert optimizer.updates == STEPS
    for moment, array in moments.items():
        np.testing.assert_allclose(optimizer.moments[moment], array, rtol=1e-11, atol=1e-20, err_msg=moment)


@every_optimizer
def test_table_and_output_weights_have_their_own_rate(name, rng):
    network, optimizer = make_optimizer(rng, optimizer=name, weight_decay=0.1, vocab_lr=2.5)
    config, expected = optimizer.config, network.parameters.flat.copy()
    moments = {moment: np.zeros_like(expected) for moment in MOMENTS[name]}
    factors, decay = (
        np.concatenate([np.full(array.size, value(n)) for n, array in network.parameters.items()])
        for value in (
            lambda n: 2.5 if n in ("rnn.weight_ih_l0", "out.weight") else 1.0,
            lambda n: 0.0 if "bias" in n else 0.1,
        )
    )
    for t in range(1, STEPS + 1):
        set_gradient(network, rng)
        expected = plain_step(expected, network.gradients.flat, moments, config, t, decay, factors)
        optimizer.step(LR, optimizer.gradient_norm())
        np.testing.assert_allclose(network.parameters.flat, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("threads", [1, 3])
def test_adamw_updates_the_rows_of_active_ngrams(threads, rng):
    """Only those whose gradient is not zero, at half the rate of tables; the norm and the next window know them too."""
    ngrams, name = make_ngrams(), "rnn.weight_ngram_l0"
    model = make_model("lstm-norm", 1, rng, 3, 6, ngrams)
    network = make_network(model, np.float64, ngrams=ngrams, threads=threads)
    optimizer = Optimizer(network, Config(beta1=0.85, weight_decay=0.1, vocab_lr=2.5, clip=2.0))
    updated, zero, inactive = [3, 4], 1, 5
    start, end = network.parameters.span(name)
    rest = np.setdiff1d(np.arange(len(ngrams)), updated)  # rows that stay

    def of_each(value):
        return np.concatenate([np.full(array.size, value(n)) for n, array in network.parameters.items()])

    def is_exempt(n):
        return "bias" in n or ".gain_l" in n

    factors = of_each(lambda n: 1.25 if n == name else 2.5 if n in ("rnn.weight_ih_l0", "out.weight") else 1.0)
    decay = of_each(lambda n: 0.0 if is_exempt(n) else 0.1)
    expected = network.parameters.flat.copy()
    moments = {moment: np.zeros_like(expected) for moment in MOMENTS["adamw"]}
    for t in range(1, STEPS + 1):
        set_gradient(network, rng, norm=4.5 - t)
        network.gradients[name][np.setdiff1d(rest, inactive)] = 0
        network.ngram_embedding.active = np.array(sorted([zero, *updated]), np.int32)
        counted = network.gradients.flat.copy()
        counted[start:end].reshape(len(ngrams), -1)[inactive] = 0  # left of another window, which nothing reads
        before = [expected.copy(), *(moment.copy() for moment in moments.values())]
        expected = plain_step(expected, counted, moments, optimizer.config, t, decay, factors)
        for after, old in zip((expected, *moments.values()), before, strict=True):
            rows, kept = (array[start:end].reshape(len(ngrams), -1) for array in (after, old))
            rows[rest] = kept[rest]

        norm = optimizer.gradient_norm()
        assert norm == pytest.approx(np.linalg.norm(counted), rel=1e-12)
        optimizer.step(LR, norm)
        np.testing.assert_allclose(network.parameters.flat, expected, rtol=1e-11, atol=1e-13)
        for moment, array in moments.items():
            np.testing.assert_allclose(optimizer.moments[moment], array, rtol=1e-11, atol=1e-20, err_msg=moment)
        network.ngram_embedding.clear(WHOLE)
        np.testing.assert_array_equal(np.flatnonzero(network.gradients[name].any(axis=1)), inactive)


@every_optimizer
def test_float32_follows_float64(name, rng):
    (single, one), (double, two) = (
        make_optimizer(np.random.default_rng(3), dtype, optimizer=name) for dtype in (np.float32, np.float64)
    )
    for _ in range(STEPS):
        set_gradient(double, rng, norm=2.0)
        single.gradients.flat[:] = double.gradients.flat
        one.step(LR, one.gradient_norm())
        two.step(LR, two.gradient_norm())
    np.testing.assert_allclose(single.parameters.flat, double.parameters.flat, rtol=1e-5, atol=1e-6)


@every_optimizer
def test_optimizer_gives_the_same_bits_for_any_threads(name):
    results = []
    for threads in (1, 2, 3, 5):
        rng = np.random.default_rng(8)
        network, optimizer = make_optimizer(rng, np.float32, threads, optimizer=name, weight_decay=0.01)
        for _ in range(2):
            set_gradient(network, rng, norm=2.0)
            optimizer.step(LR, optimizer.gradient_norm())
        results.append(network.parameters.flat.tobytes())
    assert len(set(results)) == 1


def test_first_adam_step_has_the_length_of_the_learning_rate(rng):
    network, optimizer = make_optimizer(rng, optimizer="adamw", clip=0.0)
    before = network.parameters.flat.copy()
    set_gradient(network, rng, norm=1e4)
    optimizer.step(LR, optimizer.gradient_norm())
    moved = before - network.parameters.flat
    np.testing.assert_allclose(moved, LR * np.sign(network.gradients.flat), rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("norm", [1e-6, 1.0, 1e6])
def test_gradient_norm_equals_numpy(norm, dtype, rng):
    network, optimizer = make_optimizer(rng, dtype)
    set_gradient(network, rng, norm)
    assert optimizer.gradient_norm() == pytest.approx(norm, rel=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_gradient_norm_propagates_non_finite_values(bad, dtype, rng):
    network, optimizer = make_optimizer(rng, dtype)
    flat = network.gradients.flat
    for at in (0, 1, BLOCK - 1, BLOCK, BLOCK + 17, flat.size - 2, flat.size - 1):
        flat[:] = 0.5
        assert math.isfinite(optimizer.gradient_norm())
        flat[at] = bad
        assert not math.isfinite(optimizer.gradient_norm()), f"{bad} at {at} goes unseen"
    flat[5] = -bad
    assert not math.isfinite(optimizer.gradient_norm())


def test_moments_round_trip(rng):
    network, optimizer = make_optimizer(rng, optimizer="adamw")
    set_gradient(network, rng)
    optimizer.step(LR, optimizer.gradient_norm())
    saved, weights = optimizer.to_dict(), network.parameters.flat.copy()
    optimizer.step(LR, optimizer.gradient_norm())
    expected = network.parameters.flat.copy()
    other, again = make_optimizer(rng, optimizer="adamw")
    other.parameters.flat[:], other.gradients.flat[:] = weights, network.gradients.flat
    again.assign(saved, 1)
    again.step(LR, again.gradient_norm())
    np.testing.assert_array_equal(other.parameters.flat, expected)
