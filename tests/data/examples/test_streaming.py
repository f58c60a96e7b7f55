"""Chunks of items that arrive over time."""

import threading
from collections.abc import Iterator

import pytest

from fastrnn.data.examples.batching import StreamedItems, iter_chunks
from fastrnn.errors import InputError


def test_available_items_fill_chunks() -> None:
    assert list(iter_chunks(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(iter_chunks([], 3)) == []


@pytest.mark.parametrize("count", [0, 1, 7, 5000])
def test_chunks_preserve_every_item_and_their_order(count: int) -> None:
    found = list(iter_chunks(StreamedItems(range(count)), 3))

    assert [item for piece in found for item in piece] == list(range(count))
    assert all(1 <= len(piece) <= 3 for piece in found)
    assert list(StreamedItems(range(count))) == list(range(count))


def test_available_items_are_not_held_back() -> None:
    asked = threading.Semaphore(0)

    def slow() -> Iterator[int]:
        for i in range(5):
            assert asked.acquire(timeout=60)
            yield i

    found = iter_chunks(StreamedItems(slow()), 256)
    for i in range(5):
        asked.release()
        assert next(found) == [i]
    assert next(found, None) is None


def test_waiting_items_arrive_in_one_chunk() -> None:
    done, first = threading.Event(), threading.Event()

    def quick() -> Iterator[int]:
        yield 0
        assert first.wait(60)
        yield from range(1, 300)
        done.set()

    found = iter_chunks(StreamedItems(quick()), 256)
    assert next(found) == [0]
    first.set()
    assert done.wait(60)
    assert next(found) == list(range(1, 257))
    assert [item for piece in found for item in piece] == list(range(257, 300))


def test_error_is_raised_after_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise InputError("line 3")

    found: list[int] = []
    with pytest.raises(InputError, match="line 3"):
        found.extend(item for piece in iter_chunks(StreamedItems(failing()), 9) for item in piece)
    assert found == [1, 2]
