"""Long short-term memory for one thread and unit. Equations: `fastrnn.kernels.cpu.lstm`."""

from typing import Any, NamedTuple

import numpy as np

from ..cell_math import lstm
from .activations import sigmoid, tanh
from .jit import device
from .recurrence import register

_F = np.float32
_forward_unit, _backward_unit = map(device, lstm(sigmoid, tanh))


class LSTM(NamedTuple):
    """Arrays of one layer and window: gates (T, B, 4H), blocks i, f, g, o; h and c (T+1, B, H)."""

    gates: Any
    h: Any
    c: Any


@device
def _forward(cell, t, b, j):
    """gates[t] (pre-activations) -> gates[t], h[t+1], c[t+1]."""
    gates, h, c = cell
    H = h.shape[2]
    i, f, g, o, c_j, h_j = _forward_unit(
        gates[t, b, j], gates[t, b, H + j], gates[t, b, 2 * H + j], gates[t, b, 3 * H + j], c[t, b, j]
    )
    gates[t, b, j] = i
    gates[t, b, H + j] = f
    gates[t, b, 2 * H + j] = g
    gates[t, b, 3 * H + j] = o
    c[t + 1, b, j] = c_j
    h[t + 1, b, j] = h_j


@device
def _backward(cell, t, b, j, d_h, dc):
    """d_h, dc -> gates[t] = gradients, dc of step t - 1; returns 0, as all of h[t] passes through
    W_hh.
    """
    gates, h, c = cell
    H = h.shape[2]
    d_i, d_f, d_g, d_o, d_c = _backward_unit(
        gates[t, b, j], gates[t, b, H + j], gates[t, b, 2 * H + j], gates[t, b, 3 * H + j], c[t, b, j], d_h, dc[b, j],
        _F(1),
    )  # fmt: skip
    gates[t, b, j] = d_i
    gates[t, b, H + j] = d_f
    gates[t, b, 2 * H + j] = d_g
    gates[t, b, 3 * H + j] = d_o
    dc[b, j] = d_c
    return _F(0)


register(LSTM, 4, _forward, _backward)
