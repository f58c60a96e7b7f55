"""Dropout of recurrent weights: a step computes with other weights, and its gradient is that of the real ones."""

import numpy as np
import pytest
from engine_cases import assert_close, assert_same_bits, make_network, run_network, run_reference, tokens
from gradients import check_gradients
from random_cases import make_model, make_resets, make_state, make_text
from task_cases import make_batch, make_task, results

from fastrnn.cells import RECURRENT_CELLS
from fastrnn.nn.network import Dropout

T, B, H, V = 11, 7, 21, 13
KEEP, KEY = 0.75, 5


def dropped_weights(network, key=KEY):
    """Return the recurrent weights that a step computes with."""
    network.weight_dropout.start(network.pool, KEEP, key)
    found = {name: array.copy() for name, array in network.weight_dropout.dropped.items()}
    network.weight_dropout.finish(network.pool)
    return found


@pytest.mark.parametrize("cell", RECURRENT_CELLS)
def test_a_step_is_that_of_the_textbook_with_the_dropped_weights(cell, rng):
    model, state = make_model(cell, 2, rng, H, V), make_state(cell, rng, 2, B, H)
    ids, targets = make_text(rng, T, B, V)
    network, resets = make_network(model, threads=2), make_resets(T, B)
    dropped = dropped_weights(network)
    assert list(dropped) == ["rnn.weight_hh_l0", "rnn.weight_hh_l1"]
    factors = {name: array / model.parameters[name] for name, array in dropped.items()}
    computed = run_network(network, ids, targets, state, resets, weight_keep_prob=KEEP, key=KEY)
    for name, array in dropped.items():
        model.parameters[name][...] = array
    expected = run_reference(model, ids, targets, state, resets)
    for name, factor in factors.items():
        expected[name] = expected[name] * factor
    assert_close(computed, expected, 1e-11)


def test_a_weight_is_kept_with_the_probability_and_divided_by_it(rng):
    model = make_model("lstm", 2, rng, 64, V)
    network = make_network(model)
    one, other = dropped_weights(network), dropped_weights(network, KEY + 1)
    for name, array in one.items():
        kept = array != 0
        np.testing.assert_allclose(array[kept], model.parameters[name][kept] / KEEP, rtol=1e-12)
        assert kept.mean() == pytest.approx(KEEP, abs=0.02)
        assert (kept != (other[name] != 0)).any()
    first, second = ((array != 0) for array in one.values())
    assert (first != second).any()  # each layer has its own mask


def test_only_the_step_itself_has_dropped_weights(rng):
    model, state = make_model("lstm", 1, rng, H, V), make_state("lstm", rng, 1, B, H)
    ids, targets = make_text(rng, T, B, V)
    network = make_network(model)

    def loss():
        start = {name: array.copy() for name, array in state.items()}
        return network.loss(tokens(ids), tokens(targets), None, start).copy()

    before, weights = loss(), network.parameters.flat.copy()
    without = run_network(network, ids, targets, state)
    dropped = run_network(network, ids, targets, state, weight_keep_prob=KEEP, key=KEY)
    assert dropped["loss"] != without["loss"]
    assert (loss() == before).all()
    assert (network.parameters.flat == weights).all()
    assert_same_bits(run_network(network, ids, targets, state), without)


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_do_not_change_a_bit(threads, rng):
    model, state = make_model("lstm", 2, rng, 64, V), make_state("lstm", rng, 2, B, 64)
    ids, targets = make_text(rng, T, B, V)
    one, many = (
        run_network(make_network(model, np.float32, n), ids, targets, state, weight_keep_prob=KEEP, key=KEY)
        for n in (1, threads)
    )
    assert_same_bits(many, one)


# Two stacks, of which one is a decoder; the spelling of words, in several passes; both directions.
@pytest.mark.parametrize(("case", "bidirectional"), [("translate", True), ("tag", True), ("generate", False)])
def test_gradients_of_tasks_match_central_differences(case, bidirectional, rng):
    model, batch = make_task(case, rng, "lstm", bidirectional), make_batch(case, rng)
    how = {"keep_prob": 0.8, "key": 11, "weight_keep_prob": KEEP}
    found = results(model, batch, **how)
    assert found["loss"] != results(model, batch, keep_prob=0.8, key=11)["loss"]
    check_gradients(
        lambda: model.train_step_gradients(batch, {}, Dropout(**how)),
        dict(model.parameters),
        {name: found[name] for name in model.parameters},
        most=5,
        tolerance=1e-5,
    )
