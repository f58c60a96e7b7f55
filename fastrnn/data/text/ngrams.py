"""N-grams of a text: its most frequent short sequences of tokens, which a model may read as inputs of their own.

An n-gram is a token and its suffix, which is a token or another n-gram: "the" is "t" and "he".
Its key is ``suffix * V + token``, where ``suffix`` is the id of a token, from 0 to V - 1, or V + n for n-gram n. They
are numbered in the order of their keys, so that the suffix of an n-gram has a lower number, and shorter ones come
first.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError

Array = npt.NDArray[Any]
MAX_ORDER = 3  # most tokens of an n-gram
NO_NGRAM = -1  # number of an n-gram that the model does not read
_COUNTED = 1 << 20  # tokens of a text in which n-grams are counted, in pieces from all over it
_PIECES = 64
_MOST_BINS = 1 << 24  # of a table of counts; beyond, keys are sorted
_LEAST = 2  # occurrences of an n-gram


class NGrams:
    """N distinct n-grams of the tokens 0 to V - 1; the suffix of each, unless it is a token, is one of them too.

    Args:
        vocab: V.
        keys: The keys (N,), ascending, see the module.

    Raises:
        InputError: The keys are not those of such n-grams, or an n-gram is longer than `MAX_ORDER`.
    """

    def __init__(self, vocab: int, keys: Sequence[int] | Array = ()) -> None:
        self.vocab = vocab
        self.keys = np.array(keys, np.int64)  # (N,)
        suffixes = self.keys // vocab
        ascend = self.keys.ndim == 1 and bool((self.keys[1:] > self.keys[:-1]).all())
        if not ascend or (self.keys < 0).any() or (suffixes >= vocab + np.arange(len(suffixes))).any():
            raise InputError("n-grams must be in ascending order, the suffix of each a token or an n-gram before it")
        if len(self) and len(self.tokens(len(self) - 1)) > MAX_ORDER:
            raise InputError(f"n-grams must have at most {MAX_ORDER} tokens")

    def __len__(self) -> int:
        return len(self.keys)

    def tokens(self, n: int) -> tuple[int, ...]:
        """Return the token ids of n-gram ``n``, at least two."""
        found = []
        suffix = self.vocab + n
        while suffix >= self.vocab:
            suffix, token = divmod(int(self.keys[suffix - self.vocab]), self.vocab)
            found.append(token)
        return (*found, suffix)

    def lookup(self, ids: Array, before: Array, resets: Array | None = None) -> tuple[Array, Array]:
        """Return the numbers of the n-grams that end at each token of a window.

        Args:
            ids: Token ids (T, B).
            before: The last tokens before the window, the very last first, (B, `MAX_ORDER` - 1), each plus one; 0 where
                there is none.
            resets: 1 where the text starts anew, (T, B); default: nowhere. No n-gram reaches over such a start.

        Returns:
            The numbers (T, B, `MAX_ORDER` - 1) int32 of the n-grams of two, three and more tokens that end at each
            token, `NO_NGRAM` where there is none; and ``before`` of the next window.
        """
        steps = len(ids)
        padded = np.concatenate([before.T[::-1].astype(np.int64), ids.astype(np.int64) + 1])
        is_reset = None if resets is None else resets.astype(bool)
        suffixes, numbers, after = ids.astype(np.int64), [], [ids[-1] + 1]
        for back in range(1, MAX_ORDER):
            first = MAX_ORDER - 1 - back
            tokens = padded[first : first + steps]  # those so many steps before
            if is_reset is not None:
                tokens = np.where(is_reset, 0, tokens)
                is_reset[1:] |= is_reset[:-1].copy()
            found = self._find(suffixes, tokens)
            suffixes = np.where(found == NO_NGRAM, NO_NGRAM, self.vocab + found)
            numbers.append(found.astype(np.int32))
            after.append(tokens[-1])
        return np.stack(numbers, axis=-1), np.stack(after[:-1], axis=-1).astype(np.int32)

    def _find(self, suffixes: Array, tokens: Array) -> Array:
        """Return the numbers of the n-grams of ``tokens`` (plus one; 0: none) and ``suffixes`` (negative: none)."""
        keys = suffixes * self.vocab + tokens - 1
        return _index_of(self.keys, np.where((suffixes < 0) | (tokens == 0), NO_NGRAM, keys))


def find_ngrams(ids: Array, vocab: int, max_ngrams: int) -> NGrams:
    """Return the most frequent n-grams of a text, ``max_ngrams`` in all, or fewer if it has fewer.

    They are counted in the whole text, or in 64 pieces of it if it is long. ``ids``: the tokens (n,) of the text.
    """
    if not max_ngrams:
        return NGrams(vocab)
    ids = _pieces(ids)
    # Of each length the keys of the candidates; suffixes are numbered among the candidates that are a token shorter.
    keys, counts = [np.arange(vocab)], []
    ends, suffixes = np.arange(len(ids)), ids  # where each candidate of the last length ends, and which one it is
    for length in range(2, MAX_ORDER + 1):
        ends, suffixes = ends[ends >= length - 1], suffixes[ends >= length - 1]
        found = suffixes * vocab + ids[ends - (length - 1)]
        chosen, count = _most_frequent(found, len(keys[-1]) * vocab, max_ngrams)
        keys.append(chosen)
        counts.append(count)
        places = _index_of(chosen, found)
        ends, suffixes = ends[places >= 0], places[places >= 0]

    # The most frequent of all. An n-gram is at most as frequent as its suffix, which comes first among equals.
    order = np.argsort(-np.concatenate(counts), kind="stable")[:max_ngrams]
    is_chosen = np.zeros(sum(map(len, counts)), bool)
    is_chosen[order] = True
    numbered: list[Array] = []
    ids_of = np.arange(vocab)  # of the suffixes: tokens, then V + n; negative where it is not chosen
    parts = np.split(is_chosen, np.cumsum([len(count) for count in counts])[:-1])
    for chosen, part in zip(keys[1:], parts, strict=True):
        parents = ids_of[chosen // vocab]
        kept = part & (parents >= 0)
        numbers = vocab + sum(map(len, numbered)) + np.cumsum(kept) - 1
        ids_of = np.where(kept, numbers, NO_NGRAM)
        numbered.append(parents[kept] * vocab + chosen[kept] % vocab)
    return NGrams(vocab, np.concatenate(numbered))


def _pieces(ids: Array) -> Array:
    """Return the text as int64, or pieces of it one after the other if it is long."""
    if len(ids) <= _COUNTED:
        return ids.astype(np.int64)
    size = _COUNTED // _PIECES
    starts = np.arange(_PIECES) * (len(ids) - size) // (_PIECES - 1)
    return np.concatenate([ids[start : start + size] for start in starts]).astype(np.int64)


def _most_frequent(keys: Array, end: int, most: int) -> tuple[Array, Array]:
    """Return the ``most`` most frequent of ``keys``, each below ``end``, in ascending order, and how often each is."""
    if end <= _MOST_BINS:
        counted = np.bincount(keys, minlength=1)
        found = np.flatnonzero(counted >= _LEAST)
        counts = counted[found]
    else:
        found, counts = np.unique(keys, return_counts=True)
        found, counts = found[counts >= _LEAST], counts[counts >= _LEAST]
    kept = np.sort(np.argsort(-counts, kind="stable")[:most])
    return found[kept], counts[kept]


def _index_of(keys: Array, wanted: Array) -> Array:
    """Return the index of each wanted number in ascending ``keys``, `NO_NGRAM` where it is missing."""
    if not len(keys):
        return np.full(wanted.shape, NO_NGRAM)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, NO_NGRAM)
