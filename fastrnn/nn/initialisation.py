"""How weights start."""

import math
from typing import Any

import numpy as np

from .parameters import Parameters
from .shapes import ModelShape

ONE_HOT_STD = 0.58  # of the table that one-hot input selects from; torch's 1/sqrt(3H) cost a tenth of a nat in trials


def initialise(parameters: Parameters, shape: ModelShape, kind: str, rng: np.random.Generator) -> None:
    """Fill in place. ``kind`` "uniform": +-1/sqrt(H), torch.nn's; "orthogonal": each gate's recurrent matrix orthogonal
    (Saxe et al. 2014), input matrices uniform with variance 1/fan_in. Biases start at 0, an LSTM's forget gates at 1
    (Gers et al. 2000; Jozefowicz et al. 2015), as the sum of its two biases.
    """
    hidden = shape.hidden
    for name, view in parameters.items():
        if "bias" in name:
            view[...] = 0
            if shape.cell == "lstm" and name.startswith("rnn.bias_ih"):
                view[hidden : 2 * hidden] = 1
        elif name == "rnn.weight_ih_l0":
            view[...] = rng.normal(0, ONE_HOT_STD, view.shape)
        elif kind == "orthogonal" and "weight_hh" in name:
            for gate in range(shape.gates):
                view[gate * hidden : (gate + 1) * hidden] = _orthogonal(hidden, rng)
        else:
            bound = 1 / math.sqrt(hidden) if kind == "uniform" else math.sqrt(3 / view.shape[1])
            view[...] = rng.uniform(-bound, bound, view.shape)
    if shape.cell == "rnn-relu":
        for n in range(shape.layers):
            # a scaled identity (Le, Jaitly and Hinton 2015): at 1 the state summed up one-hot inputs until the loss
            # blew up
            parameters[f"rnn.weight_hh_l{n}"][...] = 0.5 * np.eye(hidden)


def _orthogonal(size: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return q * np.sign(np.diag(r))
