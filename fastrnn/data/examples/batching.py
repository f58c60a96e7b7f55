"""Batches of a data set: shuffled for training, records of like length together; in a fixed order for evaluation.

One long record among short ones would make all of them as long. So a batch is bounded by its padded size.
"""

import functools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .dataset import Batch, EncodedDataset, SplitBatch, bounded
from .split import permutation

Positions = npt.NDArray[np.int64]

_POOL = 32  # batches whose records are sorted by length together: padding is small, yet batches differ in every epoch


class Batches:
    """Training batches of B = ``batch`` records, or of all where there are fewer.

    Each epoch has an order of its own, drawn from the seed; what is left over when n is no multiple of B waits for
    another epoch. `window` has no state: any index can be asked for at any time. ``part``: the only records lo..hi
    of the B that windows are to have.
    """

    def __init__(self, dataset: EncodedDataset, batch: int, seed: int, part: tuple[int, int] | None = None) -> None:
        self.dataset, self.seed = dataset, seed
        self.batch = min(batch, len(dataset))
        self.part = part or (0, self.batch)
        self.per_epoch = len(dataset) // self.batch
        self._padded = dataset.padded
        self._epoch = functools.lru_cache(maxsize=2)(self._rows_of_epoch)

    @property
    def seq(self) -> int:
        """The mean number of steps of a batch in the first epoch, those of a decoder included, rounded up."""
        longest = self.dataset.sizes[self._epoch(0)].max(axis=1)
        return int(np.ceil(longest.mean()))

    def rows(self, index: int) -> Positions:
        """The records (B,) of batch ``index`` >= 0."""
        epoch, number = divmod(index, self.per_epoch)
        found: Positions = self._epoch(epoch)[number]
        return found

    def window(self, index: int) -> Batch | SplitBatch:
        """Batch ``index`` >= 0, a pure function of data set, batch, seed and index."""
        rows = self.rows(index)[slice(*self.part)]
        parts = tuple(map(self.dataset.batch, bounded(rows, self._padded, most=len(rows))))
        return parts[0] if len(parts) == 1 else SplitBatch(parts)

    def _rows_of_epoch(self, epoch: int) -> Positions:
        """(batches, B)."""
        whole = self.per_epoch * self.batch
        order = permutation(len(self.dataset), "epoch", self.seed, epoch)[:whole]
        pool = _POOL * self.batch
        sizes = self.dataset.sizes
        parts = [order[start : start + pool] for start in range(0, whole, pool)]
        by_size = np.concatenate([part[np.argsort(sizes[part], kind="stable")] for part in parts])
        batches = by_size.reshape(self.per_epoch, self.batch)
        return batches[permutation(self.per_epoch, "batches", self.seed, epoch)]


def evaluation_batches(dataset: EncodedDataset, batch: int = 64) -> Iterator[Batch]:
    """Every record once, short ones first; ``rows`` of a batch say which they are."""
    order = np.argsort(dataset.sizes, kind="stable")
    for rows in bounded(order, dataset.padded, batch):
        yield dataset.batch(rows)
