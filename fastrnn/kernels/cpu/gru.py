"""Gated recurrent units: torch.nn.GRU (Cho et al. 2014; reset gate after the product, as in cuDNN)
and the lectures' GRU.

GRU            r = sigmoid(W_ir x + b_ir + W_hr h' + b_hr)      z likewise
               n = tanh(W_in x + b_in + r * (W_hn h' + b_hn))
               h = (1 - z) * n + z * h'

simplified     u = sigmoid(W_u [h', x] + b_u)      n = tanh(W_c [h', x] + b_c)
(lectures)     h = u * n + (1 - u) * h'

h' is the previous output. Saved for backward: the gates, in place of the pre-activations; for the
GRU also W_hn h' + b_hn. The scalar mathematics is in `fastrnn.kernels.cell_math`.
"""

from typing import Any, NamedTuple

import numpy as np

from ..cell_math import gru, simplified_gru
from .activations import sigmoid, tanh
from .jit import device_function, inline_function
from .recurrence import register


class GRU(NamedTuple):
    """Arrays of one layer and window: gates (T, B, 4H), blocks n (from x), r, z, n (from h'); h
    (T+1, B, H); c (T+1, B, 0).
    """

    gates: np.ndarray[Any, Any]
    h: np.ndarray[Any, Any]
    c: np.ndarray[Any, Any]


class SimplifiedGRU(NamedTuple):
    """Arrays of one layer and window: gates (T, B, 2H), blocks u, n; h (T+1, B, H); c (T+1, B, 0)."""

    gates: np.ndarray[Any, Any]
    h: np.ndarray[Any, Any]
    c: np.ndarray[Any, Any]


_forward_unit, _backward_unit = map(inline_function, gru(sigmoid, tanh))
_forward_unit_simplified, _backward_unit_simplified = map(inline_function, simplified_gru(sigmoid, tanh))


@device_function
def _forward(cell, t, row_lo, row_hi):
    """gates[t] (pre-activations) -> gates[t], h[t+1] of rows row_lo..row_hi."""
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(row_lo, row_hi):
        a, h_prev, h = cell.gates[t, b], cell.h[t, b], cell.h[t + 1, b]
        for j in range(H):
            n, r, z, h_j = _forward_unit(a[j], a[H + j], a[2 * H + j], a[3 * H + j], h_prev[j], one)
            a[j] = n
            a[H + j] = r
            a[2 * H + j] = z
            h[j] = h_j


@device_function
def _backward(cell, t, row_lo, row_hi, dy, dh, dc):
    """dy (T, B, H), dh (B, H) -> gates[t] = their gradients; dh = its part that bypasses W_hh."""
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(row_lo, row_hi):
        a, h_prev, dy_b, dh_b = cell.gates[t, b], cell.h[t, b], dy[t, b], dh[b]
        for j in range(H):
            d_n, d_r, d_z, d_n_h, d_h = _backward_unit(
                a[j], a[H + j], a[2 * H + j], a[3 * H + j], h_prev[j], dy_b[j] + dh_b[j], one
            )
            a[j] = d_n
            a[H + j] = d_r
            a[2 * H + j] = d_z
            a[3 * H + j] = d_n_h
            dh_b[j] = d_h


@device_function
def _forward_simplified(cell, t, row_lo, row_hi):
    """gates[t] (pre-activations) -> gates[t], h[t+1] of rows row_lo..row_hi."""
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(row_lo, row_hi):
        a, h_prev, h = cell.gates[t, b], cell.h[t, b], cell.h[t + 1, b]
        for j in range(H):
            u, n, h_j = _forward_unit_simplified(a[j], a[H + j], h_prev[j], one)
            a[j] = u
            a[H + j] = n
            h[j] = h_j


@device_function
def _backward_simplified(cell, t, row_lo, row_hi, dy, dh, dc):
    """dy (T, B, H), dh (B, H) -> gates[t] = their gradients; dh = its part that bypasses W_hh."""
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(row_lo, row_hi):
        a, h_prev, dy_b, dh_b = cell.gates[t, b], cell.h[t, b], dy[t, b], dh[b]
        for j in range(H):
            d_u, d_n, d_h = _backward_unit_simplified(a[j], a[H + j], h_prev[j], dy_b[j] + dh_b[j], one)
            a[j] = d_u
            a[H + j] = d_n
            dh_b[j] = d_h


register(GRU, _forward, _backward)
register(SimplifiedGRU, _forward_simplified, _backward_simplified)
