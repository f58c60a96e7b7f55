"""Sequences of different lengths in one array, and the padded batches made of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]

MOST_POSITIONS = 1 << 17  # of a padded batch of several records: some 300 MB for each 100 units of a layer
FEW_POSITIONS = 1 << 14  # that cost little, however many of them are padding
_MOST_PADDED = 4  # times as many positions as the records have steps


@dataclass(frozen=True, eq=False)
class Ragged:
    """n sequences: number i is ``flat[bounds[i] : bounds[i + 1]]``; ``flat`` (total, ...), ``bounds`` (n + 1,)."""

    flat: Array
    bounds: Positions

    @classmethod
    def of(cls, sequences: Sequence[Array], dtype: Any = None) -> "Ragged":
        """From arrays (T_i, ...), at least one."""
        flat = np.concatenate(sequences)
        return cls(flat if dtype is None else flat.astype(dtype, copy=False), _bounds(map(len, sequences)))

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def lengths(self) -> Positions:
        return np.diff(self.bounds)

    def take(self, rows: Positions) -> "Ragged":
        """Some of the sequences, in this order."""
        lengths = self.lengths[rows]
        bounds = _bounds(lengths.tolist())
        within = np.arange(bounds[-1]) - np.repeat(bounds[:-1], lengths)
        return Ragged(self.flat[np.repeat(self.bounds[rows], lengths) + within], bounds)

    def right(self, rows: Positions, padding: float = 0) -> Array:
        """(T, B, ...), T the greatest length: each sequence ends at the last step."""
        first, lengths = self.bounds[rows], self.lengths[rows]
        steps = int(lengths.max(initial=0))
        return self._filled(np.arange(steps)[:, None] - (steps - lengths), first, lengths, padding)

    def left(self, rows: Positions, padding: float = 0, more: int = 0) -> Array:
        """(T + more, B, ...), T the greatest length: each sequence starts at the first step."""
        first, lengths = self.bounds[rows], self.lengths[rows]
        steps = int(lengths.max(initial=0)) + more
        return self._filled(np.broadcast_to(np.arange(steps)[:, None], (steps, len(rows))), first, lengths, padding)

    def _filled(self, at: Positions, first: Positions, lengths: Positions, padding: float) -> Array:
        """The values at steps ``at`` (T, B) of sequences; padding where a sequence has no such step."""
        inside = (at >= 0) & (at < lengths)
        found: Array = (
            self.flat[np.where(inside, first + at, 0)]
            if len(self.flat)
            else np.zeros((*at.shape, *self.flat.shape[1:]), self.flat.dtype)
        )
        found[~inside] = padding
        return found


def bounded(
    rows: Positions, sizes: Sequence[Positions], most: int = 64, few: int = FEW_POSITIONS
) -> Iterator[Positions]:
    """These rows, in their order, in batches of at most ``most`` rows whose padded size is bounded.

    ``sizes``: for each kind of sequence that is padded (a source, a target) its lengths, of all records. A record that
    is alone larger than the bound has a batch of its own. A batch of more than ``few`` positions
    also ends where padding would be most of it.
    """
    start = longest = steps = 0
    lengths = [size[rows].tolist() for size in sizes]
    peaks = [0] * len(sizes)
    for end, size in enumerate(zip(*lengths, strict=True)):
        peaks = [max(pair) for pair in zip(peaks, size, strict=True)]
        longest, steps = sum(peaks), steps + sum(size)
        padded = longest * (end + 1 - start)
        wasteful = padded > few and padded > _MOST_PADDED * steps
        if end > start and (end - start == most or padded > MOST_POSITIONS or wasteful):
            yield rows[start:end]
            start, peaks, steps = end, list(size), sum(size)
    if start < len(rows):
        yield rows[start:]


def _bounds(lengths: Iterable[int]) -> Positions:
    return np.concatenate([[0], np.cumsum(np.fromiter(lengths, np.int64))]).astype(np.int64)
