"""A layer: a cell unrolled over time, in one or both directions, and back-propagation through time.

Forward, with the same weights W at every step:

    for t = 0 .. T-1:    h_t = step(x_t, h_{t-1})

Backward (Werbos 1990): the loss E depends on W through every step,

    dE/dW = sum over t, sum over k <= t, of  dE_t/dh_t (product over j = k+1 .. t of dh_j/dh_{j-1}) dh_k/dW

but this double sum takes a single loop. From the last step to the first, the gradient of h_t is that from the layer
above plus that from step t+1, which already contains every later E_t with its product of factors:

    for t = T-1 .. 0:    dh_t = (from above)_t + (from t+1);   dx_t, dh_{t-1}, dW += step_backward(dh_t)

Where a document starts, the state is reset to zero before the step, so no gradient flows back past it.

A bidirectional layer (Schuster and Paliwal 1997) runs a second layer, with weights of its own, from T-1 to 0:

    h>_t = step(x_t, h>_{t-1})       h<_t = step(x_t, h<_{t+1})       y_t = [h>_t, h<_t]

It is the same layer on the reversed sequence, its outputs reversed again; dx is the sum of both directions' dx.
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
    """The forward and the backward step of a cell."""

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
    cell: Cell, x: Array, state: State, w: Weights, resets: Array | None = None
) -> tuple[Array, State, list[Saved]]:
    """Return the outputs h (T, B, H) of a layer, its last state, and the tape for `layer_backward`.

    x (T, B, F); state {name: (B, H)}, not modified; resets (T, B) is 1 where the state is zeroed before the step.
    """
    outputs = []
    tape = []
    for t in range(len(x)):
        state, saved = cell.step(x[t], _reset_state(state, resets, t), w)
        outputs.append(state["h"])
        tape.append(saved)
    return np.stack(outputs), state, tape


def layer_backward(
    cell: Cell, dh: Array, dstate: State, tape: list[Saved], w: Weights, dw: Weights, resets: Array | None = None
) -> tuple[Array, State]:
    """Return dx (T, B, F) and the gradient of the first state; add to dw.

    dh (T, B, H) is the gradient of the outputs; dstate {name: (B, H)} that of the last state (zeros in truncated
    back-propagation); tape and resets are those of `layer_forward`.
    """
    dx = []
    for t in reversed(range(len(dh))):
        dstate = {**dstate, "h": dstate["h"] + dh[t]}
        dx_t, dstate = cell.step_backward(dstate, tape[t], w, dw)
        dstate = _reset_state(dstate, resets, t)
        dx.append(dx_t)
    return np.stack(dx[::-1]), dstate


def _reset_state(state: State, resets: Array | None, t: int) -> State:
    """Return the state (B, H) before step t, or its gradient, with zeros in the streams that are reset."""
    if resets is None:
        return state
    is_reset = np.asarray(resets[t], dtype=bool)[:, np.newaxis]
    return {name: np.where(is_reset, 0, s) for name, s in state.items()}


Both = tuple[State, State]  # forward direction, backward direction


def bidirectional_forward(
    cell: Cell, x: Array, states: Both, w: tuple[Weights, Weights]
) -> tuple[Array, Both, tuple[list[Saved], list[Saved]]]:
    """Return the outputs y (T, B, 2H), the last state of each direction, and the tapes for `bidirectional_backward`.

    x (T, B, F). The backward direction's first state is the one after step T-1, its last state the one at step 0.
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
    """Return dx (T, B, F) and the gradients of the first states from dy (T, B, 2H) and dstates; add to dw."""
    dforward, dbackward = np.split(dy, 2, axis=2)
    dx_forward, first_forward = layer_backward(cell, dforward, dstates[0], tapes[0], w[0], dw[0])
    dx_backward, first_backward = layer_backward(cell, dbackward[::-1], dstates[1], tapes[1], w[1], dw[1])
    return dx_forward + dx_backward[::-1], (first_forward, first_backward)
