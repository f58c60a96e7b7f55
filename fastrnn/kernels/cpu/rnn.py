"""The plain recurrent network (Elman 1990), as torch.nn.RNN:

    h = f(a)     a = W_ih x + b_ih + W_hh h' + b_hh      f = tanh or relu

Saved for the backward step: h, from which f'(a) follows (1 - h^2, or 1 where h > 0).
The formulas: `fastrnn.kernels.cell_math`.
"""

from typing import Any, NamedTuple

import numpy as np

from ..cell_math import relu_rnn, tanh_rnn
from .activations import sigmoid, tanh
from .jit import device_function, inline_function
from .recurrence import register


class TanhRNN(NamedTuple):
    """One layer's window. gates (T, B, H): a; h (T+1, B, H); no c (T+1, B, 0)."""

    gates: np.ndarray[Any, Any]
    h: np.ndarray[Any, Any]
    c: np.ndarray[Any, Any]


class ReluRNN(NamedTuple):
    """One layer's window. gates (T, B, H): a; h (T+1, B, H); no c (T+1, B, 0)."""

    gates: np.ndarray[Any, Any]
    h: np.ndarray[Any, Any]
    c: np.ndarray[Any, Any]


_forward_unit_tanh, _backward_unit_tanh = map(inline_function, tanh_rnn(sigmoid, tanh))
_forward_unit_relu, _backward_unit_relu = map(inline_function, relu_rnn(sigmoid, tanh))


@device_function
def _forward_tanh(cell, t, lo, hi):
    zero = cell.h.dtype.type(0)
    for b in range(lo, hi):
        a, h = cell.gates[t, b], cell.h[t + 1, b]
        for j in range(h.size):
            y = _forward_unit_tanh(a[j], zero)
            a[j] = y
            h[j] = y


@device_function
def _backward_tanh(cell, t, lo, hi, dy, dh, dc):
    zero, one = cell.h.dtype.type(0), cell.h.dtype.type(1)
    for b in range(lo, hi):
        a, dy_b, dh_b = cell.gates[t, b], dy[t, b], dh[b]
        for j in range(dh_b.size):
            a[j] = _backward_unit_tanh(a[j], dy_b[j] + dh_b[j], zero, one)
            dh_b[j] = 0


@device_function
def _forward_relu(cell, t, lo, hi):
    zero = cell.h.dtype.type(0)
    for b in range(lo, hi):
        a, h = cell.gates[t, b], cell.h[t + 1, b]
        for j in range(h.size):
            y = _forward_unit_relu(a[j], zero)
            a[j] = y
            h[j] = y


@device_function
def _backward_relu(cell, t, lo, hi, dy, dh, dc):
    zero, one = cell.h.dtype.type(0), cell.h.dtype.type(1)
    for b in range(lo, hi):
        a, dy_b, dh_b = cell.gates[t, b], dy[t, b], dh[b]
        for j in range(dh_b.size):
            a[j] = _backward_unit_relu(a[j], dy_b[j] + dh_b[j], zero, one)
            dh_b[j] = 0


register(TanhRNN, _forward_tanh, _backward_tanh)
register(ReluRNN, _forward_relu, _backward_relu)
