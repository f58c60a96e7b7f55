"""Invariances: windows, threads, batches, resets and dropout. Bits are compared in float32, the training type."""

import numpy as np
import pytest
from engine_cases import assert_close, assert_same_bits, make_network, run_network, tokens
from gradients import check_gradients
from random_cases import make_model, make_resets, make_state, make_text

from fastrnn.cells import RECURRENT_CELLS
from fastrnn.kernels.cpu.target import TARGET
from fastrnn.kernels.cpu.thread_pool import Pool

T, B, H, V = 19, 7, 23, 11
LAYERS = 2
DIVIDED = 320  # units: five blocks of a normed cell, and whole panels on every processor

every_cell = pytest.mark.parametrize("cell", RECURRENT_CELLS)


def make_case(cell, rng, hidden=H):
    model, state = make_model(cell, LAYERS, rng, hidden, V), make_state(cell, rng, LAYERS, B, hidden)
    return model, state, *make_text(rng, T, B, V)


def pick(state, rows):
    """Return the state of some streams."""
    return {name: array[:, rows] for name, array in state.items()}


def sum_gradients(parts, names):
    """Combine gradients of means over parts, [(results, targets), ...], into those of the whole."""
    scored = [np.count_nonzero(targets >= 0) for _, targets in parts]
    return {name: sum(r[name] * n for (r, _), n in zip(parts, scored, strict=True)) / sum(scored) for name in names}


@pytest.mark.parametrize("cut", [1, 8, 13])
@every_cell
def test_windows_with_carried_state_equal_the_whole_sequence(cell, cut, rng):
    model, state, ids, targets = make_case(cell, rng)
    network, resets = make_network(model, "float32"), make_resets(T, B)
    whole = run_network(network, ids, targets, state, resets)
    first = run_network(network, ids[:cut], targets[:cut], state, resets[:cut])
    middle = {name: first[f"last {name}"] for name in state}
    second = run_network(network, ids[cut:], targets[cut:], middle, resets[cut:])
    second["losses"] = np.concatenate([first["losses"], second["losses"]])
    assert_same_bits(second, whole, ["losses", *(f"last {name}" for name in state)])


@pytest.mark.parametrize("options", [{}, {"keep_prob": 0.7, "key": 5}], ids=["plain", "dropout"])
@every_cell
def test_any_number_of_threads_gives_the_same_bits(cell, options, rng):
    model, state, ids, targets = make_case(cell, rng)
    one, two, three, nine = (
        run_network(make_network(model, "float32", threads), ids, targets, state, make_resets(T, B), **options)
        for threads in (1, 2, 3, 9)
    )
    assert np.abs(one["rnn.weight_hh_l0"]).max() > 0
    for other in (two, three, nine):
        assert_same_bits(other, one)


def check_divisions(cell, rng, divisions, dtype="float32", products="exact"):
    """Train a window with R groups of rows times U groups of units, a number of threads for each (R, U)."""
    model, state, ids, targets = make_case(cell, rng, hidden=DIVIDED)
    ids, targets, expected = ids[:10], targets[:10], {}
    for (row_parts, unit_parts), threads in {(1, 1): 1, **divisions}.items():
        network = make_network(model, dtype, threads, products=products)
        network.pool = Pool(threads, unit_parts)
        assert network.layers[0].divide(network.pool, B) == (row_parts, unit_parts)
        for resets in (None, make_resets(10, B)):
            found = run_network(network, ids, targets, state, resets)
            assert_same_bits(found, expected.setdefault(resets is None, found))


@every_cell
def test_any_division_of_the_units_gives_the_same_bits(cell, rng):
    """Also with more threads than CPUs, with a thread that has more units than others, and with one too many."""
    check_divisions(cell, rng, {(1, 2): 2, (1, 4): 4, (2, 3): 7})


@pytest.mark.parametrize(("dtype", "products"), [("float32", "bfloat16"), ("float64", "exact")])
@pytest.mark.parametrize("cell", ["lstm", "lstm-norm"])
def test_any_division_of_the_units_gives_the_same_bits_in_other_precisions(cell, dtype, products, rng):
    if products == "bfloat16" and not TARGET.bfloat16_dot:
        pytest.skip("this processor has no bfloat16 products")
    check_divisions(cell, rng, {(2, 2): 4, (1, 4): 4}, dtype, products)


def test_sixteen_threads_give_the_same_bits(rng):
    check_divisions("lstm-norm", rng, {(4, 4): 16})


@every_cell
def test_batch_equals_its_streams_one_by_one(cell, rng):
    model, state, ids, targets = make_case(cell, rng)
    network, resets = make_network(model, "float32"), make_resets(T, B)
    together = run_network(network, ids, targets, state, resets)
    alone = []
    for b in range(B):
        results = run_network(network, ids[:, [b]], targets[:, [b]], pick(state, [b]), resets[:, [b]])
        alone.append((results, targets[:, b]))
    for name in ["losses", *(f"last {name}" for name in state)]:
        side_by_side = np.concatenate([results[name] for results, _ in alone], axis=1)
        np.testing.assert_array_equal(side_by_side, together[name], err_msg=name)
    assert_close(sum_gradients(alone, network.parameters), {n: together[n] for n in network.parameters}, 1e-5)


@pytest.mark.parametrize("keep", [0.9, 0.5])
@every_cell
def test_dropout_gradients_match_central_differences(cell, keep, rng):
    model, state, ids, targets = make_case(cell, rng, hidden=5)
    network, resets = make_network(model), make_resets(T, B)

    def results():
        return run_network(network, ids, targets, state, resets, keep_prob=keep, key=7)

    found = results()
    gradients = {name: found[name] for name in network.parameters} | {k: found[f"dstate {k}"] for k in state}
    check_gradients(lambda: float(results()["loss"]), {**network.parameters, **state}, gradients, most=8)


def test_dropout_depends_only_on_its_key(rng):
    model, state, ids, targets = make_case("lstm", rng)
    network = make_network(model, "float32")
    plain, same, other, none = (
        run_network(network, ids, targets, state, keep_prob=keep, key=key)
        for keep, key in [(0.5, 1), (0.5, 1), (0.5, 2), (1.0, 1)]
    )
    assert_same_bits(same, plain)
    assert other["loss"] != plain["loss"]
    assert_same_bits(none, run_network(network, ids, targets, state))


def test_each_layer_and_each_key_has_its_own_mask(rng):
    model, state, ids, targets = make_case("rnn", rng)
    network, masks = make_network(model, "float32"), set()
    for key in (1, 2, 3):
        run_network(network, ids, targets, state, keep_prob=0.5, key=key)
        masks |= {(dropped == 0).tobytes() for dropped in network.stack._buffers.dropped}
    assert len(masks) == 3 * LAYERS


@pytest.mark.parametrize("at", [1, 8, 12])
@every_cell
def test_reset_splits_the_sequence(cell, at, rng):
    model, state, ids, targets = make_case(cell, rng)
    network = make_network(model)
    resets = np.zeros((T, B), np.uint8)
    resets[at] = 1
    whole = run_network(network, ids, targets, state, resets)
    before = run_network(network, ids[:at], targets[:at], state)
    after = run_network(network, ids[at:], targets[at:], network.initial_state(B))
    np.testing.assert_array_equal(np.concatenate([before["losses"], after["losses"]]), whole["losses"])
    assert_same_bits(after, whole, [f"last {name}" for name in state])
    parts = sum_gradients([(before, targets[:at]), (after, targets[at:])], network.parameters)
    assert_close(parts, {name: whole[name] for name in network.parameters}, 1e-11)


@every_cell
def test_reset_changes_no_other_stream(cell, rng):
    model, state, ids, targets = make_case(cell, rng)
    network, resets = make_network(model, "float32"), np.zeros((T, B), np.uint8)
    resets[9, 2] = 1
    others = [b for b in range(B) if b != 2]
    some, none = (run_network(network, ids, targets, state, s) for s in (resets, None))
    np.testing.assert_array_equal(some["losses"][:, others], none["losses"][:, others])
    np.testing.assert_array_equal(some["losses"][:9], none["losses"][:9])
    assert np.any(some["losses"][9:, 2] != none["losses"][9:, 2])
    for name in state:
        np.testing.assert_array_equal(some[f"dstate {name}"][:, others], none[f"dstate {name}"][:, others])


@every_cell
def test_unscored_positions_have_no_gradient(cell, rng):
    """A stream without targets has no gradient; steps after the last target have no effect."""
    model, state, ids, targets = make_case(cell, rng)
    network = make_network(model, "float32")
    targets[:, 3] = -1
    targets[10:] = -1
    found = run_network(network, ids, targets, state)
    changed = ids.copy()
    changed[11:] = (changed[11:] + 1) % V
    again = run_network(network, changed, targets, state)
    assert not any(found[f"dstate {name}"][:, 3].any() for name in state)
    assert_same_bits(again, found, ["losses", *(f"dstate {name}" for name in state)])


@every_cell
def test_logit_gradients_sum_to_zero(cell, rng):
    model, state, ids, targets = make_case(cell, rng)
    gradient = run_network(make_network(model), ids, targets, state)["out.bias"]
    assert np.abs(gradient).max() > 0.01
    assert abs(gradient.sum()) < 1e-14


@every_cell
def test_evaluation_and_training_agree(cell, rng):
    model, state, ids, targets = make_case(cell, rng)
    network = make_network(model, "float32")
    trained = run_network(network, ids, targets, state, make_resets(T, B))
    last = {name: array.astype(np.float32) for name, array in state.items()}
    losses = network.loss(tokens(ids), tokens(targets), make_resets(T, B), last)
    np.testing.assert_array_equal(losses, trained["losses"])
    for name in state:
        np.testing.assert_array_equal(last[name], trained[f"last {name}"])
