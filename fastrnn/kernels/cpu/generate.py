"""Drawing a run of tokens in one compiled call: forward one step, draw, feed back."""

import numpy as np

from .activations import exp
from .barrier import wait
from .jit import device_function, kernel
from .matmul import copy, multiply, product_memory
from .output_losses import output
from .recurrence import flat, step_forward

_MOST_BITS = 0x7FFFFFFF
_LARGE = 1e38  # a temperature so low that its inverse is infinite is the lowest there is
_NEGLIGIBLE = np.float32(-80)  # below, e**x is nothing beside the likeliest token's 1


@device_function
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


@device_function
def _drop_below(p, bits, least):
    """Zero what lies below; return the sum of what stays."""
    total = 0.0
    for v in range(p.size):
        if bits[v] < least:
            p[v] = 0
        total += p[v]
    return total


@device_function
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


@device_function
def _pick(p, target, best):
    reached = 0.0
    for v in range(p.size):
        reached += p[v]
        if reached > target:
            return v
    return best


@kernel
def generate(layers, w_out, b_out, logits, uniforms, drawing, tokens, given, counts, number, lo, hi):
    """Rows lo..hi of ``tokens`` (N, B): each drawn after feeding the one before; the first ``given`` of N are only fed.

    layers: a tuple of (cell, first, width, ids, table, x, w_x, w_h, h) for windows of one step, in which threads may
    share a layer's units: ``cell`` and the weights are of the units from ``first`` on, ``h`` (2, B, H) holds those of
    all, at even and at odd steps, and ``x`` (2, B, F) is that of the layer below. ``ids`` (1, B) hold the token to feed
    first, and are left at the last one drawn. logits (1, B, V); uniforms (N, B) in [0, 1). ``drawing``: temperature,
    top_k, top_p and min_p, as `draw` takes them.
    ``counts``: of `barriers`, where thread ``number`` meets those it shares with; each draws all tokens for itself.
    """
    p = np.empty(logits.shape[2], np.float32)
    memory = product_memory(logits, layers[0][7], layers[0][8].shape[2], hi - lo)
    _generate(layers, w_out, b_out, logits, uniforms, drawing, tokens, given, counts, number, lo, hi, p, memory)


@device_function
def _generate(layers, w_out, b_out, logits, uniforms, drawing, tokens, given, counts, number, lo, hi, p, memory):
    temperature, top_k, top_p, min_p = drawing
    ids = layers[0][3]
    for layer in range(len(layers)):
        cell, first, h = layers[layer][0], layers[layer][1], layers[layer][8]
        for b in range(lo, hi):
            copy(h[0, b], first, cell.h[0, b], 0, cell.h.shape[2])
    wait(counts, number)
    for n in range(tokens.shape[0]):
        now, after = n % 2, 1 - n % 2
        for layer in range(len(layers)):
            cell, first, width, row_ids, table, x, w_x, w_h, h = layers[layer]
            _step(cell, width, row_ids, table, x, w_x, w_h, h, now, lo, hi, memory)
            for b in range(lo, hi):
                copy(h[after, b], first, cell.h[1, b], 0, cell.h.shape[2])
                copy(cell.h[0, b], 0, cell.h[1, b], 0, cell.h.shape[2])
                copy(cell.c[0, b], 0, cell.c[1, b], 0, cell.c.shape[2])
            wait(counts, number)
        if n >= given:
            h = layers[len(layers) - 1][8]
            output(h[after : after + 1], w_out, b_out, logits, lo, hi, memory)
        for b in range(lo, hi):
            if n >= given:
                tokens[n, b] = draw(logits[0, b], p, uniforms[n, b], temperature, top_k, top_p, min_p)
            ids[0, b] = tokens[n, b]


@device_function
def _step(cell, width, ids, table, x, w_x, w_h, h, now, lo, hi, memory):
    """One step of rows lo..hi of a layer, as `layer_forward` takes it."""
    _, B, P = cell.gates.shape
    F, H, rows = x.shape[2], h.shape[2], hi - lo
    gates = flat(cell.gates)
    for b in range(lo, hi):
        copy(gates, b * P, table[ids[0, b]], 0, P)
    if F:
        from_x = (flat(x), ((1 - now) * B + lo) * F, B * F, F)
        multiply((gates, lo * P, B * P, P), from_x, w_x, F, width, 1, rows, 1, memory)
    to_gates, from_h = (gates, lo * P + P - width, B * P, P), (flat(h), (now * B + lo) * H, B * H, H)
    multiply(to_gates, from_h, w_h, H, width, 1, rows, 1, memory)
    step_forward(cell, 0, lo, hi)
