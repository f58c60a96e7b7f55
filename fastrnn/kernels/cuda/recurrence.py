"""What a cell must bring so that a layer can be computed; see `fastrnn.kernels.cpu.recurrence` for
the arrays.

    step_forward(gates, h, c, t, b, j)                pre-activations of unit j -> h[t+1, b, j] (and c)
    step_backward(gates, h, c, t, b, j, d_h, dc)      -> gradients of the pre-activations, dc[b, j], and, returned, the
                                                      part of the state's gradient that does not pass through W_hh

One thread does one unit j of one batch row b; neighbours in a warp are batch rows, then units.

A layer through a window of T time steps, forward and backward.

The product with the input is one large product for all steps. Then all steps in one cooperative
launch: a block has its units for the whole window, with their recurrent weights in its shared
memory (see `grid`), and after each step the grid waits, since the next product needs the h
(backward: the gate gradients) of all units.
"""

from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np

from .bfloat16 import is_rounded, numbers
from .jit import cooperative, cuda, kernel, launch
from .launch_plan import plan
from .matmul import multiply
from .memory import flat
from .persistent_matmul import product
from .target import TARGET

Array = Any


class Steps(NamedTuple):
    """``gates``: G, the blocks of columns that take W_hh h'."""

    gates: int
    forward: Any
    backward: Any


STEPS: dict[str, Steps] = {}


def register(cell_class: type, gates: int, forward: Any, backward: Any) -> None:
    """Make these device functions the steps of this cell."""
    STEPS[cell_class.__name__] = Steps(gates, forward, backward)


@kernel
def _choose_rows(gates, table, ids):
    _, B, P = gates.shape
    for i in range(cuda.grid(1), gates.size, cuda.gridsize(1)):
        k, column = i // P, i % P
        gates[k // B, k % B, column] = table[ids[k // B, k % B], column]


def layer_forward(cell, gate_width, ids, table, x, w_x, w_h, starts, y, row_lo, row_hi):
    """A layer, all rows and steps, as on the CPU. w_x (F, G*H) and w_h (G..H, H) as `pack` leaves
    them.
    """
    T, B, P = cell.gates.shape
    F, H = x.shape[2], cell.h.shape[2]
    launch(_choose_rows, cell.gates.size, cell.gates, table, ids)
    from_x = (x, 0, F), (numbers(w_x), 0, gate_width)
    multiply((cell.gates, 0, P), *from_x, T * B, gate_width, F, True, as_bfloat16=is_rounded(w_x))
    name = type(cell).__name__
    grid = plan(B, H, STEPS[name].gates, H, cell.h.dtype.itemsize)
    arrays = cell.gates, cell.h, cell.c, flat(cell.h), numbers(w_h), starts, y
    _start(forward(name, cell.h.dtype.str, grid.each, grid.rows), grid, *arrays)


def layer_backward(cell, gate_width, dy, dh, dc, w_x, w_h, dx, starts, row_lo, row_hi):
    """A layer backward, all rows and steps; leaves the gradients of the pre-activations in
    ``cell.gates``.

    See `fastrnn.kernels.cpu.recurrence`.
    """
    T, B, P = cell.gates.shape
    F, H = dx.shape[2], cell.h.shape[2]
    name = type(cell).__name__
    grid = plan(B, H, 1, STEPS[name].gates * H, cell.h.dtype.itemsize)
    arrays = cell.gates, cell.h, cell.c, flat(cell.gates), numbers(w_h), starts, dy, dh, dc
    _start(backward(name, cell.h.dtype.str, grid.each, grid.rows), grid, *arrays)
    from_gates = (cell.gates, 0, P), (numbers(w_x), 0, F)
    multiply((dx, 0, F), *from_gates, T * B, F, gate_width, False, as_bfloat16=is_rounded(w_x))


def _start(compiled, grid, *arrays):
    compiled[grid.blocks, grid.threads, 0, grid.shared](*arrays, grid.units, grid.k_resident, grid.stride)


@cache
def forward(cell_class, kind, each, rows):
    """The kernel for a cell, a type of number, and units and batch rows that a thread takes
    together.
    """
    gates_of_h, step_forward, _ = STEPS[cell_class]
    number, number_type = np.dtype(kind).type, numba.from_dtype(np.dtype(kind))
    sums, place = product(kind, gates_of_h, each, rows)

    @cooperative(TARGET.threads, TARGET.resident_threads // TARGET.threads)
    def walk_forward(gates, h, c, flat_h, w_h, starts, y, units, k_resident, stride):
        T, B, P = gates.shape
        H = h.shape[2]
        grid = cuda.cg.this_grid()
        memory = cuda.shared.array(0, number_type)
        totals = cuda.local.array(gates_of_h, number)
        for t in range(T):
            for begin in range(0, (B + rows - 1) // rows * rows * units, cuda.blockDim.x):
                sums(totals, memory, w_h, flat_h, t * B * H, H, B, H, H, units, k_resident, stride, begin, t == 0)
                b, j = place(B, units, begin)
                if b < B and j < H:
                    if starts.size > 0 and starts[t, b] != 0:
                        h[t, b, j] = number(0)  # who reads it elsewhere drops what comes of it
                        if c.shape[2] > 0:
                            c[t, b, j] = number(0)
                    else:
                        for g in range(gates_of_h):
                            gates[t, b, P - (gates_of_h - g) * H + j] += totals[g]
                    step_forward(gates, h, c, t, b, j)
                    if starts.size > 0:
                        y[t, b, j] = h[t + 1, b, j]
            grid.sync()

    return walk_forward


@cache
def backward(cell_class, kind, each, rows):
    """The kernel backward, like `forward`."""
    gates_of_h, _, step_backward = STEPS[cell_class]
    number, number_type = np.dtype(kind).type, numba.from_dtype(np.dtype(kind))
    sums, place = product(kind, 1, each, rows)

    @cooperative(TARGET.threads, TARGET.resident_threads // TARGET.threads)
    def walk_backward(gates, h, c, flat_gates, w_h, starts, dy, dh, dc, units, k_resident, stride):
        T, B, P = gates.shape
        H = h.shape[2]
        width = gates_of_h * H
        grid = cuda.cg.this_grid()
        memory = cuda.shared.array(0, number_type)
        total = cuda.local.array(1, number)
        # each turn: the gradient that reaches step t through W_hh of step t + 1, then step t
        # itself; t = -1: only that
        for turn in range(T + 1):
            t = T - 1 - turn
            for begin in range(0, (B + rows - 1) // rows * rows * units, cuda.blockDim.x):
                total[0] = number(0)
                if turn > 0:
                    at = (t + 1) * B * P + P - width
                    sums(
                        total, memory, w_h, flat_gates, at, P, B, H, width, units, k_resident, stride, begin, turn == 1
                    )
                b, j = place(B, units, begin)
                if b < B and j < H:
                    d_h = dh[b, j] + total[0]
                    if turn > 0 and starts.size > 0 and starts[t + 1, b] != 0:
                        d_h = number(0)
                        if c.shape[2] > 0:
                            dc[b, j] = number(0)
                    if turn < T:
                        d_h = step_backward(gates, h, c, t, b, j, dy[t, b, j] + d_h, dc)
                    dh[b, j] = d_h
            grid.sync()

    return walk_backward
