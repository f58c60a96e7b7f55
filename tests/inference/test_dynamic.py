"""Dynamic evaluation against the textbook: scored first, then learnt from, and the model itself unchanged."""

import math

import numpy as np
import pytest
from engine_cases import make_network
from random_cases import make_model

from fastrnn.cells import RECURRENT_CELLS
from fastrnn.data.text.bptt import Window
from fastrnn.data.text.corpus import corpus_from_text
from fastrnn.errors import ConfigError, DivergedError
from fastrnn.inference import dynamic
from fastrnn.inference.dynamic import DynamicModel, DynamicSettings, dynamic_windows, evaluate_dynamic
from fastrnn.inference.evaluation import evaluate
from fastrnn.reference import Reference

SEPARATOR = "#\n"
TEXT = "a dog and a cat. a cog and a dot.\n" * 3 + SEPARATOR + "no cat and no dog: no gain.\n" * 3 + "a"
CORPUS = corpus_from_text(TEXT, separator=SEPARATOR)
V = CORPUS.tokenizer.size
SEQ = 8
SETTINGS = DynamicSettings(lr=0.03, decay=0.05, seq=SEQ)
TOLERANCE = {"float32": 2e-5, "float64": 1e-11}
every_cell = pytest.mark.parametrize("cell", RECURRENT_CELLS)


def textbook(model: Reference, windows: list[Window], settings: DynamicSettings) -> tuple[list[float], Reference]:
    """The sum of the losses of each window by the formula of the module, and the model at the end."""
    trained = model.parameters
    now = {name: array.copy() for name, array in trained.items()}
    squares = {name: np.zeros_like(array) for name, array in trained.items()}
    size = sum(array.size for array in trained.values())
    state, sums = model.zero_state(1), []

    for number, window in enumerate(windows, 1):
        before = Reference(model.shape, now)
        ids, targets = window.x, window.y
        sums.append(before.loss(ids, targets, state, window.resets) * window.scored_count)
        gradients, _ = before.backward(ids, targets, state, window.resets)
        _, state = before.forward(ids, state, window.resets)

        squares = {name: squares[name] + gradients[name] ** 2 for name in squares}
        rms = {name: np.sqrt(array / number) for name, array in squares.items()}
        mean = sum(float(array.sum()) for array in rms.values()) / size
        for name, p in now.items():
            learnt = p - settings.lr * gradients[name] / (rms[name] + mean)
            now[name] = learnt + settings.decay * (trained[name] - learnt)
    return sums, Reference(model.shape, now)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_cell
def test_each_window_is_scored_with_the_weights_before_its_update(cell, dtype, rng):
    model = make_model(cell, 2, rng, 9, V)
    learner = DynamicModel(make_network(model, dtype, threads=2), SETTINGS)
    state = model.zero_state(1)
    for window in dynamic_windows(CORPUS, SEQ):
        before = Reference(model.shape, {name: array.copy() for name, array in learner.network.parameters.items()})
        found = float(learner.score(window).sum())
        expected = before.loss(window.x, window.y, state, window.resets) * window.scored_count
        assert found == pytest.approx(expected, rel=TOLERANCE[dtype])
        _, state = before.forward(window.x, state, window.resets)


@every_cell
def test_updates_follow_the_formula(cell, rng, monkeypatch):
    monkeypatch.setattr(dynamic, "_BLOCK", 100)  # several blocks, the last of them shorter
    model = make_model(cell, 2, rng, 9, V)
    learner = DynamicModel(make_network(model, threads=2), SETTINGS)
    windows = list(dynamic_windows(CORPUS, SEQ))
    found = [float(learner.score(window).sum()) for window in windows]

    expected, last = textbook(model, windows, SETTINGS)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    for name, array in learner.network.parameters.items():
        np.testing.assert_allclose(array, last.parameters[name], atol=1e-9, err_msg=name)
        assert np.abs(array - model.parameters[name]).max() > 0.005, f"{name} has not learnt"


def test_loss_is_that_of_all_windows_and_below_the_static_loss(rng):
    model = make_model("lstm", 1, rng, 9, V)
    network = make_network(model)
    shares: list[float] = []
    found = evaluate_dynamic(network, CORPUS, SETTINGS, lambda share, nats: shares.append(share))

    windows = list(dynamic_windows(CORPUS, SEQ))
    static = evaluate(network.with_shared_parameters(), CORPUS)
    assert static is not None
    assert found.chars == static.chars == sum(window.scored_count for window in windows) == len(CORPUS.ids) - 1
    assert found.nats == pytest.approx(sum(textbook(model, windows, SETTINGS)[0]) / found.chars, rel=1e-10)
    assert found.nats < static.nats - 0.1
    assert len(shares) == len(windows)
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rate_zero_is_the_static_loss(dtype, rng):
    network = make_network(make_model("gru", 2, rng, 9, V), dtype)
    static = evaluate(network.with_shared_parameters(), CORPUS)
    assert static is not None
    found = evaluate_dynamic(network, CORPUS, DynamicSettings(lr=0, decay=0.5, seq=SEQ))
    assert found.nats == pytest.approx(static.nats, rel=1e-6 if dtype == "float32" else 1e-13)


def test_text_after_a_window_does_not_change_its_losses(rng):
    network = make_network(make_model("lstm", 1, rng, 9, V), "float32")
    cut = 5 * SEQ + 1
    other = corpus_from_text(TEXT[:cut] + TEXT[cut:][::-1], tokenizer=CORPUS.tokenizer)
    losses = []
    for corpus in (CORPUS, other):
        learner = DynamicModel(network, SETTINGS)
        losses.append([learner.score(window).tobytes() for window in dynamic_windows(corpus, SEQ)])
    same = [one == two for one, two in zip(*losses, strict=True)]
    assert same[:5] == [True] * 5
    assert not any(same[5:])


@pytest.mark.parametrize("cell", ["lstm", "lstm-norm", "gru", "rnn"])
def test_result_has_the_same_bits_for_any_number_of_threads(cell, rng):
    model = make_model(cell, 2, rng, 36, V)
    found = [evaluate_dynamic(make_network(model, "float32", threads), CORPUS, SETTINGS) for threads in (1, 1, 3)]
    assert found[0] == found[1] == found[2]


def test_model_has_the_same_bits_afterwards_also_if_interrupted(rng):
    network = make_network(make_model("lstm", 1, rng, 9, V), "float32")
    before = network.parameters.flat.tobytes()
    evaluate_dynamic(network, CORPUS, SETTINGS)
    assert network.parameters.flat.tobytes() == before

    def interrupt(share: float, nats: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_dynamic(network, CORPUS, SETTINGS, interrupt)
    assert network.parameters.flat.tobytes() == before


def test_products_are_exact_whatever_the_mode_of_the_network(rng):
    model = make_model("lstm", 1, rng, 256, V)
    found = [
        evaluate_dynamic(make_network(model, "float32", 2, products=mode), CORPUS, SETTINGS)
        for mode in ("exact", "split")
    ]
    assert found[0] == found[1]


def test_window_without_gradient_changes_nothing(rng):
    network = make_network(make_model("lstm", 1, rng, 9, V))
    learner = DynamicModel(network, SETTINGS)
    x = np.zeros((SEQ, 1), np.int32)
    assert not learner.score(Window(x, np.full_like(x, -1), None)).any()
    assert learner.network.parameters.flat.tobytes() == network.parameters.flat.tobytes()


def test_rate_that_is_too_high_is_an_error(rng):
    network = make_network(make_model("lstm", 1, rng, 9, V), "float32")
    with pytest.raises(DivergedError, match=r"not finite within the first \d+ tokens: lr 1e\+30 is too high"):
        evaluate_dynamic(network, CORPUS, DynamicSettings(lr=1e30, seq=SEQ))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lr": -1}, "lr is -1; it must be a finite number of at least 0"),
        ({"lr": math.inf}, "lr is inf"),
        ({"lr": math.nan}, "lr is nan"),
        ({"lr": "fast"}, "lr must be"),
        ({"decay": 1.5}, "decay is 1.5; it must be from 0 to 1"),
        ({"decay": math.nan}, "decay is nan"),
        ({"seq": 0}, "seq is 0; it must be at least 1"),
        ({"seq": 5000}, "seq is 5000; it must be at most 4,096"),
        ({"seq": 2.5}, "seq must be"),
    ],
)
def test_bad_settings_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        DynamicSettings(**settings)
