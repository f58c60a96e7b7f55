"""Elman network (Elman 1990), as torch.nn.RNN:

    h = f(a)     a = W_ih x + b_ih + W_hh h' + b_hh      f = tanh or relu

Saved for backward: h, from which f'(a) follows (1 - h^2, or 1 where h > 0). The scalar mathematics
is in `fastrnn.kernels.cell_math`.
"""

from typing import Any, NamedTuple

import numpy as np

from ..cell_math import relu_rnn, tanh_rnn
from .activations import sigmoid, tanh
from .jit import device_function, inline_function
from .recurrence import register


class TanhRNN(NamedTuple):
    """Arrays of one layer and window: gates (T, B, H), pre-activations; h (T+1, B, H); c (T+1, B,
    0).
    """

    gates: np.ndarray[Any, Any]
    h: np.ndarray[Any, Any]
    c: np.ndarray[Any, Any]


class ReluRNN(NamedTuple):
    """Arrays of one layer and window: gates (T, B, H), pre-activations; h (T+1, B, H); c (T+1, B,
    0).
    """

    gates: np.ndarray[Any, Any]
    h: np.ndarray[Any, Any]
    c: np.ndarray[Any, Any]


_forward_unit_tanh, _backward_unit_tanh = map(inline_function, tanh_rnn(sigmoid, tanh))
_forward_unit_relu, _backward_unit_relu = map(inline_function, relu_rnn(sigmoid, tanh))


@device_function
def _forward_tanh(cell, t, row_lo, row_hi):
    """gates[t] (pre-activations) -> gates[t], h[t+1] of rows row_lo..row_hi."""
    zero = cell.h.dtype.type(0)
    for b in range(row_lo, row_hi):
        a, h = cell.gates[t, b], cell.h[t + 1, b]
        for j in range(h.size):
            y = _forward_unit_tanh(a[j], zero)
            a[j] = y
            h[j] = y


@device_function
def _backward_tanh(cell, t, row_lo, row_hi, dy, dh, dc):
    """dy (T, B, H), dh (B, H) -> gates[t] = their gradients; dh = 0."""
    zero, one = cell.h.dtype.type(0), cell.h.dtype.type(1)
    for b in range(row_lo, row_hi):
        a, dy_b, dh_b = cell.gates[t, b], dy[t, b], dh[b]
        for j in range(dh_b.size):
            a[j] = _backward_unit_tanh(a[j], dy_b[j] + dh_b[j], zero, one)
            # all of h' passes through W_hh: the matrix product adds its gradient
            dh_b[j] = 0


@device_function
def _forward_relu(cell, t, row_lo, row_hi):
    """gates[t] (pre-activations) -> gates[t], h[t+1] of rows row_lo..row_hi."""
    zero = cell.h.dtype.type(0)
    for b in range(row_lo, row_hi):
        a, h = cell.gates[t, b], cell.h[t + 1, b]
        for j in range(h.size):
            y = _forward_unit_relu(a[j], zero)
            a[j] = y
            h[j] = y


@device_function
def _backward_relu(cell, t, row_lo, row_hi, dy, dh, dc):
    """dy (T, B, H), dh (B, H) -> gates[t] = their gradients; dh = 0."""
    zero, one = cell.h.dtype.type(0), cell.h.dtype.type(1)
    for b in range(row_lo, row_hi):
        a, dy_b, dh_b = cell.gates[t, b], dy[t, b], dh[b]
        for j in range(dh_b.size):
            a[j] = _backward_unit_relu(a[j], dy_b[j] + dh_b[j], zero, one)
            dh_b[j] = 0


register(TanhRNN, _forward_tanh, _backward_tanh)
register(ReluRNN, _forward_relu, _backward_relu)
