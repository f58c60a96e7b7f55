"""Gated recurrent units: torch.nn.GRU's (Cho et al. 2014, the reset gate after the product, as in cuDNN) and the
lectures'.

GRU            r = sigmoid(W_ir x + b_ir + W_hr h' + b_hr)      z likewise
               n = tanh(W_in x + b_in + r * (W_hn h' + b_hn))
               h = (1 - z) * n + z * h'

simplified     u = sigmoid(W_u [h', x] + b_u)      n = tanh(W_c [h', x] + b_c)
(lectures)     h = u * n + (1 - u) * h'

Saved for the backward step: the gates in place of the pre-activations, and of the GRU also W_hn h' + b_hn.
"""

from typing import Any, NamedTuple

import numpy as np

from .activations import sigmoid, tanh
from .cells import register
from .compiling import inlined


class GRU(NamedTuple):
    """One layer's window. gates (T, B, 4H): blocks n (from x), r, z, n (from h'); h (T+1, B, H); no c (T+1, B, 0)."""

    gates: np.ndarray[Any, Any]
    h: np.ndarray[Any, Any]
    c: np.ndarray[Any, Any]


class SimplifiedGRU(NamedTuple):
    """One layer's window. gates (T, B, 2H): blocks u, n; h (T+1, B, H); no c (T+1, B, 0)."""

    gates: np.ndarray[Any, Any]
    h: np.ndarray[Any, Any]
    c: np.ndarray[Any, Any]


@inlined
def _forward(cell, t, lo, hi):
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(lo, hi):
        a, h_prev, h = cell.gates[t, b], cell.h[t, b], cell.h[t + 1, b]
        for j in range(H):
            r = sigmoid(a[H + j])
            z = sigmoid(a[2 * H + j])
            n = tanh(a[j] + r * a[3 * H + j])
            a[j] = n
            a[H + j] = r
            a[2 * H + j] = z
            h[j] = (one - z) * n + z * h_prev[j]


@inlined
def _backward(cell, t, lo, hi, dy, dh, dc):
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(lo, hi):
        a, h_prev, dy_b, dh_b = cell.gates[t, b], cell.h[t, b], dy[t, b], dh[b]
        for j in range(H):
            n = a[j]
            r = a[H + j]
            z = a[2 * H + j]
            d_h = dy_b[j] + dh_b[j]
            d_n = d_h * (one - z) * (one - n * n)
            a[j] = d_n
            a[H + j] = d_n * a[3 * H + j] * r * (one - r)
            a[2 * H + j] = d_h * (h_prev[j] - n) * z * (one - z)
            a[3 * H + j] = d_n * r
            dh_b[j] = d_h * z


@inlined
def _forward_simplified(cell, t, lo, hi):
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(lo, hi):
        a, h_prev, h = cell.gates[t, b], cell.h[t, b], cell.h[t + 1, b]
        for j in range(H):
            u = sigmoid(a[j])
            n = tanh(a[H + j])
            a[j] = u
            a[H + j] = n
            h[j] = u * n + (one - u) * h_prev[j]


@inlined
def _backward_simplified(cell, t, lo, hi, dy, dh, dc):
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(lo, hi):
        a, h_prev, dy_b, dh_b = cell.gates[t, b], cell.h[t, b], dy[t, b], dh[b]
        for j in range(H):
            u = a[j]
            n = a[H + j]
            d_h = dy_b[j] + dh_b[j]
            a[j] = d_h * (n - h_prev[j]) * u * (one - u)
            a[H + j] = d_h * u * (one - n * n)
            dh_b[j] = d_h * (one - u)


register(GRU, _forward, _backward)
register(SimplifiedGRU, _forward_simplified, _backward_simplified)
