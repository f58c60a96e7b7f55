"""Elman network (Elman 1990), as torch.nn.RNN:

    h = f(a)     a = W_ih x + b_ih + W_hh h' + b_hh      f = tanh or relu

Saved for backward: h, from which f'(a) follows (1 - h^2, or 1 where h > 0). The scalar mathematics
is in `fastrnn.kernels.cell_math`.
"""

from typing import Any, NamedTuple

import numpy as np

from ..cell_math import relu_rnn, tanh_rnn
from .activations import sigmoid, tanh
from .grid import own
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
def _forward_tanh(cell, t, share):
    """gates[t] (pre-activations) -> gates[t], h[t+1] of the share."""
    zero = cell.h.dtype.type(0)
    for b in range(share.row_lo, share.row_hi):
        a, h = own(cell.gates[t, b], share), own(cell.h[t + 1, b], share)
        for j in range(h.size):
            y = _forward_unit_tanh(a[j], zero)
            a[j] = y
            h[j] = y


@device_function
def _backward_tanh(cell, t, share, dy, dh, dc):
    """dy (T, B, H), dh (B, H) -> gates[t] = their gradients; dh = 0."""
    zero, one = cell.h.dtype.type(0), cell.h.dtype.type(1)
    for b in range(share.row_lo, share.row_hi):
        a, dy_b, dh_b = own(cell.gates[t, b], share), own(dy[t, b], share), own(dh[b], share)
        for j in range(dh_b.size):
            a[j] = _backward_unit_tanh(a[j], dy_b[j] + dh_b[j], zero, one)
            # all of h' passes through W_hh: the matrix product adds its gradient
            dh_b[j] = 0


@device_function
def _forward_relu(cell, t, share):
    """gates[t] (pre-activations) -> gates[t], h[t+1] of the share."""
    zero = cell.h.dtype.type(0)
    for b in range(share.row_lo, share.row_hi):
        a, h = own(cell.gates[t, b], share), own(cell.h[t + 1, b], share)
        for j in range(h.size):
            y = _forward_unit_relu(a[j], zero)
            a[j] = y
            h[j] = y


@device_function
def _backward_relu(cell, t, share, dy, dh, dc):
    """dy (T, B, H), dh (B, H) -> gates[t] = their gradients; dh = 0."""
    zero, one = cell.h.dtype.type(0), cell.h.dtype.type(1)
    for b in range(share.row_lo, share.row_hi):
        a, dy_b, dh_b = own(cell.gates[t, b], share), own(dy[t, b], share), own(dh[b], share)
        for j in range(dh_b.size):
            a[j] = _backward_unit_relu(a[j], dy_b[j] + dh_b[j], zero, one)
            # all of h' passes through W_hh: the matrix product adds its gradient
            dh_b[j] = 0


register(TanhRNN, _forward_tanh, _backward_tanh)
register(ReluRNN, _forward_relu, _backward_relu)
