"""Chunks of items that arrive over time: a chunk from a pipe holds the items available, without waiting to fill up."""

import itertools
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
_PREFETCH = 1024  # queue size: items read before they are requested


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
