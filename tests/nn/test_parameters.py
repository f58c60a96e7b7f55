"""Parameters in one flat array, torch.nn's names and shapes, and initialisation."""

import numpy as np
import pytest

from fastrnn.cells import CELLS, RECURRENT_CELLS
from fastrnn.config import INITS
from fastrnn.nn.parameters import IDENTITY_SCALE, ONE_HOT_STD, Parameters, initialise
from fastrnn.shapes import ModelShape, language_model_shapes

L, H, V = 3, 32, 50

every_cell = pytest.mark.parametrize("cell", RECURRENT_CELLS)
every_init = pytest.mark.parametrize("init", INITS)


def make_initialised(cell, init, seed=1, hidden=H, vocab=V):
    shape = ModelShape(cell, L, hidden, vocab)
    parameters = Parameters(shape)
    parameters.flat[:] = np.nan
    initialise(parameters, shape, init, np.random.default_rng(seed))
    return parameters


@pytest.mark.parametrize(
    ("cell", "gates"), [("rnn", 1), ("rnn-relu", 1), ("gru", 3), ("gru-simplified", 2), ("lstm", 4), ("lstm-norm", 4)]
)
def test_names_and_shapes(cell, gates):
    rows = gates * H
    expected = {"rnn.weight_ih_l0": (rows, V)}
    for n in range(L):
        expected |= {f"rnn.weight_ih_l{n}": (rows, V if n == 0 else H), f"rnn.weight_hh_l{n}": (rows, H)}
        vectors = ("gain", "bias") if cell == "lstm-norm" else ("bias_ih", "bias_hh")
        expected |= {f"rnn.{kind}_l{n}": (rows,) for kind in vectors}
    expected |= {"out.weight": (V, H), "out.bias": (V,)}
    parameters = Parameters(ModelShape(cell, L, H, V))
    assert {name: array.shape for name, array in parameters.items()} == expected
    assert list(parameters) == list(language_model_shapes(ModelShape(cell, L, H, V)))
    assert len(parameters) == 4 * L + 2
    assert CELLS[cell].gate_count == gates


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_cell
def test_views_share_the_flat_array_and_cover_it(cell, dtype):
    parameters = Parameters(ModelShape(cell, L, H, V), dtype)
    assert parameters.flat.dtype == dtype
    assert not parameters.flat.any()
    for n, array in enumerate(parameters.values(), 1):
        assert np.shares_memory(array, parameters.flat)
        assert array.flags.c_contiguous
        array[...] = n
    expected = np.concatenate([np.full(array.size, n) for n, array in enumerate(parameters.values(), 1)])
    np.testing.assert_array_equal(parameters.flat, expected)
    parameters.flat[:] = 0
    assert not any(array.any() for array in parameters.values())


def test_assign(rng):
    parameters = Parameters(ModelShape("gru", L, H, V))
    values = {name: rng.normal(size=array.shape) for name, array in parameters.items()}
    parameters.assign(values)
    for name, array in values.items():
        np.testing.assert_array_equal(parameters[name], array.astype(np.float32))
    del values["out.bias"]
    with pytest.raises(KeyError):
        parameters.assign(values)


@every_init
@every_cell
def test_all_parameters_depend_on_the_seed(cell, init):
    one, same, other = make_initialised(cell, init), make_initialised(cell, init), make_initialised(cell, init, seed=2)
    assert np.isfinite(one.flat).all()
    np.testing.assert_array_equal(same.flat, one.flat)
    assert np.any(other.flat != one.flat)


@every_init
@every_cell
def test_biases_are_zero_except_of_the_forget_gate(cell, init):
    """The sum of its biases is 1; gates i, f, g, o. Gains are 1."""
    parameters = make_initialised(cell, init)
    assert not parameters["out.bias"].any()
    for n in range(L):
        if cell == "lstm-norm":
            biases = parameters[f"rnn.bias_l{n}"].reshape(-1, H)
            np.testing.assert_array_equal(parameters[f"rnn.gain_l{n}"], np.ones(4 * H))
        else:
            biases = (parameters[f"rnn.bias_ih_l{n}"] + parameters[f"rnn.bias_hh_l{n}"]).reshape(-1, H)
        expected = [0, 1, 0, 0] if cell.startswith("lstm") else [0] * CELLS[cell].gate_count
        np.testing.assert_array_equal(biases, np.repeat(expected, H).reshape(-1, H))


@every_cell
def test_orthogonal(cell):
    """Each gate's matrix is orthogonal, and no two are the same."""
    parameters = make_initialised(cell, "orthogonal")
    gates = np.concatenate([parameters[f"rnn.weight_hh_l{n}"].reshape(-1, H, H) for n in range(L)])
    for n, matrix in enumerate(gates):
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(H), atol=1e-5)
        assert all(np.abs(matrix - other).max() > 0.1 for other in gates[:n])


@every_cell
def test_identity(cell):
    """Each gate's matrix is a scaled identity; the other weights are those of the orthogonal initialisation."""
    parameters, orthogonal = (make_initialised(cell, kind) for kind in ("identity", "orthogonal"))
    for name, weights in parameters.items():
        if ".weight_hh" in name:
            for matrix in weights.reshape(-1, H, H):
                np.testing.assert_array_equal(matrix, IDENTITY_SCALE * np.eye(H))
        else:
            np.testing.assert_array_equal(weights, orthogonal[name])


@every_cell
def test_default_is_orthogonal_but_identity_for_relu(cell):
    kind = "identity" if cell == "rnn-relu" else "orthogonal"
    np.testing.assert_array_equal(make_initialised(cell, None).flat, make_initialised(cell, kind).flat)


def test_bias_of_the_output_layer(rng):
    """It may be given; nothing else changes."""
    bias = rng.normal(0, 1, V)
    parameters = Parameters(ModelShape("lstm", L, H, V))
    initialise(parameters, ModelShape("lstm", L, H, V), None, np.random.default_rng(1), bias)
    np.testing.assert_array_equal(parameters["out.bias"], bias.astype(np.float32))
    parameters["out.bias"][...] = 0
    np.testing.assert_array_equal(parameters.flat, make_initialised("lstm", None).flat)


@pytest.mark.parametrize(
    ("cell", "bias", "gate", "sign"),
    [
        ("lstm-norm", "bias", 1, 1),
        ("lstm", "bias_ih", 1, 1),
        ("gru", "bias_ih", 1, 1),
        ("gru-simplified", "bias_ih", 0, -1),
    ],
)
def test_slow_units(cell, bias, gate, sign):
    """A quarter of 32 units: their gate keeps n / (n + 1) of the state, n from 4 to 128; nothing else changes."""
    parameters, usual = Parameters(ModelShape(cell, L, H, V)), make_initialised(cell, None)
    initialise(parameters, ModelShape(cell, L, H, V), None, np.random.default_rng(1), slow_units=0.25)
    for n in range(L):
        name = f"rnn.{bias}_l{n}"
        biases = parameters[name].reshape(-1, H)[gate]
        kept = 1 / (1 + np.exp(-sign * biases[:8].astype(np.float64)))
        steps = 4 * 32 ** (np.arange(8) / 7)
        np.testing.assert_allclose(kept, steps / (steps + 1), rtol=1e-6)
        biases[:8] = usual[name].reshape(-1, H)[gate, :8]
    np.testing.assert_array_equal(parameters.flat, usual.flat)


@every_init
@every_cell
def test_one_hot_input(cell, init):
    weights = make_initialised(cell, init, hidden=64, vocab=100)["rnn.weight_ih_l0"]
    assert weights.std() == pytest.approx(ONE_HOT_STD, rel=5 / np.sqrt(2 * weights.size))
    assert abs(weights.mean()) < 5 * ONE_HOT_STD / np.sqrt(weights.size)


@pytest.mark.parametrize(
    ("init", "bound"), [("uniform", 1 / np.sqrt(H)), ("orthogonal", np.sqrt(3 / H)), ("identity", np.sqrt(3 / H))]
)
@every_cell
def test_dense_input_is_uniform(cell, init, bound):
    """torch.nn's +-1/sqrt(H), or a variance of 1/fan_in."""
    parameters = make_initialised(cell, init)
    for name in ("rnn.weight_ih_l1", "rnn.weight_ih_l2", "out.weight"):
        weights = parameters[name]
        assert 0.97 * bound < np.abs(weights).max() <= bound * (1 + 1e-6)
        assert weights.std() == pytest.approx(bound / np.sqrt(3), rel=5 / np.sqrt(weights.size))
