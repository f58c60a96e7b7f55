"""How surprised a model is at each token of a text: -log P(token | the tokens before), in nats."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.text.corpus import Corpus
from ..nn.network import Network
from .trace import trace_hidden_states

Array = npt.NDArray[Any]


def surprise(network: Network, corpus: Corpus) -> Array:
    """Nats (n,) float64 for each token of the corpus; NaN for the first of each file, which nothing comes before."""
    nats = np.empty(len(corpus) + 1)
    for first, stop in trace_hidden_states(network, corpus):
        nats[first + 1 : stop + 1] = network.losses[:, 0]
    nats[corpus.breaks] = np.nan
    return nats[:-1]


def most_surprising(nats: Array, count: int) -> list[int]:
    """The positions of the ``count`` largest, the largest first."""
    order = np.argsort(-nats, kind="stable")  # NaN comes last
    return [int(i) for i in order[: min(count, int(np.isfinite(nats).sum()))]]
