"""The surprisal of each token of a text: -log P(token | the tokens before), in nats."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.text.corpus import Corpus
from ..nn.network import Network
from .trace import trace_hidden_states

Array = npt.NDArray[Any]


def compute_surprisal(network: Network, corpus: Corpus) -> Array:
    """The surprisal (n,) float64 of each token in nats; NaN for the first token of each file."""
    # The loss at a token is the surprisal of the next one, hence the shift by one.
    nats = np.empty(len(corpus) + 1)
    for first, stop in trace_hidden_states(network, corpus):
        nats[first + 1 : stop + 1] = network.losses[:, 0]
    nats[corpus.breaks] = np.nan
    return nats[:-1]


def find_largest(nats: Array, count: int) -> list[int]:
    """The positions of the ``count`` largest values, largest first; NaN is ignored."""
    order = np.argsort(-nats, kind="stable")  # sorts NaN last
    return [int(i) for i in order[: min(count, int(np.isfinite(nats).sum()))]]
