"""The normed LSTM; equations in `fastrnn.kernels.cpu.lstm_norm`, arithmetic in
`fastrnn.kernels.cell_math`.

A step needs sums over all units of a row, which lie in several blocks of threads. So the grid waits
twice more in each step: before the sums, when all units of the pre-activations are there, and after
them. A thread sums `UNIT_BLOCK` units; each unit's thread adds the blocks' sums in order.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ..cell_math import NORM_EPSILON, UNIT_BLOCK, clamped_lstm, rms_norm, unit_blocks
from .cells import sigmoid, tanh
from .jit import cuda, device, kernel, launch
from .recurrence import Norm, register

_F = np.float32
_GATES = 4


class LSTMNorm(NamedTuple):
    """Arrays of one layer and window; for their sizes see `fastrnn.kernels.cpu.lstm_norm.LSTMNorm`."""

    gates: Any
    h: Any
    c: Any
    gain: Any
    bias: Any
    inverse_rms: Any
    block_sums: Any
    work: Any
    vector_sums: Any
    first_unit: int
    units: int


_unit_blocks = device(unit_blocks)
_norm_forward, _norm_backward = map(device, rms_norm())
_forward_unit, _backward_unit = map(device, clamped_lstm(sigmoid, tanh))


@device
def _sum_blocks(sums, x, y):
    """sums (blocks * B * 4,) of the products of x and y (B, 4H); all threads of the grid share them."""
    B, H = x.shape[0], x.shape[1] // _GATES
    blocks = _unit_blocks(H)
    for item in range(cuda.grid(1), B * _GATES * blocks, cuda.gridsize(1)):
        k, row = item // (B * _GATES), item % (B * _GATES)
        b, q, first = row // _GATES, row % _GATES, k * UNIT_BLOCK
        lo, hi = q * H + first, q * H + min(H, first + UNIT_BLOCK)
        total = x[b, lo] * y[b, lo]
        for j in range(lo + 1, hi):
            total += x[b, j] * y[b, j]
        sums[item] = total


@device
def _mean(cell, b, q):
    """Mean over all units, from the blocks' sums."""
    blocks = _unit_blocks(cell.units)
    stride = cell.work.shape[0] * _GATES
    total = cell.block_sums[b * _GATES + q]
    for k in range(1, blocks):
        total += cell.block_sums[k * stride + b * _GATES + q]
    return total / _F(cell.units)


@device
def _normed(cell, t, b, q, j):
    """Pre-activation of unit j in gate q, normed, with gain and bias."""
    column = q * cell.units + j
    return _norm_forward(cell.gates[t, b, column], cell.inverse_rms[t, b, q], cell.gain[column], cell.bias[column])


@device
def _sum_forward(cell, t):
    """gates[t] -> block_sums, of squares."""
    _sum_blocks(cell.block_sums, cell.gates[t], cell.gates[t])


@device
def _forward(cell, t, b, j):
    """gates[t] (pre-activations, kept) and block_sums -> inverse_rms[t], h[t+1], c[t+1]."""
    H = cell.units
    a, gain, bias = cell.gates[t, b], cell.gain, cell.bias
    r_i = _F(1) / math.sqrt(_mean(cell, b, 0) + _F(NORM_EPSILON))
    r_f = _F(1) / math.sqrt(_mean(cell, b, 1) + _F(NORM_EPSILON))
    r_g = _F(1) / math.sqrt(_mean(cell, b, 2) + _F(NORM_EPSILON))
    r_o = _F(1) / math.sqrt(_mean(cell, b, 3) + _F(NORM_EPSILON))
    c_j, h_j = _forward_unit(
        _norm_forward(a[j], r_i, gain[j], bias[j]),
        _norm_forward(a[H + j], r_f, gain[H + j], bias[H + j]),
        _norm_forward(a[2 * H + j], r_g, gain[2 * H + j], bias[2 * H + j]),
        _norm_forward(a[3 * H + j], r_o, gain[3 * H + j], bias[3 * H + j]),
        cell.c[t, b, j],
        _F(1),
    )
    cell.c[t + 1, b, j] = c_j
    cell.h[t + 1, b, j] = h_j
    if j == 0:
        cell.inverse_rms[t, b, 0] = r_i
        cell.inverse_rms[t, b, 1] = r_f
        cell.inverse_rms[t, b, 2] = r_g
        cell.inverse_rms[t, b, 3] = r_o


@device
def _keep(cell, t, b, q, j, d):
    """Gradient d of a normed pre-activation -> work, times gain; adds to the sums of gain and bias."""
    H, column = cell.units, q * cell.units + j
    normed = cell.gates[t, b, column] * cell.inverse_rms[t, b, q]
    cell.vector_sums[b, column] += d * normed
    cell.vector_sums[b, _GATES * H + column] += d
    cell.work[b, column] = d * cell.gain[column]


@device
def _backward(cell, t, b, j, d_h, dc):
    """d_h, dc -> work, vector_sums, dc of step t - 1; returns 0, as all of h[t] passes through W_hh."""
    d_i, d_f, d_g, d_o, d_c = _backward_unit(
        _normed(cell, t, b, 0, j), _normed(cell, t, b, 1, j), _normed(cell, t, b, 2, j), _normed(cell, t, b, 3, j),
        cell.c[t, b, j], d_h, dc[b, j], _F(1), _F(0),
    )  # fmt: skip
    _keep(cell, t, b, 0, j, d_i)
    _keep(cell, t, b, 1, j, d_f)
    _keep(cell, t, b, 2, j, d_g)
    _keep(cell, t, b, 3, j, d_o)
    dc[b, j] = d_c
    return _F(0)


@device
def _sum_backward(cell, t):
    """gates[t] and work -> block_sums, of their products."""
    _sum_blocks(cell.block_sums, cell.gates[t], cell.work)


@device
def _finish_backward(cell, t, b, j):
    """gates[t], work and block_sums -> gates[t] = gradients of the pre-activations."""
    for q in range(_GATES):
        column, inverse = q * cell.units + j, cell.inverse_rms[t, b, q]
        projection = _mean(cell, b, q) * inverse * inverse
        cell.gates[t, b, column] = _norm_backward(
            cell.gates[t, b, column], inverse, cell.work[b, column], projection
        )  # fmt: skip


@kernel
def _add_rows(dgain, dbias, vector_sums):
    for j in range(cuda.grid(1), dgain.size, cuda.gridsize(1)):
        for b in range(vector_sums.shape[0]):
            dgain[j] += vector_sums[b, j]
            dbias[j] += vector_sums[b, dgain.size + j]


def norm_gradient(dgain, dbias, vector_sums, col_lo, col_hi):
    """Add the gradients of gain and bias, (4H,), from vector_sums (B, 8H)."""
    launch(_add_rows, dgain.size, dgain, dbias, vector_sums)


register(LSTMNorm, _GATES, _forward, _backward, Norm(_sum_forward, _sum_backward, _finish_backward))
