"""Shares of shut and open gates, against gates computed from the textbook's states."""

import numpy as np
import pytest
from engine_cases import make_network
from random_cases import make_model

from fastrnn.cells import RECURRENT_CELLS
from fastrnn.data.text.corpus import corpus_from_text
from fastrnn.diagnostics import compute_activations, compute_saturation
from fastrnn.reference import sigmoid

H = 5
# torch's gate order
LSTM = {"i": 0, "f": 1, "o": 3}
ROWS = {"lstm": LSTM, "lstm-norm": LSTM, "gru": {"r": 0, "z": 1}, "gru-simplified": {"u": 0}}


@pytest.mark.parametrize("cell", RECURRENT_CELLS)
def test_shares_are_counted_for_each_gate_and_unit(cell, rng):
    corpus = corpus_from_text("the cat sat on the mat " * 9)
    model = make_model(cell, 2, rng, H, corpus.tokenizer.size)
    for array in model.parameters.values():
        array *= 2.5  # so that many gates are saturated
    network = make_network(model)
    uses = {(use.layer, use.gate): use for use in compute_saturation(network, corpus)}
    h = compute_activations(network, corpus)
    assert set(uses) == {(n, gate) for n in (0, 1) for gate in (*ROWS.get(cell, ()), "h")}
    for n in (0, 1):
        w = model.layers[n]
        x = np.eye(corpus.tokenizer.size)[corpus.ids] if n == 0 else h[0]
        a = x @ w.W_ih.T + np.vstack([np.zeros(H), h[n, :-1]]) @ w.W_hh.T
        if cell == "lstm-norm":
            gates = a.reshape(len(a), 4, H)
            a = w.gain * (gates / np.sqrt((gates**2).mean(axis=2, keepdims=True) + 1e-5)).reshape(a.shape) + w.bias
        else:
            a += w.b_ih + w.b_hh
        values = {gate: sigmoid(a[:, at * H : (at + 1) * H]) for gate, at in ROWS.get(cell, {}).items()}
        for gate, value in values.items():
            use = uses[n, gate]
            np.testing.assert_allclose(use.low, (value <= 0.1).mean(axis=0))
            np.testing.assert_allclose(use.high, (value >= 0.9).mean(axis=0))
            np.testing.assert_allclose(use.mean, value.mean(axis=0))
        low, high = (0, np.inf) if cell == "rnn-relu" else (-0.9, 0.9)
        np.testing.assert_allclose(uses[n, "h"].low, (h[n] <= low).mean(axis=0))
        np.testing.assert_allclose(uses[n, "h"].high, (h[n] >= high).mean(axis=0))
    total = np.concatenate([use.low for use in uses.values()])
    assert 0.02 < total.mean() < 0.9
