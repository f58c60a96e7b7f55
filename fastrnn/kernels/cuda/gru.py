"""Gated recurrent units for one thread and unit. Equations: `fastrnn.kernels.cpu.gru`."""

from typing import Any, NamedTuple

import numpy as np

from ..cell_math import gru, simplified_gru
from .activations import sigmoid, tanh
from .jit import device
from .recurrence import register

_F = np.float32
_forward_unit, _backward_unit = map(device, gru(sigmoid, tanh))
_forward_unit_simplified, _backward_unit_simplified = map(device, simplified_gru(sigmoid, tanh))


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
def _forward(cell, t, b, j):
    """gates[t] (pre-activations) -> gates[t], h[t+1]."""
    gates, h, _ = cell
    H = h.shape[2]
    n, r, z, h_j = _forward_unit(
        gates[t, b, j], gates[t, b, H + j], gates[t, b, 2 * H + j], gates[t, b, 3 * H + j], h[t, b, j], _F(1)
    )
    gates[t, b, j] = n
    gates[t, b, H + j] = r
    gates[t, b, 2 * H + j] = z
    h[t + 1, b, j] = h_j


@device
def _backward(cell, t, b, j, d_h, dc):
    """d_h, total gradient of h[t+1] -> gates[t] = gradients; returns the part of h[t]'s that
    bypasses W_hh.
    """
    gates, h, _ = cell
    H = h.shape[2]
    d_n, d_r, d_z, d_n_h, d_h_before = _backward_unit(
        gates[t, b, j], gates[t, b, H + j], gates[t, b, 2 * H + j], gates[t, b, 3 * H + j], h[t, b, j], d_h, _F(1)
    )
    gates[t, b, j] = d_n
    gates[t, b, H + j] = d_r
    gates[t, b, 2 * H + j] = d_z
    gates[t, b, 3 * H + j] = d_n_h
    return d_h_before


@device
def _forward_simplified(cell, t, b, j):
    """gates[t] (pre-activations) -> gates[t], h[t+1]."""
    gates, h, _ = cell
    H = h.shape[2]
    u, n, h_j = _forward_unit_simplified(gates[t, b, j], gates[t, b, H + j], h[t, b, j], _F(1))
    gates[t, b, j] = u
    gates[t, b, H + j] = n
    h[t + 1, b, j] = h_j


@device
def _backward_simplified(cell, t, b, j, d_h, dc):
    """d_h -> gates[t] = gradients; returns the part of h[t]'s gradient that bypasses W_hh."""
    gates, h, _ = cell
    H = h.shape[2]
    d_u, d_n, d_h_before = _backward_unit_simplified(gates[t, b, j], gates[t, b, H + j], h[t, b, j], d_h, _F(1))
    gates[t, b, j] = d_u
    gates[t, b, H + j] = d_n
    return d_h_before


register(GRU, 3, _forward, _backward)
register(SimplifiedGRU, 2, _forward_simplified, _backward_simplified)
