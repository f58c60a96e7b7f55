"""Encoding of byte chunks to provisional ids, before the vocabulary is known.

One pass over the text collects provisional ids, in the narrowest type, and the token of each. `IdBuffer.remap` then
maps them in place to the ids of the final, sorted vocabulary, so the text itself is never in memory as a whole. A
corpus of 100 MB with at most 256 characters thus takes 100 MB of memory.
"""

import abc
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from .decoding import Utf8Decoder, refuse_utf16
from .remarks import ACCIDENTS, LineEnds, find_invisible
from .tokenizers import EOS, UNK, ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer, code_points, split_words

Array = npt.NDArray[Any]
_PIECE = 1 << 18  # ids per step: little memory next to the buffer, much work next to a call
_ASCII = 128
# What to do with a text that is not UTF-8: only a new vocabulary can be one of bytes.
_ADVICE, _ADVICE_NEW = "save it as UTF-8", "save it as UTF-8, or use --tokens bytes"
_LONG_LINE = 1 << 22  # characters without a line break after which words are cut at a space


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


class CorpusEncoder(abc.ABC):
    """Collects the provisional ids of several texts in ``buffer`` and counts their line ends in ``ends``.

    ``new``: whether the texts get a new vocabulary; only messages depend on it.
    """

    def __init__(self, new: bool = True) -> None:
        self.advice = _ADVICE_NEW if new else _ADVICE
        self.buffer = IdBuffer()
        self.ends = LineEnds()

    @abc.abstractmethod
    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        """Append a text. Raises `InputError` with its name if it is not UTF-8."""

    @abc.abstractmethod
    def provisional(self, text: str) -> npt.NDArray[np.int64] | None:
        """Return provisional ids (n,) of a short text, or None if a token of it has not occurred."""

    @abc.abstractmethod
    def vocabulary(self, min_count: int) -> Tokenizer:
        """Return the vocabulary of all texts."""

    @abc.abstractmethod
    def table(self, tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
        """Return the map from provisional id to id in the vocabulary; -1 where it lacks the token."""

    @abc.abstractmethod
    def token(self, provisional: int) -> str:
        """Return the token of a provisional id."""

    def count_invisible(self) -> Counter[str]:
        """Return the invisible characters in the texts, with their counts."""
        return Counter()

    def _text_chunks(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the chunks of a text and count its line ends. Raises `InputError` for UTF-16."""
        self.ends.start()
        for chunk in refuse_utf16(chunks, name):
            self.ends.feed(chunk)
            yield chunk


class ByteEncoder(CorpusEncoder):
    """Bytes are their own ids."""

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            self.buffer.append(chunk)

    def provisional(self, text: str) -> npt.NDArray[np.int64] | None:
        return ByteTokenizer().encode(text)

    def vocabulary(self, min_count: int) -> Tokenizer:
        return ByteTokenizer()

    def table(self, tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
        return np.arange(256)

    def token(self, provisional: int) -> str:
        return f"\\x{provisional:02x}"


class CharEncoder(CorpusEncoder):
    """ASCII characters are their own provisional ids; others are numbered from 128 in order of appearance."""

    def __init__(self, new: bool = True) -> None:
        super().__init__(new)
        self._seen_ascii = b""
        self._codes = list(range(_ASCII))
        self._ids = np.full(0x110000, -1, np.int32)  # code point -> provisional id, -1: not seen yet

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        utf8 = Utf8Decoder(name, self.advice)
        for chunk in self._text_chunks(name, chunks):
            # ASCII bytes are their own provisional ids: no decoding, no copy to code points
            if utf8.between and chunk.isascii():
                utf8.skip(len(chunk))
                self._see(set(chunk.translate(None, self._seen_ascii)))
                self.buffer.append(chunk)
            else:
                self._add_text(utf8.feed(chunk))
        self._add_text(utf8.feed(b"", final=True))

    def _add_text(self, text: str) -> None:
        codes = code_points(text)
        ids = np.take(self._ids, codes)
        if ids.size and ids.min() < 0:
            self._see(np.unique(codes[ids < 0]).tolist())
            ids = np.take(self._ids, codes)
        self.buffer.append(ids)

    def _see(self, new: Iterable[int]) -> None:
        """Assign provisional ids to new code points."""
        for code in new:
            if code < _ASCII:
                self._ids[code] = code
                self._seen_ascii += bytes([code])
            else:
                self._ids[code] = len(self._codes)
                self._codes.append(code)
        self.buffer.widen(len(self._codes))

    def provisional(self, text: str) -> npt.NDArray[np.int64] | None:
        ids = self._ids[code_points(text)].astype(np.int64)
        return None if (ids < 0).any() else ids

    def vocabulary(self, min_count: int) -> Tokenizer:
        codes = sorted([*self._seen_ascii, *self._codes[_ASCII:]])
        return CharTokenizer("".join(map(chr, codes)))

    def table(self, tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
        assert isinstance(tokenizer, CharTokenizer)
        known = {char: i for i, char in enumerate(tokenizer.chars)}
        table = np.array([known.get(chr(code), -1) for code in self._codes], np.int64)
        # ASCII characters that do not occur are not unknown ones (-1).
        table[[i for i in range(_ASCII) if self._ids[i] < 0]] = 0
        return table

    def token(self, provisional: int) -> str:
        return chr(self._codes[provisional])

    def count_invisible(self) -> Counter[str]:
        codes = [*self._seen_ascii, *self._codes[_ASCII:]]
        if not (found := find_invisible("".join(map(chr, codes)))):
            return Counter()
        counts = self.buffer.counts(len(self._codes))
        return Counter({c: int(counts[self._ids[ord(c)]]) for c in found})


class WordEncoder(CorpusEncoder):
    """Words are numbered in order of appearance, ``<EOS>`` first."""

    def __init__(self, new: bool = True) -> None:
        super().__init__(new)
        self._ids: defaultdict[str, int] = defaultdict(count().__next__)
        self._eos = self._ids[EOS]
        self._invisible: Counter[str] = Counter()

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        utf8 = Utf8Decoder(name, self.advice)
        start = len(self.buffer)
        line = ""
        for chunk in self._text_chunks(name, chunks):
            # Only whole lines are split: a word may continue in the next chunk.
            line += utf8.feed(chunk)
            cut = line.rfind("\n") + 1
            # bounds the memory for a text without line breaks
            if not cut and len(line) > _LONG_LINE:
                cut = line.rfind(" ") + 1 or len(line)
            self._add_text(line[:cut])
            line = line[cut:]
        self._add_text(line + utf8.feed(b"", final=True))
        # The last sentence of a text ends even without a line break.
        if len(self.buffer) > start and self.buffer.last() != self._eos:
            self._add_tokens([EOS])

    def _add_text(self, text: str) -> None:
        self._invisible.update({c: text.count(c) for c in ACCIDENTS})
        self._add_tokens(split_words(text))

    def _add_tokens(self, tokens: list[str]) -> None:
        ids = np.fromiter(map(self._ids.__getitem__, tokens), np.uint32, len(tokens))
        self.buffer.widen(len(self._ids))
        self.buffer.append(ids)

    def provisional(self, text: str) -> npt.NDArray[np.int64] | None:
        ids = [self._ids.get(word, -1) for word in split_words(text)]
        return None if -1 in ids else np.array(ids, np.int64)

    def vocabulary(self, min_count: int) -> Tokenizer:
        """Return ``<EOS>``, ``<UNK>`` and the words that occur at least ``min_count`` times, most frequent first."""
        counts = dict(zip(self._ids, self.buffer.counts(len(self._ids)).tolist(), strict=True))
        del counts[EOS]
        frequent = sorted((-n, word) for word, n in counts.items() if n >= min_count)
        return WordTokenizer([EOS, UNK, *(word for _, word in frequent)])

    def table(self, tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
        assert isinstance(tokenizer, WordTokenizer)
        return np.array([tokenizer.ids.get(word, 1) for word in self._ids], np.int64)

    def token(self, provisional: int) -> str:
        return list(self._ids)[provisional]

    def count_invisible(self) -> Counter[str]:
        return self._invisible


ENCODERS: dict[str, type[CorpusEncoder]] = {"chars": CharEncoder, "bytes": ByteEncoder, "words": WordEncoder}
