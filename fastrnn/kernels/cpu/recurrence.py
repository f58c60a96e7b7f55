"""A recurrent layer through a window of T time steps, forward and backward.

Threads divide the batch rows and the units (`grid`). Each takes its share through all T steps: the
recurrent product, then the cell while its gates are in cache. Threads that share rows wait for each
other once a step. The product with the layer's input depends on no earlier step; it is computed for STEPS steps
at a time, so that its weights stay in cache too.

A cell is a NamedTuple of the arrays of one layer and window, and two functions on a share of the
rows and units of one step:

    step_forward(cell, t, share)                  gates[t] -> gates[t], h[t+1] (and c[t+1])
    step_backward(cell, t, share, dy, dh, dc)     dy[t], dh, dc -> gates[t], dh, dc

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

from .blocks import INDEX_ZERO, PackedColumns, StepBlock, flat
from .grid import UnitDivision, gate, make_share, own, plan_unit_parts
from .jit import device_function, inline_function, specialize
from .matmul import multiply, product_memory
from .packing import VECTORS, lanes_of
from .team import cooperative_kernel, wait_for_group


def step_forward(cell, t, share):
    """A share of step t forward; dispatched on the type of ``cell`` at compile time."""


def step_backward(cell, t, share, dy, dh, dc):
    """A share of step t backward; dispatched on the type of ``cell`` at compile time."""


def prepare_forward(cell, t, share):
    """Where threads divide the units: sums over this share's units that all of them need.

    Returns whether there are any. If so, all threads of the row group must have got here
    before `step_forward`.
    """


def prepare_backward(cell, t, share, dy, dh, dc):
    """The same before `step_backward`."""


@device_function
def _prepare_nothing(cell, t, share):
    """`prepare_forward` of a cell whose units do not depend on each other within a step."""
    return False


@device_function
def _prepare_nothing_backward(cell, t, share, dy, dh, dc):
    """`prepare_backward` of such a cell."""
    return False


_UNIT_BLOCKS: dict[type, int] = {}  # of each cell: threads divide its units at multiples


def register(
    cell_class: type,
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    prepare: tuple[Callable[..., Any], Callable[..., Any]] = (_prepare_nothing, _prepare_nothing_backward),
    unit_block: int = 1,
) -> None:
    """Register these compiled functions as the steps of this cell.

    A cell whose units depend on each other within a step has a function ``prepare`` for each
    direction, and threads divide its units at multiples of ``unit_block``.
    """
    _UNIT_BLOCKS[cell_class] = unit_block
    prepare_before_forward, prepare_before_backward = prepare

    def matches(cell: Any) -> bool:
        return getattr(cell, "instance_class", None) is cell_class

    @specialize(step_forward)
    def _forward(cell, t, share):
        if not matches(cell):
            return None
        return lambda cell, t, share: forward(cell, t, share)

    @specialize(step_backward)
    def _backward(cell, t, share, dy, dh, dc):
        if not matches(cell):
            return None
        return lambda cell, t, share, dy, dh, dc: backward(cell, t, share, dy, dh, dc)

    @specialize(prepare_forward)
    def _prepare_forward(cell, t, share):
        if not matches(cell):
            return None
        return lambda cell, t, share: prepare_before_forward(cell, t, share)

    @specialize(prepare_backward)
    def _prepare_backward(cell, t, share, dy, dh, dc):
        if not matches(cell):
            return None
        return lambda cell, t, share, dy, dh, dc: prepare_before_backward(cell, t, share, dy, dh, dc)


STEPS = 8  # time steps per input product


@device_function
def _clear_share(row, share):
    """Zero the share's units in a row of H numbers, or in none: only some cells have a cell state."""
    if row.size:
        to = own(row, share)
        for j in range(to.size):
            to[j] = 0


@device_function
def _reset_state(cell, resets, t, share):
    """Zero the share's state before step t in rows that start a new sequence there."""
    for b in range(share.row_lo, share.row_hi):
        if resets[t, b]:
            _clear_share(cell.h[t, b], share)
            _clear_share(cell.c[t, b], share)


@inline_function
def _columns(share, weights, k, n, H):
    """Packed ``weights`` (k, n), of which the share needs the columns of its units in each gate."""
    whole = share.members == 1
    lo, hi = (INDEX_ZERO, n) if whole else (share.unit_lo, share.unit_hi)
    return PackedColumns(weights, k, n, lo, hi, n if whole else H)


@inline_function
def _input_columns(share, weights, k, n):
    """Packed ``weights`` (k, n), of which the threads that share rows divide the columns evenly."""
    width = VECTORS * lanes_of(weights)
    panels = (n + width - 1) // width
    member = share.thread.number - share.first
    lo, hi = panels * member // share.members * width, min(panels * (member + 1) // share.members * width, n)
    return PackedColumns(weights, k, n, lo, hi, n)


def plan_layer(team: Any, cell: Any, weights: Any, rows: int) -> UnitDivision:
    """How the threads of a team, given its numbers, divide the units of ``rows`` rows of a layer."""
    H = cell.h.shape[2]
    return plan_unit_parts(team, rows, H, weights.gate_width // H, weights.w_h.dtype, _UNIT_BLOCKS[type(cell)])


def _plan_forward(team, cell, y, inputs, weights, resets, row_lo, row_hi):
    """The plan of `layer_forward`."""
    return plan_layer(team, cell, weights, row_hi - row_lo)


def _plan_backward(team, cell, dx, weights, gradients, resets, row_lo, row_hi):
    """The plan of `layer_backward`."""
    return plan_layer(team, cell, weights, row_hi - row_lo)


@device_function
def add_ngram_rows(gates, inputs, t, b, share, H):
    """gates (P,) += the rows of the n-grams that end at token ids[t, b], the share's units of H."""
    for k in range(inputs.ngrams.shape[2]):
        if inputs.ngrams[t, b, k] >= 0:
            row = inputs.ngram_rows[inputs.ngrams[t, b, k]]
            for block in range(inputs.gate_order.size):
                to, source = gate(gates, block, share, H), gate(row, inputs.gate_order[block], share, H)
                for j in range(to.size):
                    to[j] += source[j]


@cooperative_kernel(plan=_plan_forward)
def layer_forward(thread, cell, y, inputs, weights, resets, row_lo, row_hi):
    """Compute rows row_lo..row_hi of a layer, all steps.

    Args:
        thread: The `Thread` that computes a part of it. Its plan: `UnitDivision`.
        cell: The layer's arrays, with ``h[0]`` and ``c[0]`` set.
        y: (T, B, H). A reset overwrites an output in ``h``, so with resets all outputs are also
            written here.
        inputs: `LayerInput`. The product with ``x`` is added unless F is 0.
        weights: `LayerWeights`.
        resets: (T, B) or empty; 1 resets the state before the step.
        row_lo: First row.
        row_hi: End of the rows.
    """
    H, F = cell.h.shape[2], inputs.x.shape[2]
    share = make_share(thread, row_lo, row_hi, H)
    if share.row_lo < share.row_hi:
        rows = STEPS * (share.row_hi - share.row_lo)
        _layer_forward(cell, y, inputs, weights, resets, share, product_memory(cell.h, weights.w_h, max(H, F), rows))


@device_function
def _layer_forward(cell, y, inputs, weights, resets, share, memory):
    """`layer_forward` with working memory from `product_memory`."""
    T, B, P = cell.gates.shape
    H, F = cell.h.shape[2], inputs.x.shape[2]
    gates, h, x_flat = flat(cell.gates), flat(cell.h), flat(inputs.x)
    gate_width = weights.gate_width
    row_lo, rows = share.row_lo, share.row_hi - share.row_lo
    if resets.size and T:
        _reset_state(cell, resets, 0, share)
        wait_for_group(share.thread, share.first, share.members)

    # without an input product, the gates of one step stay in cache from the table to the cell
    steps = STEPS if F else 1
    for t0 in range(0, T, steps):
        t1 = min(t0 + steps, T)
        # gates[t0:t1, rows] = table rows, + rows of n-grams
        for t in range(t0, t1):
            for b in range(row_lo, share.row_hi):
                a, row = cell.gates[t, b], inputs.table[inputs.ids[t, b]]
                for block in range(P // H):
                    to, source = gate(a, block, share, H), gate(row, block, share, H)
                    for j in range(to.size):
                        to[j] = source[j]
                add_ngram_rows(a, inputs, t, b, share, H)
        if F:
            # gates[t0:t1, rows, :G*H] += x[t0:t1, rows] W_x
            from_x = StepBlock(x_flat, (t0 * B + row_lo) * F, B * F, F)
            to_gates = StepBlock(gates, (t0 * B + row_lo) * P, B * P, P)
            w_x = _columns(share, weights.w_x, F, gate_width, H)
            multiply(to_gates, from_x, w_x, t1 - t0, rows, 1, memory)
        for t in range(t0, t1):
            # gates[t, rows, -G*H:] += h[t, rows] W_h; h[t] is the state before step t
            from_h = StepBlock(h, (t * B + row_lo) * H, B * H, H)
            to_gates = StepBlock(gates, (t * B + row_lo) * P + P - gate_width, B * P, P)
            multiply(to_gates, from_h, _columns(share, weights.w_h, H, gate_width, H), 1, rows, 1, memory)
            if prepare_forward(cell, t, share):
                wait_for_group(share.thread, share.first, share.members)
            step_forward(cell, t, share)
            if resets.size:
                for b in range(row_lo, share.row_hi):
                    to, source = own(y[t, b], share), own(cell.h[t + 1, b], share)
                    for j in range(to.size):
                        to[j] = source[j]
                if t + 1 < T:
                    _reset_state(cell, resets, t + 1, share)
            # the next step needs the outputs of all units
            wait_for_group(share.thread, share.first, share.members)


@cooperative_kernel(plan=_plan_backward)
def layer_backward(thread, cell, dx, weights, gradients, resets, row_lo, row_hi):
    """Compute rows row_lo..row_hi of a layer, all steps backward.

    Args:
        thread: The `Thread` that computes a part of it. Its plan: `UnitDivision`.
        cell: The layer's arrays after `layer_forward`. The gradients of the pre-activations replace
            ``gates``.
        dx: (T, B, F), overwritten unless F is 0.
        weights: `LayerWeights`, transposed.
        gradients: `OutputGradients`; ``dh`` and ``dc`` become those of the initial state.
        resets: As in `layer_forward`.
        row_lo: First row.
        row_hi: End of the rows.
    """
    H = cell.h.shape[2]
    share = make_share(thread, row_lo, row_hi, H)
    if share.row_lo < share.row_hi:
        rows = STEPS * (share.row_hi - share.row_lo)
        memory = product_memory(gradients.dh, weights.w_h, weights.gate_width, rows)
        _layer_backward(cell, dx, weights, gradients, resets, share, memory)


@device_function
def _layer_backward(cell, dx, weights, gradients, resets, share, memory):
    """`layer_backward` with working memory from `product_memory`."""
    T, B, P = cell.gates.shape
    H, F = cell.h.shape[2], dx.shape[2]
    dy, dh, dc = gradients
    gates, dh_flat, dx_flat = flat(cell.gates), flat(dh), flat(dx)
    gate_width = weights.gate_width
    row_lo, rows = share.row_lo, share.row_hi - share.row_lo

    for t1 in range(T, 0, -STEPS):
        t0 = max(t1 - STEPS, 0)
        for t in range(t1 - 1, t0 - 1, -1):
            if prepare_backward(cell, t, share, dy, dh, dc):
                wait_for_group(share.thread, share.first, share.members)
            step_backward(cell, t, share, dy, dh, dc)
            # the product needs the gradients of all gates
            wait_for_group(share.thread, share.first, share.members)
            # dh[rows] += dgates[t, rows, -G*H:] W_h^T
            from_gates = StepBlock(gates, (t * B + row_lo) * P + P - gate_width, B * P, P)
            to_dh = StepBlock(dh_flat, row_lo * H, B * H, H)
            multiply(to_dh, from_gates, _columns(share, weights.w_h, gate_width, H, H), 1, rows, 1, memory)
            if resets.size:
                # no gradient crosses the start of a sequence
                for b in range(row_lo, share.row_hi):
                    if resets[t, b]:
                        _clear_share(dh[b], share)
                        _clear_share(dc[b], share)
        if F:
            # dx[t0:t1, rows] = dgates[t0:t1, rows, :G*H] W_x^T
            from_gates = StepBlock(gates, (t0 * B + row_lo) * P, B * P, P)
            to_dx = StepBlock(dx_flat, (t0 * B + row_lo) * F, B * F, F)
            w_x = _input_columns(share, weights.w_x, gate_width, F)
            multiply(to_dx, from_gates, w_x, t1 - t0, rows, 0, memory)
