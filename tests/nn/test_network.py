"""The compiled network against the textbook, and its gradients against central differences."""

import itertools

import numpy as np
import pytest
from engine_cases import assert_close, assert_same_bits, make_network, run_network, run_reference, tokens
from gradients import check_gradients, relative_error
from random_cases import make_model, make_ngrams, make_resets, make_state, make_text

from fastrnn.cells import RECURRENT_CELLS
from fastrnn.data.text.ngrams import MAX_ORDER
from fastrnn.nn.network import Network, Stepper
from fastrnn.shapes import ModelShape

# more steps than are done together (8), more rows than one tile has (6), columns that fill no panel
T, B, H, V = 11, 7, 21, 13
TOLERANCE = {"float32": 2e-5, "float64": 1e-11}

every_cell = pytest.mark.parametrize("cell", RECURRENT_CELLS)


def make_case(cell, layers, rng, hidden=H, steps=T, batch=B):
    """Return a model, a state, ids, targets and resets."""
    model, state = make_model(cell, layers, rng, hidden, V), make_state(cell, rng, layers, batch, hidden)
    model.parameters["out.weight"] *= 0.5  # softer predictions, larger gradients
    return model, state, *make_text(rng, steps, batch, V), make_resets(steps, batch)


@pytest.mark.parametrize(("dtype", "layers"), [("float64", 1), ("float64", 2), ("float64", 3), ("float32", 2)])
@every_cell
def test_equals_the_textbook(cell, dtype, layers, rng):
    model, state, ids, targets, resets = make_case(cell, layers, rng, hidden=H if dtype == "float64" else 9)
    computed = run_network(make_network(model, dtype), ids, targets, state, resets)
    assert_close(computed, run_reference(model, ids, targets, state, resets), TOLERANCE[dtype])


@every_cell
def test_equals_the_textbook_without_resets(cell, rng):
    model, state, ids, targets, _ = make_case(cell, 2, rng)
    computed = run_network(make_network(model), ids, targets, state)
    assert_close(computed, run_reference(model, ids, targets, state), TOLERANCE["float64"])


@pytest.mark.parametrize("layers", [1, 2, 3])
@every_cell
def test_gradients_match_central_differences(cell, layers, rng):
    model, state, ids, targets, resets = make_case(cell, layers, rng, hidden=5, steps=9, batch=3)
    network, ids, targets = make_network(model), tokens(ids), tokens(targets)
    scored = np.count_nonzero(targets >= 0)

    def loss():
        return float(network.loss(ids, targets, resets, {k: a.copy() for k, a in state.items()}).sum()) / scored

    found = run_network(network, ids, targets, state, resets)
    assert found["loss"] == pytest.approx(loss(), rel=1e-14)
    gradients = {name: found[name] for name in network.parameters} | {k: found[f"dstate {k}"] for k in state}
    check_gradients(loss, {**network.parameters, **state}, gradients, most=12)


@pytest.mark.parametrize(("dtype", "layers"), [("float64", 1), ("float64", 2), ("float32", 2)])
@every_cell
def test_ngrams_equal_the_textbook(cell, dtype, layers, rng):
    ngrams = make_ngrams(V)
    model, state = make_model(cell, layers, rng, 9, V, ngrams), make_state(cell, rng, layers, B, 9)
    ids, targets = make_text(rng, T, B, V)
    ids[:] = rng.choice(4, ids.shape)  # so that n-grams are frequent
    ids[4:7, 2] = 1, 0, 1
    resets = make_resets(T, B)
    network = make_network(model, dtype, ngrams=ngrams)
    before = {"before": np.zeros((1, B, MAX_ORDER - 1))}
    computed = run_network(network, ids, targets, state | before, resets)
    expected = run_reference(model, ids, targets, state, resets)
    rows = np.abs(expected["rnn.weight_ngram_l0"]).sum(axis=1)
    assert rows[[0, 1, 2, len(rows) - 1]].all()  # "0 1", "1 1", "0 2" and "1 0 1" occur
    assert_close(computed, expected, TOLERANCE[dtype])


def test_ngrams_reach_over_windows(rng):
    """Two windows with carried state equal one; a step at a time too, and any number of threads."""
    ngrams = make_ngrams(V)
    model = make_model("lstm-norm", 2, rng, 40, V, ngrams)
    ids, targets = rng.choice(4, (T, B)), rng.integers(0, V, (T, B))
    resets = make_resets(T, B)

    def losses(threads, *ends):
        network = make_network(model, threads=threads, ngrams=ngrams)
        state, found = network.initial_state(B), []
        for start, end in itertools.pairwise([0, *ends, T]):
            x, y = tokens(ids[start:end]), tokens(targets[start:end])
            found.append(network.loss(x, y, resets[start:end].copy(), state).copy())
        return np.concatenate(found)

    whole = losses(1)
    for threads, ends in ((1, (4,)), (2, (1, 2, 9)), (3, range(1, T))):
        assert np.array_equal(losses(threads, *ends), whole)
    others = make_network(model, ngrams=ngrams)
    assert not np.array_equal(
        others.loss(tokens(ids[1:]), tokens(targets[1:]), None, others.initial_state(B)), whole[1:]
    )


@every_cell
def test_one_position_at_a_time(cell, rng):
    """Losses (T, B) are computed per position; that of an unscored one is 0."""
    model, state, ids, targets, resets = make_case(cell, 2, rng)
    losses = run_network(make_network(model), ids, targets, state, resets)["losses"]
    logits, _ = model.forward(ids, state, resets)
    shifted = logits - logits.max(-1, keepdims=True)
    expected = np.log(np.exp(shifted).sum(-1)) - np.take_along_axis(shifted, targets[..., None], -1)[..., 0]
    np.testing.assert_allclose(losses, np.where(targets < 0, 0, expected), rtol=1e-10, atol=1e-13)


@every_cell
def test_step_logits(cell, rng):
    model, state, ids, _, _ = make_case(cell, 2, rng)
    network, expected = make_network(model), model.forward(ids, state)[0]
    stepper = Stepper(network)
    computed = np.stack([stepper.logits(tokens(row[None]), state) for row in ids])
    assert relative_error(computed, expected) < 1e-12


@every_cell
def test_without_targets_loss_and_gradient_are_zero(cell, rng):
    model, state, ids, targets, _ = make_case(cell, 2, rng)
    found = run_network(make_network(model), ids, np.full_like(targets, -1), state)
    assert found["loss"] == 0
    assert not any(found[name].any() for name in found if not name.startswith("last"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_cell
def test_nan_is_propagated(cell, dtype, rng):
    """One NaN among the weights, in any gate's block of any array, makes the loss NaN."""
    model, state, ids, targets, _ = make_case(cell, 2, rng, hidden=9)
    network = make_network(model, dtype)
    for name, array in network.parameters.items():
        column = (ids[0, 0],) if name == "rnn.weight_ih_l0" else (0,) * (array.ndim - 1)  # of a token that is fed
        for row in range(0, array.shape[0], 9):
            network.parameters.assign(model.parameters)
            array[row, *column] = np.nan
            assert np.isnan(run_network(network, ids, targets, state)["loss"]), f"{name}[{row}]"


def test_windows_of_other_sizes_have_no_effect(rng):
    model, state, ids, targets, resets = make_case("gru", 2, rng)
    used = make_network(model)
    for steps, batch in [(3, 5), (T, 2), (1, 1), (8, B)]:
        some = {name: array[:, :batch] for name, array in state.items()}
        run_network(used, ids[:steps, :batch], targets[:steps, :batch], some, resets[:steps, :batch])
    computed = run_network(used, ids, targets, state, resets)
    assert_same_bits(computed, run_network(make_network(model), ids, targets, state, resets))


def test_network_with_shared_parameters_has_its_own_window(rng):
    model, state, ids, targets, resets = make_case("lstm", 2, rng)
    network = make_network(model)
    expected = run_network(network, ids, targets, state, resets)
    sibling = network.with_shared_parameters()
    sibling.loss(tokens(ids[:2]), tokens(targets[:2]), None, sibling.initial_state(B))
    for name, array in network.gradients.items():
        np.testing.assert_array_equal(array, expected[name])
    np.testing.assert_array_equal(network.losses, expected["losses"])
    network.parameters["out.bias"][0] += 1
    assert run_network(sibling, ids, targets, state, resets)["loss"] != expected["loss"]


@pytest.mark.parametrize(("cell", "names"), [("gru", {"h"}), ("lstm", {"h", "c"})])
def test_initial_state_is_zeros(cell, names):
    state = Network(ModelShape(cell, 2, 3, 4), threads=1).initial_state(5)
    assert set(state) == names
    for array in state.values():
        assert array.shape == (2, 5, 3)
        assert not array.any()
