"""The cells' steps for one thread, which has unit j of batch row b. Equations:
`fastrnn.kernels.cpu.lstm`, `fastrnn.kernels.cpu.gru`, `fastrnn.kernels.cpu.rnn`; arithmetic:
`fastrnn.kernels.cell_math`.

    forward(cell, t, b, j)             gates[t] (pre-activations of unit j) -> gates[t], h[t+1] (and c[t+1])
    backward(cell, t, b, j, d_h, dc)   d_h, the total gradient of h[t+1], (and dc) -> gates[t] = gradients, (dc of
                                       step t - 1); returns the part of h[t]'s gradient that bypasses W_hh

Constants are float32: a literal would promote float32 arithmetic to float64.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ..cell_math import gru, lstm, relu_rnn, simplified_gru, tanh_rnn
from .jit import device
from .recurrence import register

_F = np.float32


@device
def tanh(x):
    """Hyperbolic tangent of a float32 or float64."""
    return math.tanh(x)


@device
def sigmoid(x):
    """1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2; this form cannot overflow."""
    return _F(0.5) * math.tanh(_F(0.5) * x) + _F(0.5)


# one unit's arithmetic is written once for all devices and compiled here for the GPU
_forward_unit_lstm, _backward_unit_lstm = map(device, lstm(sigmoid, tanh))
_forward_unit_gru, _backward_unit_gru = map(device, gru(sigmoid, tanh))
_forward_unit_simple, _backward_unit_simple = map(device, simplified_gru(sigmoid, tanh))
_forward_unit_tanh, _backward_unit_tanh = map(device, tanh_rnn(sigmoid, tanh))
_forward_unit_relu, _backward_unit_relu = map(device, relu_rnn(sigmoid, tanh))


class LSTM(NamedTuple):
    """Arrays of one layer and window: gates (T, B, 4H), blocks i, f, g, o; h and c (T+1, B, H)."""

    gates: Any
    h: Any
    c: Any


@device
def _forward_lstm(cell, t, b, j):
    """gates[t] (pre-activations) -> gates[t], h[t+1], c[t+1]."""
    gates, h, c = cell
    # column g*H + j of the gates is gate g of unit j
    H = h.shape[2]
    i, f, g, o, c_j, h_j = _forward_unit_lstm(
        gates[t, b, j], gates[t, b, H + j], gates[t, b, 2 * H + j], gates[t, b, 3 * H + j], c[t, b, j]
    )
    gates[t, b, j] = i
    gates[t, b, H + j] = f
    gates[t, b, 2 * H + j] = g
    gates[t, b, 3 * H + j] = o
    c[t + 1, b, j] = c_j
    h[t + 1, b, j] = h_j


@device
def _backward_lstm(cell, t, b, j, d_h, dc):
    """d_h, dc -> gates[t] = gradients, dc of step t - 1; returns 0, as all of h[t] passes through
    W_hh.
    """
    gates, h, c = cell
    H = h.shape[2]
    d_i, d_f, d_g, d_o, d_c = _backward_unit_lstm(
        gates[t, b, j], gates[t, b, H + j], gates[t, b, 2 * H + j], gates[t, b, 3 * H + j], c[t, b, j], d_h, dc[b, j],
        _F(1),
    )  # fmt: skip
    gates[t, b, j] = d_i
    gates[t, b, H + j] = d_f
    gates[t, b, 2 * H + j] = d_g
    gates[t, b, 3 * H + j] = d_o
    dc[b, j] = d_c
    return _F(0)


class GRU(NamedTuple):
    """Arrays of one layer and window: gates (T, B, 4H), blocks n (from x), r, z, n (from h'); h
    (T+1, B, H); c (T+1, B, 0).
    """

    gates: Any
    h: Any
    c: Any


class SimplifiedGRU(NamedTuple):
    """Arrays of one layer and window: gates (T, B, 2H), blocks u, n; h (T+1, B, H); c (T+1, B, 0)."""

    gates: Any
    h: Any
    c: Any


@device
def _forward_gru(cell, t, b, j):
    """gates[t] (pre-activations) -> gates[t], h[t+1]."""
    gates, h, _ = cell
    # blocks n (from x), r, z, n (from h'); see `GRU`
    H = h.shape[2]
    n, r, z, h_j = _forward_unit_gru(
        gates[t, b, j], gates[t, b, H + j], gates[t, b, 2 * H + j], gates[t, b, 3 * H + j], h[t, b, j], _F(1)
    )
    gates[t, b, j] = n
    gates[t, b, H + j] = r
    gates[t, b, 2 * H + j] = z
    h[t + 1, b, j] = h_j


@device
def _backward_gru(cell, t, b, j, d_h, dc):
    """d_h, total gradient of h[t+1] -> gates[t] = gradients; returns the part of h[t]'s that
    bypasses W_hh.
    """
    gates, h, _ = cell
    H = h.shape[2]
    d_n, d_r, d_z, d_n_h, d_h_before = _backward_unit_gru(
        gates[t, b, j], gates[t, b, H + j], gates[t, b, 2 * H + j], gates[t, b, 3 * H + j], h[t, b, j], d_h, _F(1)
    )
    gates[t, b, j] = d_n
    gates[t, b, H + j] = d_r
    gates[t, b, 2 * H + j] = d_z
    gates[t, b, 3 * H + j] = d_n_h
    return d_h_before


@device
def _forward_simple_gru(cell, t, b, j):
    """gates[t] (pre-activations) -> gates[t], h[t+1]."""
    gates, h, _ = cell
    H = h.shape[2]
    u, n, h_j = _forward_unit_simple(gates[t, b, j], gates[t, b, H + j], h[t, b, j], _F(1))
    gates[t, b, j] = u
    gates[t, b, H + j] = n
    h[t + 1, b, j] = h_j


@device
def _backward_simple_gru(cell, t, b, j, d_h, dc):
    """d_h -> gates[t] = gradients; returns the part of h[t]'s gradient that bypasses W_hh."""
    gates, h, _ = cell
    H = h.shape[2]
    d_u, d_n, d_h_before = _backward_unit_simple(gates[t, b, j], gates[t, b, H + j], h[t, b, j], d_h, _F(1))
    gates[t, b, j] = d_u
    gates[t, b, H + j] = d_n
    return d_h_before


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


register(LSTM, 4, _forward_lstm, _backward_lstm)
register(GRU, 3, _forward_gru, _backward_gru)
register(SimplifiedGRU, 2, _forward_simple_gru, _backward_simple_gru)
register(TanhRNN, 1, _forward_tanh, _backward_tanh)
register(ReluRNN, 1, _forward_relu, _backward_relu)
