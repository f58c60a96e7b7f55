"""What every cell is made of: the linear map and the sigmoid.

linear    y = W x + b      dx = W^T dy    dW += dy x^T    db += dy    (the last two summed over the batch)
sigmoid   s = 1 / (1 + e^-a)               da = ds s (1 - s)
tanh      h = tanh(a)                      da = dh (1 - h^2)
"""

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
