"""How much a network uses its gates: the share of time steps at which each is nearly shut or nearly open.

A gate below 0.1 or above 0.9 counts as saturated, as in Karpathy, Johnson and Fei-Fei (2015), "Visualizing and
understanding recurrent networks". Of the outputs h, in -1..1, those below -0.9 and above 0.9 are counted; of ReLU's,
those that are 0.
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

GATE = (0.1, 0.9)


@dataclass(frozen=True, eq=False)
class GateSaturation:
    """One gate ("i", "f", "o", "r", "z", "u"), or the output "h", of one layer, for each unit (H,): its share of steps
    at or below the lower bound, at or above the upper, and its mean.
    """

    layer: int
    gate: str
    low: Array
    high: Array
    mean: Array


def saturation(network: Network, corpus: Corpus) -> list[GateSaturation]:
    """Every gate of every layer over a text that is read from its beginning, layer by layer."""
    cell, hidden = network.shape.cell, network.shape.hidden
    spec = CELLS[cell]
    blocks = spec.sigmoid_gates
    sums = {(n, gate): np.zeros((3, hidden)) for n in range(network.shape.layers) for gate in (*blocks, "h")}
    for _ in trace_hidden_states(network, corpus):
        for (n, gate), total in sums.items():
            arrays = network.layers[n].cell
            if gate == "h":
                values, (low, high) = arrays.h[1:, 0], spec.output_bounds
            else:
                at = blocks[gate] * hidden
                values, (low, high) = arrays.gates[:, 0, at : at + hidden], GATE
            total += [(values <= low).sum(0), (values >= high).sum(0), values.sum(0, dtype=np.float64)]
    return [GateSaturation(n, gate, *(total / len(corpus))) for (n, gate), total in sums.items()]
