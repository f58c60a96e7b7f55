"""Simple statistics of a corpus: the loss of independent tokens, and a frequent beginning to go on from."""

import re
from collections import Counter

import numpy as np
import numpy.typing as npt

from .corpus import Corpus
from .words import UNK

_PIECE = 1 << 18  # tokens counted at a time
_PIECES = 64  # of them at most, spread over a text
_READ = 200_000  # tokens that are searched for frequent words
_WORDS = 0.2  # share of the letters that stand in words before a blank, from which a text is one of words
_WORD = re.compile(r"[^\W\d_]{2,20}(?= )")
_PAIR = re.compile(r"(?=([^\W_]{2}))")


def unigram_nats(train: Corpus, scored: Corpus | None = None) -> float:
    """The mean loss of predicting each token of ``scored`` by the frequencies of ``train`` alone, in nats.

    Without ``scored`` the entropy of those frequencies. One is added to each count, so that no token is impossible.
    Of a long text, parts that are spread over it are counted.
    """
    size = train.tokenizer.size
    counts = _counts(train, size) + 1.0
    logprobs = np.log(counts / counts.sum())
    weights = _counts(scored if scored is not None else train, size)
    return float(-(weights @ logprobs) / weights.sum())


def frequent_start(corpus: Corpus) -> str:
    """A frequent word of the text with the blank after it, or two letters where words are not set apart.

    Empty for a text without letters.
    """
    text = corpus.tokenizer.decode(corpus.ids[:_READ]).replace("\ufffd", " ").replace(UNK, " ")
    words: Counter[str] = Counter(_WORD.findall(text))
    letters = sum(map(str.isalpha, text))
    if words and sum(len(word) * n for word, n in words.items()) >= _WORDS * letters:
        return max(words, key=lambda word: (words[word], word)) + " "
    pairs: Counter[str] = Counter(_PAIR.findall(text))
    return max(pairs, key=lambda pair: (pairs[pair], pair)) if pairs else ""


def _counts(corpus: Corpus, size: int) -> npt.NDArray[np.float64]:
    """How often each token stands in the text, (V,)."""
    counts = np.zeros(size)
    step = _PIECE * max(1, -(-len(corpus) // (_PIECE * _PIECES)))
    for start in range(0, len(corpus), step):
        counts += np.bincount(corpus.ids[start : start + _PIECE], minlength=size)
    return counts
