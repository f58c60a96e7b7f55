"""Long short-term memory, as torch.nn.LSTM (Hochreiter and Schmidhuber 1997; forget gate by Gers et
al. 2000).

    i = sigmoid(a_i)   f = sigmoid(a_f)   g = tanh(a_g)   o = sigmoid(a_o)      a = W_ih x + b_ih + W_hh h' + b_hh
    c = f * c' + i * g
    h = o * tanh(c)

h' and c' are the previous state. Saved for backward: i, f, g, o in place of a, and c'. The scalar
mathematics is in `fastrnn.kernels.cell_math`.
"""

from typing import Any, NamedTuple

import numpy as np

from ..cell_math import lstm
from .activations import sigmoid, tanh
from .jit import device_function, inline_function
from .recurrence import register


class LSTM(NamedTuple):
    """Arrays of one layer and window: gates (T, B, 4H), blocks i, f, g, o; h and c (T+1, B, H)."""

    gates: np.ndarray[Any, Any]
    h: np.ndarray[Any, Any]
    c: np.ndarray[Any, Any]


_forward_unit, _backward_unit = map(inline_function, lstm(sigmoid, tanh))


@device_function
def _forward(cell, t, row_lo, row_hi):
    """gates[t] (pre-activations) -> gates[t], h[t+1] and c[t+1] of rows row_lo..row_hi."""
    H = cell.h.shape[2]
    for b in range(row_lo, row_hi):
        a, c_prev, c, h = cell.gates[t, b], cell.c[t, b], cell.c[t + 1, b], cell.h[t + 1, b]
        for j in range(H):
            i, f, g, o, c_j, h_j = _forward_unit(a[j], a[H + j], a[2 * H + j], a[3 * H + j], c_prev[j])
            a[j] = i
            a[H + j] = f
            a[2 * H + j] = g
            a[3 * H + j] = o
            c[j] = c_j
            h[j] = h_j


@device_function
def _backward(cell, t, row_lo, row_hi, dy, dh, dc):
    """dy (T, B, H), dh and dc (B, H) -> gates[t] = their gradients; dc of step t - 1; dh = 0."""
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(row_lo, row_hi):
        a, c_prev, dy_b, dh_b, dc_b = cell.gates[t, b], cell.c[t, b], dy[t, b], dh[b], dc[b]
        for j in range(H):
            d_i, d_f, d_g, d_o, d_c = _backward_unit(
                a[j], a[H + j], a[2 * H + j], a[3 * H + j], c_prev[j], dy_b[j] + dh_b[j], dc_b[j], one
            )
            a[j] = d_i
            a[H + j] = d_f
            a[2 * H + j] = d_g
            a[3 * H + j] = d_o
            dc_b[j] = d_c
            # all of h' passes through W_hh: the matrix product adds its gradient
            dh_b[j] = 0


register(LSTM, _forward, _backward)
