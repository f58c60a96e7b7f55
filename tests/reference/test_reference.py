"""The textbook: central differences, laws that are exact, and inputs that do not fit."""

import doctest

import numpy as np
import pytest
from gradients import central_difference, check_gradients, relative_error
from random_cases import B, F, H, T, V, make_model, make_resets, make_state, make_text, make_weights

import fastrnn.reference
from fastrnn.cells import RECURRENT_CELLS
from fastrnn.errors import ConfigError, InputError
from fastrnn.reference import (
    CELLS,
    Reference,
    bidirectional_backward,
    bidirectional_forward,
    layer_backward,
    layer_forward,
)
from fastrnn.shapes import ModelShape

every_cell = pytest.mark.parametrize("cell", RECURRENT_CELLS)


@pytest.mark.parametrize("layers", [1, 2, 3])
@every_cell
def test_model_gradients_match_central_differences(cell, layers, rng):
    model, state = make_model(cell, layers, rng), make_state(cell, rng, layers, B, H)
    (ids, targets), resets = make_text(rng), make_resets()
    gradients, dstate = model.backward(ids, targets, state, resets)
    check_gradients(
        lambda: model.loss(ids, targets, state, resets), {**model.parameters, **state}, {**gradients, **dstate}
    )


@every_cell
def test_layer_gradients_match_central_differences(cell, rng):
    """A layer alone, F and H different, with a gradient on the last state as well as on every output."""
    w, x, state = make_weights(cell, F, H, rng), rng.normal(size=(T, B, F)), make_state(cell, rng, B, H)
    dw, dh, dstate = type(w)(*(np.zeros_like(a) for a in w)), rng.normal(size=(T, B, H)), make_state(cell, rng, B, H)
    resets = make_resets()

    def fake_loss():
        h, last, _ = layer_forward(CELLS[cell], x, state, w, resets)
        return float((h * dh).sum() + sum((last[name] * dstate[name]).sum() for name in last))

    _, _, tape = layer_forward(CELLS[cell], x, state, w, resets)
    dx, dfirst = layer_backward(CELLS[cell], dh, dstate, tape, w, dw, resets)
    check_gradients(fake_loss, {"x": x, **state, **w._asdict()}, {"x": dx, **dfirst, **dw._asdict()})


@every_cell
def test_weight_gradients_add(cell, rng):
    w, x, state = make_weights(cell, F, H, rng), rng.normal(size=(T, B, F)), make_state(cell, rng, B, H)
    _, last, tape = layer_forward(CELLS[cell], x, state, w)
    once, twice = (type(w)(*(np.zeros_like(a) for a in w)) for _ in range(2))
    for dw in (once, twice, twice):
        layer_backward(CELLS[cell], np.ones((T, B, H)), last, tape, w, dw)
    for one, two in zip(once, twice, strict=True):
        np.testing.assert_allclose(two, 2 * one, rtol=1e-12)
        assert np.abs(one).max() > 0


def test_gradient_check_detects_a_wrong_sign(rng):
    a = rng.normal(size=(2, 3))
    check_gradients(lambda: float((a**3).sum()), {"a": a}, {"a": 3 * a**2})
    wrong = 3 * a**2
    wrong[1, 2] *= -1
    with pytest.raises(AssertionError, match="da: relative error"):
        check_gradients(lambda: float((a**3).sum()), {"a": a}, {"a": wrong})


def test_central_difference_restores_the_array(rng):
    a = rng.normal(size=(2, 3))
    before = a.copy()
    slopes = central_difference(lambda: float((a**2).sum()), a, [4, 0])
    assert relative_error(slopes, 2 * before.ravel()[[4, 0]]) < 1e-9
    np.testing.assert_array_equal(a, before)


@every_cell
def test_windows_with_carried_state_equal_the_whole_sequence(cell, rng):
    model, state, (ids, _) = make_model(cell, 2, rng), make_state(cell, rng, 2, B, H), make_text(rng)
    resets = make_resets()
    expected, expected_last = model.forward(ids, state, resets)
    first, state = model.forward(ids[:2], state, resets[:2])
    second, last = model.forward(ids[2:], state, resets[2:])
    np.testing.assert_array_equal(np.concatenate([first, second]), expected)
    for name in last:
        np.testing.assert_array_equal(last[name], expected_last[name])


@every_cell
def test_steps_equal_forward(cell, rng):
    model, (ids, _) = make_model(cell, 2, rng), make_text(rng)
    expected, _ = model.forward(ids)
    np.testing.assert_allclose(np.stack([model.step(row) for row in ids]), expected, rtol=1e-12)
    model.reset()
    alone = np.stack([model.step(int(i)) for i in ids[:, 1]])
    assert alone.shape == (T, V)
    np.testing.assert_allclose(alone, expected[:, 1], rtol=1e-10)


@every_cell
def test_reset_clears_the_state(cell, rng):
    model, (ids, targets) = make_model(cell, 2, rng), make_text(rng)
    resets = np.zeros((T, B), bool)
    resets[2, 1] = True
    state = make_state(cell, rng, 2, B, H)
    logits, _ = model.forward(ids, state, resets)
    fresh, _ = model.forward(ids[2:])
    unbroken, _ = model.forward(ids, state)
    np.testing.assert_array_equal(logits[2:, 1], fresh[:, 1])
    np.testing.assert_array_equal(logits[:, [0, 2]], unbroken[:, [0, 2]])
    targets[:2, 1] = -1
    _, dstate = model.backward(ids, targets, state, resets)
    for d in dstate.values():
        assert not d[:, 1].any()
        assert d[:, 0].any()


@every_cell
def test_state_is_not_changed_in_place(cell, rng):
    model, (ids, targets) = make_model(cell, 2, rng), make_text(rng)
    state = make_state(cell, rng, 2, B, H)
    before = {name: s.copy() for name, s in state.items()}
    model.backward(ids, targets, state, make_resets())
    for name, s in state.items():
        np.testing.assert_array_equal(s, before[name])


@every_cell
def test_float32_stays_float32(cell, rng):
    parameters = make_model(cell, 2, rng).parameters
    model, (ids, targets) = Reference(ModelShape(cell, 2, H, V), parameters, np.float32), make_text(rng)
    logits, state = model.forward(ids, resets=make_resets())
    gradients, dstate = model.backward(ids, targets, resets=make_resets())
    dtypes = {a.dtype for a in [logits, *state.values(), *gradients.values(), *dstate.values()]}
    assert dtypes == {np.dtype(np.float32)}


@every_cell
def test_no_scored_position_gives_zero_loss_and_gradient(cell, rng):
    model, (ids, targets) = make_model(cell, 2, rng), make_text(rng)
    targets = np.full_like(targets, -1)
    gradients, dstate = model.backward(ids, targets)
    assert model.loss(ids, targets) == 0
    assert not any(g.any() for g in [*gradients.values(), *dstate.values()])


def test_parameters_of_wrong_shapes_are_refused(rng):
    model = make_model("gru", 1, rng)
    good = model.parameters
    with pytest.raises(ConfigError, match=r"out\.bias is missing"):
        Reference(model.shape, {name: a for name, a in good.items() if name != "out.bias"})
    with pytest.raises(ConfigError, match=r"rnn\.weight_ih_l1 is unknown; a 1-layer gru"):
        Reference(model.shape, {**good, "rnn.weight_ih_l1": good["out.weight"]})
    with pytest.raises(ConfigError, match=r"out\.weight has shape \(4, 6\); it must be \(6, 4\)"):
        Reference(model.shape, {**good, "out.weight": good["out.weight"].T})


def test_inputs_of_wrong_shapes_are_refused(rng):
    model, (ids, targets) = make_model("lstm", 1, rng), make_text(rng)
    with pytest.raises(InputError, match="ids must be whole numbers from 0 to 5"):
        model.forward(ids - V)
    with pytest.raises(InputError, match=r"ids have shape \(5,\)"):
        model.forward(ids[:, 0])
    with pytest.raises(InputError, match=r"targets have shape \(4, 3\); they must have \(5, 3\)"):
        model.loss(ids, targets[1:])
    with pytest.raises(InputError, match="targets must be whole numbers from -1 to 5"):
        model.backward(ids, targets + V)
    with pytest.raises(InputError, match=r"resets have shape \(3,\)"):
        model.forward(ids, resets=make_resets()[0])
    with pytest.raises(InputError, match="the state has shapes"):
        model.forward(ids, make_state("lstm", rng, B, H))


def test_docstring_example_runs():
    results = doctest.testmod(fastrnn.reference)
    assert results.attempted > 0
    assert results.failed == 0


@every_cell
def test_bidirectional_gradients_match_central_differences(cell, rng):
    weights, dw = (tuple(make_weights(cell, F, H, rng) for _ in range(2)) for _ in range(2))
    for array in (*dw[0], *dw[1]):
        array[...] = 0
    x, states = rng.normal(size=(T, B, F)), tuple(make_state(cell, rng, B, H) for _ in range(2))
    dy, dlast = rng.normal(size=(T, B, 2 * H)), tuple(make_state(cell, rng, B, H) for _ in range(2))

    def fake_loss():
        y, last, _ = bidirectional_forward(CELLS[cell], x, states, weights)
        ends = sum((last[d][name] * dlast[d][name]).sum() for d in range(2) for name in last[d])
        return float((y * dy).sum() + ends)

    _, _, tapes = bidirectional_forward(CELLS[cell], x, states, weights)
    dx, dfirst = bidirectional_backward(CELLS[cell], dy, dlast, tapes, weights, dw)
    arrays, gradients = {"x": x}, {"x": dx}
    for d in range(2):
        arrays |= {f"{name} {d}": array for name, array in [*states[d].items(), *weights[d]._asdict().items()]}
        gradients |= {f"{name} {d}": array for name, array in [*dfirst[d].items(), *dw[d]._asdict().items()]}
    check_gradients(fake_loss, arrays, gradients)


@every_cell
def test_reversed_input_with_exchanged_weights_gives_reversed_output(cell, rng):
    """The output is reversed, its halves exchanged."""
    weights, x = tuple(make_weights(cell, F, H, rng) for _ in range(2)), rng.normal(size=(T, B, F))
    states = tuple(make_state(cell, rng, B, H) for _ in range(2))
    y, _, _ = bidirectional_forward(CELLS[cell], x, states, weights)
    turned, _, _ = bidirectional_forward(CELLS[cell], x[::-1], states[::-1], weights[::-1])
    np.testing.assert_array_equal(turned[::-1], np.concatenate([y[:, :, H:], y[:, :, :H]], axis=2))
