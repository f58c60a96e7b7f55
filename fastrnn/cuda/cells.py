"""What a cell must bring so that `walk` can take it through a sequence; see `fastrnn.cpu.cells` for the arrays.

    step_forward(gates, h, c, t, b, j)                pre-activations of unit j -> h[t+1, b, j] (and c)
    step_backward(gates, h, c, t, b, j, d_h, dc)      -> gradients of the pre-activations, dc[b, j], and, returned, the
                                                      part of the state's gradient that does not pass through W_hh

One thread does one unit j of one batch row b; neighbours in a warp are batch rows, then units.
"""

from typing import Any, NamedTuple

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
