"""The textbook against numbers worked out by hand (one input, one unit, two steps), and against torch.nn."""

import math

import numpy as np
import pytest
from random_cases import B, F, H, T, V, make_model, make_state, make_text, make_weights

from fastrnn.cells import CELLS as SPECS
from fastrnn.reference import (
    CELLS,
    NormWeights,
    Reference,
    Weights,
    cross_entropy,
    cross_entropy_backward,
    layer_backward,
    layer_forward,
    rms_norm,
    rms_norm_backward,
    sigmoid,
    softmax,
)
from fastrnn.shapes import ModelShape, language_model_shapes

X = (1.0, -2.0)  # the two inputs


def run_one_unit(cell, w_ih, w_hh, b_ih, b_hh, **state):
    """h after each of two steps, one unit, and the last state."""
    w = Weights(np.array([w_ih]).T, np.array([w_hh]).T, np.array(b_ih), np.array(b_hh))
    first = {name: np.array([[value]]) for name, value in state.items()}
    h, last, _ = layer_forward(CELLS[cell], np.reshape(X, (2, 1, 1)), first, w)
    return h.ravel(), {name: s.item() for name, s in last.items()}


def test_rnn_by_hand():
    h, _ = run_one_unit("rnn", [0.5], [2.0], [0.25], [-0.5], h=0.1)
    # 0.5 + 0.25 + 0.2 - 0.5 = 0.45; tanh 0.45 = 0.42189901; -1 + 0.25 + 0.84379801 - 0.5 = -0.40620199
    np.testing.assert_allclose(h, [0.42189901, -0.38524308], atol=1e-8)


def test_rnn_relu_by_hand():
    h, _ = run_one_unit("rnn-relu", [0.5], [2.0], [0.25], [-0.5], h=0.1)
    np.testing.assert_allclose(h, [0.45, 0.0], atol=1e-12)  # the second: -1 + 0.25 + 0.9 - 0.5 = -0.35


def test_lstm_by_hand():
    w_ih, w_hh, b_ih, b_hh = [1.0, 2.0, 0.5, -1.0], [0.3, -0.2, 0.7, 0.1], [0.1, 0.2, 0.3, 0.4], [0.0, 1.0, -0.1, 0.2]
    h, c, expected = 0.5, -0.25, []
    for x in X:
        i, f, o = (1 / (1 + math.exp(-(w_ih[k] * x + b_ih[k] + w_hh[k] * h + b_hh[k]))) for k in (0, 1, 3))
        c = f * c + i * math.tanh(0.5 * x + 0.3 + 0.7 * h - 0.1)
        h = o * math.tanh(c)
        expected.append(h)
    computed, last = run_one_unit("lstm", w_ih, w_hh, b_ih, b_hh, h=0.5, c=-0.25)
    np.testing.assert_allclose(computed, expected, rtol=1e-12)
    assert last["c"] == pytest.approx(c, rel=1e-12)


def test_lstm_norm_by_hand():
    """Two units, so that the norm mixes them; some input gates are clamped."""
    W_ih = np.array([3.0, -1.0, 1.0, 2.0, 0.5, 1.5, -1.0, 0.5])
    W_hh = np.arange(16).reshape(8, 2) / 10 - 0.7
    gain, bias = np.linspace(0.5, 1.2, 8), np.linspace(-0.3, 0.4, 8)
    h, c, expected, clamped = np.array([0.5, -0.2]), np.array([-0.25, 0.3]), [], []
    for x in X:
        a = (W_ih * x + W_hh @ h).reshape(4, 2)
        z = []
        for q in range(4):
            rms = math.sqrt((a[q, 0] ** 2 + a[q, 1] ** 2) / 2 + 1e-5)
            z.append([gain[2 * q + j] * a[q, j] / rms + bias[2 * q + j] for j in (0, 1)])
        for j in (0, 1):
            i, f, o = (1 / (1 + math.exp(-z[k][j])) for k in (0, 1, 3))
            clamped.append(i > 1 - f)
            c[j] = f * c[j] + min(i, 1 - f) * math.tanh(z[2][j])
            h[j] = o * c[j]
        expected.append(h.copy())
    w = NormWeights(W_ih[:, None], W_hh, gain, bias)
    state = {"h": np.array([[0.5, -0.2]]), "c": np.array([[-0.25, 0.3]])}
    computed, last, _ = layer_forward(CELLS["lstm-norm"], np.array(X)[:, None, None], state, w)
    np.testing.assert_allclose(computed[:, 0], expected, rtol=1e-12)
    np.testing.assert_allclose(last["c"][0], c, rtol=1e-12)
    assert set(clamped) == {False, True}


def test_norm_ignores_the_scale_of_its_input(rng):
    """And so the gradient is at a right angle to it, but for epsilon."""
    a, dn = rng.normal(size=(2, B, H))
    n, rms = rms_norm(a)
    np.testing.assert_allclose((n**2).mean(axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(rms_norm(7 * a)[0], n, rtol=1e-3)
    np.testing.assert_allclose((rms_norm_backward(dn, n, rms) * a).sum(axis=1), 0, atol=1e-3)


def test_gru_by_hand():
    w_ih, w_hh, b_ih, b_hh = [1.0, 2.0, 0.5], [0.3, -0.2, 0.7], [0.1, 0.2, 0.3], [0.0, 1.0, -0.1]
    h, expected = 0.5, []
    for x in X:
        r, z = (1 / (1 + math.exp(-(w_ih[k] * x + b_ih[k] + w_hh[k] * h + b_hh[k]))) for k in (0, 1))
        h = (1 - z) * math.tanh(0.5 * x + 0.3 + r * (0.7 * h - 0.1)) + z * h
        expected.append(h)
    computed, _ = run_one_unit("gru", w_ih, w_hh, b_ih, b_hh, h=0.5)
    np.testing.assert_allclose(computed, expected, rtol=1e-12)


def test_gru_simplified_by_hand():
    w_ih, w_hh, b_ih, b_hh = [1.0, 0.5], [0.3, 0.7], [0.1, 0.3], [0.0, -0.1]
    c, expected = 0.5, []
    for x in X:
        u = 1 / (1 + math.exp(-(x + 0.1 + 0.3 * c)))
        c = u * math.tanh(0.5 * x + 0.3 + 0.7 * c - 0.1) + (1 - u) * c
        expected.append(c)
    computed, _ = run_one_unit("gru-simplified", w_ih, w_hh, b_ih, b_hh, h=0.5)
    np.testing.assert_allclose(computed, expected, rtol=1e-12)


# with all weights zero every gate is 1/2 and every candidate 0
@pytest.mark.parametrize(
    ("cell", "h"),
    [
        ("rnn", 0.0),
        ("rnn-relu", 0.0),
        ("gru", 0.2),
        ("gru-simplified", 0.2),
        ("lstm", 0.0986876601),
        ("lstm-norm", 0.1),
    ],
)
def test_zero_weights_by_hand(cell, h, rng):
    shape = ModelShape(cell, 1, H, V)
    model = Reference(shape, {name: np.zeros(size) for name, size in language_model_shapes(shape).items()})
    state = {name: np.full((1, B, H), 0.4) for name in SPECS[cell].states}
    ids, targets = rng.integers(V, size=(2, 1, B))
    logits, last = model.forward(ids, state)
    np.testing.assert_allclose(last["h"], h, atol=1e-10)  # lstm: 1/2 tanh(1/2 0.4)
    assert not logits.any()
    assert model.loss(ids, targets) == pytest.approx(math.log(V), rel=1e-12)


@pytest.mark.parametrize(
    ("cell", "memory", "bias"),
    [
        ("gru-simplified", "h", [-60.0, 0.0]),
        ("gru", "h", [0.0, 60.0, 0.0]),
        ("lstm", "c", [-60.0, 60.0, 0.0, 0.0]),
        ("lstm-norm", "c", [-60.0, 60.0, 0.0, 0.0]),
    ],
)
def test_gates_that_keep_the_state_pass_the_gradient_unchanged(cell, memory, bias, rng):
    """u near 0 (simplified GRU), z near 1 (GRU), i near 0 and f near 1 (LSTM): the memory, and its gradient, stay."""
    w = make_weights(cell, F, H, rng)
    w = w._replace(**{w._fields[-1]: np.repeat(bias, H)})
    dw = type(w)(*(np.zeros_like(a) for a in w))
    state, dlast = make_state(cell, rng, B, H), {name: np.zeros((B, H)) for name in SPECS[cell].states}
    dlast[memory] = rng.normal(size=(B, H))
    _, last, tape = layer_forward(CELLS[cell], rng.normal(size=(50, B, F)), state, w)
    _, dfirst = layer_backward(CELLS[cell], np.zeros((50, B, H)), dlast, tape, w, dw)
    np.testing.assert_allclose(last[memory], state[memory], atol=1e-12)
    np.testing.assert_allclose(dfirst[memory], dlast[memory], atol=1e-12)


def test_sigmoid_does_not_overflow():
    np.testing.assert_allclose(sigmoid(np.array([-1e4, 0.0, 1e4, math.log(3)])), [0, 0.5, 1, 0.75], atol=1e-15)


def test_cross_entropy_by_hand():
    logits = np.log([[[1.0, 2.0, 1.0], [1.0, 1.0, 8.0]]])  # p = 1/4 1/2 1/4 and 1/10 1/10 8/10
    assert cross_entropy(logits, np.array([[1, 0]])) == pytest.approx((math.log(2) + math.log(10)) / 2, rel=1e-12)
    assert cross_entropy(logits, np.array([[1, -1]])) == pytest.approx(math.log(2), rel=1e-12)
    np.testing.assert_allclose(
        cross_entropy_backward(logits, np.array([[1, -1]])), [[[0.25, -0.5, 0.25], [0, 0, 0]]], atol=1e-12
    )


def test_softmax_of_large_logits():
    np.testing.assert_allclose(softmax(np.array([1000.0, 1000.0, -1000.0])), [0.5, 0.5, 0])


def test_logit_gradients_sum_to_zero(rng):
    logits, (_, targets) = rng.normal(size=(T, B, V)), make_text(rng)
    dlogits = cross_entropy_backward(logits, targets)
    np.testing.assert_allclose(dlogits.sum(axis=-1), 0, atol=1e-15)
    assert not dlogits[targets < 0].any()
    assert dlogits[targets >= 0].all()


def torch_results(torch, model, ids, targets, state):
    """Logits, loss, gradients and state gradients of torch.nn's module with the same weights, by the same names."""
    cell, layers = model.shape.cell, model.shape.layers
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(cell, torch.nn.RNN)
    options = {"nonlinearity": "relu" if cell == "rnn-relu" else "tanh"} if kind is torch.nn.RNN else {}
    twin = torch.nn.ModuleDict({"rnn": kind(V, H, layers, **options), "out": torch.nn.Linear(H, V)}).double()
    twin.load_state_dict({name: torch.tensor(a) for name, a in model.parameters.items()})
    first = {name: torch.tensor(s, requires_grad=True) for name, s in state.items()}
    x = torch.nn.functional.one_hot(torch.tensor(ids), V).double()
    h, last = twin["rnn"](x, (first["h"], first["c"]) if cell == "lstm" else first["h"])
    logits = twin["out"](h)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.tensor(targets).flatten(), ignore_index=-1)
    loss.backward()
    results = {"logits": logits, "loss": loss}
    results |= {f"last {name}": s for name, s in zip(state, last if cell == "lstm" else [last], strict=True)}
    results |= {name: p.grad for name, p in twin.named_parameters()}
    results |= {f"d{name}": s.grad for name, s in first.items()}
    return {name: value.detach().numpy() for name, value in results.items()}


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", ["rnn", "rnn-relu", "gru", "lstm"])
def test_torch_agrees(cell, layers, rng):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    model, state, (ids, targets) = make_model(cell, layers, rng), make_state(cell, rng, layers, B, H), make_text(rng)
    expected = torch_results(torch, model, ids, targets, state)
    logits, last = model.forward(ids, state)
    gradients, dstate = model.backward(ids, targets, state)
    computed = {"logits": logits, "loss": model.loss(ids, targets, state), **gradients}
    computed |= {f"last {name}": s for name, s in last.items()} | {f"d{name}": s for name, s in dstate.items()}
    assert set(computed) == set(expected)
    for name in expected:
        np.testing.assert_allclose(computed[name], expected[name], rtol=1e-10, atol=1e-12, err_msg=name)
