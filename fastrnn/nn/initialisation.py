"""Weight initialisation."""

import math
from typing import Any, Protocol

import numpy as np

from ..cells import CELLS
from .parameters import Parameters

# Standard deviation of a classifier's word embeddings. Rare words receive few updates, so a large
# random start stays in them as noise, to which the model overfits: on reviews, 0.1 gives 77.6%
# validation accuracy and a large start 76.3% (three seeds).
EMBEDDING_STD = 0.1
# Standard deviation of the other tables. torch.nn's 1/sqrt(3H) was 0.1 nats worse in trials.
ONE_HOT_STD = 0.58


class Shape(Protocol):
    """The properties of a model that initialisation needs besides its parameter names."""

    @property
    def cell(self) -> str: ...

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of weights indexed by ids: of one-hot input, and embeddings."""

    @property
    def small_tables(self) -> tuple[str, ...]:
        """Names of the tables with standard deviation `EMBEDDING_STD`."""


def initialise(parameters: Parameters, shape: Shape, kind: str, rng: np.random.Generator) -> None:
    """Initialise parameters in place.

    Biases start at 0; the sum of the two biases of an LSTM's forget gate at 1 (Gers et al. 2000;
    Jozefowicz et al. 2015).

    Args:
        parameters: Parameters on any device.
        shape: The model they belong to.
        kind: "uniform": +-1/sqrt(H), as torch.nn; "orthogonal": the recurrent matrix of each gate
            orthogonal (Saxe et al. 2014), input matrices uniform with variance 1/fan_in.
        rng: Random generator.
    """
    # Filled on the host, then copied: the same bits on every device.
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
            # torch.nn bounds recurrent layers by H and linear layers by their inputs.
            fan = len(view) // spec.gate_count if ".weight_ih" in name else view.shape[1]
            bound = 1 / math.sqrt(fan) if kind == "uniform" else math.sqrt(3 / view.shape[1])
            view[...] = rng.uniform(-bound, bound, view.shape)
    if spec.identity_scale is not None:
        for name, view in parameters.items():
            if ".weight_hh" in name:
                view[...] = spec.identity_scale * np.eye(view.shape[1])


def _orthogonal(size: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    # The signs make the distribution uniform over the orthogonal group (Mezzadri 2007).
    return q * np.sign(np.diag(r))
