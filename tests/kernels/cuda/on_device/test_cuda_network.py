"""Networks on the GPU or its simulator against the CPU: losses, gradients, states; all cells."""

import dataclasses

import numpy as np
import pytest
from engine_cases import assert_close, make_network, run_network, tokens
from fakes import replace
from random_cases import make_model, make_ngrams, make_resets, make_state, make_text

from fastrnn.cells import RECURRENT_CELLS
from fastrnn.errors import BackendError
from fastrnn.kernels.cuda import launch_plan, persistent_matmul, recurrence, weight_gradient
from fastrnn.kernels.cuda.jit import SIMULATED
from fastrnn.kernels.cuda.matmul import cublas
from fastrnn.kernels.cuda.ops import TARGET, to_device, to_host
from fastrnn.nn.network import Network, Stepper

every_cell = pytest.mark.parametrize("cell", RECURRENT_CELLS)
T, B, H, V = 4, 5, 3, 6  # more rows than a thread takes together, and than fit it evenly


def both(cell, layers, rng, dtype=np.float32, resets=False, batch=B, **dropout):
    """The results of a training window on the GPU and on the CPU."""
    model, state = make_model(cell, layers, rng, H, V), make_state(cell, rng, layers, batch, H)
    ids, targets = (array[:, :batch] for array in make_text(rng, T, max(batch, 3), V))
    some = make_resets(T, batch) if resets else None
    return [
        run_network(make_network(model, dtype, device=device), ids, targets, state, some, **dropout)
        for device in ("cuda", "cpu")
    ]


def test_one_layer_equals_the_cpu(rng):
    computed, expected = both("lstm", 1, rng)
    assert_close(computed, expected, 1e-5)


@every_cell
def test_two_layers_with_resets_and_dropout_equal_the_cpu(cell, rng):
    computed, expected = both(cell, 2, rng, resets=True, keep_prob=0.7, key=5, begin=2, batch=9)
    assert_close(computed, expected, 1e-5)
    np.testing.assert_array_equal(computed["losses"] == 0, expected["losses"] == 0)


@pytest.mark.parametrize("cell", ["lstm-norm", "gru"])
def test_ngrams_equal_the_cpu(cell, rng):
    """In a window after others: n-grams may begin before it. Two windows, and logits of two steps."""
    ngrams = make_ngrams(V)
    model, state = make_model(cell, 2, rng, H, V, ngrams), make_state(cell, rng, 2, B, H)
    state["before"] = rng.choice(4, (1, B, 2)).astype(float)
    ids, targets = make_text(rng, T, B, V)
    ids[:] = rng.choice([0, 1, 1], ids.shape)  # so that n-grams are frequent
    ids[1:, 2] = 1, 0, 1  # in a stream without resets
    found = []
    for device in ("cuda", "cpu"):
        network = make_network(model, np.float32, device=device, ngrams=ngrams)
        run_network(network, ids[::-1], targets, state)  # leaves gradients that the next window clears
        results = run_network(network, ids, targets, state, make_resets(T, B))
        carried = {name: network.kernels.to_device(array.astype(np.float32)) for name, array in state.items()}
        results["logits"] = Stepper(network).logits(tokens(ids[:2]), carried)
        results["active"] = network.kernels.to_host(network.ngram_embedding.active)
        found.append(results)
    counts = np.bincount(network.ngram_embedding.lookup(ids, make_resets(T, B), dict(state)).ravel() + 1)
    assert counts[1:].max() >= 3  # places of one n-gram
    assert counts[len(ngrams)] > 0  # the triple
    assert np.count_nonzero(found[1]["rnn.weight_ngram_l0"].any(axis=1)) == found[1]["active"].size > 2
    assert_close(*found, 1e-5)


def test_norm_over_several_blocks_of_units_equals_the_cpu(rng):
    model, state = make_model("lstm-norm", 1, rng, 66, V), make_state("lstm-norm", rng, 1, 2, 66)
    ids, targets = make_text(rng, 3, 2, V)
    computed, expected = (
        run_network(make_network(model, np.float32, device=device), ids, targets, state) for device in ("cuda", "cpu")
    )
    assert_close(computed, expected, 1e-5)


@pytest.mark.skipif(SIMULATED, reason="takes a card's many threads")
@pytest.mark.parametrize("room", [TARGET.block_shared, 8000])
@every_cell
def test_sizes_of_many_blocks_and_turns_equal_the_cpu(cell, room, rng, monkeypatch):
    small = dataclasses.replace(TARGET, block_shared=room)
    replace(monkeypatch, recurrence, "plan", lambda *sizes: launch_plan.plan(*sizes, small))
    monkeypatch.setattr(f"{__name__}.H", 301)
    computed, expected = both(cell, 2, rng, resets=True, batch=77)
    assert_close(computed, expected, 1e-4)


@pytest.mark.skipif(not SIMULATED, reason="sizes that a card has room for")
@pytest.mark.parametrize(("cell", "room"), [("lstm", 3400), ("rnn", 1400)])
def test_weights_larger_than_shared_memory_equal_the_cpu(cell, room, rng, monkeypatch):
    plans = []

    def plan(*sizes):
        plans.append((sizes[3], launch_plan.plan(*sizes, dataclasses.replace(TARGET, block_shared=room))))
        return plans[-1][1]

    replace(monkeypatch, recurrence, "plan", plan)
    monkeypatch.setattr(f"{__name__}.H", 20)
    computed, expected = both(cell, 1, rng, resets=True, batch=3)
    assert all(chosen.tiling.k_resident < depth for depth, chosen in plans), plans
    assert len(plans) == 2
    assert_close(computed, expected, 1e-5)


@pytest.mark.skipif(not SIMULATED, reason="a card has these sizes always")
@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_blocks_of_gpu_sizes_equal_the_cpu(cell, rng, monkeypatch):
    """8 rows and 4 terms together, 32 threads: several groups of units and of rows, turns, and what
    fills no group.
    """
    card = dataclasses.replace(TARGET, threads=32, resident_threads=32, warp=32, rows=8)
    replace(monkeypatch, recurrence, "plan", lambda *sizes: launch_plan.plan.__wrapped__(*sizes, card))
    monkeypatch.setattr(launch_plan, "AHEAD", 4)
    monkeypatch.setattr(persistent_matmul, "AHEAD", 4)
    monkeypatch.setattr(f"{__name__}.H", 5)
    computed, expected = both(cell, 1, rng, resets=True, batch=11)
    assert_close(computed, expected, 1e-5)


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_few_rows_equal_the_cpu(batch, rng):
    computed, expected = both("gru", 1, rng, batch=batch)
    assert_close(computed, expected, 1e-5)


def test_bfloat16_products(rng, monkeypatch):
    """Within what rounding both factors to 8 bits makes; and no closer, but for cuBLAS, which may
    round or not.
    """
    model, state = make_model("lstm", 2, rng, H, V), make_state("lstm", rng, 2, B, H)
    ids, targets = make_text(rng, T, B, V)
    exact, rounded = (
        run_network(make_network(model, np.float32, device="cuda", products=products), ids, targets, state)
        for products in ("exact", "bfloat16")
    )
    assert_close(rounded, exact, 2**-6)
    if cublas is None:
        with pytest.raises(AssertionError):
            assert_close(rounded, exact, 2**-14)
    lacking = dataclasses.replace(TARGET, bfloat16_dot=False, name="an old card")
    monkeypatch.setattr("fastrnn.kernels.cuda.ops.TARGET", lacking)
    with pytest.raises(BackendError, match=r"needs a GPU of compute capability 8\.0; this is an old"):
        Network(model.shape, device="cuda", matmul_mode="bfloat16")


@pytest.mark.skipif(SIMULATED, reason="in the simulator Python's floats become float32 beside float32 constants")
def test_float64_equals_the_cpu(rng):
    computed, expected = both("gru", 2, rng, np.float64, batch=3)
    assert_close(computed, expected, 1e-11)


def test_many_tokens_scatter_their_gradient(rng, monkeypatch):
    monkeypatch.setattr(weight_gradient, "_MOST_SEARCHED", 2)
    computed, expected = both("rnn", 1, rng, batch=3)
    assert_close(computed, expected, 1e-5)


def test_evaluation_losses_equal_the_cpu(rng):
    model, state = make_model("lstm", 2, rng, H, V), make_state("lstm", rng, 2, 3, H)
    ids, targets = make_text(rng, T, 3, V)
    found = {}
    for device in ("cuda", "cpu"):
        network = make_network(model, np.float32, device=device)
        carried = {name: network.kernels.to_device(array.astype(np.float32)) for name, array in state.items()}
        losses = network.loss(tokens(ids), tokens(targets), None, carried).copy()
        logits = Stepper(network).logits(tokens(ids[:1]), carried)
        found[device] = {"losses": losses, "logits": logits, "h": np.array(network.kernels.to_host(carried["h"]))}
    assert_close(found["cuda"], found["cpu"], 1e-5)


def test_nan_is_propagated(rng):
    model, state = make_model("lstm", 1, rng, H, V), make_state("lstm", rng, 1, 3, H)
    model.parameters["rnn.weight_hh_l0"][1, 1] = np.nan
    ids, targets = make_text(rng, T, 3, V)
    assert np.isnan(run_network(make_network(model, np.float32, device="cuda"), ids, targets, state)["loss"])


def test_arrays_round_trip_to_the_device(rng):
    array = rng.normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_array_equal(to_host(to_device(array)), array)
