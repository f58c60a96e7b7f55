"""A layer through a window of T time steps, forward and backward.

The product with the input is one large product for all steps. Then all steps in one cooperative launch: a thread has
its units and batch rows for the whole window, and after each step the grid waits, since the next product needs the h
(backward: the gate gradients) of all units.
"""

from functools import cache

import numpy as np

from .cells import STEPS
from .compiling import SIMULATED, cuda, kernel, launch
from .matmul import multiply
from .target import ROWS, TARGET

_WARP, _MOST_THREADS = (2, 4) if SIMULATED else (32, 256)


@kernel
def _choose_rows(gates, table, ids):
    _, B, P = gates.shape
    for i in range(cuda.grid(1), gates.size, cuda.gridsize(1)):
        k, column = i // P, i % P
        gates[k // B, k % B, column] = table[ids[k // B, k % B], column]


def layer_forward(cell, width, ids, table, x, w_x, w_h, starts, y, lo, hi):
    """A layer, all rows and steps; see `fastrnn.cpu.walk`. w_x (F, G*H) and w_h (G..H, H) as `pack` leaves them."""
    T, B, P = cell.gates.shape
    F = x.shape[2]
    launch(_choose_rows, cell.gates.size, cell.gates, table, ids)
    multiply((cell.gates, 0, P), (x, 0, F), (w_x, 0, width), T * B, width, F, True)
    forward, _ = _windows(type(cell).__name__, cell.h.dtype.str)
    forward[_shape(cell)](cell.gates, cell.h, cell.c, w_h, starts, y)


def layer_backward(cell, width, dy, dh, dc, w_x, w_h, dx, starts, lo, hi):
    """A layer backward, all rows and steps; leaves the gradients of the pre-activations in ``cell.gates``.

    See `fastrnn.cpu.walk`.
    """
    T, B, P = cell.gates.shape
    F = dx.shape[2]
    _, backward = _windows(type(cell).__name__, cell.h.dtype.str)
    backward[_shape(cell)](cell.gates, cell.h, cell.c, w_h, starts, dy, dh, dc)
    multiply((dx, 0, F), (cell.gates, 0, P), (w_x, 0, F), T * B, F, width, False)


def _shape(cell):
    """Blocks and threads. At most one block for each multiprocessor: all of a cooperative grid must run at once."""
    _, B, H = cell.h.shape
    items = -(-B // ROWS) * H
    threads = min(-(-items // (TARGET.multiprocessors * _WARP)) * _WARP, _MOST_THREADS)
    return min(-(-items // threads), TARGET.multiprocessors), threads


@cache
def _windows(cell_class, kind):
    """The kernels for a cell and a type of number. A thread takes unit j of ``ROWS`` batch rows together."""
    gates_of_h, step_forward, step_backward = STEPS[cell_class]
    number = np.dtype(kind).type
    sums = ROWS * gates_of_h

    @kernel
    def forward(gates, h, c, w_h, starts, y):
        T, B, P = gates.shape
        H = h.shape[2]
        width = gates_of_h * H
        grid = cuda.cg.this_grid()
        acc = cuda.local.array(sums, number)
        for t in range(T):
            for item in range(cuda.grid(1), (B + ROWS - 1) // ROWS * H, cuda.gridsize(1)):
                b0, j = item // H * ROWS, item % H
                for i in range(sums):
                    acc[i] = number(0)
                for k in range(H):
                    for r in range(ROWS):
                        from_h = h[t, min(b0 + r, B - 1), k]
                        for g in range(gates_of_h):
                            acc[r * gates_of_h + g] += from_h * w_h[k * width + g * H + j]
                for r in range(ROWS):
                    b = b0 + r
                    if b < B:
                        if starts.size > 0 and starts[t, b] != 0:
                            h[t, b, j] = number(0)  # who reads it elsewhere drops what comes of it
                            if c.shape[2] > 0:
                                c[t, b, j] = number(0)
                        else:
                            for g in range(gates_of_h):
                                gates[t, b, P - width + g * H + j] += acc[r * gates_of_h + g]
                        step_forward(gates, h, c, t, b, j)
                        if starts.size > 0:
                            y[t, b, j] = h[t + 1, b, j]
            grid.sync()

    @kernel
    def backward(gates, h, c, w_h, starts, dy, dh, dc):
        T, B, P = gates.shape
        H = h.shape[2]
        width = gates_of_h * H
        grid = cuda.cg.this_grid()
        acc = cuda.local.array(ROWS, number)
        # each turn: the gradient that reaches step t through W_hh of step t + 1, then step t itself; t = -1: only that
        for turn in range(T + 1):
            t = T - 1 - turn
            for item in range(cuda.grid(1), (B + ROWS - 1) // ROWS * H, cuda.gridsize(1)):
                b0, j = item // H * ROWS, item % H
                for i in range(ROWS):
                    acc[i] = number(0)
                if turn > 0:
                    for n in range(width):
                        w = w_h[n * H + j]
                        for r in range(ROWS):
                            acc[r] += gates[t + 1, min(b0 + r, B - 1), P - width + n] * w
                for r in range(ROWS):
                    b = b0 + r
                    if b < B:
                        d_h = dh[b, j] + acc[r]
                        if turn > 0 and starts.size > 0 and starts[t + 1, b] != 0:
                            d_h = number(0)
                            if c.shape[2] > 0:
                                dc[b, j] = number(0)
                        if turn < T:
                            d_h = step_backward(gates, h, c, t, b, j, dy[t, b, j] + d_h, dc)
                        dh[b, j] = d_h
            grid.sync()

    return forward, backward
