"""Items that arrive while others are worked on: of a pipe what is there is taken, and nothing that may never come."""

import itertools
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
_AHEAD = 1024  # items read before they are asked for


class _End(Exception):
    """There are no more items."""


class StreamedItems(Generic[T]):
    """An iterable whose items come in their own time. It is iterated over, or taken in pieces, but not both."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._read: queue.Queue[T | BaseException] = queue.Queue(_AHEAD)

    def __iter__(self) -> Iterator[T]:
        return self._items

    def pieces(self, most: int) -> Iterator[list[T]]:
        """Whenever asked for, the items that are there, 1 to ``most`` of them; waits only where there is none.

        Raises what the iterable raises, after the items before it.
        """
        threading.Thread(target=self._fill, daemon=True).start()  # a reader may wait for ever: nobody waits for it
        item: T | BaseException | None = self._read.get()
        while item is not None and not isinstance(item, BaseException):
            piece = [item]
            item = self._next(len(piece) < most)
            while item is not None and not isinstance(item, BaseException):
                piece.append(item)
                item = self._next(len(piece) < most)
            yield piece
            item = self._read.get() if item is None else item
        if item is not None and not isinstance(item, _End):
            raise item

    def _next(self, wanted: bool) -> T | BaseException | None:
        """None where nothing is there, or nothing more is wanted."""
        try:
            return self._read.get_nowait() if wanted else None
        except queue.Empty:
            return None

    def _fill(self) -> None:
        try:
            for item in self._items:
                self._read.put(item)
        except BaseException as error:  # it belongs to whoever takes the items
            self._read.put(error)
        else:
            self._read.put(_End())


def pieces(items: Iterable[T], most: int) -> Iterator[list[T]]:
    """The items in lists of ``most``; of those that arrive, what is there."""
    if isinstance(items, StreamedItems):
        yield from items.pieces(most)
        return
    rest = iter(items)
    while piece := list(itertools.islice(rest, most)):
        yield piece
