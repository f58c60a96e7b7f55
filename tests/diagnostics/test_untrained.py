"""Gradients of untrained networks: they vanish, explode, or pass through gates."""

import numpy as np
import pytest

from fastrnn.config import Config
from fastrnn.diagnostics import compute_gradient_flow, random_rows, untrained_network
from fastrnn.errors import ConfigError

LAGS = 32


def factor(cell, state="h", **changed):
    """What one step back multiplies the gradient by."""
    network = untrained_network(Config(cell=cell, hidden=32, threads=1), **changed)
    return compute_gradient_flow(network, random_rows(LAGS, 8)).factor(state, 0)


def test_gradient_of_the_rnn_vanishes():
    assert factor("rnn", scale=0.5) < 0.5
    assert factor("rnn", scale=0.5) < factor("rnn") < 0.85


def test_gradient_explodes_with_a_large_weight():
    assert 1.2 < factor("rnn", scale=4) < 4


@pytest.mark.parametrize(("cell", "state"), [("lstm", "c"), ("gru", "h"), ("gru-simplified", "h"), ("lstm-norm", "c")])
def test_open_gate_preserves_the_gradient(cell, state):
    assert factor(cell, state, keep_bias=5.0) == pytest.approx(1, abs=0.02)
    assert factor(cell, state, keep_bias=0.0) < 0.9


def test_scale_applies_to_recurrent_weights_only():
    config = Config(cell="gru", layers=2, hidden=6, threads=1)
    one, three = untrained_network(config), untrained_network(config, scale=3.0)
    for name, array in one.parameters.items():
        np.testing.assert_allclose(three.parameters[name], array * (3 if "weight_hh" in name else 1), rtol=1e-6)


@pytest.mark.parametrize(
    ("cell", "gate", "sign"), [("lstm", 1, 1), ("gru", 1, 1), ("gru-simplified", 0, -1), ("lstm-norm", 1, 1)]
)
def test_bias_is_that_of_the_forget_gate(cell, gate, sign):
    config = Config(cell=cell, layers=2, hidden=6, threads=1)
    usual, changed = untrained_network(config), untrained_network(config, keep_bias=3.0)
    for n in (0, 1):
        bias = f"rnn.bias_l{n}" if cell == "lstm-norm" else f"rnn.bias_ih_l{n}"
        expected = usual.parameters[bias].copy()
        expected[gate * 6 : (gate + 1) * 6] = sign * 3
        np.testing.assert_array_equal(changed.parameters[bias], expected)


def test_seed_gives_the_same_network_and_text():
    config = Config(cell="rnn", threads=1)
    assert untrained_network(config).shape.hidden == 64
    one, same, other = untrained_network(config), untrained_network(config), untrained_network(config.replace(seed=2))
    np.testing.assert_array_equal(one.parameters.flat, same.parameters.flat)
    assert (one.parameters.flat != other.parameters.flat).any()
    np.testing.assert_array_equal(random_rows(5, 3).ids, random_rows(5, 3).ids)
    assert (random_rows(5, 3).ids != random_rows(5, 3, seed=2).ids).any()


@pytest.mark.parametrize("cell", ["rnn", "rnn-relu"])
def test_cell_without_gates_has_no_gate_to_open(cell):
    with pytest.raises(ConfigError, match="no gate that keeps"):
        untrained_network(Config(cell=cell, hidden=4), keep_bias=1.0)
    with pytest.raises(ConfigError, match="lags is 0"):
        random_rows(0)
