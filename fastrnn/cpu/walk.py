"""A layer through a window of T time steps, forward and backward, for a range of batch rows.

Rows never meet, so each thread takes its own rows through all T steps without waiting for another: the product with
the recurrent weights, then the cell while its gates are in cache. The product with the layer's input has no such
chain; it is done for a few steps at a time, so that its weights stay in cache too.
"""

from .cells import step_backward, step_forward
from .compiling import formula, inlined, kernel
from .matmul import copy, multiply, product_memory

STEPS = 8  # time steps whose input products are done together


@formula
def flat(array):
    """The same numbers as one dimension."""
    return array.reshape(array.size)


@inlined
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


@inlined
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


@inlined
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
