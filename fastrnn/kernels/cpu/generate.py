"""Sampling of a sequence of tokens in one compiled call: forward one step, sample a token, feed it
back.
"""

import numpy as np

from .activations import exp
from .barrier import wait
from .jit import device_function, kernel
from .matmul import copy, multiply, product_memory
from .output_losses import output
from .recurrence import flat, step_forward

_MOST_BITS = 0x7FFFFFFF  # the sign bit is 0
_LARGE = 1e38  # bound of 1 / temperature, which may overflow
_NEGLIGIBLE = np.float32(-80)  # below, e**x is negligible beside the most likely token's e**0


@device_function
def _find_threshold(p, bits, count, mass):
    """The largest bit pattern t such that the numbers with bits >= t are at least ``count`` and sum
    to at least ``mass``.

    Non-negative floats are ordered like their bits, so a bisection of 31 steps finds the exact
    threshold.
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
def _zero_below(p, bits, least):
    """Zero the probabilities with bits below ``least``; return the sum of the rest."""
    total = 0.0
    for v in range(p.size):
        if bits[v] < least:
            p[v] = 0
        total += p[v]
    return total


@device_function
def sample_token(logits, p, uniform, temperature, top_k, top_p, min_p):
    """Sample one token from logits (V,), given a uniform random number in [0, 1). p (V,) float32 is
    working memory.

    Temperature 0 returns the most likely token. Otherwise softmax(logits / temperature) is cut to
    the top_k most likely tokens (0: all), then to the fewest that hold top_p of the mass, then to
    those with at least min_p times the largest probability. Ties with the last token kept are kept.
    """
    best = 0
    for v in range(logits.size):
        if logits[v] > logits[best]:
            best = v
    if temperature <= 0:
        return best
    # softmax without its normalisation: the maximum becomes 1
    highest = logits[best]
    scale = np.float32(min(1 / temperature, _LARGE))
    total = 0.0
    for v in range(logits.size):
        exponent = np.float32(logits[v] - highest) * scale
        p[v] = exp(exponent) if exponent > _NEGLIGIBLE else np.float32(0)
        total += p[v]

    bits = p.view(np.int32)
    if 0 < top_k < p.size:
        total = _zero_below(p, bits, _find_threshold(p, bits, top_k, 0.0))
    if top_p < 1:
        total = _zero_below(p, bits, _find_threshold(p, bits, 1, top_p * total))
    if min_p > 0:
        total = 0.0
        for v in range(p.size):
            if p[v] < min_p:
                p[v] = 0
            total += p[v]
    return _pick(p, uniform * total, best)


@device_function
def _pick(p, target, best):
    """The first token whose cumulative probability exceeds ``target``; ``best`` if rounding leaves
    none.
    """
    reached = 0.0
    for v in range(p.size):
        reached += p[v]
        if reached > target:
            return v
    return best


@kernel
def generate(layers, w_out, b_out, logits, uniforms, sampling, tokens, given, counts, number, row_lo, row_hi):
    """Rows row_lo..row_hi of tokens (N, B): feed the token before, then sample; the first ``given``
    tokens are only fed.

    layers: tuple of (cell, first, gate_width, ids, table, x, w_x, w_h, h), windows of one step.
    Threads may share a layer's units: ``cell`` and the weights hold the units from ``first`` on;
    ``h`` (2, B, H) holds all units' outputs, of even and of odd steps; ``x`` (2, B, F) is the h of
    the layer below. ``ids`` (1, B) hold the token to feed first, and at the end the last token.
    logits (1, B, V); uniforms (N, B) in [0, 1). ``sampling``: (temperature, top_k, top_p, min_p) of
    `sample_token`. ``counts``: `barriers` of the threads that share units; this is thread
    ``number``. Each of them samples all tokens for itself.
    """
    p = np.empty(logits.shape[2], np.float32)
    memory = product_memory(logits, layers[0][7], layers[0][8].shape[2], row_hi - row_lo)
    _generate(
        layers, w_out, b_out, logits, uniforms, sampling, tokens, given, counts, number, row_lo, row_hi, p, memory
    )


@device_function
def _generate(
    layers, w_out, b_out, logits, uniforms, sampling, tokens, given, counts, number, row_lo, row_hi, p, memory
):
    """`generate` with working memory p (V,), and ``memory`` from `product_memory`."""
    temperature, top_k, top_p, min_p = sampling
    ids = layers[0][3]
    for layer in range(len(layers)):
        cell, first, h = layers[layer][0], layers[layer][1], layers[layer][8]
        for b in range(row_lo, row_hi):
            copy(h[0, b], first, cell.h[0, b], 0, cell.h.shape[2])
    wait(counts, number)
    for n in range(tokens.shape[0]):
        # double buffering: slower threads still read h[now] while others write h[after]
        now = n % 2
        after = 1 - now
        for layer in range(len(layers)):
            cell, first, gate_width, row_ids, table, x, w_x, w_h, h = layers[layer]
            _step(cell, gate_width, row_ids, table, x, w_x, w_h, h, now, row_lo, row_hi, memory)
            for b in range(row_lo, row_hi):
                # publish this thread's units; the new state becomes the initial state of the next
                # step
                copy(h[after, b], first, cell.h[1, b], 0, cell.h.shape[2])
                copy(cell.h[0, b], 0, cell.h[1, b], 0, cell.h.shape[2])
                copy(cell.c[0, b], 0, cell.c[1, b], 0, cell.c.shape[2])
            wait(counts, number)
        # logits only when a token is to be sampled
        if n >= given:
            h = layers[len(layers) - 1][8]
            output(h[after : after + 1], w_out, b_out, logits, row_lo, row_hi, memory)
        for b in range(row_lo, row_hi):
            if n >= given:
                tokens[n, b] = sample_token(logits[0, b], p, uniforms[n, b], temperature, top_k, top_p, min_p)
            ids[0, b] = tokens[n, b]


@device_function
def _step(cell, gate_width, ids, table, x, w_x, w_h, h, now, row_lo, row_hi, memory):
    """One time step of rows row_lo..row_hi of a layer, as `layer_forward`."""
    _, B, P = cell.gates.shape
    F, H, rows = x.shape[2], h.shape[2], row_hi - row_lo
    gates = flat(cell.gates)

    # gates[0, rows] = table rows of the tokens fed (one-hot product and biases)
    for b in range(row_lo, row_hi):
        copy(gates, b * P, table[ids[0, b]], 0, P)
    if F:
        # + x W_x: the layer below has already written its outputs of this step, h[1 - now]
        from_x = (flat(x), ((1 - now) * B + row_lo) * F, B * F, F)
        multiply((gates, row_lo * P, B * P, P), from_x, w_x, F, gate_width, 1, rows, 1, memory)

    # + h W_h into the last gate_width columns
    to_gates = (gates, row_lo * P + P - gate_width, B * P, P)
    from_h = (flat(h), (now * B + row_lo) * H, B * H, H)
    multiply(to_gates, from_h, w_h, H, gate_width, 1, rows, 1, memory)
    step_forward(cell, 0, row_lo, row_hi)
