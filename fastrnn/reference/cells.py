"""One time step of every cell, forward and backward, in NumPy.

Each ``X_step`` gives the equations of its cell (those of torch.nn), and each ``X_step_backward`` their gradients; the
code below an equation repeats it line for line. All cells are built from three functions:

    linear     y = W x + b               dx = W^T dy    dW += dy x^T    db += dy      (summed over the batch)
    sigmoid    s = 1 / (1 + e^-a)        da = ds s (1 - s)
    tanh       t = tanh(a)               da = dt (1 - t^2)

Letters: x is the input (B, F), h' and c' the state before the step (B, H), h and c the state after it. a_i is the
input of the activation of gate i, and da_i the gradient of the loss with respect to it. The rows of W_ih (G*H, F),
W_hh (G*H, H), b_ih and b_hh (G*H,) hold the gates one after another, in the order in which the equations list them.

"The lectures" write each cell with a single bias per gate, which is the sum of b_ih and b_hh here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
State = dict[str, Array]
"""State of a layer: ``{"h": (B, H)}``, for the LSTM also ``"c"``. The arrays of a whole model are (L, B, H)."""


class Weights(NamedTuple):
    """The four parameter arrays of a layer in the layout of torch.nn, or their gradients."""

    W_ih: Array  # (G*H, F)
    W_hh: Array  # (G*H, H)
    b_ih: Array  # (G*H,)
    b_hh: Array  # (G*H,)


class NormWeights(NamedTuple):
    """The four parameter arrays of a layer whose gates are normalised, or their gradients."""

    W_ih: Array  # (G*H, F)
    W_hh: Array  # (G*H, H)
    gain: Array  # (G*H,)
    bias: Array  # (G*H,)


def sigmoid(a: Array) -> Array:
    """s = 1 / (1 + e^-a), computed as (1 + tanh(a / 2)) / 2."""
    # e^-a overflows for large negative a; tanh does not
    return 0.5 * (1 + np.tanh(0.5 * a))


def linear(x: Array, W: Array, b: Array) -> Array:
    """Return y = W x + b, (..., M), for each row of x (..., F); W (M, F), b (M,)."""
    return x @ W.T + b


def linear_backward(dy: Array, x: Array, W: Array, dW: Array, db: Array) -> Array:
    """Return dx (B, F) of `linear` from dy (B, M) and x (B, F); add to dW (M, F) and db (M,)."""
    dW += dy.T @ x
    db += dy.sum(axis=0)
    return dy @ W


def gate_inputs(x: Array, h_prev: Array, w: Weights) -> Array:
    """Return a = W_ih x + b_ih + W_hh h' + b_hh, (B, G*H); the lectures' [W_hh | W_ih] [h', x]."""
    return linear(x, w.W_ih, w.b_ih) + linear(h_prev, w.W_hh, w.b_hh)


def gate_inputs_backward(da: Array, x: Array, h_prev: Array, w: Weights, dw: Weights) -> tuple[Array, Array]:
    """Return dx (B, F) and dh' (B, H) of `gate_inputs` from da (B, G*H); add to dw."""
    dx = linear_backward(da, x, w.W_ih, dw.W_ih, dw.b_ih)
    dh_prev = linear_backward(da, h_prev, w.W_hh, dw.W_hh, dw.b_hh)
    return dx, dh_prev


Activation = Callable[[Array], Array]


def relu(a: Array) -> Array:
    """h = max(a, 0)."""
    return np.maximum(a, 0)


def tanh_slope(h: Array) -> Array:
    """Return dh/da = 1 - h^2 of h = tanh(a)."""
    return 1 - h**2


def relu_slope(h: Array) -> Array:
    """Return dh/da of h = relu(a): 1 where h > 0, else 0."""
    return (h > 0).astype(h.dtype)


def rnn_step(x: Array, state: State, w: Weights, f: Activation = np.tanh) -> tuple[State, tuple[Array, ...]]:
    """Plain recurrent cell (Elman 1990), G = 1.

        h = f(W_ih x + b_ih + W_hh h' + b_hh)             f = tanh, or relu(a) = max(a, 0)

    The lectures write s_t = tanh(b + W s_{t-1} + U x_t), or a<t> = g(W_aa a<t-1> + W_ax x<t> + b_a).

    Return the next state, and the arrays that `rnn_step_backward` needs.
    """
    h_prev = state["h"]
    h = f(gate_inputs(x, h_prev, w))
    return {"h": h}, (x, h_prev, h)


def rnn_step_backward(
    dstate: State, saved: tuple[Array, ...], w: Weights, dw: Weights, slope: Activation = tanh_slope
) -> tuple[Array, State]:
    """Backward step of `rnn_step`; ``slope`` is f' as a function of h.

        da  = f'(a) dh                                    tanh: f' = 1 - h^2      relu: f' = 1 where h > 0, else 0
        dh' = W_hh^T da

    Over k steps the gradient is multiplied k times by W_hh^T and by f': it vanishes or explodes.

    Return dx (B, F) and the gradient of the state before the step, given that of the state after it; add to dw.
    """
    x, h_prev, h = saved
    da = slope(h) * dstate["h"]
    dx, dh_prev = gate_inputs_backward(da, x, h_prev, w, dw)
    return dx, {"h": dh_prev}


def gru_step(x: Array, state: State, w: Weights) -> tuple[State, tuple[Array, ...]]:
    """GRU (Cho and others 2014), in the "reset after" form of cuDNN and torch.nn; G = 3.

        r = sigmoid(W_ir x + b_ir + W_hr h' + b_hr)       reset gate
        z = sigmoid(W_iz x + b_iz + W_hz h' + b_hz)       update gate, the lectures' 1 - u
        m = W_hn h' + b_hn
        n = tanh(W_in x + b_in + r * m)                   candidate
        h = (1 - z) * n + z * h'

    "Reset after": r multiplies the product m. In the paper r multiplies h' before the product. Hence b_in and b_hn
    cannot be merged, and the products with x and with h' are kept apart.

    Return the next state, and the arrays that `gru_step_backward` needs.
    """
    h_prev = state["h"]
    x_r, x_z, x_n = np.split(linear(x, w.W_ih, w.b_ih), 3, axis=1)
    h_r, h_z, m = np.split(linear(h_prev, w.W_hh, w.b_hh), 3, axis=1)
    r = sigmoid(x_r + h_r)
    z = sigmoid(x_z + h_z)
    n = np.tanh(x_n + r * m)
    h = (1 - z) * n + z * h_prev
    return {"h": h}, (x, h_prev, r, z, n, m)


def gru_step_backward(dstate: State, saved: tuple[Array, ...], w: Weights, dw: Weights) -> tuple[Array, State]:
    """Backward step of `gru_step`.

        da_z = dh * (h' - n) * z * (1 - z)
        da_n = dh * (1 - z) * (1 - n^2)
        da_r = da_n * m * r * (1 - r)
        dm   = da_n * r
        dx   = W_ih^T [da_r, da_z, da_n]
        dh'  = dh * z + W_hh^T [da_r, da_z, dm]

    Return dx (B, F) and the gradient of the state before the step, given that of the state after it; add to dw.
    """
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
    """Simplified GRU of the lectures, with an update gate and no reset gate; G = 2.

        u  = sigmoid(W_iu x + b_iu + W_hu h' + b_hu)      the lectures' u  = sigmoid(W_u [c', x] + b_u)
        c~ = tanh(W_ic x + b_ic + W_hc h' + b_hc)         the lectures' c~ = tanh(W_c [c', x] + b_c)
        h  = u * c~ + (1 - u) * h'                        the lectures' c  = u * c~ + (1 - u) * c'

    The lectures call the state c (memory cell). It is the only state, so it is h here.

    Return the next state, and the arrays that `gru_simplified_step_backward` needs.
    """
    h_prev = state["h"]
    a_u, a_c = np.split(gate_inputs(x, h_prev, w), 2, axis=1)
    u = sigmoid(a_u)
    candidate = np.tanh(a_c)
    h = u * candidate + (1 - u) * h_prev
    return {"h": h}, (x, h_prev, u, candidate)


def gru_simplified_step_backward(
    dstate: State, saved: tuple[Array, ...], w: Weights, dw: Weights
) -> tuple[Array, State]:
    """Backward step of `gru_simplified_step`.

        da_u = dh * (c~ - h') * u * (1 - u)
        da_c = dh * u * (1 - c~^2)
        dh'  = dh * (1 - u) + W_hh^T [da_u, da_c]

    Where u is near 0, h is h', and the gradient passes unchanged.

    Return dx (B, F) and the gradient of the state before the step, given that of the state after it; add to dw.
    """
    x, h_prev, u, candidate = saved
    dh = dstate["h"]
    da_u = dh * (candidate - h_prev) * u * (1 - u)
    da_c = dh * u * (1 - candidate**2)
    da = np.concatenate([da_u, da_c], axis=1)
    dx, dh_prev = gate_inputs_backward(da, x, h_prev, w, dw)
    return dx, {"h": dh * (1 - u) + dh_prev}


def lstm_step(x: Array, state: State, w: Weights) -> tuple[State, tuple[Array, ...]]:
    """LSTM (Hochreiter and Schmidhuber 1997) with the forget gate of Gers and others (2000); G = 4.

        i = sigmoid(W_ii x + b_ii + W_hi h' + b_hi)       input gate, the lectures' update gate u
        f = sigmoid(W_if x + b_if + W_hf h' + b_hf)       forget gate
        g = tanh(W_ig x + b_ig + W_hg h' + b_hg)          candidate, the lectures' c~
        o = sigmoid(W_io x + b_io + W_ho h' + b_ho)       output gate
        c = f * c' + i * g                                cell, the lectures' c = u * c~ + f * c'
        h = o * tanh(c)                                   output, the lectures' a = o * tanh(c)

    Return the next state, and the arrays that `lstm_step_backward` needs.
    """
    h_prev, c_prev = state["h"], state["c"]
    a_i, a_f, a_g, a_o = np.split(gate_inputs(x, h_prev, w), 4, axis=1)
    i = sigmoid(a_i)
    f = sigmoid(a_f)
    g = np.tanh(a_g)
    o = sigmoid(a_o)
    c = f * c_prev + i * g
    h = o * np.tanh(c)
    return {"h": h, "c": c}, (x, h_prev, c_prev, i, f, g, o, c)


def lstm_step_backward(dstate: State, saved: tuple[Array, ...], w: Weights, dw: Weights) -> tuple[Array, State]:
    """Backward step of `lstm_step`.

        dc   = dc + dh * o * (1 - tanh(c)^2)              from the next step, and through h
        da_i = dc * g * i * (1 - i)
        da_f = dc * c' * f * (1 - f)
        da_g = dc * i * (1 - g^2)
        da_o = dh * tanh(c) * o * (1 - o)
        dh'  = W_hh^T [da_i, da_f, da_g, da_o]
        dc'  = dc * f

    From c to c' the gradient passes no matrix, only f: where the forget gate is open (near 1) it passes unchanged.

    Return dx (B, F) and the gradient of the state before the step, given that of the state after it; add to dw.
    """
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


EPSILON = 1e-5  # added to the mean of squares, so that a gate of zeros is not divided by zero


def rms_norm(a: Array) -> tuple[Array, Array]:
    """Return n = a / rms and rms = sqrt(mean(a^2) + epsilon) of each row of a (B, H); rms is (B, 1).

    Zhang and Sennrich (2019), without their gain.
    """
    rms: Array = np.sqrt(np.mean(a**2, axis=1, keepdims=True) + EPSILON)
    return a / rms, rms


def rms_norm_backward(dn: Array, n: Array, rms: Array) -> Array:
    """Return da = (dn - n * mean(dn * n)) / rms, (B, H).

    A change of a along itself changes no n but for epsilon: the mean takes this part of dn away.
    """
    da: Array = (dn - n * np.mean(dn * n, axis=1, keepdims=True)) / rms
    return da


def lstm_norm_step(x: Array, state: State, w: NormWeights) -> tuple[State, tuple[Array, ...]]:
    """LSTM with normed gates, a clamped input gate and no tanh of c: the cell of Bellard's NNCP (2019); G = 4.

        a_q = W_iq x + W_hq h'                            for each gate q of i, f, g, o
        n_q = a_q / sqrt(mean(a_q^2) + epsilon)           the mean over the H units (RMS norm)
        z_q = gain_q * n_q + bias_q
        i = sigmoid(z_i)                                  input gate
        f = sigmoid(z_f)                                  forget gate
        g = tanh(z_g)                                     candidate
        o = sigmoid(z_o)                                  output gate
        c = f * c' + min(i, 1 - f) * g                    cell
        h = o * c                                         output

    The bias comes after the norm, which would otherwise scale it away. c is at most a weighted mean of c' and g, so
    |c| <= 1, and h needs no tanh. Normed gates in LSTMs are those of Ba and others (2016) and Ha and others (2016),
    who also subtract the mean.

    Return the next state, and the arrays that `lstm_norm_step_backward` needs.
    """
    h_prev, c_prev = state["h"], state["c"]
    a = x @ w.W_ih.T + h_prev @ w.W_hh.T
    normed = [rms_norm(a_q) for a_q in np.split(a, 4, axis=1)]
    n = np.concatenate([n_q for n_q, _ in normed], axis=1)
    z_i, z_f, z_g, z_o = np.split(w.gain * n + w.bias, 4, axis=1)
    i = sigmoid(z_i)
    f = sigmoid(z_f)
    g = np.tanh(z_g)
    o = sigmoid(z_o)
    c = f * c_prev + np.minimum(i, 1 - f) * g
    h = o * c
    rms = np.concatenate([rms_q for _, rms_q in normed], axis=1)
    return {"h": h, "c": c}, (x, h_prev, c_prev, n, rms, i, f, g, o, c)


def lstm_norm_step_backward(
    dstate: State, saved: tuple[Array, ...], w: NormWeights, dw: NormWeights
) -> tuple[Array, State]:
    """Backward step of `lstm_norm_step`.

        dc   = dc + dh * o                                from the next step, and through h
        dm   = dc * g                                     m = min(i, 1 - f), which is i or, where clamped, 1 - f
        dz_i = (0 where clamped, else dm) * i * (1 - i)
        dz_f = (dc * c' - (dm where clamped, else 0)) * f * (1 - f)
        dz_g = dc * m * (1 - g^2)
        dz_o = dh * c * o * (1 - o)
        dgain_q += dz_q * n_q     dbias_q += dz_q         (summed over the batch)
        dn_q = gain_q * dz_q
        da_q = (dn_q - n_q * mean(dn_q * n_q)) / rms_q
        dh'  = W_hh^T [da_i, da_f, da_g, da_o]
        dc'  = dc * f

    Return dx (B, F) and the gradient of the state before the step, given that of the state after it; add to dw.
    """
    x, h_prev, c_prev, n, rms, i, f, g, o, c = saved
    dh = dstate["h"]
    clamped = i > 1 - f
    m = np.where(clamped, 1 - f, i)
    dc = dstate["c"] + dh * o
    dm = dc * g
    dz_i = np.where(clamped, 0, dm) * i * (1 - i)
    dz_f = (dc * c_prev - np.where(clamped, dm, 0)) * f * (1 - f)
    dz_g = dc * m * (1 - g**2)
    dz_o = dh * c * o * (1 - o)
    dz = np.concatenate([dz_i, dz_f, dz_g, dz_o], axis=1)
    gain, bias = dw.gain, dw.bias
    gain += (dz * n).sum(axis=0)
    bias += dz.sum(axis=0)
    gates = zip(np.split(w.gain * dz, 4, axis=1), np.split(n, 4, axis=1), np.split(rms, 4, axis=1), strict=True)
    da = np.concatenate([rms_norm_backward(*gate) for gate in gates], axis=1)
    dW_ih, dW_hh = dw.W_ih, dw.W_hh
    dW_ih += da.T @ x
    dW_hh += da.T @ h_prev
    return da @ w.W_ih, {"h": da @ w.W_hh, "c": dc * f}
