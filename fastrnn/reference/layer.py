"""A cell unrolled over time, and back-propagation through time (Werbos 1990).

    forward    for t = 0 .. T-1:   h_t = step(x_t, h_{t-1})          the same weights W at every t

Unrolled, the layer is a feed-forward network with one level a time step, so the loss E depends on W through every step:

    dE/dW = sum over t, sum over k <= t, of  dE_t/dh_t (product over j = k+1 .. t of dh_j/dh_{j-1}) dh_k/dW

That double sum needs no double loop. Walking back from the last step, the gradient that reaches h_t is what the layer
above sends to it plus what step t+1 hands back; by then it holds every later E_t, each with its product of factors:

    backward   for t = T-1 .. 0:   dh_t = (from above)_t + (from t+1);   dx_t, dh_{t-1}, dW += step_backward(dh_t)

Where a document starts, the state before the step is replaced by zero: nothing goes forward, no gradient goes back.

A layer that reads a sequence from both ends (Schuster and Paliwal 1997).

    forward     h>_t = step(x_t, h>_{t-1})       t = 1 .. T
    backward    h<_t = step(x_t, h<_{t+1})       t = T .. 1, weights of its own
    output      y_t = [h>_t, h<_t]

So y_t knows the whole sequence: what stood before step t, and what comes after. The backward direction is the same
layer on the reversed sequence, its outputs turned round again; dx is the sum of what both directions send back.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from .cells import (
    Array,
    State,
    Weights,
    gru_simplified_step,
    gru_simplified_step_backward,
    gru_step,
    gru_step_backward,
    lstm_step,
    lstm_step_backward,
    relu,
    relu_slope,
    rnn_step,
    rnn_step_backward,
)

Saved = tuple[Array, ...]


class Cell(NamedTuple):
    """One time step of a cell, and the same step backward."""

    step: Callable[[Array, State, Weights], tuple[State, Saved]]
    step_backward: Callable[[State, Saved, Weights, Weights], tuple[Array, State]]


CELLS = {
    "rnn": Cell(rnn_step, rnn_step_backward),
    "rnn-relu": Cell(partial(rnn_step, f=relu), partial(rnn_step_backward, slope=relu_slope)),
    "gru": Cell(gru_step, gru_step_backward),
    "gru-simplified": Cell(gru_simplified_step, gru_simplified_step_backward),
    "lstm": Cell(lstm_step, lstm_step_backward),
}


def layer_forward(
    cell: Cell, x: Array, state: State, w: Weights, starts: Array | None = None
) -> tuple[Array, State, list[Saved]]:
    """The outputs h (T, B, H) of a layer, its last state, and what each step saved for `layer_backward`.

    x (T, B, F); state {name: (B, H)}, not changed; starts (T, B) is 1 where the state is zeroed before the step.
    """
    outputs, tape = [], []
    for t in range(len(x)):
        state, saved = cell.step(x[t], _zeroed(state, starts, t), w)
        outputs.append(state["h"])
        tape.append(saved)
    return np.stack(outputs), state, tape


def layer_backward(
    cell: Cell, dh: Array, dstate: State, tape: list[Saved], w: Weights, dw: Weights, starts: Array | None = None
) -> tuple[Array, State]:
    """dx (T, B, F) and the gradient of the first state; adds to dw.

    dh (T, B, H) is the gradient of the outputs; dstate {name: (B, H)} that of the last state (zeros where the windows
    are truncated); tape and starts are those of `layer_forward`.
    """
    dx = []
    for t in reversed(range(len(dh))):
        dstate = {**dstate, "h": dstate["h"] + dh[t]}
        dx_t, dstate = cell.step_backward(dstate, tape[t], w, dw)
        dstate = _zeroed(dstate, starts, t)
        dx.append(dx_t)
    return np.stack(dx[::-1]), dstate


def _zeroed(state: State, starts: Array | None, t: int) -> State:
    if starts is None:
        return state
    start = np.asarray(starts[t], dtype=bool)[:, np.newaxis]
    return {name: np.where(start, 0, s) for name, s in state.items()}


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
