"""LSTM with normed gates, a clamped input gate and no tanh on the output: the cell of Bellard's NNCP
(2019).

    a_q = W_ih x + W_hh h'        n_q = a_q / sqrt(mean(a_q^2) + 1e-5)        z_q = gain_q * n_q + bias_q
    i = sigmoid(z_i)   f = sigmoid(z_f)   g = tanh(z_g)   o = sigmoid(z_o)
    c = f * c' + min(i, 1 - f) * g
    h = o * c

q is each of the gates i, f, g, o; the mean is over the H units. h' and c' are the previous state. RMS
norm is that of Zhang and Sennrich (2019); normed gates in LSTMs: Ba et al. (2016), Ha et al. (2016).

Saved for backward: a, as the matrix products left it, 1 / rms of each gate, and c'. The gates are
computed again, which costs less than a second array of their size. The scalar mathematics is in
`fastrnn.kernels.cell_math`.

The sums over units have a fixed order (`block_sums`), so that threads may divide the units when they
sample: each calls ``prepare`` for its own, all meet, and each calls ``finish``. In training threads
divide the rows only: the backward step would need another meeting.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ..cell_math import NORM_EPSILON, UNIT_BLOCK, clamped_lstm, rms_norm, unit_blocks
from .activations import sigmoid, tanh
from .block_sums import add_blocks, dot_blocks
from .jit import device_function, inline_function
from .recurrence import register
from .team import shared_kernel

_GATES = 4


class LSTMNorm(NamedTuple):
    """Arrays of one layer and window. With divided units, H is the number of this thread's."""

    gates: np.ndarray[Any, Any]
    """(T, B, 4H), blocks i, f, g, o."""
    h: np.ndarray[Any, Any]
    """(T+1, B, H)."""
    c: np.ndarray[Any, Any]
    """(T+1, B, H)."""
    gain: np.ndarray[Any, Any]
    """(4H,): the parameter."""
    bias: np.ndarray[Any, Any]
    """(4H,): the parameter."""
    inverse_rms: np.ndarray[Any, Any]
    """(T, B, 4)."""
    block_sums: np.ndarray[Any, Any]
    """(B, 4 * blocks): of all units, shared by the threads that divide them."""
    work: np.ndarray[Any, Any]
    """(B, 4H): working memory of a step."""
    vector_sums: np.ndarray[Any, Any]
    """(B, 8H): gradients of gain and bias, of each row, summed over the steps."""
    first_unit: int
    """The first unit of this thread, a multiple of `UNIT_BLOCK`."""
    units: int
    """Units of the whole layer."""


_unit_blocks = inline_function(unit_blocks)
_norm_forward, _norm_backward = map(inline_function, rms_norm())
_forward_unit, _backward_unit = map(inline_function, clamped_lstm(sigmoid, tanh))


@device_function
def _prepare_row(cell, t, b):
    """gates[t, b] -> block_sums[b], sums of the squares of this thread's units."""
    H = cell.h.shape[2]
    blocks = _unit_blocks(cell.units)
    a, sums = cell.gates[t, b], cell.block_sums[b]
    for q in range(_GATES):
        dot_blocks(sums, q * blocks + cell.first_unit // UNIT_BLOCK, a, a, q * H, H)


@device_function
def _norm_row(cell, b, a, inverse_rms, z):
    """z = gain * a / rms + bias, (4H,) each."""
    H = cell.h.shape[2]
    for q in range(_GATES):
        inverse = inverse_rms[q]
        a_q, z_q = a[q * H : (q + 1) * H], z[q * H : (q + 1) * H]
        gain, bias = cell.gain[q * H : (q + 1) * H], cell.bias[q * H : (q + 1) * H]
        for j in range(H):
            z_q[j] = _norm_forward(a_q[j], inverse, gain[j], bias[j])


@device_function
def _finish_row(cell, t, b, z):
    """gates[t, b] and block_sums[b] -> inverse_rms[t, b], c[t+1, b], h[t+1, b]; z (4H,) is working
    memory.
    """
    H = cell.h.shape[2]
    one = cell.h.dtype.type(1)
    blocks = _unit_blocks(cell.units)
    inverse_rms = cell.inverse_rms[t, b]
    for q in range(_GATES):
        mean = add_blocks(cell.block_sums[b], q * blocks, blocks) / cell.units
        inverse_rms[q] = 1 / math.sqrt(mean + NORM_EPSILON)
    _norm_row(cell, b, cell.gates[t, b], inverse_rms, z)
    c_prev, c, h = cell.c[t, b], cell.c[t + 1, b], cell.h[t + 1, b]
    for j in range(H):
        c_j, h_j = _forward_unit(z[j], z[H + j], z[2 * H + j], z[3 * H + j], c_prev[j], one)
        c[j] = c_j
        h[j] = h_j


@device_function
def _forward(cell, t, share):
    """gates[t] (pre-activations, kept) -> inverse_rms[t], h[t+1] and c[t+1] of the share."""
    # one row after another in the same working memory, which stays in cache
    for b in range(share.row_lo, share.row_hi):
        _prepare_row(cell, t, b)
        _finish_row(cell, t, b, cell.work[share.row_lo])


@device_function
def _prepare(cell, t, share):
    """The part of `_forward` before threads with other units exchange their sums; returns True, as
    they must.
    """
    for b in range(share.row_lo, share.row_hi):
        _prepare_row(cell, t, b)
    return True


@device_function
def _finish(cell, t, share):
    """The part of `_forward` after `_prepare`."""
    for b in range(share.row_lo, share.row_hi):
        _finish_row(cell, t, b, cell.work[share.row_lo])


@device_function
def _backward_row(cell, t, b, dy, dh, dc, d):
    """Gradient of the normed pre-activations -> d (4H,), times gain; block_sums[b] of it with a."""
    H = cell.h.shape[2]
    one, zero = cell.h.dtype.type(1), cell.h.dtype.type(0)
    blocks = _unit_blocks(cell.units)
    a, c_prev, inverse_rms = cell.gates[t, b], cell.c[t, b], cell.inverse_rms[t, b]
    dy_b, dh_b, dc_b, sums = dy[t, b], dh[b], dc[b], cell.vector_sums[b]
    _norm_row(cell, b, a, inverse_rms, d)
    for j in range(H):
        d_i, d_f, d_g, d_o, d_c = _backward_unit(
            d[j], d[H + j], d[2 * H + j], d[3 * H + j], c_prev[j], dy_b[j] + dh_b[j], dc_b[j], one, zero
        )
        d[j] = d_i
        d[H + j] = d_f
        d[2 * H + j] = d_g
        d[3 * H + j] = d_o
        dc_b[j] = d_c
        # all of h' passes through W_hh: the matrix product adds its gradient
        dh_b[j] = 0
    for q in range(_GATES):
        inverse = inverse_rms[q]
        lo, hi = q * H, (q + 1) * H
        a_q, d_q, gain = a[lo:hi], d[lo:hi], cell.gain[lo:hi]
        dgain, dbias = sums[lo:hi], sums[_GATES * H + lo : _GATES * H + hi]
        for j in range(H):
            dgain[j] += d_q[j] * (a_q[j] * inverse)
            dbias[j] += d_q[j]
            d_q[j] *= gain[j]
        dot_blocks(cell.block_sums[b], q * blocks + cell.first_unit // UNIT_BLOCK, a, d, lo, H)


@device_function
def _finish_backward_row(cell, t, b, d):
    """d (4H,) and block_sums[b] -> gates[t, b], gradients of the pre-activations."""
    H = cell.h.shape[2]
    blocks = _unit_blocks(cell.units)
    for q in range(_GATES):
        inverse = cell.inverse_rms[t, b, q]
        # of the arrays' type: with a float64 the loop would compute in float64
        mean = cell.h.dtype.type(add_blocks(cell.block_sums[b], q * blocks, blocks) / cell.units)
        projection = mean * inverse * inverse
        a_q, d_q = cell.gates[t, b, q * H : (q + 1) * H], d[q * H : (q + 1) * H]
        for j in range(H):
            a_q[j] = _norm_backward(a_q[j], inverse, d_q[j], projection)


@device_function
def _backward(cell, t, share, dy, dh, dc):
    """dy (T, B, H), dh and dc (B, H) -> gates[t] = their gradients; dc of step t - 1; dh = 0.

    Adds to ``vector_sums``.
    """
    for b in range(share.row_lo, share.row_hi):
        _backward_row(cell, t, b, dy, dh, dc, cell.work[share.row_lo])
        _finish_backward_row(cell, t, b, cell.work[share.row_lo])


@shared_kernel
def norm_gradient(dgain, dbias, vector_sums, col_lo, col_hi):
    """Add columns col_lo..col_hi of the gradients of gain and bias, (4H,), from vector_sums (B, 8H)."""
    B, width = vector_sums.shape
    # rows in order, whatever thread they come from
    for b in range(B):
        row = vector_sums[b]
        for j in range(col_lo, col_hi):
            dgain[j] += row[j]
            dbias[j] += row[width // 2 + j]


register(LSTMNorm, _forward, _backward, _prepare, _finish)
