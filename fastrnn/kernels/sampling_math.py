"""Sampling: the parts that all devices share.

The choice of a token from logits, for one row of logits (V,):

    1. p = exp((logits - max) / temperature): the softmax without its normalisation, so max p = 1
    2. top_k, then top_p, then min_p each replace the improbable tokens' p by 0
    3. the token is the first whose cumulative p exceeds uniform * sum p

Top-k and top-p need no sort. Non-negative floats are ordered like their bits, so a bisection over the
31 bits finds the exact threshold: the largest number t such that the tokens with p >= t are at least
top_k, or hold at least top_p of the mass. A pass over p reads V numbers in order; a sort of large
vocabularies would take longer than 31 passes, and needs memory. Tokens that tie with the last one kept
are kept.

Before a token is fed, the n-grams that end at it are looked up, where the model reads n-grams.

As in `cell_math`, each function takes a device's own primitives and returns a function for the device
to compile. A primitive works on ``work``, the device's bundle of p and of all that it needs to
add up numbers (`fastrnn.kernels.cpu.generate.Weights`, `fastrnn.kernels.cuda.generate.Weights`).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

_MOST_BITS = 0x7FFFFFFF  # the sign bit is 0
_MOST_SCALE = 1e38  # bound of 1 / temperature, which may overflow float32
_NEGLIGIBLE = np.float32(-80)  # below, e**x is negligible beside the most likely token's e**0


def scale_of(temperature):
    """1 / temperature as a float32."""
    return np.float32(min(1 / temperature, _MOST_SCALE))


def softmax_weight(exp: Any) -> Callable[..., Any]:
    """Return (logit, highest logit, scale) -> p, with the device's exp of a float32."""

    def weight(logit, highest, scale):
        exponent = np.float32(logit - highest) * scale
        return exp(exponent) if exponent > _NEGLIGIBLE else np.float32(0)

    return weight


def threshold_search(hold_from: Any) -> Callable[..., Any]:
    """Return (work, count, mass) -> the largest bit pattern t such that the numbers with bits >= t
    are at least ``count`` and sum to at least ``mass``.

    Args:
        hold_from: (work, t) -> how many numbers have bits >= t, and their sum.
    """

    def find_threshold(work, count, mass):
        low, high = 0, _MOST_BITS
        while low < high:
            middle = (low + high + 1) // 2
            kept, held = hold_from(work, middle)
            if kept >= count and held >= mass:
                low = middle
            else:
                high = middle - 1
        return low

    return find_threshold


def truncation(find_threshold: Any, zero_below: Any, zero_small: Any) -> Callable[..., Any]:
    """Return (work, total, settings) -> the sum of p after top-k, top-p and min-p.

    Args:
        find_threshold: From `threshold_search`, compiled.
        zero_below: (work, t): zero the numbers with bits below t; returns the sum of the rest.
        zero_small: (work, least): zero the numbers below a number; returns the sum of the rest.
    """

    def truncate(work, total, settings):
        if 0 < settings.top_k < work.p.size:
            total = zero_below(work, find_threshold(work, settings.top_k, 0.0))
        if settings.top_p < 1:
            # of what top-k has left
            total = zero_below(work, find_threshold(work, 1, settings.top_p * total))
        if settings.min_p > 0:
            # relative to the largest p, which is 1
            total = zero_small(work, settings.min_p)
        return total

    return truncate


def search_key(keys, key):
    """Return the index of a key among ascending ones; -1 if it is missing."""
    lo, hi = 0, keys.size
    while lo < hi:
        middle = (lo + hi) // 2
        if keys[middle] < key:
            lo = middle + 1
        else:
            hi = middle
    return lo if lo < keys.size and keys[lo] == key else -1


def ngram_lookup(search: Any) -> Callable[..., Any]:
    """Return (ngrams, ids, before, keys, vocab, b): look up the n-grams that end at token ids[0, b] of row b, as
    `fastrnn.data.text.ngrams.NGrams.lookup`; then this token is the last one before.

    ``ngrams``: (1, B, K), their numbers, -1 for none. ``before`` and ``keys``: see
    `fastrnn.kernels.arguments.SampledTokens`.

    Args:
        search: `search_key`, compiled.
    """

    def lookup(ngrams, ids, before, keys, vocab, b):
        token = ids[0, b]
        suffix: Any = np.int64(token)
        for k in range(ngrams.shape[2]):
            n = -1
            if suffix >= 0 and before[b, k] > 0:
                n = search(keys, suffix * vocab + before[b, k] - 1)
            ngrams[0, b, k] = n
            suffix = vocab + n if n >= 0 else -1
        for k in range(before.shape[1] - 1, 0, -1):
            before[b, k] = before[b, k - 1]
        before[b, 0] = token + 1

    return lookup
