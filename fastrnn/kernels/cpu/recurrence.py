"""What a cell must bring so that `walk` can take it through a sequence.

A cell is a NamedTuple of the arrays of one layer and window, and two functions on a range of batch rows at one step:

    step_forward(cell, t, lo, hi)                gates -> h[t+1] (and c[t+1])
    step_backward(cell, t, lo, hi, dy, dh, dc)   gradients of step t's outputs -> gradients of its gates

``step_forward`` finds in ``cell.gates[t]`` the pre-activations, W_ih x + W_hh h' + biases, and leaves there what the
backward step needs. ``step_backward`` leaves there the gradients of the pre-activations, and in ``dh`` and ``dc``
that part of the gradient of the previous state which does not pass through W_hh. ``h[t]`` and ``c[t]`` are the state
that step t starts from.

The columns of ``gates`` come in blocks of H. The first G blocks take W_ih x, in the gate order ``X_ORDER``; the last G
take W_hh h', in torch.nn's order. The two ranges are the same except for the GRU, which must keep W_hh h' of
its candidate apart.

A layer through a window of T time steps, forward and backward, for a range of batch rows.

Rows never meet, so each thread takes its own rows through all T steps without waiting for another: the product with
the recurrent weights, then the cell while its gates are in cache. The product with the layer's input has no such
chain; it is done for a few steps at a time, so that its weights stay in cache too.
"""

from collections.abc import Callable
from typing import Any

from .jit import device_function, inline_function, kernel, specialize
from .matmul import copy, multiply, product_memory


def step_forward(cell, t, lo, hi):
    """Rows lo..hi of step t, forward; chosen by the type of ``cell`` when a kernel is compiled."""


def step_backward(cell, t, lo, hi, dy, dh, dc):
    """Rows lo..hi of step t, backward; chosen by the type of ``cell`` when a kernel is compiled."""


def register(cell_class: type, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
    """Make these compiled functions the steps of this cell."""

    def _is(cell: Any) -> bool:
        return getattr(cell, "instance_class", None) is cell_class

    @specialize(step_forward)
    def _forward(cell, t, lo, hi):
        return (lambda cell, t, lo, hi: forward(cell, t, lo, hi)) if _is(cell) else None

    @specialize(step_backward)
    def _backward(cell, t, lo, hi, dy, dh, dc):
        return (lambda cell, t, lo, hi, dy, dh, dc: backward(cell, t, lo, hi, dy, dh, dc)) if _is(cell) else None


STEPS = 8  # time steps whose input products are done together


@inline_function
def flat(array):
    """The same numbers as one dimension."""
    return array.reshape(array.size)


@device_function
def _clear_started(cell, starts, t, lo, hi):
    for b in range(lo, hi):
        if starts[t, b]:
            cell.h[t, b] = 0
            cell.c[t, b] = 0


@kernel
def layer_forward(cell, width, ids, table, x, w_x, w_h, starts, y, lo, hi):
    """Rows lo..hi of a layer, all steps.

    cell: the layer's arrays, ``h[0]`` and ``c[0]`` set. width = G*H. ids (T, B) choose rows of ``table`` (V, P), which
    hold the one-hot product and all biases; x (T, B, F) with packed w_x (F, G*H) is added, or F is 0; w_h packed
    (H, G*H). starts (T, B), or empty: 1 clears the state before the step, and so that outputs before a start
    are not lost they also go to y (T, B, H).
    """
    H, F = cell.h.shape[2], x.shape[2]
    memory = product_memory(cell.h, w_h, max(H, F), STEPS * (hi - lo))
    _layer_forward(cell, width, ids, table, x, w_x, w_h, starts, y, lo, hi, memory)


@device_function
def _layer_forward(cell, width, ids, table, x, w_x, w_h, starts, y, lo, hi, memory):
    T, B, P = cell.gates.shape
    H, F = cell.h.shape[2], x.shape[2]
    gates, h, x_flat = flat(cell.gates), flat(cell.h), flat(x)
    rows = hi - lo
    for t0 in range(0, T, STEPS):
        t1 = min(t0 + STEPS, T)
        for t in range(t0, t1):
            for b in range(lo, hi):
                a, row = cell.gates[t, b], table[ids[t, b]]
                for j in range(P):
                    a[j] = row[j]
        if F:
            from_x, to_gates = (x_flat, (t0 * B + lo) * F, B * F, F), (gates, (t0 * B + lo) * P, B * P, P)
            multiply(to_gates, from_x, w_x, F, width, t1 - t0, rows, 1, memory)
        for t in range(t0, t1):
            if starts.size:
                _clear_started(cell, starts, t, lo, hi)
            from_h, to_gates = (h, (t * B + lo) * H, B * H, H), (gates, (t * B + lo) * P + P - width, B * P, P)
            multiply(to_gates, from_h, w_h, H, width, 1, rows, 1, memory)
            step_forward(cell, t, lo, hi)
            if starts.size:
                copy(flat(y), (t * B + lo) * H, h, ((t + 1) * B + lo) * H, rows * H)


@kernel
def layer_backward(cell, width, dy, dh, dc, w_x, w_h, dx, starts, lo, hi):
    """Rows lo..hi of a layer, all steps backward; leaves the gradients of the pre-activations in ``cell.gates``.

    dy (T, B, H) is the gradient of the outputs; dh and dc (B, H) that of the last state, overwritten with that of the
    initial state. w_x packed (G*H, F) and w_h packed (G*H, H) are the transposes of the forward pass's. dx (T, B, F) is
    overwritten, unless F is 0.
    """
    memory = product_memory(dh, w_h, width, STEPS * (hi - lo))
    _layer_backward(cell, width, dy, dh, dc, w_x, w_h, dx, starts, lo, hi, memory)


@device_function
def _layer_backward(cell, width, dy, dh, dc, w_x, w_h, dx, starts, lo, hi, memory):
    T, B, P = cell.gates.shape
    H, F = cell.h.shape[2], dx.shape[2]
    gates, dh_flat, dx_flat = flat(cell.gates), flat(dh), flat(dx)
    rows = hi - lo
    for t1 in range(T, 0, -STEPS):
        t0 = max(t1 - STEPS, 0)
        for t in range(t1 - 1, t0 - 1, -1):
            step_backward(cell, t, lo, hi, dy, dh, dc)
            from_gates, to_dh = (gates, (t * B + lo) * P + P - width, B * P, P), (dh_flat, lo * H, B * H, H)
            multiply(to_dh, from_gates, w_h, width, H, 1, rows, 1, memory)
            if starts.size:
                for b in range(lo, hi):
                    if starts[t, b]:
                        dh[b] = 0
                        dc[b] = 0
        if F:
            from_gates, to_dx = (gates, (t0 * B + lo) * P, B * P, P), (dx_flat, (t0 * B + lo) * F, B * F, F)
            multiply(to_dx, from_gates, w_x, width, F, t1 - t0, rows, 0, memory)
