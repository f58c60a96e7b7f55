"""What single hidden units follow: their activations over a text, and a search for those that keep track of something.

The signals are those of Karpathy, Johnson and Fei-Fei (2015): the position in the line, quotes, indentation, and so
on. A signal with numbers is compared with a unit by Pearson's correlation r; one with yes and no by the area under the
ROC curve: the probability that the unit is higher at a random yes than at a random no (Fawcett 2006), 0.5 by chance.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.text.corpus import Corpus
from ..nn.network import Network
from .trace import trace_hidden_states

Array = npt.NDArray[Any]
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True)
class Match:
    """A unit and a signal. measure "r": value in -1..1; "auc": value in 0..1, and 0.5 is nothing."""

    signal: str
    layer: int
    unit: int
    measure: str
    value: float

    @property
    def strength(self) -> float:
        """0: the unit tells nothing of the signal; 1: everything."""
        return abs(self.value) if self.measure == "r" else abs(2 * self.value - 1)


def activations(network: Network, corpus: Corpus) -> Array:
    """The outputs h (L, n, H) of every layer after each token, for a text that is read from its beginning."""
    shape = network.shape
    found = np.empty((shape.layers, len(corpus), shape.hidden), network.dtype)
    for first, stop in trace_hidden_states(network, corpus):
        for n, layer in enumerate(network.layers):
            found[n, first:stop] = layer.cell.h[1:, 0]
    return found


def signals(tokens: Iterable[str], starts: Collection[int] = ()) -> dict[str, Array]:
    """What a text is like after each token: name -> (n,), float64 for numbers, bool for yes and no.

    ``starts``: positions at which a document starts, and so a new line with nothing open.

    "line position": characters since the line began. "indentation": blanks at the line's beginning. "quotes": between
    double quotes; an empty line ends what was left open. "brackets": within (), [] or {}, likewise. "word": the last
    character is a letter, a digit or a byte of one.
    """
    reader, rows = _Reader(), []
    for position, token in enumerate(tokens):
        if position in starts:
            reader = _Reader()
        rows.append(reader.feed(token))
    columns = zip(*rows, strict=True) if rows else [()] * 5
    kinds = (np.float64, np.float64, np.bool_, np.bool_, np.bool_)
    names = ("line position", "indentation", "quotes", "brackets", "word")
    return {name: np.array(column, kind) for name, column, kind in zip(names, columns, kinds, strict=True)}


class _Reader:
    """Where a text stands, character by character."""

    def __init__(self) -> None:
        self.position = self.indentation = self.depth = 0
        self.quoted = self.word = False

    def feed(self, token: str) -> tuple[int, int, bool, bool, bool]:
        for char in token:
            self._feed(char)
        return self.position, self.indentation, self.quoted, self.depth > 0, self.word

    def _feed(self, char: str) -> None:
        self.word = char.isalnum() or char == "\ufffd"
        if char == "\n":
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


def search(
    values: Array, signals: Mapping[str, Array], most: int = 5, layers: Sequence[int] | None = None
) -> dict[str, list[Match]]:
    """For each signal the ``most`` units that follow it best, the best first; none for a signal that never changes.

    values (L, n, H) as of `activations`; ``layers``: those to search, by default all.
    """
    found: dict[str, list[Match]] = {name: [] for name in signals}
    for n in range(len(values)) if layers is None else layers:
        ranks = column_ranks(values[n])
        for name, signal in signals.items():
            if signal.min() < signal.max():
                auc = signal.dtype == bool
                scores = roc_areas(ranks, signal) if auc else correlations(values[n], signal)
                measure = "auc" if auc else "r"
                found[name] += [Match(name, n, unit, measure, float(v)) for unit, v in enumerate(scores)]
    return {name: sorted(matches, key=lambda m: -m.strength)[:most] for name, matches in found.items()}


def correlations(values: Array, signal: Array) -> Array:
    """Pearson's r (H,) of each column of values (n, H) with signal (n,); 0 for a column that never changes."""
    x = values - values.mean(axis=0, dtype=np.float64)
    y = signal - signal.mean()
    size = np.sqrt((x**2).sum(axis=0) * (y**2).sum())
    r: Array = np.divide(y @ x, size, out=np.zeros(len(size)), where=size > 0)
    return r


def roc_areas(ranks: Array, signal: Array) -> Array:
    """The area (H,) under the ROC curve of each unit as a sign of signal (n,) bool, from `column_ranks` (n, H).

    By Mann and Whitney's U: (sum of the ranks of the yes - p (p + 1) / 2) / (p q) for p yes and q no, ties halved.
    """
    yes = int(signal.sum())
    areas: Array = (ranks[signal].sum(axis=0) - yes * (yes + 1) / 2) / (yes * (len(signal) - yes))
    return areas


def column_ranks(values: Array) -> Array:
    """Ranks (n, H) from 1 in each column of values (n, H); equal values share the mean of theirs."""
    ranks = np.empty(values.shape)
    for j, column in enumerate(values.T):
        _, places, counts = np.unique(column, return_inverse=True, return_counts=True)
        ranks[:, j] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks
