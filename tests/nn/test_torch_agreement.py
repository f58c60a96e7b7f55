"""The compiled network and torch.nn's modules with the same weights, both in float32."""

import doc_examples
import numpy as np
import pytest
from engine_cases import assert_close, make_network, run_network, tokens
from random_cases import make_model, make_state, make_text

from fastrnn.cells import CELLS
from fastrnn.data.text.ngrams import find_ngrams
from fastrnn.nn.network import Stepper

T, B, H, V = 11, 7, 21, 13

torch = pytest.importorskip("torch", reason="torch is not installed")
CASES = [(cell, layers) for cell in ("rnn", "gru", "lstm", "lstm-norm") for layers in (1, 2)]


def make_case(cell, layers, rng):
    """A network, ids and targets. Weights small enough that an RNN does not multiply rounding errors step by step."""
    model = make_model(cell, layers, rng, H, V)
    for array in model.parameters.values():
        array *= 0.5
    return make_network(model, "float32"), *make_text(rng, T, B, V)


def documented(name):
    """A class or function in the reference page of the checkpoint format."""
    page = doc_examples.ROOT / "docs" / "reference" / "checkpoint.md"
    names = {}
    for block in doc_examples.blocks(page, "text"):
        exec(block, names)
    return names[name]


def make_twin(network):
    """torch.nn's module of the same shape, loaded by name."""
    kinds = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM, "lstm-norm": documented("NormedLSTM")}
    kind = kinds[network.shape.cell]
    twin = torch.nn.ModuleDict({"rnn": kind(V, H, network.shape.layers), "out": torch.nn.Linear(H, V)})
    twin.load_state_dict({name: torch.tensor(array) for name, array in network.parameters.items()})
    return twin


def run_twin(twin, ids, targets, state):
    """Losses, gradients and states by torch, under the names of `run_network`."""
    first = {name: torch.tensor(array, dtype=torch.float32, requires_grad=True) for name, array in state.items()}
    x = torch.nn.functional.one_hot(torch.tensor(ids), V).float()
    h, last = twin["rnn"](x, (first["h"], first["c"]) if "c" in first else first["h"])
    logits, y = twin["out"](h).flatten(0, 1), torch.tensor(targets).flatten()
    losses = torch.nn.functional.cross_entropy(logits, y, ignore_index=-1, reduction="none")
    loss = losses.sum() / (y >= 0).sum()
    loss.backward()
    results = {"loss": loss, "losses": losses.reshape(ids.shape)}
    results |= {name: p.grad for name, p in twin.named_parameters()}
    results |= {f"dstate {name}": array.grad for name, array in first.items()}
    results |= {f"last {name}": s for name, s in zip(first, last if "c" in first else [last], strict=True)}
    return {name: value.detach().numpy() for name, value in results.items()}


@pytest.mark.parametrize(("cell", "layers"), CASES)
def test_outputs_and_gradients_equal_torch(cell, layers, rng):
    network, ids, targets = make_case(cell, layers, rng)
    state = make_state(cell, rng, layers, B, H)
    computed = run_network(network, ids, targets, state)
    assert_close(computed, run_twin(make_twin(network), ids, targets, state), 1e-5)


@pytest.mark.parametrize(("cell", "layers"), CASES)
def test_one_step_equals_torch(cell, layers, rng):
    network, ids, _ = make_case(cell, layers, rng)
    twin, state = make_twin(network), network.initial_state(B)
    first = tuple(torch.tensor(array) for array in state.values())
    with torch.no_grad():
        x = torch.nn.functional.one_hot(torch.tensor(ids), V).float()
        expected = twin["out"](twin["rnn"](x, first if len(first) > 1 else first[0])[0]).numpy()
    stepper = Stepper(network)
    computed = np.stack([stepper.logits(tokens(row[None]), state) for row in ids])
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("cell", ["gru", "lstm", "lstm-norm"])
def test_ngrams_equal_torch(cell, rng):
    """With the functions of the reference page."""
    ngrams = find_ngrams(rng.choice(V, 2000), V, 200)
    model = make_model(cell, 2, rng, H, V, ngrams)
    network, ids = make_network(model, "float32", ngrams=ngrams), rng.integers(V, size=(T, B))
    kinds = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM, "lstm-norm": documented("NormedLSTM")}
    twin = kinds[cell](V + len(ngrams), H, 2)
    documented("load_weights")(twin, {name: torch.tensor(array) for name, array in network.parameters.items()})
    x = documented("one_hot")(ids, V, ngrams.keys.tolist())
    assert x.sum(dim=2).unique().tolist() == [1, 2, 3]

    state = network.initial_state(B)
    first = tuple(torch.tensor(state[name]) for name in CELLS[cell].states)
    with torch.no_grad():
        h = twin(x, first if len(first) > 1 else first[0])[0].numpy()
    stepper = Stepper(network)
    computed = np.stack([stepper.logits(tokens(row[None]), state) for row in ids])
    expected = h @ network.parameters["out.weight"].T + network.parameters["out.bias"]
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
