"""The GRU (Cho and others 2014), in the "reset after" form of cuDNN and torch.nn.

    r = sigmoid(W_ir x + b_ir + W_hr h' + b_hr)           reset gate
    z = sigmoid(W_iz x + b_iz + W_hz h' + b_hz)           update gate
    n = tanh(W_in x + b_in + r * (W_hn h' + b_hn))        candidate
    h = (1 - z) * n + z * h'

The rows of W_ih, W_hh, b_ih and b_hh are those of r, z, n, one after another. "Reset after" says that r multiplies the
product W_hn h' + b_hn; the paper lets it multiply h' before the product. That is why b_in and b_hn are not
just a sum here, and why the products with x and with h' are kept apart. z keeps the old state; the lectures' u lets the
new one in, so it is 1 - z.

Backward (a_r is what the sigmoid of r is taken of, and so on; m = W_hn h' + b_hn):

    da_z = dh * (h' - n) * z * (1 - z)
    da_n = dh * (1 - z) * (1 - n^2)
    da_r = da_n * m * r * (1 - r)
    dm   = da_n * r
    dh'  = dh * z + W_hh^T [da_r, da_z, dm]               dx = W_ih^T [da_r, da_z, da_n]
"""

import numpy as np

from .arithmetic import Array, State, Weights, linear, linear_backward, sigmoid


def gru_step(x: Array, state: State, w: Weights) -> tuple[State, tuple[Array, ...]]:
    """One step: x (B, F) and the state {h: (B, H)} give the next state, and what the backward step needs."""
    h_prev = state["h"]
    x_r, x_z, x_n = np.split(linear(x, w.W_ih, w.b_ih), 3, axis=1)
    h_r, h_z, m = np.split(linear(h_prev, w.W_hh, w.b_hh), 3, axis=1)
    r = sigmoid(x_r + h_r)
    z = sigmoid(x_z + h_z)
    n = np.tanh(x_n + r * m)
    h = (1 - z) * n + z * h_prev
    return {"h": h}, (x, h_prev, r, z, n, m)


def gru_step_backward(dstate: State, saved: tuple[Array, ...], w: Weights, dw: Weights) -> tuple[Array, State]:
    """dx (B, F) and the gradient of the state before the step, from that of the state after it; adds to dw."""
    x, h_prev, r, z, n, m = saved
    dh = dstate["h"]
    da_z = dh * (h_prev - n) * z * (1 - z)
    da_n = dh * (1 - z) * (1 - n**2)
    da_r = da_n * m * r * (1 - r)
    dm = da_n * r
    dx = linear_backward(np.concatenate([da_r, da_z, da_n], axis=1), x, w.W_ih, dw.W_ih, dw.b_ih)
    dh_prev = linear_backward(np.concatenate([da_r, da_z, dm], axis=1), h_prev, w.W_hh, dw.W_hh, dw.b_hh)
    return dx, {"h": dh * z + dh_prev}
