"""How to add a cell: a minimal gated unit (Zhou et al. 2016) in this one file.

    f = sigmoid(W_if x + b_if + W_hf h' + b_hf)           forget gate
    n = tanh(W_in x + b_in + f * (W_hn h' + b_hn))        candidate
    h = (1 - f) * h' + f * n

As in torch.nn's GRU, the gate multiplies the product W_hn h', not h' itself.
"""

from typing import Any, NamedTuple

import numpy as np
import plain_kernels
import pytest
from engine_cases import assert_close, make_network, run_network, run_reference
from gradients import check_gradients
from numba.core.caching import NullCache
from numpy.typing import NDArray
from random_cases import make_model, make_resets, make_state, make_text

from fastrnn import cells
from fastrnn.kernels.cpu import ops
from fastrnn.kernels.cpu.activations import sigmoid, tanh
from fastrnn.kernels.cpu.grid import gate, own
from fastrnn.kernels.cpu.jit import device_function, inline_function
from fastrnn.kernels.cpu.recurrence import register
from fastrnn.reference import Cell, linear, linear_backward, model
from fastrnn.reference import sigmoid as numpy_sigmoid

# Column blocks of the gate array: n from x, f, n from h'.
SPEC = cells.CellSpec(
    gates=("f", "n"),
    states=("h",),
    column_blocks=3,
    input_order=(1, 0),
    sigmoid_gates={"f": 1},
    keep_gate=("f", -1),
)


# The textbook step and its backward step.


def step(x, state, w):
    h_prev = state["h"]
    x_f, x_n = np.split(linear(x, w.W_ih, w.b_ih), 2, axis=1)
    h_f, m = np.split(linear(h_prev, w.W_hh, w.b_hh), 2, axis=1)
    f = numpy_sigmoid(x_f + h_f)
    n = np.tanh(x_n + f * m)
    return {"h": (1 - f) * h_prev + f * n}, (x, h_prev, f, n, m)


def step_backward(dstate, saved, w, dw):
    x, h_prev, f, n, m = saved
    dh = dstate["h"]
    da_n = dh * f * (1 - n**2)
    da_f = (dh * (n - h_prev) + da_n * m) * f * (1 - f)
    dx = linear_backward(np.concatenate([da_f, da_n], axis=1), x, w.W_ih, dw.W_ih, dw.b_ih)
    dh_prev = linear_backward(np.concatenate([da_f, da_n * f], axis=1), h_prev, w.W_hh, dw.W_hh, dw.b_hh)
    return dx, {"h": dh * (1 - f) + dh_prev}


# The arithmetic of one hidden unit, compiled for the CPU, and its loops over rows and units.


@inline_function
def forward_unit(n_x, a_f, n_h, h_prev, one):
    f = sigmoid(a_f)
    n = tanh(n_x + f * n_h)
    return n, f, (one - f) * h_prev + f * n


@inline_function
def backward_unit(n, f, n_h, h_prev, d_h, one):
    d_n = d_h * f * (one - n * n)
    d_f = (d_h * (n - h_prev) + d_n * n_h) * f * (one - f)
    return d_n, d_f, d_n * f, d_h * (one - f)


class MinimalGatedUnit(NamedTuple):
    """One layer's window. gates (T, B, 3H): blocks n (from x), f, n (from h'); h (T+1, B, H); no c."""

    gates: NDArray[Any]
    h: NDArray[Any]
    c: NDArray[Any]


@device_function
def forward(cell, t, share):
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(share.row_lo, share.row_hi):
        a = cell.gates[t, b]
        a_n, a_f, a_h = gate(a, 0, share, H), gate(a, 1, share, H), gate(a, 2, share, H)
        h_prev, h = own(cell.h[t, b], share), own(cell.h[t + 1, b], share)
        for j in range(h.size):
            a_n[j], a_f[j], h[j] = forward_unit(a_n[j], a_f[j], a_h[j], h_prev[j], one)


@device_function
def backward(cell, t, share, dy, dh, dc):
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(share.row_lo, share.row_hi):
        a = cell.gates[t, b]
        a_n, a_f, a_h = gate(a, 0, share, H), gate(a, 1, share, H), gate(a, 2, share, H)
        h_prev, dy_b, dh_b = own(cell.h[t, b], share), own(dy[t, b], share), own(dh[b], share)
        for j in range(dh_b.size):
            a_n[j], a_f[j], a_h[j], dh_b[j] = backward_unit(a_n[j], a_f[j], a_h[j], h_prev[j], dy_b[j] + dh_b[j], one)


register(MinimalGatedUnit, forward, backward)


@pytest.fixture
def cell(monkeypatch):
    """The name of the cell, listed in the three tables of cells."""
    monkeypatch.setitem(cells.CELLS, "mgu", SPEC)
    monkeypatch.setitem(ops.CELLS, "mgu", MinimalGatedUnit)
    monkeypatch.setitem(model.CELLS, "mgu", Cell(step, step_backward))

    # The kernels' disk cache does not see an edit of this file.
    for kernel in (ops.layer_forward, ops.layer_backward, ops.layer_gradient):
        if hasattr(kernel.launcher, "_cache"):
            monkeypatch.setattr(kernel.launcher, "_cache", NullCache())
    return "mgu"


@pytest.mark.skipif(plain_kernels.WANTED, reason="plain kernels include the library's own cells only")
def test_toy_cell_works_from_one_file(cell, rng):
    model, state = make_model(cell, 2, rng), make_state(cell, rng, 2, 3, 4)
    ids, targets = make_text(rng)
    resets = make_resets()
    network = make_network(model)

    computed = run_network(network, ids, targets, state, resets)
    assert_close(computed, run_reference(model, ids, targets, state, resets), 1e-10)

    arrays = {**model.parameters, **{f"dstate {name}": array for name, array in state.items()}}
    gradients = {name: computed[name] for name in arrays}
    check_gradients(lambda: model.loss(ids, targets, state, resets), arrays, gradients)
