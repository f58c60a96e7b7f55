"""Sampling a token from logits, against a NumPy version; and sampling of sequences."""

import numpy as np
import pytest
from engine_cases import make_network
from plain_kernels import WANTED as PLAIN_PYTHON
from random_cases import make_model

from fastrnn.data.text.tokenizers import CharTokenizer
from fastrnn.inference.sampling import Sampler, SamplingParams
from fastrnn.kernels.arguments import SamplingSettings
from fastrnn.kernels.cpu import generate
from fastrnn.kernels.cpu.jit import kernel

V = 40
ALMOST_ONE = np.nextafter(1.0, 0.0)
PLAIN = (1.0, 0, 1.0, 0.0)
# temperature, top_k, top_p, min_p
SETTINGS = [
    PLAIN,
    (0.5, 0, 1.0, 0.0),
    (3.0, 0, 1.0, 0.0),
    (1.0, 1, 1.0, 0.0),
    (1.0, 5, 1.0, 0.0),
    (1.0, V, 1.0, 0.0),
    (1.0, 10 * V, 1.0, 0.0),
    (1.0, 0, 0.6, 0.0),
    (1.0, 0, 1e-6, 0.0),
    (2.0, 0, 0.999, 0.0),
    (1.0, 0, 1.0, 0.1),
    (0.7, 12, 0.9, 0.02),
    (1.5, 30, 0.8, 0.3),
]
every_setting = pytest.mark.parametrize("settings", SETTINGS, ids=str)


def plain_probabilities(logits, temperature, top_k, top_p, min_p):
    """Probabilities (V,) float64 after each cut; ties with the last token kept are kept."""
    scaled = (logits.astype(np.float64) - logits.max()) / temperature
    p = np.exp(scaled) / np.exp(scaled).sum()
    descending = np.sort(p)[::-1]
    if 0 < top_k < p.size:
        p = np.where(p >= descending[top_k - 1], p, 0)
    if top_p < 1:
        descending = np.sort(p)[::-1]
        mass = np.cumsum(descending) / p.sum()
        p = np.where(p >= descending[np.argmax(mass >= top_p)], p, 0)
    p = np.where(p >= min_p * p.max(), p, 0)
    return p / p.sum()


@kernel
def draw(logits, p, uniform, temperature, top_k, top_p, min_p):
    settings = SamplingSettings(temperature, top_k, top_p, min_p)
    return generate.sample_token(logits, p, uniform, settings)


def drawn(logits, uniforms, settings):
    p = np.empty(logits.size, np.float32)
    return np.array([draw(logits, p, u, *settings) for u in np.atleast_1d(uniforms).tolist()])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_setting
def test_sampling_equals_numpy(settings, dtype, rng):
    """The random number lies between the cumulative probabilities before and after the token."""
    for scale in (0.3, 1.0, 4.0):
        for _ in range(1 if PLAIN_PYTHON else 20):
            logits, uniforms = rng.normal(scale=scale, size=V).astype(dtype), rng.random(10)
            p = plain_probabilities(logits, *settings)
            after, tokens = np.cumsum(p), drawn(logits, uniforms, settings)
            assert np.all(p[tokens] > 0)
            assert np.all(uniforms <= after[tokens] + 2e-6)
            assert np.all(uniforms >= after[tokens] - p[tokens] - 2e-6)


@every_setting
def test_sampled_frequencies_follow_the_probabilities(settings, rng):
    """Of N evenly spaced random numbers, each token gets its share to within one or two."""
    logits, N = rng.normal(size=V).astype(np.float32), 200 if PLAIN_PYTHON else 4000
    counts = np.bincount(drawn(logits, (np.arange(N) + 0.5) / N, settings), minlength=V)
    np.testing.assert_allclose(counts, N * plain_probabilities(logits, *settings), rtol=0, atol=1.1)


def test_defaults_sample_from_the_softmax(rng):
    logits, N = rng.normal(size=V).astype(np.float32), 200 if PLAIN_PYTHON else 4000
    softmax = np.exp(logits.astype(np.float64)) / np.exp(logits.astype(np.float64)).sum()
    counts = np.bincount(drawn(logits, (np.arange(N) + 0.5) / N, SamplingParams().numbers), minlength=V)
    np.testing.assert_allclose(counts, N * softmax, rtol=0, atol=1.1)


@every_setting
def test_truncated_tokens_are_never_sampled(settings, rng):
    """Also at both ends of the range of random numbers, where rounding matters."""
    for _ in range(3 if PLAIN_PYTHON else 100):
        logits = rng.normal(scale=2, size=V).astype(np.float32)
        p = plain_probabilities(logits, *settings)
        assert np.all(p[drawn(logits, [0.0, 1e-300, 1 - 1e-9, ALMOST_ONE], settings)] > 0)


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ((1.0, 2, 1.0, 0.0), {1, 3, 4}),  # three tie for first
        ((1.0, 4, 1.0, 0.0), {0, 1, 3, 4, 5}),  # two tie for fourth
        ((1.0, 0, 0.3, 0.0), {1, 3, 4}),
        ((1.0, 0, 1.0, 1.0 - 1e-6), {1, 3, 4}),
        ((1.0, 0, 1.0, 1.0), {1, 3, 4}),
        ((1.0, 0, 0.9, 0.0), {0, 1, 3, 4, 5}),
    ],
)
def test_ties_at_the_threshold_are_kept(settings, kept):
    logits = np.array([1, 2, 0, 2, 2, 1, -1], np.float32)
    assert set(drawn(logits, np.linspace(0, ALMOST_ONE, 500), settings).tolist()) == kept


def test_greedy_sampling_takes_the_first_of_equal_logits():
    for logits in ([3, 3, 1], [1, 3, 3], [3, 3, 3]):
        assert drawn(np.array(logits, np.float32), [0.0, ALMOST_ONE], (0.0, 0, 1.0, 0.0)).tolist() == 2 * [
            logits.index(3)
        ]


def test_next_smaller_float_is_no_tie():
    logits = np.array([0, -6e-8, -5], np.float32)  # e**x of the second is the float32 below 1
    for settings in [(1.0, 1, 1.0, 0.0), (1.0, 0, 0.4, 0.0)]:
        assert set(drawn(logits, np.linspace(0, ALMOST_ONE, 50), settings).tolist()) == {0}


def test_equal_logits_are_all_sampled():
    for settings in [PLAIN, (1.0, 3, 1.0, 0.0), (1.0, 0, 0.5, 0.0)]:
        tokens = drawn(np.full(V, 7, np.float32), np.linspace(0, ALMOST_ONE, 500), settings)
        assert set(tokens.tolist()) == set(range(V))


@pytest.mark.parametrize("top_k", [0, 3])
@pytest.mark.parametrize("temperature", [0.0, 1e-3, 1e-20, 1e-37, 1e-39, 1e-45, 1e-300])
def test_temperature_towards_zero_is_argmax(temperature, top_k, rng):
    for _ in range(20):
        logits = rng.permutation(V).astype(np.float32)
        tokens = drawn(logits, [1e-9, 0.5, ALMOST_ONE], (temperature, top_k, 1.0, 0.0))
        assert set(tokens.tolist()) == {int(logits.argmax())}


def test_high_temperature_is_uniform(rng):
    tokens = drawn(rng.normal(size=V).astype(np.float32), (np.arange(V) + 0.5) / V, (1e30, 0, 1.0, 0.0))
    np.testing.assert_array_equal(tokens, np.arange(V))


def test_large_logits_do_not_overflow(rng):
    logits = np.array([-1e30, 3e4, 3e4, -3e38], np.float32)
    assert set(drawn(logits, np.linspace(1e-9, ALMOST_ONE, 100), PLAIN).tolist()) == {1, 2}


def sampled(model, count, drawing, threads=1, seed=3, length=25):
    network = make_network(model, "float32", threads)
    sampler = Sampler(network, CharTokenizer("abcdefghijkl"), rounded=False)
    return np.concatenate(list(sampler.tokens(count, length, np.array([2, 0, 1]), drawing, seed)))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_generated_sequence_follows_the_textbook_logits(cell, rng):
    """Each token feeds the next; by the reference each was the most likely, or one of the top
    three.
    """
    model = make_model(cell, 2, rng, 9, 12)
    for drawing, most in [(SamplingParams(greedy=True), 1), (SamplingParams(top_k=3), 3)]:
        tokens = sampled(model, 2, drawing)
        for column in tokens.T:
            logits, _ = model.forward(np.concatenate([[2, 0, 1], column[:-1]])[:, None])
            better = (logits[2:, 0] > np.take_along_axis(logits[2:, 0], column[:, None], -1)).sum(-1)
            assert better.max() < most


def test_samples_do_not_depend_on_their_number_or_the_threads(rng):
    model = make_model("lstm", 2, rng, 9, 12)
    five, two = sampled(model, 5, SamplingParams()), sampled(model, 2, SamplingParams(), threads=3)
    np.testing.assert_array_equal(five[:, :2], two)
    assert len({column.tobytes() for column in np.ascontiguousarray(five.T)}) == 5
    assert np.any(sampled(model, 2, SamplingParams(), seed=4) != two)
