"""Stacks, unidirectional and bidirectional, against the textbook, torch.nn and central differences."""

import numpy as np
import pytest
from engine_cases import assert_close, assert_same_bits
from gradients import check_gradients
from random_cases import SCALE

from fastrnn.cells import RECURRENT_CELLS
from fastrnn.kernels.cpu import ops
from fastrnn.kernels.cpu.thread_pool import Part
from fastrnn.nn.parameters import ModelWeights, Parameters
from fastrnn.nn.stack import Dropout, Stack, pad_left
from fastrnn.reference import CELLS as TEXTBOOK
from fastrnn.reference import bidirectional_backward, bidirectional_forward, layer_weights
from fastrnn.shapes import StackShape, stack_shapes

T, B, F, H, V = 11, 7, 6, 13, 9
LENGTHS = np.array([11, 3, 1, 8, 11, 10, 5])

every_cell = pytest.mark.parametrize("cell", RECURRENT_CELLS)
both_inputs = pytest.mark.parametrize("one_hot", [False, True], ids=["numbers", "one-hot"])


def make_stack(cell, layers, rng, *, bidirectional=True, one_hot=False, dtype="float64", hidden=H):
    """Return a stack with normal random weights, its parameters and gradients."""
    shape = StackShape(cell, layers, hidden, V if one_hot else F, one_hot, bidirectional)
    parameters, gradients = (Parameters(stack_shapes(shape), dtype) for _ in range(2))
    parameters.flat[...] = rng.normal(scale=SCALE, size=parameters.flat.size)
    weights = ModelWeights(ops, parameters, gradients, np.dtype(dtype))
    return Stack(weights, shape), parameters, gradients


def make_input(rng, one_hot, dtype="float64"):
    """Return ids or numbers, 0 in the padding of rows of `LENGTHS`."""
    inside = np.arange(T)[:, None] >= T - LENGTHS
    if one_hot:
        return np.where(inside, rng.integers(V, size=(T, B)), 0).astype(np.int32)
    return np.where(inside[:, :, None], rng.normal(size=(T, B, F)), 0).astype(dtype)


def make_state(stack, rng, batch=B):
    return {name: rng.normal(scale=SCALE, size=z.shape).astype(z.dtype) for name, z in stack.zero_state(batch).items()}


def run(made, x, state, dy, dlast, lengths=None, dropout=None, threads=1):
    """Return all results of a stack by name; the parts of each phase run one after the other."""
    stack, _, gradients = made
    steps, batch = x.shape[:2]
    dropout, parts = dropout or Dropout(), [Part(n, threads) for n in range(threads)]
    stack.allocate(steps, batch)
    gradients.flat[...] = 0
    ids = x if x.ndim == 2 else np.zeros((steps, batch), np.int32)
    stack.set_input(
        ids, None if x.ndim == 2 else x, rows=pad_left(steps, lengths if lengths is not None else [steps] * batch)
    )
    stack.set_state(state)
    dx = None if x.ndim == 2 else np.full_like(x, np.nan)
    for part in parts:
        stack.pack(part, True)
    for part in parts:
        y = stack.forward(part.range(batch), dropout)
    last, first = stack.zero_state(batch), stack.zero_state(batch)
    stack.get_state(last)
    found = {"y": y.copy()} | {f"last {name}": array for name, array in last.items()}
    stack.dy[...] = dy
    for part in parts:
        stack.backward(part.range(batch), dropout, dx, dlast)
    stack.get_state_gradient(first)
    for part in parts:
        stack.accumulate(part)
    found |= {name: array.copy() for name, array in gradients.items()}
    return found | {f"d{name}": array for name, array in first.items()} | ({} if dx is None else {"dx": dx})


def run_textbook(made, x, state, dy, dlast):
    """Return the same from the reference, for a bidirectional stack and rows without padding."""
    stack, parameters, gradients = made
    shape, cell = stack.shape, TEXTBOOK[stack.shape.cell]
    h = np.eye(V)[x] if x.ndim == 2 else x
    dw = {name: np.zeros_like(array) for name, array in gradients.items()}
    found, tapes = {}, []

    def weights(of, n):
        return tuple(layer_weights(of, n, suffix) for suffix in shape.suffixes)

    def states(of, n):
        return tuple({name: array[2 * n + d] for name, array in of.items()} for d in range(2))

    last, first = ({name: np.zeros_like(array) for name, array in state.items()} for _ in range(2))
    for n in range(shape.layers):
        h, ends, tape = bidirectional_forward(cell, h, states(state, n), weights(parameters, n))
        tapes.append(tape)
        for name in last:
            last[name][2 * n : 2 * n + 2] = ends[0][name], ends[1][name]
    found["y"] = h
    for n in reversed(range(shape.layers)):
        dy, ends = bidirectional_backward(cell, dy, states(dlast, n), tapes[n], weights(parameters, n), weights(dw, n))
        for name in first:
            first[name][2 * n : 2 * n + 2] = ends[0][name], ends[1][name]
    found |= {f"last {name}": array for name, array in last.items()} | dw
    return found | {f"d{name}": array for name, array in first.items()} | ({} if x.ndim == 2 else {"dx": dy})


@pytest.mark.parametrize("layers", [1, 2, 3])
@both_inputs
@every_cell
def test_bidirectional_equals_the_textbook(cell, one_hot, layers, rng):
    made = make_stack(cell, layers, rng, one_hot=one_hot)
    x, state, dlast = make_input(rng, one_hot), make_state(made[0], rng), make_state(made[0], rng)
    dy = rng.normal(size=(T, B, 2 * H))
    assert_close(run(made, x, state, dy, dlast), run_textbook(made, x, state, dy, dlast), 1e-11)


@both_inputs
@every_cell
def test_padded_row_equals_the_row_alone(cell, one_hot, rng):
    """Bit-for-bit; weight gradients, summed in another order, up to rounding."""
    made = make_stack(cell, 2, rng, one_hot=one_hot, dtype="float32")
    x, zero, dlast = make_input(rng, one_hot, "float32"), made[0].zero_state(B), make_state(made[0], rng)
    dy = rng.normal(size=(T, B, 2 * H)) * (np.arange(T)[:, None, None] >= T - LENGTHS[:, None])
    whole = run(made, x, zero, dy, dlast, LENGTHS)
    total = {name: np.zeros_like(array) for name, array in whole.items() if name.startswith("rnn")}
    for b, n in enumerate(LENGTHS):
        alone = run(
            made,
            x[T - n :, [b]].copy(),
            made[0].zero_state(1),
            dy[T - n :, [b]],
            {k: a[:, [b]] for k, a in dlast.items()},
        )
        for name in total:
            total[name] += alone[name]
        ends = [name for name in whole if name.startswith("last")]
        steps = ["y"] if one_hot else ["y", "dx"]
        assert_same_bits(alone, {name: whole[name][:, [b]] for name in ends})
        assert_same_bits(alone, {name: np.ascontiguousarray(whole[name][T - n :, [b]]) for name in steps})
    assert_close(total, {name: whole[name] for name in total}, 1e-5)


@every_cell
def test_padding_changes_nothing_and_gets_no_gradient(cell, rng):
    made = make_stack(cell, 2, rng, dtype="float32")
    x, zero, dlast = make_input(rng, False, "float32"), made[0].zero_state(B), make_state(made[0], rng)
    padding = np.arange(T)[:, None] < T - LENGTHS
    dy = rng.normal(size=(T, B, 2 * H)) * ~padding[:, :, None]
    plain = run(made, x, zero, dy, dlast, LENGTHS)
    assert not plain["dx"][padding].any()
    x[padding] = 7
    other = run(made, x, zero, dy, dlast, LENGTHS)
    plain["y"][padding] = other["y"][padding] = 0
    assert_same_bits(other, plain)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one", "both"])
@pytest.mark.parametrize(("keep", "lengths"), [(1.0, None), (1.0, LENGTHS), (0.6, LENGTHS)])
@every_cell
def test_gradients_match_central_differences(cell, bidirectional, keep, lengths, rng):
    """Also of the input and the initial state, given gradients of all outputs and the final state."""
    made = make_stack(cell, 2, rng, bidirectional=bidirectional, hidden=4)
    stack, parameters, _ = made
    x, state, dlast = make_input(rng, False), make_state(stack, rng), make_state(stack, rng)
    dy, dropout = rng.normal(size=(T, B, stack.shape.outputs)), Dropout(keep, 3)
    dy *= (np.arange(T)[:, None] >= T - LENGTHS)[:, :, None]

    def results():
        return run(made, x, state, dy, dlast, lengths, dropout)

    def fake_loss():
        found = results()
        return float((found["y"] * dy).sum() + sum((found[f"last {name}"] * d).sum() for name, d in dlast.items()))

    found = results()
    arrays = {**parameters, "x": x, **{f"d{name}": array for name, array in state.items()}}
    gradients = {name: found["dx" if name == "x" else name] for name in arrays}
    for name, gradient in gradients.items():
        forgotten = lengths is not None and name in ("dh", "dc")  # padded rows start from zero
        assert gradient.any() != forgotten, name
    check_gradients(fake_loss, arrays, gradients, most=10)


@every_cell
def test_reversed_input_with_exchanged_weights_gives_reversed_output(cell, rng):
    """For one bidirectional layer the output is reversed within each row, and its halves swapped."""
    made = make_stack(cell, 1, rng, dtype="float32")
    stack, parameters, _ = made
    x, zero = make_input(rng, False, "float32"), stack.zero_state(B)
    rows = pad_left(T, LENGTHS)
    nothing = np.zeros((T, B, 2 * H))
    plain = run(made, x, zero, nothing, None, LENGTHS)["y"]
    for name, array in parameters.items():
        if not name.endswith("_reverse"):
            other = parameters[f"{name}_reverse"]
            array[...], other[...] = other.copy(), array.copy()
    turned = run(made, np.take_along_axis(x, rows.reversal[:, :, None], 0), zero, nothing, None, LENGTHS)["y"]
    turned = np.take_along_axis(turned, rows.reversal[:, :, None], 0)
    inside = np.arange(T)[:, None] >= T - LENGTHS
    np.testing.assert_array_equal(turned[inside], np.concatenate([plain[:, :, H:], plain[:, :, :H]], axis=2)[inside])


@every_cell
def test_any_number_of_parts_gives_the_same_bits(cell, rng):
    made = make_stack(cell, 2, rng, dtype="float32")
    x, state, dy = make_input(rng, False, "float32"), make_state(made[0], rng), rng.normal(size=(T, B, 2 * H))
    one, three, nine = (run(made, x, state, dy, None, LENGTHS, Dropout(0.7, 5), n) for n in (1, 3, 9))
    assert_same_bits(three, one)
    assert_same_bits(nine, one)


def test_dense_layer_is_tanh_of_a_linear_map(rng):
    made = make_stack("dense", 2, rng, bidirectional=False)
    assert list(made[1]) == [f"rnn.{kind}_ih_l{n}" for n in range(2) for kind in ("weight", "bias")]
    x, dy = make_input(rng, False), rng.normal(size=(T, B, H))
    h = x
    for n in range(2):
        h = np.tanh(h @ made[1][f"rnn.weight_ih_l{n}"].T + made[1][f"rnn.bias_ih_l{n}"])
    found = run(made, x, {}, dy, None, LENGTHS)
    np.testing.assert_allclose(found["y"], h, rtol=1e-12)
    gradients = {name: found[name] for name in made[1]} | {"x": found["dx"]}
    check_gradients(
        lambda: float((run(made, x, {}, dy, None)["y"] * dy).sum()), {**made[1], "x": x}, gradients, most=10
    )


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_deep_bidirectional_stack_equals_torch(cell, rng):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    made = make_stack(cell, 2, rng, dtype="float32")
    stack, parameters, _ = made
    parameters.flat *= 0.5
    kind = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
    twin = kind(F, H, 2, bidirectional=True)
    twin.load_state_dict({name.removeprefix("rnn."): torch.tensor(array) for name, array in parameters.items()})
    x, state = make_input(rng, False, "float32"), make_state(stack, rng)
    dy, dlast = rng.normal(size=(T, B, 2 * H)).astype("float32"), make_state(stack, rng)
    first = {name: torch.tensor(array, requires_grad=True) for name, array in state.items()}
    fed = torch.tensor(x, requires_grad=True)
    y, last = twin(fed, (first["h"], first["c"]) if cell == "lstm" else first["h"])
    last = dict(zip(first, last if cell == "lstm" else [last], strict=True))
    loss = (y * torch.tensor(dy)).sum() + sum((last[name] * torch.tensor(d)).sum() for name, d in dlast.items())
    loss.backward()
    expected = {"y": y, "dx": fed.grad} | {f"last {name}": array for name, array in last.items()}
    expected |= {f"rnn.{name}": p.grad for name, p in twin.named_parameters()}
    expected |= {f"d{name}": array.grad for name, array in first.items()}
    expected = {name: array.detach().numpy() for name, array in expected.items()}
    assert_close(run(made, x, state, dy, dlast), expected, 1e-5)
