"""States and losses at each token of a text, and the surprisal -log P(token | the tokens before), in nats."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.text.corpus import Corpus
from ..errors import ConfigError
from ..nn.network import Network

Array = npt.NDArray[Any]

STEPS = 128  # tokens of one window


def head(corpus: Corpus, length: int = 10_000) -> Corpus:
    """Return the first ``length`` tokens of a corpus. Raises `ConfigError` for fewer than 2."""
    if length < 2:
        raise ConfigError(f"length is {length}; it must be at least 2")
    starts, breaks = (p[p < length] for p in (corpus.starts, corpus.breaks))
    return replace(corpus, ids=corpus.ids[:length], starts=starts, breaks=breaks)


def token_texts(corpus: Corpus) -> list[str]:
    """Decode each token by itself, without escapes; a byte that is not a character is U+FFFD."""
    return [corpus.tokenizer.decode([i]) for i in corpus.ids.tolist()]


def trace_hidden_states(network: Network, corpus: Corpus) -> Iterator[tuple[int, int]]:
    """Run the network over the corpus as one stream; the state is carried within a document.

    Yields (first, stop) after each window: tokens first..stop-1 have been fed, and ``network.losses`` (T, 1)
    and the layers' arrays hold that window. The loss at a token is that of predicting the next one; at the
    last token of the corpus it is 0.
    """
    # The last token has no target: -1 is not scored.
    targets = np.append(corpus.ids[1:].astype(np.int32), np.int32(-1))
    bounds = np.append(corpus.starts, len(corpus)).tolist()
    for document, end in pairwise(bounds):
        state = network.initial_state(1)
        for first in range(document, end, STEPS):
            stop = min(first + STEPS, end)
            x = np.ascontiguousarray(corpus.ids[first:stop, None], np.int32)
            network.loss(x, np.ascontiguousarray(targets[first:stop, None]), None, state)
            yield first, stop


def compute_surprisal(network: Network, corpus: Corpus) -> Array:
    """Return the surprisal (n,) float64 of each token in nats; NaN for the first token of each file."""
    # The loss at a token is the surprisal of the next one, hence the shift by one.
    nats = np.empty(len(corpus) + 1)
    for first, stop in trace_hidden_states(network, corpus):
        nats[first + 1 : stop + 1] = network.losses[:, 0]
    nats[corpus.breaks] = np.nan
    return nats[:-1]


def find_largest(nats: Array, count: int) -> list[int]:
    """Return the positions of the ``count`` largest values, largest first; NaN is ignored."""
    order = np.argsort(-nats, kind="stable")  # sorts NaN last
    return [int(i) for i in order[: min(count, int(np.isfinite(nats).sum()))]]
