"""Simple statistics of a corpus: the unigram loss, and a frequent word to use as a prompt."""

import re
from collections import Counter

import numpy as np
import numpy.typing as npt

from .corpus import Corpus
from .words import UNK

_PIECE = 1 << 18  # tokens counted at a time
_PIECES = 64  # most pieces counted, spread evenly over the text
_READ = 200_000  # tokens searched for frequent words
_WORDS = 0.2  # share of letters in words before a blank from which the text counts as separated into words
_WORD = re.compile(r"[^\W\d_]{2,20}(?= )")
_PAIR = re.compile(r"(?=([^\W_]{2}))")


def unigram_nats(train: Corpus, scored: Corpus | None = None) -> float:
    """Return the mean loss, in nats, of predicting the tokens of ``scored`` by their frequencies in ``train``.

    Without ``scored``: the entropy of these frequencies. Add-one smoothing gives every token a positive probability.
    Only pieces of a long text, spread evenly, are counted.
    """
    size = train.tokenizer.size
    counts = _count_tokens(train, size) + 1.0
    logprobs = np.log(counts / counts.sum())
    weights = _count_tokens(scored if scored is not None else train, size)
    return float(-(weights @ logprobs) / weights.sum())


def frequent_start(corpus: Corpus) -> str:
    """Return the most frequent word with a blank after it, or two letters if the text does not separate words.

    The result is empty for a text without letters.
    """
    text = corpus.tokenizer.decode(corpus.ids[:_READ]).replace("\ufffd", " ").replace(UNK, " ")
    words: Counter[str] = Counter(_WORD.findall(text))
    letters = sum(map(str.isalpha, text))
    if words and sum(len(word) * n for word, n in words.items()) >= _WORDS * letters:
        return max(words, key=lambda word: (words[word], word)) + " "
    pairs: Counter[str] = Counter(_PAIR.findall(text))
    return max(pairs, key=lambda pair: (pairs[pair], pair)) if pairs else ""


def _count_tokens(corpus: Corpus, size: int) -> npt.NDArray[np.float64]:
    """Return the count of each token in the text, (V,)."""
    counts = np.zeros(size)
    step = _PIECE * max(1, -(-len(corpus) // (_PIECE * _PIECES)))
    for start in range(0, len(corpus), step):
        counts += np.bincount(corpus.ids[start : start + _PIECE], minlength=size)
    return counts
