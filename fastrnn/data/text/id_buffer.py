"""A growable array of token ids in the narrowest unsigned type, for the ids of a corpus.

A corpus of 100 MB with at most 256 characters thus takes 100 MB of memory. Every operation works in place, piece by
piece.
"""

import sys
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_PIECE = 1 << 18  # ids per step: little memory next to the buffer, much work next to a call


def id_type(size: int) -> np.dtype[Any]:
    """Return the narrowest unsigned type for the ids of a vocabulary of this size."""
    return np.dtype(np.uint8 if size <= 1 << 8 else np.uint16 if size <= 1 << 16 else np.uint32)


class IdBuffer:
    """Ids, appended piece by piece."""

    def __init__(self) -> None:
        self.dtype = id_type(1)
        self._data = bytearray()  # realloc grows it without copying where the system can remap pages

    def __len__(self) -> int:
        return len(self._data) // self.dtype.itemsize

    def append(self, ids: bytes | Array) -> None:
        """Append ids that fit the buffer's type: bytes, one id each, or an array (n,)."""
        if isinstance(ids, bytes) and self.dtype.itemsize == 1:
            self._data += ids  # no conversion to an array and back
        else:
            array_ids = np.frombuffer(ids, np.uint8) if isinstance(ids, bytes) else ids
            self._data += np.ascontiguousarray(array_ids, self.dtype).data

    def widen(self, size: int) -> None:
        """Widen the type, if necessary, for the ids of a vocabulary of this size."""
        dtype = id_type(size)
        if dtype.itemsize <= self.dtype.itemsize:
            return
        wider = bytearray()
        for _, piece in self._pieces():
            wider += piece.astype(dtype).data
        self._data, self.dtype = wider, dtype

    def counts(self, size: int) -> npt.NDArray[np.int64]:
        """Return the count of each id of 0..size-1, (size,)."""
        total = np.zeros(size, np.int64)
        for _, piece in self._pieces():
            total += np.bincount(piece, minlength=size)
        return total

    def find(self, pattern: Array, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Return the positions (m,) in start..stop-1 of non-overlapping occurrences of ``pattern`` (k,)."""
        ids = np.frombuffer(self._data, self.dtype)[start:stop]
        last = len(ids) - len(pattern) + 1
        found = [np.empty(0, np.int64)]
        for at in range(0, last, _PIECE):
            # Candidates match the first id; each further id of the pattern removes some.
            hits = at + np.flatnonzero(ids[at : min(at + _PIECE, last)] == pattern[0])
            for i, wanted in enumerate(pattern[1:], 1):
                hits = hits[ids[hits + i] == wanted]
            found.append(hits)
        return start + _drop_overlaps(np.concatenate(found), len(pattern))

    def last(self) -> int:
        """Return the id appended last; the buffer must not be empty."""
        return int.from_bytes(self._data[-self.dtype.itemsize :], sys.byteorder)

    def remap(self, table: npt.NDArray[np.int64], size: int) -> None:
        """Replace each id by ``table[id]``, a new id below ``size``, in the narrowest type for it."""
        self.widen(size)
        dtype = id_type(size)
        narrow = table.astype(dtype)
        self._rewrite(dtype, lambda piece: _look_up(narrow, piece))

    def remove(self, unwanted: npt.NDArray[np.bool_]) -> None:
        """Remove the ids with ``unwanted[id]``."""
        self._rewrite(self.dtype, lambda piece: piece[~unwanted[piece]])

    def positions_after_removal(
        self, unwanted: npt.NDArray[np.bool_], positions: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return the new values of sorted positions (n,) after ``remove(unwanted)``."""
        moved = np.empty_like(positions)
        total = 0
        for start, piece in self._pieces():
            before = np.concatenate([[0], np.cumsum(~unwanted[piece])])
            low, high = np.searchsorted(positions, [start, start + len(piece)])
            moved[low:high] = total + before[positions[low:high] - start]
            total += int(before[-1])
        moved[np.searchsorted(positions, len(self)) :] = total
        return moved

    def finish(self) -> Array:
        """Return the ids (n,), a read-only view of the buffer."""
        ids = np.frombuffer(self._data, self.dtype)
        ids.flags.writeable = False
        return ids

    def _pieces(self) -> Iterator[tuple[int, Array]]:
        """Yield the position and a view of each piece, in order."""
        view = np.frombuffer(self._data, self.dtype)
        for start in range(0, len(view), _PIECE):
            yield start, view[start : start + _PIECE]

    def _rewrite(self, dtype: np.dtype[Any], change: Callable[[Array], Array]) -> None:
        """Replace every piece by ``change(piece)``, which must not be larger, in place."""
        end = self._rewrite_pieces(dtype, change)
        self.dtype = dtype
        del self._data[end:]

    def _rewrite_pieces(self, dtype: np.dtype[Any], change: Callable[[Array], Array]) -> int:
        """Rewrite the pieces and return the end in bytes."""
        # a function of its own, because a bytearray cannot shrink while a view of it is alive
        end = 0
        with memoryview(self._data) as target:
            for _, piece in self._pieces():
                changed = np.ascontiguousarray(change(piece), dtype).view(np.uint8)
                target[end : end + len(changed)] = changed.data
                end += len(changed)
        return end


def _drop_overlaps(positions: npt.NDArray[np.int64], least: int) -> npt.NDArray[np.int64]:
    """Drop sorted positions (m,) that are closer than ``least`` to the previous one kept."""
    if (np.diff(positions) >= least).all():
        return positions
    kept = array("q")
    for position in positions.tolist():
        if not kept or position - kept[-1] >= least:
            kept.append(position)
    return np.frombuffer(kept, np.int64)


def _look_up(table: Array, ids: Array) -> Array:
    """Return ``table[ids]``."""
    # bytes.translate is several times as fast for one byte to one byte
    if table.dtype.itemsize == ids.dtype.itemsize == 1:
        full = table.tobytes().ljust(256, b"\0")
        return np.frombuffer(ids.tobytes().translate(full), np.uint8)
    return np.take(table, ids)
