"""Gradient of the last loss by earlier states: against the textbook, central differences and Jacobians."""

import numpy as np
import pytest
from engine_cases import make_network, tokens
from gradients import central_difference, relative_error
from random_cases import make_model

from fastrnn.cells import CELLS, RECURRENT_CELLS
from fastrnn.data.text.corpus import corpus_from_text
from fastrnn.data.text.ngrams import find_ngrams
from fastrnn.diagnostics.gradient_flow import WARM_UP, Rows, _tokens_before, choose_rows, compute_gradient_flow
from fastrnn.errors import ConfigError, InputError
from fastrnn.reference import softmax

W, K, B, H, V = 4, 6, 3, 5, 7

every_cell = pytest.mark.parametrize("cell", RECURRENT_CELLS)


def make_rows(rng, warm=W, lags=K, batch=B):
    ids = tokens(rng.integers(V, size=(warm + lags + 1, batch)))
    starts = np.zeros((warm + 1, batch), bool)
    if warm:
        starts[1, 0] = starts[warm, 1:2] = True
    return Rows(ids[:-1], ids[-1], starts)


def states_before(model, rows):
    """The states that each of the K steps starts from, by the textbook."""
    warm = len(rows.resets) - 1
    starts = np.zeros(rows.ids.shape, bool)
    starts[: warm + 1] = rows.resets
    states = []
    for t in range(warm, len(rows.ids)):
        state = model.forward(rows.ids[:t], None, starts[:t])[1] if t else model.zero_state(rows.ids.shape[1])
        states.append({n: np.where(starts[t][:, None], 0, s) for n, s in state.items()})
    return states


def last_only(rows, steps):
    targets = np.full((steps, rows.ids.shape[1]), -1)
    targets[-1] = rows.targets
    return targets


@pytest.mark.parametrize(("layers", "warm"), [(1, W), (2, W), (3, 0)])
@every_cell
def test_norms_equal_the_textbook(cell, layers, warm, rng):
    model, rows = make_model(cell, layers, rng, H, V), make_rows(rng, warm)
    flow = compute_gradient_flow(make_network(model), rows)
    assert (set(flow.norms), flow.lags, flow.rows) == (set(CELLS[cell].states), K, B)
    for lag, state in zip(range(K, 0, -1), states_before(model, rows), strict=True):
        _, dstate = model.backward(rows.ids[-lag:], last_only(rows, lag), state)
        for name, gradient in dstate.items():
            expected = np.linalg.norm(gradient * B, axis=2).mean(axis=1)
            np.testing.assert_allclose(flow.norms[name][:, lag - 1], expected, rtol=1e-9, atol=1e-14)


@every_cell
def test_norms_are_central_differences(cell, rng):
    """Every element of every layer's state, moved a little, three steps before the end."""
    model, rows = make_model(cell, 2, rng, H, V), make_rows(rng, batch=1)
    flow = compute_gradient_flow(make_network(model), rows)
    state = states_before(model, rows)[K - 3]

    def loss():
        return model.loss(rows.ids[-3:], last_only(rows, 3), state)

    for name, array in state.items():
        slopes = central_difference(loss, array).reshape(2, H)
        assert relative_error(flow.norms[name][:, 2], np.linalg.norm(slopes, axis=1)) < 1e-6


def test_gradient_of_the_rnn_is_the_product_of_jacobians(rng):
    """dE/ds_k = dE/ds_T times the product over j of diag(1 - s_j^2) W, step by step."""
    model, rows = make_model("rnn", 1, rng, H, V), make_rows(rng, batch=1)
    W_hh, W_out = model.parameters["rnn.weight_hh_l0"], model.parameters["out.weight"]
    s = [state["h"][0, 0] for state in states_before(model, rows)]
    logits, last = model.forward(rows.ids[-1:], states_before(model, rows)[-1])
    s.append(last["h"][0, 0])
    error = softmax(logits[0, 0])
    error[rows.targets[0]] -= 1
    gradient, expected = W_out.T @ error, []
    for j in range(K, 0, -1):
        gradient = ((1 - s[j] ** 2) * gradient) @ W_hh
        expected.append(np.linalg.norm(gradient))
    flow = compute_gradient_flow(make_network(model), rows)
    np.testing.assert_allclose(flow.norms["h"][0], expected, rtol=1e-9)
    assert flow.factor("h", 0) == pytest.approx((expected[-1] / expected[0]) ** (1 / (K - 1)))


@pytest.mark.parametrize("warm", [0, 1, 6])
def test_ngrams_may_begin_before_a_step(warm, rng):
    """The tokens before each analysed step are those of a state that has read the text up to there."""
    ngrams = find_ngrams(rng.choice(V, 500), V, 30)
    rows = make_rows(rng, warm)
    network = make_network(make_model("lstm-norm", 1, rng, H, V, ngrams), ngrams=ngrams)
    assert compute_gradient_flow(network, rows).norms["h"].shape == (1, rows.lags)
    resets = np.zeros(rows.ids.shape, np.uint8)
    resets[: len(rows.resets)] = rows.resets
    for step in range(warm, len(rows.ids)):
        state = network.initial_state(rows.ids.shape[1])
        if step:
            network.loss(rows.ids[:step], rows.ids[:step], resets[:step], state)
        state["before"][0, resets[step] > 0] = 0
        np.testing.assert_array_equal(_tokens_before(network, rows, step), state["before"])


def test_norm_is_the_mean_of_the_rows_norms(rng):
    model, rows = make_model("gru", 2, rng, H, V), make_rows(rng)
    network = make_network(model)
    alone = [
        compute_gradient_flow(network, Rows(rows.ids[:, [b]], rows.targets[[b]], rows.resets[:, [b]])).norms["h"]
        for b in range(B)
    ]
    np.testing.assert_allclose(compute_gradient_flow(network, rows).norms["h"], np.mean(alone, axis=0), rtol=1e-9)


def test_without_recurrent_weights_no_gradient_flows_back(rng):
    model = make_model("rnn", 1, rng, H, V)
    model.parameters["rnn.weight_hh_l0"][...] = 0
    flow = compute_gradient_flow(make_network(model), make_rows(rng))
    assert not flow.norms["h"].any()
    assert np.isnan(flow.factor("h", 0))


@pytest.mark.parametrize(("cell", "gate", "bias"), [("gru-simplified", 0, -40.0), ("gru", 1, 40.0), ("lstm", 1, 40.0)])
def test_open_forget_gate_passes_the_gradient_unchanged(cell, gate, bias, rng):
    model = make_model(cell, 1, rng, H, V)
    model.parameters["rnn.weight_hh_l0"][...] *= 1e-9  # the gates' own way back, which is not the gate's
    model.parameters["rnn.bias_ih_l0"][gate * H : (gate + 1) * H] = bias
    flow = compute_gradient_flow(make_network(model), make_rows(rng))
    norms = flow.norms["c" if cell == "lstm" else "h"][0]
    np.testing.assert_allclose(norms, norms[0], rtol=1e-6)
    assert norms[0] > 0.1


def documents(lengths):
    """A corpus of documents of these lengths, each character another but for the separator."""
    letters = iter(map(chr, range(0x4E00, 0x9000)))
    text = "".join("|" + "".join(next(letters) for _ in range(n - 1)) for n in lengths)
    return corpus_from_text(text, separator="|"), text


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_rows_lie_within_documents_and_are_different(rows):
    lengths, lags = [30, 5, 8, 100, 9], 8
    corpus, text = documents(lengths)
    chosen = choose_rows(corpus, lags, rows)
    assert chosen.lags == lags
    wholes = [text[i : i + lags + 1] for i in range(len(text) - lags) if "|" not in text[i + 1 : i + lags + 1]]
    both = np.vstack([chosen.ids[-lags:], chosen.targets])
    found = [corpus.tokenizer.decode(column) for column in both.T]
    assert len(set(found)) == len(found) == min(rows, len(wholes))
    assert set(found) <= set(wholes)


def test_context_before_a_row_is_read_first(rng):
    """The state that a row starts from is the one that reading its document from the start leaves."""
    corpus, _ = documents([20, 40, 3])
    model = make_model("lstm", 1, rng, H, corpus.tokenizer.size)
    chosen = choose_rows(corpus, 6, 1000)
    states = states_before(model, chosen)[0]
    for b, ids in enumerate(chosen.ids.T):
        position = int(np.flatnonzero(corpus.ids == ids[WARM_UP])[0]) if ids[WARM_UP] != 0 else None
        if position is None:
            assert not states["c"][:, b].any()
            continue
        document = int(corpus.starts[corpus.starts <= position][-1])
        expected = model.forward(corpus.ids[document:position, None].astype(int))[1]["c"][:, 0]
        np.testing.assert_allclose(states["c"][:, b], expected, rtol=1e-12)


def test_impossible_requests_are_errors():
    corpus, _ = documents([8, 5])
    with pytest.raises(InputError, match="no document of the text has 9 tokens"):
        choose_rows(corpus, 8)
    assert choose_rows(corpus, 7).ids.shape == (WARM_UP + 7, 1)
    for lags, rows, words in ((0, 1, "lags is 0"), (3, 0, "rows is 0")):
        with pytest.raises(ConfigError, match=words):
            choose_rows(corpus, lags, rows)
