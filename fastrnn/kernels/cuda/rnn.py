"""Elman network for one thread and unit. Equations: `fastrnn.kernels.cpu.rnn`."""

from typing import Any, NamedTuple

import numpy as np

from ..cell_math import relu_rnn, tanh_rnn
from .activations import sigmoid, tanh
from .jit import device
from .recurrence import register

_F = np.float32
_forward_unit_tanh, _backward_unit_tanh = map(device, tanh_rnn(sigmoid, tanh))
_forward_unit_relu, _backward_unit_relu = map(device, relu_rnn(sigmoid, tanh))


class TanhRNN(NamedTuple):
    """Arrays of one layer and window: gates (T, B, H), pre-activations; h (T+1, B, H); c (T+1, B,
    0).
    """

    gates: Any
    h: Any
    c: Any


class ReluRNN(NamedTuple):
    """Arrays of one layer and window: gates (T, B, H), pre-activations; h (T+1, B, H); c (T+1, B,
    0).
    """

    gates: Any
    h: Any
    c: Any


@device
def _forward_tanh(cell, t, b, j):
    """gates[t] (pre-activation) -> gates[t], h[t+1]."""
    y = _forward_unit_tanh(cell.gates[t, b, j], _F(0))
    cell.gates[t, b, j] = y
    cell.h[t + 1, b, j] = y


@device
def _backward_tanh(cell, t, b, j, d_h, dc):
    """d_h -> gates[t] = gradient; returns 0, as all of h[t] passes through W_hh."""
    cell.gates[t, b, j] = _backward_unit_tanh(cell.gates[t, b, j], d_h, _F(0), _F(1))
    return _F(0)


@device
def _forward_relu(cell, t, b, j):
    """gates[t] (pre-activation) -> gates[t], h[t+1]."""
    y = _forward_unit_relu(cell.gates[t, b, j], _F(0))
    cell.gates[t, b, j] = y
    cell.h[t + 1, b, j] = y


@device
def _backward_relu(cell, t, b, j, d_h, dc):
    """d_h -> gates[t] = gradient; returns 0, as all of h[t] passes through W_hh."""
    cell.gates[t, b, j] = _backward_unit_relu(cell.gates[t, b, j], d_h, _F(0), _F(1))
    return _F(0)


register(TanhRNN, 1, _forward_tanh, _backward_tanh)
register(ReluRNN, 1, _forward_relu, _backward_relu)
