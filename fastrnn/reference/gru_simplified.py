"""The lectures' simplified GRU: an update gate and no reset gate.

    u  = sigmoid(W_iu x + b_iu + W_hu h' + b_hu)          the lectures' u  = sigmoid(W_u [c', x] + b_u)
    c~ = tanh(W_ic x + b_ic + W_hc h' + b_hc)             the lectures' c~ = tanh(W_c [c', x] + b_c)
    h  = u * c~ + (1 - u) * h'                            the lectures' c  = u * c~ + (1 - u) * c'

What the lectures call c (the memory cell) is this layer's one state, so here it is h; c~ is its candidate. Their one
bias is the sum of our two. The rows of W_ih, W_hh, b_ih and b_hh are those of u, then those of c~.

Backward (a_u is what the sigmoid of u is taken of, a_c what the tanh of c~ is taken of):

    da_u = dh * (c~ - h') * u * (1 - u)
    da_c = dh * u * (1 - c~^2)
    dh'  = dh * (1 - u) + W_hh^T [da_u, da_c]

Where u is near 0, h is h', and the gradient passes unchanged.
"""

import numpy as np

from .arithmetic import Array, State, Weights, gate_inputs, gate_inputs_backward, sigmoid


def gru_simplified_step(x: Array, state: State, w: Weights) -> tuple[State, tuple[Array, ...]]:
    """One step: x (B, F) and the state {h: (B, H)} give the next state, and what the backward step needs."""
    h_prev = state["h"]
    a_u, a_c = np.split(gate_inputs(x, h_prev, w), 2, axis=1)
    u, candidate = sigmoid(a_u), np.tanh(a_c)
    h = u * candidate + (1 - u) * h_prev
    return {"h": h}, (x, h_prev, u, candidate)


def gru_simplified_step_backward(
    dstate: State, saved: tuple[Array, ...], w: Weights, dw: Weights
) -> tuple[Array, State]:
    """dx (B, F) and the gradient of the state before the step, from that of the state after it; adds to dw."""
    x, h_prev, u, candidate = saved
    dh = dstate["h"]
    da_u = dh * (candidate - h_prev) * u * (1 - u)
    da_c = dh * u * (1 - candidate**2)
    da = np.concatenate([da_u, da_c], axis=1)
    dx, dh_prev = gate_inputs_backward(da, x, h_prev, w, dw)
    return dx, {"h": dh * (1 - u) + dh_prev}
