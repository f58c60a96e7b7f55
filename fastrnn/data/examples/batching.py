"""Batches of a dataset: shuffled and bucketed by length for training, in a fixed order for evaluation.

Padding makes every example of a batch as long as the longest one, so batches are bounded by their padded size.
"""

import functools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .dataset import Batch, EncodedDataset, SplitBatch, iter_bounded_batches
from .split import permutation

Positions = npt.NDArray[np.int64]

# Batches per pool of examples sorted by length: little padding, yet different batches in every epoch.
_POOL = 32


class Batches:
    """Training batches of B = ``batch`` examples, or of all examples if there are fewer.

    Each epoch has its own order, determined by the seed. If n is not a multiple of B, the remaining examples are left
    out of that epoch. `window` is stateless: batches can be requested in any order. ``batch_slice``: the range (lo, hi)
    of the B examples that windows contain, for one of several processes; all by default.
    """

    def __init__(
        self, dataset: EncodedDataset, batch: int, seed: int, batch_slice: tuple[int, int] | None = None
    ) -> None:
        self.dataset = dataset
        self.seed = seed
        self.batch = min(batch, len(dataset))
        self.batch_slice = batch_slice or (0, self.batch)
        self.per_epoch = len(dataset) // self.batch
        self._padded_lengths = dataset.padded_lengths
        self._epoch = functools.lru_cache(maxsize=2)(self._shuffle_epoch)

    @property
    def seq(self) -> int:
        """Mean number of steps of a batch in the first epoch, decoder steps included, rounded up."""
        longest = self.dataset.sizes[self._epoch(0)].max(axis=1)
        return int(np.ceil(longest.mean()))

    def rows(self, index: int) -> Positions:
        """Return the examples (B,) of batch ``index`` >= 0."""
        epoch, number = divmod(index, self.per_epoch)
        rows: Positions = self._epoch(epoch)[number]
        return rows

    def window(self, index: int) -> Batch | SplitBatch:
        """Return batch ``index`` >= 0, a pure function of dataset, batch size, seed and index."""
        rows = self.rows(index)[slice(*self.batch_slice)]
        bounded = iter_bounded_batches(rows, self._padded_lengths, max_rows=len(rows))
        parts = tuple(map(self.dataset.batch, bounded))
        return parts[0] if len(parts) == 1 else SplitBatch(parts)

    def _shuffle_epoch(self, epoch: int) -> Positions:
        """Return the rows (batches, B) of an epoch."""
        # The examples left out differ from epoch to epoch, because the order does.
        used = self.per_epoch * self.batch
        order = permutation(len(self.dataset), "epoch", self.seed, epoch)[:used]

        # Sort each pool by length, cut it into batches, and shuffle the batches.
        pool = _POOL * self.batch
        sizes = self.dataset.sizes
        pools = [order[start : start + pool] for start in range(0, used, pool)]
        by_size = np.concatenate([rows[np.argsort(sizes[rows], kind="stable")] for rows in pools])
        batches = by_size.reshape(self.per_epoch, self.batch)
        return batches[permutation(self.per_epoch, "batches", self.seed, epoch)]


def evaluation_batches(dataset: EncodedDataset, batch: int = 64) -> Iterator[Batch]:
    """Yield every example once, in batches sorted by length; `Batch.rows` are the indices of the examples."""
    order = np.argsort(dataset.sizes, kind="stable")
    for rows in iter_bounded_batches(order, dataset.padded_lengths, batch):
        yield dataset.batch(rows)
