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
from .grid import gate, own
from .jit import device_function, inline_function
from .recurrence import register


class LSTM(NamedTuple):
    """Arrays of one layer and window: gates (T, B, 4H), blocks i, f, g, o; h and c (T+1, B, H)."""

    gates: np.ndarray[Any, Any]
    h: np.ndarray[Any, Any]
    c: np.ndarray[Any, Any]


_forward_unit, _backward_unit = map(inline_function, lstm(sigmoid, tanh))


@device_function
def _forward(cell, t, share):
    """gates[t] (pre-activations) -> gates[t], h[t+1] and c[t+1] of the share."""
    H = cell.h.shape[2]
    for b in range(share.row_lo, share.row_hi):
        a = cell.gates[t, b]
        a_i, a_f, a_g, a_o = gate(a, 0, share, H), gate(a, 1, share, H), gate(a, 2, share, H), gate(a, 3, share, H)
        c_prev, c, h = own(cell.c[t, b], share), own(cell.c[t + 1, b], share), own(cell.h[t + 1, b], share)
        for j in range(h.size):
            a_i[j], a_f[j], a_g[j], a_o[j], c[j], h[j] = _forward_unit(a_i[j], a_f[j], a_g[j], a_o[j], c_prev[j])


@device_function
def _backward(cell, t, share, dy, dh, dc):
    """dy (T, B, H), dh and dc (B, H) -> gates[t] = their gradients; dc of step t - 1; dh = 0."""
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    for b in range(share.row_lo, share.row_hi):
        a = cell.gates[t, b]
        a_i, a_f, a_g, a_o = gate(a, 0, share, H), gate(a, 1, share, H), gate(a, 2, share, H), gate(a, 3, share, H)
        c_prev, dy_b = own(cell.c[t, b], share), own(dy[t, b], share)
        dh_b, dc_b = own(dh[b], share), own(dc[b], share)
        for j in range(dh_b.size):
            a_i[j], a_f[j], a_g[j], a_o[j], dc_b[j] = _backward_unit(
                a_i[j], a_f[j], a_g[j], a_o[j], c_prev[j], dy_b[j] + dh_b[j], dc_b[j], one
            )
            # all of h' passes through W_hh: the matrix product adds its gradient
            dh_b[j] = 0


register(LSTM, _forward, _backward)
