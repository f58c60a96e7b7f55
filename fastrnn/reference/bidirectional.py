"""A layer that reads a sequence from both ends (Schuster and Paliwal 1997).

    forward     h>_t = step(x_t, h>_{t-1})       t = 1 .. T
    backward    h<_t = step(x_t, h<_{t+1})       t = T .. 1, weights of its own
    output      y_t = [h>_t, h<_t]

So y_t knows the whole sequence: what stood before step t, and what comes after. The backward direction is the same
layer on the reversed sequence, its outputs turned round again; dx is the sum of what both directions send back.
"""

import numpy as np

from .arithmetic import Array, State, Weights
from .layer import Cell, Saved, layer_backward, layer_forward

Both = tuple[State, State]  # of the forward and of the backward direction


def bidirectional_forward(
    cell: Cell, x: Array, states: Both, w: tuple[Weights, Weights]
) -> tuple[Array, Both, tuple[list[Saved], list[Saved]]]:
    """The outputs y (T, B, 2H), the last state of each direction, and what `bidirectional_backward` needs.

    x (T, B, F). The backward direction's first state stands after step T, its last one before step 1.
    """
    forward, last_forward, tape_forward = layer_forward(cell, x, states[0], w[0])
    backward, last_backward, tape_backward = layer_forward(cell, x[::-1], states[1], w[1])
    y = np.concatenate([forward, backward[::-1]], axis=2)
    return y, (last_forward, last_backward), (tape_forward, tape_backward)


def bidirectional_backward(
    cell: Cell,
    dy: Array,
    dstates: Both,
    tapes: tuple[list[Saved], list[Saved]],
    w: tuple[Weights, Weights],
    dw: tuple[Weights, Weights],
) -> tuple[Array, Both]:
    """dx (T, B, F) and the gradients of the first states, from those of y (T, B, 2H) and of the last; adds to dw."""
    dforward, dbackward = np.split(dy, 2, axis=2)
    dx_forward, first_forward = layer_backward(cell, dforward, dstates[0], tapes[0], w[0], dw[0])
    dx_backward, first_backward = layer_backward(cell, dbackward[::-1], dstates[1], tapes[1], w[1], dw[1])
    return dx_forward + dx_backward[::-1], (first_forward, first_backward)
