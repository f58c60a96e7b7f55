"""The plain recurrent cell (Elman 1990).

    h = f(W_ih x + b_ih + W_hh h' + b_hh)                 f = tanh, or relu(a) = max(a, 0)

The lectures write the same thing with other letters, and with one bias, which is the sum of our two:

    s_t = tanh(b + W s_{t-1} + U x_t)                     W = W_hh, U = W_ih, b = b_ih + b_hh
    a<t> = g(W_aa a<t-1> + W_ax x<t> + b_a)

Backward, with f' written by means of the result h:

    da = f'(a) dh                                         tanh: f' = 1 - h^2      relu: f' = 1 where h > 0, else 0
    dh' = W_hh^T da

A gradient that goes back k steps is multiplied k times by W_hh^T and by f': it vanishes or explodes.
"""

from collections.abc import Callable

import numpy as np

from .arithmetic import Array, State, Weights, gate_inputs, gate_inputs_backward

Activation = Callable[[Array], Array]


def relu(a: Array) -> Array:
    """max(a, 0)."""
    return np.maximum(a, 0)


def tanh_slope(h: Array) -> Array:
    """The derivative of h = tanh(a), from h: 1 - h^2."""
    return 1 - h**2


def relu_slope(h: Array) -> Array:
    """The derivative of h = relu(a), from h: 1 where h > 0, else 0."""
    return (h > 0).astype(h.dtype)


def rnn_step(x: Array, state: State, w: Weights, f: Activation = np.tanh) -> tuple[State, tuple[Array, ...]]:
    """One step: x (B, F) and the state {h: (B, H)} give the next state, and what the backward step needs."""
    h_prev = state["h"]
    h = f(gate_inputs(x, h_prev, w))
    return {"h": h}, (x, h_prev, h)


def rnn_step_backward(
    dstate: State, saved: tuple[Array, ...], w: Weights, dw: Weights, slope: Activation = tanh_slope
) -> tuple[Array, State]:
    """dx (B, F) and the gradient of the state before the step, from that of the state after it; adds to dw."""
    x, h_prev, h = saved
    da = slope(h) * dstate["h"]
    dx, dh_prev = gate_inputs_backward(da, x, h_prev, w, dw)
    return dx, {"h": dh_prev}
