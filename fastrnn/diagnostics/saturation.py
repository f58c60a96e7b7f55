"""Gate saturation: the share of time steps at which each gate is nearly closed or nearly open.

A gate below 0.1 or above 0.9 counts as saturated, as in Karpathy, Johnson and Fei-Fei (2015), "Visualizing and
understanding recurrent networks". For the outputs h in -1..1 the bounds are -0.9 and 0.9; ReLU outputs
count as saturated when they are 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..cells import CELLS
from ..data.text.corpus import Corpus
from ..nn.network import Network
from .trace import trace_hidden_states

Array = npt.NDArray[Any]

# The bounds of a saturated gate.
GATE = (0.1, 0.9)


@dataclass(frozen=True, eq=False)
class GateSaturation:
    """The saturation of one gate of one layer, for each unit.

    Attributes:
        layer: The layer, from 0.
        gate: "i", "f", "o", "r", "z" or "u", or "h" for the output.
        low: (H,): the share of steps at or below the lower bound.
        high: (H,): the share of steps at or above the upper bound.
        mean: (H,): the mean over all steps.
    """

    layer: int
    gate: str
    low: Array
    high: Array
    mean: Array


def saturation(network: Network, corpus: Corpus) -> list[GateSaturation]:
    """Measure every gate and the output of every layer over a text, from a zero state."""
    hidden = network.shape.hidden
    spec = CELLS[network.shape.cell]
    blocks = spec.sigmoid_gates
    # (layer, gate) -> (3, H): steps at or below the lower bound, at or above the upper, and the sum
    sums = {(n, gate): np.zeros((3, hidden)) for n in range(network.shape.layers) for gate in (*blocks, "h")}
    for _ in trace_hidden_states(network, corpus):
        for (n, gate), total in sums.items():
            arrays = network.layers[n].cell
            if gate == "h":
                values, (low, high) = arrays.h[1:, 0], spec.output_bounds
            else:
                # The columns of this gate in the stacked gates (T, B, gates * H).
                at = blocks[gate] * hidden
                values, (low, high) = arrays.gates[:, 0, at : at + hidden], GATE
            total += [(values <= low).sum(0), (values >= high).sum(0), values.sum(0, dtype=np.float64)]
    return [GateSaturation(n, gate, *(total / len(corpus))) for (n, gate), total in sums.items()]
