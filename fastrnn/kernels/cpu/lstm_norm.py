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

The sums over units have a fixed order (`block_sums`), so that threads may divide the units: each sums
over its own, all of a row group wait for each other, and each goes on with the sums of all. A thread that has all
units takes one row after another, in the same working memory, which stays in cache.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ..cell_math import NORM_EPSILON, UNIT_BLOCK, clamped_lstm, rms_norm, unit_blocks
from .activations import sigmoid, tanh
from .block_sums import add_blocks, dot_blocks, fence
from .grid import gate, own
from .jit import device_function, inline_function
from .recurrence import register
from .team import shared_kernel

_GATES = 4


class LSTMNorm(NamedTuple):
    """Arrays of one layer and window. In sampling, a thread that has some of the units has arrays of its own; H is then
    the number of its units.
    """

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
    """(blocks * B * 4,): of all units of the layer, shared by the threads that divide them. Blocks come first, so
    that two threads do not write into one cache line.
    """
    work: np.ndarray[Any, Any]
    """(B, 4H): working memory of a step."""
    vector_sums: np.ndarray[Any, Any]
    """(B, 8H): gradients of gain and bias, of each row, summed over the steps."""
    first_unit: int
    """The first unit of these arrays, a multiple of `UNIT_BLOCK`."""
    units: int
    """Units of the whole layer."""


_unit_blocks = inline_function(unit_blocks)
_norm_forward, _norm_backward = map(inline_function, rms_norm())
_forward_unit, _backward_unit = map(inline_function, clamped_lstm(sigmoid, tanh))


@device_function
def _sum_gate(cell, b, q, x, y, share):
    """block_sums of row b and gate q: of the share's units in x * y, (4H,) each."""
    stride = cell.work.shape[0] * _GATES
    block = (cell.first_unit + share.unit_lo) // UNIT_BLOCK
    start, count = q * cell.h.shape[2] + share.unit_lo, share.unit_hi - share.unit_lo
    dot_blocks(cell.block_sums, block * stride + b * _GATES + q, stride, x, y, start, count)


@device_function
def _mean(cell, b, q):
    """Mean over all units of the layer, from the blocks' sums."""
    stride = cell.work.shape[0] * _GATES
    total = add_blocks(cell.block_sums, b * _GATES + q, stride, _unit_blocks(cell.units))
    return fence(np.float64(total)) / cell.units


@device_function
def _norm_gate(cell, q, a, inverse, z, share):
    """z = gain * a / rms + bias, (4H,) each, of the share's units in gate q."""
    H = cell.h.shape[2]
    a_q, z_q = gate(a, q, share, H), gate(z, q, share, H)
    gain, bias = gate(cell.gain, q, share, H), gate(cell.bias, q, share, H)
    for j in range(z_q.size):
        z_q[j] = _norm_forward(a_q[j], inverse, gain[j], bias[j])


@inline_function
def _sum_row(cell, t, b, share):
    """gates[t, b] -> block_sums of the squares."""
    a = cell.gates[t, b]
    for q in range(_GATES):
        _sum_gate(cell, b, q, a, a, share)


@device_function
def _forward_row(cell, t, b, z, share):
    """gates[t, b] and block_sums -> inverse_rms[t, b], c[t+1, b], h[t+1, b]; z (4H,) is working
    memory.
    """
    H, number = cell.h.shape[2], cell.h.dtype.type
    for q in range(_GATES):
        inverse = fence(number(1 / math.sqrt(_mean(cell, b, q) + NORM_EPSILON)))
        # threads with other units have the same number
        if share.unit_lo == 0:
            cell.inverse_rms[t, b, q] = inverse
        _norm_gate(cell, q, cell.gates[t, b], inverse, z, share)
    z_i, z_f, z_g, z_o = gate(z, 0, share, H), gate(z, 1, share, H), gate(z, 2, share, H), gate(z, 3, share, H)
    c_prev, c, h = own(cell.c[t, b], share), own(cell.c[t + 1, b], share), own(cell.h[t + 1, b], share)
    for j in range(h.size):
        c_j, h_j = _forward_unit(z_i[j], z_f[j], z_g[j], z_o[j], c_prev[j], number(1))
        c[j] = c_j
        h[j] = h_j


@device_function
def _prepare_forward(cell, t, share):
    """The sums of `_forward`, where other threads need them and have others."""
    if share.members > 1:
        for b in range(share.row_lo, share.row_hi):
            _sum_row(cell, t, b, share)
    return share.members > 1


@device_function
def _forward(cell, t, share):
    """gates[t] (pre-activations, kept) -> inverse_rms[t], h[t+1] and c[t+1] of the share."""
    for b in range(share.row_lo, share.row_hi):
        if share.members == 1:
            _sum_row(cell, t, b, share)
        _forward_row(cell, t, b, cell.work[share.row_lo], share)


# inlined, as `_sum_row` is: a call for each row would pass all arrays
@inline_function
def _backward_row(cell, t, b, dy, dh, dc, d, share):
    """Gradient of the normed pre-activations -> d (4H,), times gain; block_sums of it with a."""
    H = cell.h.shape[2]
    one, zero = cell.h.dtype.type(1), cell.h.dtype.type(0)
    a, inverse_rms, sums = cell.gates[t, b], cell.inverse_rms[t, b], cell.vector_sums[b]
    c_prev, dy_b = own(cell.c[t, b], share), own(dy[t, b], share)
    dh_b, dc_b = own(dh[b], share), own(dc[b], share)
    d_i, d_f, d_g, d_o = gate(d, 0, share, H), gate(d, 1, share, H), gate(d, 2, share, H), gate(d, 3, share, H)
    for q in range(_GATES):
        _norm_gate(cell, q, a, inverse_rms[q], d, share)
    for j in range(dh_b.size):
        d_i[j], d_f[j], d_g[j], d_o[j], dc_b[j] = _backward_unit(
            d_i[j], d_f[j], d_g[j], d_o[j], c_prev[j], dy_b[j] + dh_b[j], dc_b[j], one, zero
        )
        # all of h' passes through W_hh: the matrix product adds its gradient
        dh_b[j] = 0
    for q in range(_GATES):
        inverse = inverse_rms[q]
        a_q, d_q, gain = gate(a, q, share, H), gate(d, q, share, H), gate(cell.gain, q, share, H)
        dgain, dbias = gate(sums, q, share, H), gate(sums, _GATES + q, share, H)
        for j in range(d_q.size):
            dgain[j] += d_q[j] * (a_q[j] * inverse)
            dbias[j] += d_q[j]
            d_q[j] *= gain[j]
        _sum_gate(cell, b, q, a, d, share)


@device_function
def _finish_backward_row(cell, t, b, d, share):
    """d (4H,) and block_sums -> gates[t, b], gradients of the pre-activations."""
    H = cell.h.shape[2]
    for q in range(_GATES):
        inverse = cell.inverse_rms[t, b, q]
        # of the arrays' type: with a float64 the loop would compute in float64
        projection = fence(cell.h.dtype.type(_mean(cell, b, q)) * inverse * inverse)
        a_q, d_q = gate(cell.gates[t, b], q, share, H), gate(d, q, share, H)
        for j in range(d_q.size):
            a_q[j] = _norm_backward(a_q[j], inverse, d_q[j], projection)


@device_function
def _prepare_backward(cell, t, share, dy, dh, dc):
    """`_backward` up to the sums, where other threads need them and have others; ``work`` keeps the rest."""
    if share.members > 1:
        for b in range(share.row_lo, share.row_hi):
            _backward_row(cell, t, b, dy, dh, dc, cell.work[b], share)
    return share.members > 1


@device_function
def _backward(cell, t, share, dy, dh, dc):
    """dy (T, B, H), dh and dc (B, H) -> gates[t] = their gradients; dc of step t - 1; dh = 0.

    Adds to ``vector_sums``.
    """
    for b in range(share.row_lo, share.row_hi):
        d = cell.work[share.row_lo if share.members == 1 else b]
        if share.members == 1:
            _backward_row(cell, t, b, dy, dh, dc, d, share)
        _finish_backward_row(cell, t, b, d, share)


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


register(LSTMNorm, _forward, _backward, (_prepare_forward, _prepare_backward), UNIT_BLOCK)
