"""Long short-term memory, as torch.nn.LSTM (Hochreiter and Schmidhuber 1997, forget gate by Gers et al. 2000).

    i = sigmoid(a_i)   f = sigmoid(a_f)   g = tanh(a_g)   o = sigmoid(a_o)      a = W_ih x + b_ih + W_hh h' + b_hh
    c = f * c' + i * g
    h = o * tanh(c)

Saved for the backward step: i, f, g, o in place of a, and c'. c itself is computed again: that is cheaper than its
memory.
"""

from typing import Any, NamedTuple

import numpy as np

from .activations import sigmoid, tanh
from .cells import register
from .compiling import inlined


class LSTM(NamedTuple):
    """One layer's window. gates (T, B, 4H): blocks i, f, g, o; h and c (T+1, B, H)."""

    gates: np.ndarray[Any, Any]
    h: np.ndarray[Any, Any]
    c: np.ndarray[Any, Any]


@inlined
def _forward(cell, t, lo, hi):
    H = cell.h.shape[2]
    for b in range(lo, hi):
        a, c_prev, c, h = cell.gates[t, b], cell.c[t, b], cell.c[t + 1, b], cell.h[t + 1, b]
        for j in range(H):
            i = sigmoid(a[j])
            f = sigmoid(a[H + j])
            g = tanh(a[2 * H + j])
            o = sigmoid(a[3 * H + j])
            cell_state = f * c_prev[j] + i * g
            a[j] = i
            a[H + j] = f
            a[2 * H + j] = g
            a[3 * H + j] = o
            c[j] = cell_state
            h[j] = o * tanh(cell_state)


@inlined
def _backward(cell, t, lo, hi, dy, dh, dc):
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(lo, hi):
        a, c_prev, dy_b, dh_b, dc_b = cell.gates[t, b], cell.c[t, b], dy[t, b], dh[b], dc[b]
        for j in range(H):
            i = a[j]
            f = a[H + j]
            g = a[2 * H + j]
            o = a[3 * H + j]
            tanh_c = tanh(f * c_prev[j] + i * g)
            d_h = dy_b[j] + dh_b[j]
            d_c = dc_b[j] + d_h * o * (one - tanh_c * tanh_c)
            a[j] = d_c * g * i * (one - i)
            a[H + j] = d_c * c_prev[j] * f * (one - f)
            a[2 * H + j] = d_c * i * (one - g * g)
            a[3 * H + j] = d_h * tanh_c * o * (one - o)
            dc_b[j] = d_c * f
            dh_b[j] = 0


register(LSTM, _forward, _backward)
