"""Units: activations over a text, gate saturation, and a search for units that follow a property of the text.

A `Trace` holds the states and losses at each token, and the surprisal -log P(token | the tokens before), in nats.

The signals are those of Karpathy, Johnson and Fei-Fei (2015), "Visualizing and understanding recurrent networks":
the position in the line, quotes, indentation, and so on. A numeric signal is compared with a unit by Pearson's
correlation r; a yes-or-no signal by the area under the ROC curve: the probability that the unit is higher at a random
yes than at a random no (Fawcett 2006), 0.5 by chance.

A gate below 0.1 or above 0.9 counts as saturated, as in that paper. For the outputs h in -1..1 the bounds are -0.9
and 0.9; ReLU outputs count as saturated when they are 0.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..cells import CELLS
from ..data.text.corpus import Corpus, check_predictable
from ..errors import ConfigError
from ..nn.network import Network

Array = npt.NDArray[Any]

STEPS = 128  # tokens of one window
GATE = (0.1, 0.9)  # bounds of a saturated gate


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
    """Return the surprisal (n,) float64 of each token in nats; NaN for the first token of each file.

    Raises:
        InputError: Each file has one token only.
    """
    check_predictable(corpus)
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


_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True)
class Match:
    """How well one unit follows one signal.

    Attributes:
        signal: The name of the signal.
        layer: The layer, from 0.
        unit: The unit, from 0.
        measure: "r" for Pearson's correlation, "auc" for the area under the ROC curve.
        value: For "r" in -1..1; for "auc" in 0..1, where 0.5 means no relation.
    """

    signal: str
    layer: int
    unit: int
    measure: str
    value: float

    @property
    def strength(self) -> float:
        """0 for a unit unrelated to the signal, 1 for one that determines it."""
        return abs(self.value) if self.measure == "r" else abs(2 * self.value - 1)


def compute_activations(network: Network, corpus: Corpus) -> Array:
    """Return the outputs h (L, n, H) of every layer after each token of a text, from a zero state."""
    shape = network.shape
    found = np.empty((shape.layers, len(corpus), shape.hidden), network.dtype)
    for first, stop in trace_hidden_states(network, corpus):
        for n, layer in enumerate(network.layers):
            found[n, first:stop] = layer.cell.h[1:, 0]
    return found


def compute_signals(tokens: Iterable[str], starts: Collection[int] = ()) -> dict[str, Array]:
    """Compute the signals of a text after each token.

    Args:
        tokens: The decoded tokens.
        starts: Positions where a document starts: a new line, outside quotes and brackets.

    Returns:
        Name -> (n,), float64 for numbers, bool for yes and no:

        * "line position": characters since the start of the line.
        * "indentation": spaces and tabs at the start of the line.
        * "quotes": inside double quotes; an empty line closes them.
        * "brackets": inside (), [] or {}; an empty line closes them.
        * "word": the last character is a letter, a digit or a byte of one.
    """
    state, rows = _TextState(), []
    for position, token in enumerate(tokens):
        if position in starts:
            state = _TextState()
        rows.append(state.read(token))
    columns = zip(*rows, strict=True) if rows else [()] * 5
    kinds = (np.float64, np.float64, np.bool_, np.bool_, np.bool_)
    names = ("line position", "indentation", "quotes", "brackets", "word")
    return {name: np.array(column, kind) for name, column, kind in zip(names, columns, kinds, strict=True)}


class _TextState:
    """The signals at the current character of a text."""

    def __init__(self) -> None:
        self.position = self.indentation = self.depth = 0
        self.quoted = self.word = False

    def read(self, token: str) -> tuple[int, int, bool, bool, bool]:
        for char in token:
            self._read_char(char)
        return self.position, self.indentation, self.quoted, self.depth > 0, self.word

    def _read_char(self, char: str) -> None:
        self.word = char.isalnum() or char == "\ufffd"
        if char == "\n":
            # An empty line: an unbalanced quote or bracket must not affect the rest of the text.
            if self.position == 0:
                self.quoted, self.depth = False, 0
            self.position = self.indentation = 0
            return
        if char in " \t" and self.indentation == self.position:
            self.indentation += 1
        self.position += 1
        if char == '"':
            self.quoted = not self.quoted
        elif char in "“”":
            self.quoted = char == "“"
        self.depth = max(0, self.depth + (char in _OPENING) - (char in _CLOSING))


def find_units(
    values: Array, signals: Mapping[str, Array], most: int = 5, layers: Sequence[int] | None = None
) -> dict[str, list[Match]]:
    """Find the units that follow each signal best.

    Args:
        values: (L, n, H) as returned by `compute_activations`.
        signals: As returned by `compute_signals`.
        most: The number of units for each signal.
        layers: The layers to search; None for all.

    Returns:
        For each signal its best units, best first; an empty list for a constant signal.
    """
    found: dict[str, list[Match]] = {name: [] for name in signals}
    for n in range(len(values)) if layers is None else layers:
        # The ranks of a layer serve all yes-or-no signals.
        ranks = column_ranks(values[n])
        for name, signal in signals.items():
            if signal.min() < signal.max():
                auc = signal.dtype == bool
                scores = roc_areas(ranks, signal) if auc else correlations(values[n], signal)
                measure = "auc" if auc else "r"
                found[name] += [Match(name, n, unit, measure, float(v)) for unit, v in enumerate(scores)]
    return {name: sorted(matches, key=lambda m: -m.strength)[:most] for name, matches in found.items()}


def correlations(values: Array, signal: Array) -> Array:
    """Return Pearson's r (H,) of each column of values (n, H) with signal (n,); 0 for a constant column."""
    x = values - values.mean(axis=0, dtype=np.float64)
    y = signal - signal.mean()
    size = np.sqrt((x**2).sum(axis=0) * (y**2).sum())
    r: Array = np.divide(y @ x, size, out=np.zeros(len(size)), where=size > 0)
    return r


def roc_areas(ranks: Array, signal: Array) -> Array:
    """Return the area (H,) under the ROC curve of each unit as a predictor of signal (n,) bool.

    ``ranks`` (n, H) as returned by `column_ranks`. By Mann and Whitney's U, for p true and q false:
    (sum of the ranks of the true - p (p + 1) / 2) / (p q), ties count half.
    """
    yes = int(signal.sum())
    areas: Array = (ranks[signal].sum(axis=0) - yes * (yes + 1) / 2) / (yes * (len(signal) - yes))
    return areas


def column_ranks(values: Array) -> Array:
    """Return ranks (n, H) from 1 in each column of values (n, H); equal values get their mean rank."""
    ranks = np.empty(values.shape)
    for j, column in enumerate(values.T):
        _, places, counts = np.unique(column, return_inverse=True, return_counts=True)
        ranks[:, j] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


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


def compute_saturation(network: Network, corpus: Corpus) -> list[GateSaturation]:
    """Measure every gate and the output of every layer over a text, from a zero state."""
    hidden = network.shape.hidden
    spec = CELLS[network.shape.cell]
    gates = spec.sigmoid_gates
    # (layer, gate) -> (3, H): steps at or below the lower bound, at or above the upper, and the sum
    sums = {(n, gate): np.zeros((3, hidden)) for n in range(network.shape.layers) for gate in (*gates, "h")}
    for _ in trace_hidden_states(network, corpus):
        for (n, gate), total in sums.items():
            if gate == "h":
                values, (low, high) = network.layers[n].cell.h[1:, 0], spec.output_bounds
            else:
                values, (low, high) = network.layers[n].gate_values(gate)[:, 0], GATE
            total += [(values <= low).sum(0), (values >= high).sum(0), values.sum(0, dtype=np.float64)]
    return [GateSaturation(n, gate, *(total / len(corpus))) for (n, gate), total in sums.items()]
