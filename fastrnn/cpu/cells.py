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
"""

from collections.abc import Callable
from typing import Any

from .compiling import chosen_by_type


def step_forward(cell, t, lo, hi):
    """Rows lo..hi of step t, forward; chosen by the type of ``cell`` when a kernel is compiled."""


def step_backward(cell, t, lo, hi, dy, dh, dc):
    """Rows lo..hi of step t, backward; chosen by the type of ``cell`` when a kernel is compiled."""


def register(cell_class: type, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
    """Make these compiled functions the steps of this cell."""

    def _is(cell: Any) -> bool:
        return getattr(cell, "instance_class", None) is cell_class

    @chosen_by_type(step_forward)
    def _forward(cell, t, lo, hi):
        return (lambda cell, t, lo, hi: forward(cell, t, lo, hi)) if _is(cell) else None

    @chosen_by_type(step_backward)
    def _backward(cell, t, lo, hi, dy, dh, dc):
        return (lambda cell, t, lo, hi, dy, dh, dc: backward(cell, t, lo, hi, dy, dh, dc)) if _is(cell) else None
