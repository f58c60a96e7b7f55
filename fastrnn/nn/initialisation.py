"""How weights start."""

import math
from typing import Any, Protocol

import numpy as np

from ..cells import CELLS
from .parameters import Parameters

# Of the embeddings of a classifier's words. A word that is seen a few times is trained by a few updates only: what is
# left of a large random start is noise, by which reviews were learnt by heart (77.6% of new ones are right instead of
# 76.3%, three seeds).
EMBEDDING_STD = 0.1
ONE_HOT_STD = 0.58  # of the table that one-hot input selects from; torch's 1/sqrt(3H) cost a tenth of a nat in trials


class Shape(Protocol):
    """What initialisation must know of a model besides its parameters' names."""

    @property
    def cell(self) -> str: ...

    @property
    def tables(self) -> tuple[str, ...]:
        """The weights of which ids choose columns or rows: one-hot input, embeddings."""

    @property
    def small_tables(self) -> tuple[str, ...]:
        """Those of them that start close to zero."""


def initialise(parameters: Parameters, shape: Shape, kind: str, rng: np.random.Generator) -> None:
    """Fill in place. ``kind`` "uniform": +-1/sqrt(H), torch.nn's; "orthogonal": each gate's recurrent matrix orthogonal
    (Saxe et al. 2014), input matrices uniform with variance 1/fan_in. Biases start at 0, an LSTM's forget gates at 1
    (Gers et al. 2000; Jozefowicz et al. 2015), as the sum of its two biases.
    """
    host = Parameters({name: view.shape for name, view in parameters.items()}, parameters.flat.dtype)
    _fill(host, shape, kind, rng)
    parameters.assign(host)


def _fill(parameters: Parameters, shape: Shape, kind: str, rng: np.random.Generator) -> None:
    spec = CELLS[shape.cell]
    for name, view in parameters.items():
        if "bias" in name:
            view[...] = 0
            if spec.ones_bias is not None and ".bias_ih" in name:
                view.reshape(spec.gate_count, -1)[spec.gates.index(spec.ones_bias)] = 1
        elif name in shape.tables:
            view[...] = rng.normal(0, EMBEDDING_STD if name in shape.small_tables else ONE_HOT_STD, view.shape)
        elif kind == "orthogonal" and ".weight_hh" in name:
            hidden = view.shape[1]
            for gate in range(len(view) // hidden):
                view[gate * hidden : (gate + 1) * hidden] = _orthogonal(hidden, rng)
        else:
            fan = len(view) // spec.gate_count if ".weight_ih" in name else view.shape[1]  # H of torch.nn's layers
            bound = 1 / math.sqrt(fan) if kind == "uniform" else math.sqrt(3 / view.shape[1])
            view[...] = rng.uniform(-bound, bound, view.shape)
    if spec.identity_scale is not None:
        for name, view in parameters.items():
            if ".weight_hh" in name:
                view[...] = spec.identity_scale * np.eye(view.shape[1])


def _orthogonal(size: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return q * np.sign(np.diag(r))
