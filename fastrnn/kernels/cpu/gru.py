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
from .grid import gate, own
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
def _forward(cell, t, share):
    """gates[t] (pre-activations) -> gates[t], h[t+1] of the share."""
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(share.row_lo, share.row_hi):
        a = cell.gates[t, b]
        a_n, a_r, a_z, a_h = gate(a, 0, share, H), gate(a, 1, share, H), gate(a, 2, share, H), gate(a, 3, share, H)
        h_prev, h = own(cell.h[t, b], share), own(cell.h[t + 1, b], share)
        for j in range(h.size):
            a_n[j], a_r[j], a_z[j], h[j] = _forward_unit(a_n[j], a_r[j], a_z[j], a_h[j], h_prev[j], one)


@device_function
def _backward(cell, t, share, dy, dh, dc):
    """dy (T, B, H), dh (B, H) -> gates[t] = their gradients; dh = its part that bypasses W_hh."""
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(share.row_lo, share.row_hi):
        a = cell.gates[t, b]
        a_n, a_r, a_z, a_h = gate(a, 0, share, H), gate(a, 1, share, H), gate(a, 2, share, H), gate(a, 3, share, H)
        h_prev, dy_b, dh_b = own(cell.h[t, b], share), own(dy[t, b], share), own(dh[b], share)
        for j in range(dh_b.size):
            a_n[j], a_r[j], a_z[j], a_h[j], dh_b[j] = _backward_unit(
                a_n[j], a_r[j], a_z[j], a_h[j], h_prev[j], dy_b[j] + dh_b[j], one
            )


@device_function
def _forward_simplified(cell, t, share):
    """gates[t] (pre-activations) -> gates[t], h[t+1] of the share."""
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(share.row_lo, share.row_hi):
        a = cell.gates[t, b]
        a_u, a_n = gate(a, 0, share, H), gate(a, 1, share, H)
        h_prev, h = own(cell.h[t, b], share), own(cell.h[t + 1, b], share)
        for j in range(h.size):
            a_u[j], a_n[j], h[j] = _forward_unit_simplified(a_u[j], a_n[j], h_prev[j], one)


@device_function
def _backward_simplified(cell, t, share, dy, dh, dc):
    """dy (T, B, H), dh (B, H) -> gates[t] = their gradients; dh = its part that bypasses W_hh."""
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(share.row_lo, share.row_hi):
        a = cell.gates[t, b]
        a_u, a_n = gate(a, 0, share, H), gate(a, 1, share, H)
        h_prev, dy_b, dh_b = own(cell.h[t, b], share), own(dy[t, b], share), own(dh[b], share)
        for j in range(dh_b.size):
            a_u[j], a_n[j], dh_b[j] = _backward_unit_simplified(a_u[j], a_n[j], h_prev[j], dy_b[j] + dh_b[j], one)


register(GRU, _forward, _backward)
register(SimplifiedGRU, _forward_simplified, _backward_simplified)
