"""How far back a loss is felt: the gradient of the last step's loss by the state of each earlier step.

The plain network's state depends on an earlier one through a product of factors,

    dE_T/ds_k = dE_T/ds_T (product over j = k+1 .. T of ds_j/ds_{j-1}),     ds_j/ds_{j-1} = diag(f'(a_j)) W_hh

so its size falls or grows exponentially with T - k (Bengio, Simard, Frasconi 1994; Pascanu, Mikolov, Bengio 2013).
The LSTM's cell and the GRU's state have a path beside W_hh, on which the factor is a gate.

Nothing is estimated: for each lag k the last k steps are run as a window of their own from the state that the steps
before left, and back-propagation's gradient of that first state is read off.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.text.corpus import Corpus
from ..errors import ConfigError, InputError
from ..nn.network import Network

WARM = 64  # tokens read before the first of the looked-at steps, so that its state is one from within a text
Ids = npt.NDArray[np.int32]
Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Rows:
    """B places of a text. ids (W+K, B) int32: W tokens to warm up on, then K steps; targets (B,): what the last of them
    has to predict. starts (W+1, B) bool: where the state is zeroed before a step, up to the first of the K.
    """

    ids: Ids
    targets: Ids
    starts: npt.NDArray[np.bool_]

    @property
    def lags(self) -> int:
        """K, how many steps back the loss is followed."""
        return len(self.ids) - len(self.starts) + 1


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """norms: "h", and "c" for the LSTM, -> (L, K) float64. Column k-1 is the L2 norm over the H units, its mean over
    the ``rows``, of the gradient of a row's last loss, in nats, by the state that enters the k-th step from the end:
    what that layer is handed over from step to step, and truncation to k-1 steps would cut off.
    """

    norms: dict[str, Array]
    rows: int

    @property
    def lags(self) -> int:
        """K, how many steps back the loss was followed."""
        return int(self.norms["h"].shape[1])

    def factor(self, name: str, layer: int) -> float:
        """What one step back multiplies the gradient by: the geometric mean from lag 1 to the last. NaN for one lag, or
        where there is no gradient at all.
        """
        first, last = self.norms[name][layer][[0, -1]]
        return float((last / first) ** (1 / (self.lags - 1))) if self.lags > 1 and first > 0 else math.nan


def check_amounts(lags: int, rows: int) -> None:
    """Raises `ConfigError` unless both are at least 1."""
    for name, value in (("lags", lags), ("rows", rows)):
        if value < 1:
            raise ConfigError(f"{name} is {value}; it must be at least 1")


def choose_rows(corpus: Corpus, lags: int = 64, rows: int = 32) -> Rows:
    """``rows`` places spread evenly over a text, fewer if it has fewer; no document starts between their K steps.

    Raises `ConfigError` for impossible numbers, `InputError` when no document has K+1 tokens.
    """
    check_amounts(lags, rows)
    lengths = np.diff(np.append(corpus.starts, len(corpus)))
    places = np.maximum(lengths - lags, 0)  # in each document
    total = int(places.sum())
    if total == 0:
        raise InputError(f"no document of the text has {lags + 1} tokens; use a longer text, or fewer --lags")
    rank = np.arange(min(rows, total)) * total // min(rows, total)
    document = np.searchsorted(np.cumsum(places), rank, side="right")
    first = corpus.starts[document] + rank - (np.cumsum(places) - places)[document]
    at = first + np.arange(-WARM, lags)[:, None]
    ids = np.take(corpus.ids, at, mode="clip").astype(np.int32)
    # before a text's beginning its first token is repeated, and then forgotten, for there a document starts
    starts = np.isin(at[: WARM + 1], corpus.starts)
    return Rows(ids, corpus.ids[first + lags].astype(np.int32), starts)


def gradient_flow(network: Network, rows: Rows) -> GradientFlow:
    """The norms for every layer and lag. ``network`` is used with its own windows."""
    lags, batch = rows.lags, rows.ids.shape[1]
    ids = rows.ids[-lags:]
    states = _states(network, rows)
    norms = {name: np.empty((network.shape.layers, lags)) for name in states}
    for lag in range(1, lags + 1):
        start = lags - lag
        targets = np.full((lag, batch), -1, np.int32)
        targets[-1] = rows.targets
        state = {name: array[:, start].copy() for name, array in states.items()}
        network.loss_and_gradient(np.ascontiguousarray(ids[start:]), targets, None, state)
        for name, gradient in network.dstate.items():
            # the loss is a mean over the rows; a row's own loss has ``batch`` times the gradient
            sizes = np.linalg.norm(gradient.astype(np.float64) * batch, axis=2)
            norms[name][:, lag - 1] = sizes.mean(axis=1)
    return GradientFlow(norms, batch)


def _states(network: Network, rows: Rows) -> dict[str, Array]:
    """The states that the K steps start from: name -> (L, K, B, H)."""
    warm, batch = len(rows.starts) - 1, rows.ids.shape[1]
    state = network.initial_state(batch)
    if warm:
        x = np.ascontiguousarray(rows.ids[:warm])
        network.loss(x, np.full_like(x, -1), np.ascontiguousarray(rows.starts[:warm], np.uint8), state)
    for array in state.values():
        array[:, rows.starts[warm]] = 0
    x = np.ascontiguousarray(rows.ids[warm:])
    network.loss(x, np.full_like(x, -1), None, state)
    return {name: np.stack([getattr(layer.cell, name)[:-1] for layer in network.layers]) for name in state}
