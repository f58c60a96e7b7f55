"""What every cell is made of: the linear map and the sigmoid.

linear    y = W x + b      dx = W^T dy    dW += dy x^T    db += dy    (the last two summed over the batch)
sigmoid   s = 1 / (1 + e^-a)               da = ds s (1 - s)
tanh      h = tanh(a)                      da = dh (1 - h^2)

The plain recurrent cell (Elman 1990).

    h = f(W_ih x + b_ih + W_hh h' + b_hh)                 f = tanh, or relu(a) = max(a, 0)

The lectures write the same thing with other letters, and with one bias, which is the sum of our two:

    s_t = tanh(b + W s_{t-1} + U x_t)                     W = W_hh, U = W_ih, b = b_ih + b_hh
    a<t> = g(W_aa a<t-1> + W_ax x<t> + b_a)

Backward, with f' written by means of the result h:

    da = f'(a) dh                                         tanh: f' = 1 - h^2      relu: f' = 1 where h > 0, else 0
    dh' = W_hh^T da

A gradient that goes back k steps is multiplied k times by W_hh^T and by f': it vanishes or explodes.

The GRU (Cho and others 2014), in the "reset after" form of cuDNN and torch.nn.

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

The lectures' simplified GRU: an update gate and no reset gate.

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

The LSTM (Hochreiter and Schmidhuber 1997), with the forget gate of Gers and others (2000), as in torch.nn.

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

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
State = dict[str, Array]
"""What a layer remembers: ``{"h": (B, H)}``, and for the LSTM also ``"c"``. A whole model's arrays are (L, B, H)."""


class Weights(NamedTuple):
    """The four arrays of one layer in torch.nn's layout, the gates' rows one after another; or their gradients."""

    W_ih: Array  # (G*H, F)
    W_hh: Array  # (G*H, H)
    b_ih: Array  # (G*H,)
    b_hh: Array  # (G*H,)


def sigmoid(a: Array) -> Array:
    """1 / (1 + e^-a), written with tanh because e^-a overflows where a is very negative."""
    return 0.5 * (1 + np.tanh(0.5 * a))


def linear(x: Array, W: Array, b: Array) -> Array:
    """y = W x + b for each row: x (..., F), W (M, F), b (M,) give (..., M)."""
    return x @ W.T + b


def linear_backward(dy: Array, x: Array, W: Array, dW: Array, db: Array) -> Array:
    """dx (B, F) of `linear`, from dy (B, M) and the x (B, F) that went in; adds to dW (M, F) and db (M,)."""
    dW += dy.T @ x
    db += dy.sum(axis=0)
    return dy @ W


def gate_inputs(x: Array, h_prev: Array, w: Weights) -> Array:
    """a = W_ih x + b_ih + W_hh h' + b_hh, (B, G*H): the lectures' [W_hh | W_ih] on the stacked vector [h', x]."""
    return linear(x, w.W_ih, w.b_ih) + linear(h_prev, w.W_hh, w.b_hh)


def gate_inputs_backward(da: Array, x: Array, h_prev: Array, w: Weights, dw: Weights) -> tuple[Array, Array]:
    """dx (B, F) and dh' (B, H) of `gate_inputs`, from da (B, G*H); adds to dw."""
    dx = linear_backward(da, x, w.W_ih, dw.W_ih, dw.b_ih)
    dh_prev = linear_backward(da, h_prev, w.W_hh, dw.W_hh, dw.b_hh)
    return dx, dh_prev


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
