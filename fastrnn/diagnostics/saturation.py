"""How much a network uses its gates: the share of time steps at which each is nearly shut or nearly open.

A gate below 0.1 or above 0.9 counts as saturated, as in Karpathy, Johnson and Fei-Fei (2015), "Visualizing and
understanding recurrent networks". Of the outputs h, in -1..1, those below -0.9 and above 0.9 are counted; of ReLU's,
those that are 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.corpus import Corpus
from ..nn.network import Network
from .reading import read_through

Array = npt.NDArray[Any]

# cell -> its gates, and the block of ``cell.gates`` that holds each after a forward pass (see fastrnn.cpu)
BLOCKS = {
    "lstm": {"i": 0, "f": 1, "o": 3},
    "gru": {"r": 1, "z": 2},
    "gru-simplified": {"u": 0},
}
GATE = (0.1, 0.9)
OUTPUT = {"rnn-relu": (0.0, np.inf)}
TANH = (-0.9, 0.9)


@dataclass(frozen=True, eq=False)
class GateUse:
    """One gate ("i", "f", "o", "r", "z", "u"), or the output "h", of one layer, for each unit (H,): its share of steps
    at or below the lower bound, at or above the upper, and its mean.
    """

    layer: int
    gate: str
    low: Array
    high: Array
    mean: Array


def saturation(network: Network, corpus: Corpus) -> list[GateUse]:
    """Every gate of every layer over a text that is read from its beginning, layer by layer."""
    cell, hidden = network.shape.cell, network.shape.hidden
    blocks = BLOCKS.get(cell, {})
    sums = {(n, gate): np.zeros((3, hidden)) for n in range(network.shape.layers) for gate in (*blocks, "h")}
    for _ in read_through(network, corpus):
        for (n, gate), total in sums.items():
            arrays = network.layers[n].cell
            if gate == "h":
                values, (low, high) = arrays.h[1:, 0], OUTPUT.get(cell, TANH)
            else:
                at = blocks[gate] * hidden
                values, (low, high) = arrays.gates[:, 0, at : at + hidden], GATE
            total += [(values <= low).sum(0), (values >= high).sum(0), values.sum(0, dtype=np.float64)]
    return [GateUse(n, gate, *(total / len(corpus))) for (n, gate), total in sums.items()]
