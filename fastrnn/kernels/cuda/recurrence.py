"""A recurrent layer through a window of T time steps, forward and backward.

The product with the input is one large product for all steps. Then one cooperative launch does all
steps: a block keeps its recurrent weights in shared memory for the whole window
(`persistent_matmul`), and after each step the whole grid waits, since the next product needs the h
(backward: the gate gradients) of all units.

A cell registers two device functions for one unit j of one batch row b. For its arrays see
`fastrnn.kernels.cpu.recurrence`.

    step_forward(cell, t, b, j)             pre-activations of unit j in cell.gates -> gates; h[t+1, b, j] (and c)
    step_backward(cell, t, b, j, d_h, dc)   gates -> gradients of the pre-activations; updates dc[b, j]; returns the
                                            part of the gradient of h[t] that does not pass through W_hh

A cell whose units depend on each other within a step registers a `Norm` as well; the grid then waits
for the sums of all units before it continues.
"""

from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np

from .arguments import Matrix, ProductShape
from .jit import cooperative, cuda, device, kernel, launch
from .launch_plan import launch_cooperative, plan
from .matmul import multiply
from .memory import flat
from .ngrams import add_rows
from .packing import numbers, uses_bfloat16
from .persistent_matmul import product
from .target import TARGET

Array = Any


class Norm(NamedTuple):
    """The device functions of a cell that needs sums over all units in each step.

    Args:
        sum_forward: (cell, t), before ``step_forward``; all threads of the grid share its work.
        sum_backward: (cell, t), after ``step_backward``; likewise.
        finish_backward: (cell, t, b, j), after ``sum_backward``.
    """

    sum_forward: Any
    sum_backward: Any
    finish_backward: Any


@device
def _no_sum(cell, t):
    """For a cell without a `Norm`."""


@device
def _no_finish(cell, t, b, j):
    """For a cell without a `Norm`."""


class Steps(NamedTuple):
    """The device functions of a cell.

    Args:
        gates: G, the number of gate columns of a unit that take W_hh h.
        forward: Its ``step_forward``.
        backward: Its ``step_backward``.
        norm: Its `Norm`, if it has one.
    """

    gates: int
    forward: Any
    backward: Any
    norm: Norm | None


STEPS: dict[str, Steps] = {}


def register(cell_class: type, gates: int, forward: Any, backward: Any, norm: Norm | None = None) -> None:
    """Make these device functions the steps of this cell."""
    STEPS[cell_class.__name__] = Steps(gates, forward, backward, norm)


@kernel
def _choose_rows(gates, table, ids):
    """gates[t, b] = table[ids[t, b]]."""
    _, B, P = gates.shape
    for i in range(cuda.grid(1), gates.size, cuda.gridsize(1)):
        k, column = i // P, i % P
        gates[k // B, k % B, column] = table[ids[k // B, k % B], column]


def layer_forward(cell, y, inputs, weights, resets, row_lo, row_hi):
    """Run a layer forward, all rows and steps; see `fastrnn.kernels.cpu.recurrence`.

    Packed weights w_x (F, G*H) and w_h (H, G*H).
    """
    ids, table, x = inputs[:3]
    w_x, w_h, gate_width = weights
    T, B, P = cell.gates.shape
    F, H = x.shape[2], cell.h.shape[2]

    # pre-activations of all steps without the recurrent part: table rows, + rows of n-grams, + x W_x
    launch(_choose_rows, cell.gates.size, cell.gates, table, ids)
    add_rows(cell.gates, inputs)
    shape = ProductShape(T * B, gate_width, F, accumulate=True, transposed=False)
    packed = Matrix(numbers(w_x), 0, gate_width)
    multiply(Matrix(cell.gates, 0, P), Matrix(x, 0, F), packed, shape, uses_bfloat16(w_x))

    # h W_h of all steps and the cell: one launch
    name = type(cell).__name__
    chosen = plan(B, H, STEPS[name].gates, H, cell.h.dtype.itemsize)
    compiled = forward(name, cell.h.dtype.str, *chosen[:4])
    launch_cooperative(compiled, chosen, cell, flat(cell.h), numbers(w_h), resets, y)


def layer_backward(cell, dx, weights, gradients, resets, row_lo, row_hi):
    """Run a layer backward, all rows and steps; see `fastrnn.kernels.cpu.recurrence`.

    Replaces ``cell.gates`` by the gradients of the pre-activations. w_x (G*H, F) and w_h (G*H, H)
    are packed transposed weights.
    """
    w_x, w_h, gate_width = weights
    T, B, P = cell.gates.shape
    F, H = dx.shape[2], cell.h.shape[2]

    # dgates W_h^T of all steps and the cell: one column for each unit, with G*H terms
    name = type(cell).__name__
    chosen = plan(B, H, 1, STEPS[name].gates * H, cell.h.dtype.itemsize)
    compiled = backward(name, cell.h.dtype.str, *chosen[:4])
    launch_cooperative(compiled, chosen, cell, flat(cell.gates), numbers(w_h), resets, gradients)

    # dx = dgates[:, :, :G*H] W_x^T
    shape = ProductShape(T * B, F, gate_width, accumulate=False, transposed=False)
    multiply(Matrix(dx, 0, F), Matrix(cell.gates, 0, P), Matrix(numbers(w_x), 0, F), shape, uses_bfloat16(w_x))


@cache
def forward(cell_class, kind, units_per_thread, rows_per_thread, k_split, residency):
    """Return the kernel of a cell for a type of number and the plan's compiled-in sizes."""
    gates_of_h = STEPS[cell_class].gates
    step_forward = STEPS[cell_class].forward
    norm = STEPS[cell_class].norm
    is_normed = norm is not None
    sum_forward = _no_sum if norm is None else norm.sum_forward
    number = np.dtype(kind).type
    number_type = numba.from_dtype(np.dtype(kind))
    load_weights, locate, dot = product(kind, gates_of_h, units_per_thread, rows_per_thread, k_split)

    @cooperative(TARGET.threads, residency)
    def recurrence_forward(cell, flat_h, w_h, resets, y, tiling):
        gates, h, c = cell.gates, cell.h, cell.c
        T, B, P = gates.shape
        H = h.shape[2]
        grid = cuda.cg.this_grid()
        memory = cuda.shared.array(0, number_type)
        totals = cuda.local.array(gates_of_h, number)
        if tiling.k_resident >= tiling.depth:
            load_weights(memory, w_h, 0, tiling)

        for t in range(T):
            source = Matrix(flat_h, t * B * H, H)  # h[t]
            for first_item in range(0, tiling.items, cuda.blockDim.x):
                place = locate(first_item, tiling)
                dot(totals, memory, w_h, source, place, tiling)
                b = place.row
                j = place.unit
                if b < B:
                    if resets.size > 0 and resets[t, b] != 0:
                        # Other threads may read h[t, b, j] at the same time, in either state; what
                        # they compute from it belongs to row b and is not used.
                        h[t, b, j] = number(0)
                        if c.shape[2] > 0:
                            c[t, b, j] = number(0)
                    else:
                        for g in range(gates_of_h):
                            # of the last G blocks of columns, which take W_hh h
                            gates[t, b, P - (gates_of_h - g) * H + j] += totals[g]
                    if not is_normed:
                        step_forward(cell, t, b, j)
                        if resets.size > 0:
                            y[t, b, j] = h[t + 1, b, j]
            if is_normed:
                # every block has written its units of gates[t]; then, its share of the sums
                grid.sync()
                sum_forward(cell, t)
                grid.sync()
                for first_item in range(0, tiling.items, cuda.blockDim.x):
                    place = locate(first_item, tiling)
                    if place.row < B:
                        step_forward(cell, t, place.row, place.unit)
                        if resets.size > 0:
                            y[t, place.row, place.unit] = h[t + 1, place.row, place.unit]
            # every block has written its units of h[t + 1], which all read next
            grid.sync()

    return recurrence_forward


@cache
def backward(cell_class, kind, units_per_thread, rows_per_thread, k_split, residency):
    """Return the kernel of `layer_backward`, like `forward`."""
    step_backward = STEPS[cell_class].backward
    norm = STEPS[cell_class].norm
    is_normed = norm is not None
    sum_backward = _no_sum if norm is None else norm.sum_backward
    finish_backward = _no_finish if norm is None else norm.finish_backward
    number = np.dtype(kind).type
    number_type = numba.from_dtype(np.dtype(kind))
    load_weights, locate, dot = product(kind, 1, units_per_thread, rows_per_thread, k_split)

    @cooperative(TARGET.threads, residency)
    def recurrence_backward(cell, flat_gates, w_h, resets, gradients, tiling):
        c = cell.c
        dy, dh, dc = gradients
        T, B, P = cell.gates.shape
        grid = cuda.cg.this_grid()
        memory = cuda.shared.array(0, number_type)
        total = cuda.local.array(1, number)
        if tiling.k_resident >= tiling.depth:
            load_weights(memory, w_h, 0, tiling)

        # Each turn computes the gradient that reaches step t through W_hh of step t + 1, then step t
        # itself; the last turn, t = -1, only the former.
        for turn in range(T + 1):
            t = T - 1 - turn
            # dgates[t + 1][:, -G*H:]
            source = Matrix(flat_gates, (t + 1) * B * P + P - tiling.depth, P)
            for first_item in range(0, tiling.items, cuda.blockDim.x):
                place = locate(first_item, tiling)
                total[0] = number(0)
                if turn > 0:
                    dot(total, memory, w_h, source, place, tiling)
                b = place.row
                j = place.unit
                if b < B:
                    d_h = dh[b, j] + total[0]
                    if turn > 0 and resets.size > 0 and resets[t + 1, b] != 0:
                        d_h = number(0)
                        if c.shape[2] > 0:
                            dc[b, j] = number(0)
                    if turn < T:
                        d_h = step_backward(cell, t, b, j, dy[t, b, j] + d_h, dc)
                    dh[b, j] = d_h
            if is_normed and turn < T:
                grid.sync()
                sum_backward(cell, t)
                grid.sync()
                for first_item in range(0, tiling.items, cuda.blockDim.x):
                    place = locate(first_item, tiling)
                    if place.row < B:
                        finish_backward(cell, t, place.row, place.unit)
            grid.sync()

    return recurrence_backward
