"""A recurrent layer through a window of T time steps, forward and backward, for a range of batch
rows.

Rows are independent, so each thread takes its own rows through all T steps without a barrier: the
recurrent product, then the cell while its gates are in cache. The product with the layer's input
has no such dependence; it is computed for STEPS steps at a time, so that its weights stay in cache
too.

A cell is a NamedTuple of the arrays of one layer and window, and two functions on a range of batch
rows of one step:

    step_forward(cell, t, row_lo, row_hi)                  gates[t] -> gates[t], h[t+1] (and c[t+1])
    step_backward(cell, t, row_lo, row_hi, dy, dh, dc)     dy[t], dh, dc -> gates[t], dh, dc

``step_forward`` reads the pre-activations W_ih x + W_hh h' + biases from ``cell.gates[t]`` and
replaces them by the values that are saved for backward. ``step_backward`` replaces these by the
gradients of the pre-activations, and leaves in ``dh`` and ``dc`` the part of the previous state's
gradient that does not pass through W_hh. ``h[t]`` and ``c[t]`` are the state before step t.

The P columns of ``gates`` are blocks of H. The first G blocks take W_ih x, in the cell's input
order; the last G take W_hh h', in torch.nn's order. The two ranges are the same except for the GRU,
which needs W_hn h' separately:

    LSTM, G = 4, P = 4H      | i | f | g | o |             W_ih x: all         W_hh h': all
    GRU,  G = 3, P = 4H      | n | r | z | n from h' |     W_ih x: first 3     W_hh h': last 3
"""

from collections.abc import Callable
from typing import Any

from .blocks import PackedMatrix, StepBlock, copy, flat
from .jit import device_function, kernel, specialize
from .matmul import multiply, product_memory


def step_forward(cell, t, row_lo, row_hi):
    """Rows row_lo..row_hi of step t forward; dispatched on the type of ``cell`` at compile time."""


def step_backward(cell, t, row_lo, row_hi, dy, dh, dc):
    """Rows row_lo..row_hi of step t backward; dispatched on the type of ``cell`` at compile time."""


def step_prepare(cell, t, row_lo, row_hi):
    """Where threads divide the units: sums over this thread's units that all of them need.

    Returns whether the cell has such sums. If so, all threads must wait for each other before
    `step_finish`.
    """


def step_finish(cell, t, row_lo, row_hi):
    """Where threads divide the units: `step_forward` after `step_prepare`."""


@device_function
def _prepare_nothing(cell, t, row_lo, row_hi):
    """`step_prepare` of a cell whose units do not depend on each other within a step."""
    return False


def register(
    cell_class: type,
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    prepare: Callable[..., Any] = _prepare_nothing,
    finish: Callable[..., Any] | None = None,
) -> None:
    """Register these compiled functions as the steps of this cell.

    ``prepare`` and ``finish`` are the two parts of ``forward``, for a cell whose units depend on
    each other.
    """
    finish = finish or forward

    def matches(cell: Any) -> bool:
        return getattr(cell, "instance_class", None) is cell_class

    @specialize(step_forward)
    def _forward(cell, t, row_lo, row_hi):
        if not matches(cell):
            return None
        return lambda cell, t, row_lo, row_hi: forward(cell, t, row_lo, row_hi)

    @specialize(step_prepare)
    def _prepare(cell, t, row_lo, row_hi):
        if not matches(cell):
            return None
        return lambda cell, t, row_lo, row_hi: prepare(cell, t, row_lo, row_hi)

    @specialize(step_finish)
    def _finish(cell, t, row_lo, row_hi):
        if not matches(cell):
            return None
        return lambda cell, t, row_lo, row_hi: finish(cell, t, row_lo, row_hi)

    @specialize(step_backward)
    def _backward(cell, t, row_lo, row_hi, dy, dh, dc):
        if not matches(cell):
            return None
        return lambda cell, t, row_lo, row_hi, dy, dh, dc: backward(cell, t, row_lo, row_hi, dy, dh, dc)


STEPS = 8  # time steps per input product


@device_function
def _reset_state(cell, starts, t, row_lo, row_hi):
    """Zero the state before step t in rows that start a new sequence there."""
    for b in range(row_lo, row_hi):
        if starts[t, b]:
            cell.h[t, b] = 0
            cell.c[t, b] = 0


@kernel
def layer_forward(cell, inputs, weights, starts, y, row_lo, row_hi):
    """Compute rows row_lo..row_hi of a layer, all steps.

    Args:
        cell: The layer's arrays, with ``h[0]`` and ``c[0]`` set.
        inputs: `LayerInput`. The product with ``x`` is added unless F is 0.
        weights: `LayerWeights`.
        starts: (T, B) or empty; 1 resets the state before the step.
        y: (T, B, H). A reset overwrites an output in ``h``, so with starts all outputs are also
            written here.
        row_lo: First row.
        row_hi: End of the rows.
    """
    H, F = cell.h.shape[2], inputs.x.shape[2]
    memory = product_memory(cell.h, weights.w_h, max(H, F), STEPS * (row_hi - row_lo))
    _layer_forward(cell, inputs, weights, starts, y, row_lo, row_hi, memory)


@device_function
def _layer_forward(cell, inputs, weights, starts, y, row_lo, row_hi, memory):
    """`layer_forward` with working memory from `product_memory`."""
    T, B, P = cell.gates.shape
    H, F = cell.h.shape[2], inputs.x.shape[2]
    gates, h, x_flat = flat(cell.gates), flat(cell.h), flat(inputs.x)
    gate_width = weights.gate_width
    rows = row_hi - row_lo

    for t0 in range(0, T, STEPS):
        t1 = min(t0 + STEPS, T)
        # gates[t0:t1, rows] = table rows
        for t in range(t0, t1):
            for b in range(row_lo, row_hi):
                a, row = cell.gates[t, b], inputs.table[inputs.ids[t, b]]
                for j in range(P):
                    a[j] = row[j]
        if F:
            # gates[t0:t1, rows, :G*H] += x[t0:t1, rows] W_x
            from_x = StepBlock(x_flat, (t0 * B + row_lo) * F, B * F, F)
            to_gates = StepBlock(gates, (t0 * B + row_lo) * P, B * P, P)
            multiply(to_gates, from_x, PackedMatrix(weights.w_x, F, gate_width), t1 - t0, rows, 1, memory)
        for t in range(t0, t1):
            if starts.size:
                _reset_state(cell, starts, t, row_lo, row_hi)
            # gates[t, rows, -G*H:] += h[t, rows] W_h; h[t] is the state before step t
            from_h = StepBlock(h, (t * B + row_lo) * H, B * H, H)
            to_gates = StepBlock(gates, (t * B + row_lo) * P + P - gate_width, B * P, P)
            multiply(to_gates, from_h, PackedMatrix(weights.w_h, H, gate_width), 1, rows, 1, memory)
            step_forward(cell, t, row_lo, row_hi)
            if starts.size:
                copy(flat(y), (t * B + row_lo) * H, h, ((t + 1) * B + row_lo) * H, rows * H)


@kernel
def layer_backward(cell, weights, gradients, dx, starts, row_lo, row_hi):
    """Compute rows row_lo..row_hi of a layer, all steps backward.

    Args:
        cell: The layer's arrays after `layer_forward`. The gradients of the pre-activations replace
            ``gates``.
        weights: `LayerWeights`, transposed.
        gradients: `OutputGradients`; ``dh`` and ``dc`` become those of the initial state.
        dx: (T, B, F), overwritten unless F is 0.
        starts: As in `layer_forward`.
        row_lo: First row.
        row_hi: End of the rows.
    """
    memory = product_memory(gradients.dh, weights.w_h, weights.gate_width, STEPS * (row_hi - row_lo))
    _layer_backward(cell, weights, gradients, dx, starts, row_lo, row_hi, memory)


@device_function
def _layer_backward(cell, weights, gradients, dx, starts, row_lo, row_hi, memory):
    """`layer_backward` with working memory from `product_memory`."""
    T, B, P = cell.gates.shape
    H, F = cell.h.shape[2], dx.shape[2]
    dy, dh, dc = gradients
    gates, dh_flat, dx_flat = flat(cell.gates), flat(dh), flat(dx)
    gate_width = weights.gate_width
    rows = row_hi - row_lo

    for t1 in range(T, 0, -STEPS):
        t0 = max(t1 - STEPS, 0)
        for t in range(t1 - 1, t0 - 1, -1):
            step_backward(cell, t, row_lo, row_hi, dy, dh, dc)
            # dh[rows] += dgates[t, rows, -G*H:] W_h^T
            from_gates = StepBlock(gates, (t * B + row_lo) * P + P - gate_width, B * P, P)
            to_dh = StepBlock(dh_flat, row_lo * H, B * H, H)
            multiply(to_dh, from_gates, PackedMatrix(weights.w_h, gate_width, H), 1, rows, 1, memory)
            if starts.size:
                # no gradient crosses the start of a sequence
                for b in range(row_lo, row_hi):
                    if starts[t, b]:
                        dh[b] = 0
                        dc[b] = 0
        if F:
            # dx[t0:t1, rows] = dgates[t0:t1, rows, :G*H] W_x^T
            from_gates = StepBlock(gates, (t0 * B + row_lo) * P, B * P, P)
            to_dx = StepBlock(dx_flat, (t0 * B + row_lo) * F, B * F, F)
            multiply(to_dx, from_gates, PackedMatrix(weights.w_x, gate_width, F), t1 - t0, rows, 0, memory)
