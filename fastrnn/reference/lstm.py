"""The LSTM (Hochreiter and Schmidhuber 1997), with the forget gate of Gers and others (2000), as in torch.nn.

    i = sigmoid(W_ii x + b_ii + W_hi h' + b_hi)           input gate, the lectures' update gate u
    f = sigmoid(W_if x + b_if + W_hf h' + b_hf)           forget gate
    g = tanh(W_ig x + b_ig + W_hg h' + b_hg)              candidate, the lectures' c~
    o = sigmoid(W_io x + b_io + W_ho h' + b_ho)           output gate
    c = f * c' + i * g                                    cell, the lectures' c = u * c~ + f * c'
    h = o * tanh(c)                                       output, the lectures' a = o * tanh(c)

The rows of W_ih, W_hh, b_ih and b_hh are those of i, f, g, o, one after another.

Backward (a_i is what the sigmoid of i is taken of, and so on):

    dc  = dc + dh * o * (1 - tanh(c)^2)                   from the next step, and through h
    da_i = dc * g  * i * (1 - i)
    da_f = dc * c' * f * (1 - f)
    da_g = dc * i  * (1 - g^2)
    da_o = dh * tanh(c) * o * (1 - o)
    dc' = dc * f

From c to c' the gradient meets no matrix, only f: where the forget gate is open (near 1) it passes unchanged.
"""

import numpy as np

from .arithmetic import Array, State, Weights, gate_inputs, gate_inputs_backward, sigmoid


def lstm_step(x: Array, state: State, w: Weights) -> tuple[State, tuple[Array, ...]]:
    """One step: x (B, F) and the state {h, c: (B, H)} give the next state, and what the backward step needs."""
    h_prev, c_prev = state["h"], state["c"]
    a_i, a_f, a_g, a_o = np.split(gate_inputs(x, h_prev, w), 4, axis=1)
    i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
    c = f * c_prev + i * g
    h = o * np.tanh(c)
    return {"h": h, "c": c}, (x, h_prev, c_prev, i, f, g, o, c)


def lstm_step_backward(dstate: State, saved: tuple[Array, ...], w: Weights, dw: Weights) -> tuple[Array, State]:
    """dx (B, F) and the gradient of the state before the step, from that of the state after it; adds to dw."""
    x, h_prev, c_prev, i, f, g, o, c = saved
    dh = dstate["h"]
    dc = dstate["c"] + dh * o * (1 - np.tanh(c) ** 2)
    da_i = dc * g * i * (1 - i)
    da_f = dc * c_prev * f * (1 - f)
    da_g = dc * i * (1 - g**2)
    da_o = dh * np.tanh(c) * o * (1 - o)
    da = np.concatenate([da_i, da_f, da_g, da_o], axis=1)
    dx, dh_prev = gate_inputs_backward(da, x, h_prev, w, dw)
    return dx, {"h": dh_prev, "c": dc * f}
