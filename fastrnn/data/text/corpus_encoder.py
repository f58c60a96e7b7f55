"""Encoding of byte chunks to provisional ids, before the vocabulary is known.

One pass over the text collects provisional ids, in the narrowest type, and the token of each. `IdBuffer.remap` then
maps them in place to the ids of the final, sorted vocabulary, so the text itself is never in memory as a whole.
"""

import abc
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import count

import numpy as np
import numpy.typing as npt

from .decoding import Utf8Decoder, refuse_utf16
from .id_buffer import IdBuffer
from .remarks import ACCIDENTS, LineEnds, find_invisible
from .tokenizers import ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer, code_points
from .words import EOS, UNK, split_words

_ASCII = 128
_LONG_LINE = 1 << 22  # characters without a line break after which words are cut at a space


class CorpusEncoder(abc.ABC):
    """Collects the provisional ids of several texts in ``buffer`` and counts their line ends in ``ends``."""

    def __init__(self) -> None:
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

    def __init__(self) -> None:
        super().__init__()
        self._seen_ascii = b""
        self._codes = list(range(_ASCII))
        self._ids = np.full(0x110000, -1, np.int32)  # code point -> provisional id, -1: not seen yet

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        utf8 = Utf8Decoder(name)
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

    def __init__(self) -> None:
        super().__init__()
        self._ids: defaultdict[str, int] = defaultdict(count().__next__)
        self._eos = self._ids[EOS]
        self._invisible: Counter[str] = Counter()

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        utf8 = Utf8Decoder(name)
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
