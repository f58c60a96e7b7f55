"""Drawing a run of tokens in one compiled call: forward one step, draw, feed back."""

import numpy as np

from .activations import exp
from .compiling import inlined, kernel
from .loss import output_forward
from .matmul import copy
from .walk import layer_forward

_MOST_BITS = 0x7FFFFFFF
_LARGE = 1e38  # a temperature so low that its inverse is infinite is the lowest there is
_NEGLIGIBLE = np.float32(-80)  # below, e**x is nothing beside the likeliest token's 1


@inlined
def _largest_bits_that_keep(p, bits, count, mass):
    """The largest t such that at least ``count`` numbers, with a sum of at least ``mass``, have bits >= t.

    Floats that are not negative are ordered like their bits, so 31 halvings find the exact number.
    """
    low, high = 0, _MOST_BITS
    while low < high:
        middle = (low + high + 1) // 2
        kept, total = 0, 0.0
        for v in range(p.size):
            if bits[v] >= middle:
                kept += 1
                total += p[v]
        if kept >= count and total >= mass:
            low = middle
        else:
            high = middle - 1
    return low


@inlined
def _drop_below(p, bits, least):
    """Zero what lies below; return the sum of what stays."""
    total = 0.0
    for v in range(p.size):
        if bits[v] < least:
            p[v] = 0
        total += p[v]
    return total


@inlined
def draw(logits, p, uniform, temperature, top_k, top_p, min_p):
    """One token from logits (V,), given a random number in [0, 1). p (V,) float32 is working memory.

    temperature 0 takes the likeliest. Else softmax(logits / temperature) is cut to the top_k likeliest (0: all), then
    to the fewest that hold top_p of the mass, then to those with at least min_p times the largest; what ties with the
    last kept is kept.
    """
    best = 0
    for v in range(logits.size):
        if logits[v] > logits[best]:
            best = v
    if temperature <= 0:
        return best
    highest, scale = logits[best], np.float32(min(1 / temperature, _LARGE))
    total = 0.0
    for v in range(logits.size):
        exponent = np.float32(logits[v] - highest) * scale
        p[v] = exp(exponent) if exponent > _NEGLIGIBLE else np.float32(0)
        total += p[v]
    bits = p.view(np.int32)
    if 0 < top_k < p.size:
        total = _drop_below(p, bits, _largest_bits_that_keep(p, bits, top_k, 0.0))
    if top_p < 1:
        total = _drop_below(p, bits, _largest_bits_that_keep(p, bits, 1, top_p * total))
    if min_p > 0:
        total = 0.0
        for v in range(p.size):
            if p[v] < min_p:
                p[v] = 0
            total += p[v]
    return _pick(p, uniform * total, best)


@inlined
def _pick(p, target, best):
    reached = 0.0
    for v in range(p.size):
        reached += p[v]
        if reached > target:
            return v
    return best


@kernel
def generate(layers, w_out, b_out, logits, uniforms, temperature, top_k, top_p, min_p, tokens, given, lo, hi):
    """Rows lo..hi of ``tokens`` (N, B): each drawn after feeding the one before; the first ``given`` of N are only fed.

    layers: a tuple of (cell, width, ids, table, x, w_x, w_h) as `layer_forward` takes them, with T = 1; the first
    layer's ids hold the token to feed, and are left at the last one drawn. logits (1, B, V); uniforms (N, B) in [0, 1).
    """
    none = np.empty((0, 0), np.uint8)
    nowhere = np.empty((0, 0, 0), logits.dtype)
    p = np.empty(logits.shape[2], np.float32)
    ids = layers[0][2]
    top = layers[len(layers) - 1][0]
    for n in range(tokens.shape[0]):
        for layer in range(len(layers)):
            cell, width, row_ids, table, x, w_x, w_h = layers[layer]
            layer_forward(cell, width, row_ids, table, x, w_x, w_h, none, nowhere, lo, hi)
        if n >= given:
            output_forward(top.h[1:], w_out, b_out, logits, lo, hi)
        for layer in range(len(layers)):
            cell = layers[layer][0]
            for b in range(lo, hi):
                copy(cell.h[0, b], 0, cell.h[1, b], 0, cell.h.shape[2])
                copy(cell.c[0, b], 0, cell.c[1, b], 0, cell.c.shape[2])
        for b in range(lo, hi):
            if n >= given:
                tokens[n, b] = draw(logits[0, b], p, uniforms[n, b], temperature, top_k, top_p, min_p)
            ids[0, b] = tokens[n, b]
