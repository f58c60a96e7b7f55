"""Batches of a dataset: shuffled and bucketed by length for training, in a fixed order for evaluation.

Padding makes every example of a batch as long as the longest one, so batches are bounded by their padded size. Items
that arrive over time are grouped as well: a chunk from a pipe holds the items available, without waiting to fill up.
"""

import functools
import itertools
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from .dataset import Batch, EncodedDataset, SplitBatch, iter_bounded_batches
from .example import permutation

Positions = npt.NDArray[np.int64]

# Batches per pool of examples sorted by length: little padding, yet different batches in every epoch.
_POOL = 32
T = TypeVar("T")
_PREFETCH = 1024  # queue size: items read before they are requested


class Batches:
    """Training batches of B = ``batch`` examples, or of all examples if there are fewer.

    Each epoch has its own order, determined by the seed. If n is not a multiple of B, the remaining examples are left
    out of that epoch. `window` is stateless: batches can be requested in any order. ``batch_slice``: the range (lo, hi)
    of the B examples that windows contain, for one of several processes; all by default.
    """

    groups = 1  # examples carry no state from one window to another

    def __init__(
        self, dataset: EncodedDataset, batch: int, seed: int, batch_slice: tuple[int, int] | None = None
    ) -> None:
        self.dataset = dataset
        self.seed = seed
        self.batch = min(batch, len(dataset))
        self.batch_slice = batch_slice or (0, self.batch)
        self.per_epoch = len(dataset) // self.batch
        self._padded_lengths = dataset.padded_lengths
        # Two epochs: after a rollback the run may be in the one before.
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


class _EndOfItems(Exception):
    """Queued after the last item."""


class StreamedItems(Generic[T]):
    """An iterable whose items arrive over time. Either iterate over it or call `chunks`, not both."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._queue: queue.Queue[T | BaseException] = queue.Queue(_PREFETCH)

    def __iter__(self) -> Iterator[T]:
        return self._items

    def chunks(self, max_items: int) -> Iterator[list[T]]:
        """Yield lists of the 1 to ``max_items`` items available at each request; block only while there is none.

        An exception of the iterable is raised after the items before it.
        """
        # A daemon thread: the source may block forever, and the process must still be able to exit.
        threading.Thread(target=self._fill_queue, daemon=True).start()

        item: T | BaseException | None = self._queue.get()
        while item is not None and not isinstance(item, BaseException):
            chunk = [item]
            item = self._get_available(len(chunk) < max_items)
            while item is not None and not isinstance(item, BaseException):
                chunk.append(item)
                item = self._get_available(len(chunk) < max_items)
            yield chunk
            # An exception that ended the chunk is kept; otherwise wait for the next item.
            item = self._queue.get() if item is None else item

        if item is not None and not isinstance(item, _EndOfItems):
            raise item

    def _get_available(self, has_room: bool) -> T | BaseException | None:
        """Return the next queued item; None if the queue is empty or the chunk is full."""
        try:
            return self._queue.get_nowait() if has_room else None
        except queue.Empty:
            return None

    def _fill_queue(self) -> None:
        try:
            for item in self._items:
                self._queue.put(item)
        except BaseException as error:  # raised again in the thread that consumes the items
            self._queue.put(error)
        else:
            self._queue.put(_EndOfItems())


def iter_chunks(items: Iterable[T], max_items: int) -> Iterator[list[T]]:
    """Yield the items in lists of ``max_items``, or of the items available if they are `StreamedItems`."""
    if isinstance(items, StreamedItems):
        yield from items.chunks(max_items)
        return
    rest = iter(items)
    while chunk := list(itertools.islice(rest, max_items)):
        yield chunk
