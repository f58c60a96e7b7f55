"""Sampling of a sequence of tokens in one compiled call: forward one step, sample a token, feed it
back.
"""

import numpy as np

from .activations import exp
from .barrier import wait
from .blocks import PackedMatrix, StepBlock, copy, flat
from .jit import device_function, kernel
from .matmul import multiply, product_memory
from .output_losses import output
from .recurrence import step_forward

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
def sample_token(logits, p, uniform, settings):
    """Sample one token from logits (V,), given a uniform random number in [0, 1). p (V,) float32 is
    working memory.

    ``settings``: `SamplingSettings`. Temperature 0 returns the most likely token. Otherwise
    softmax(logits / temperature) is cut to the top_k most likely tokens (0: all), then to the
    fewest that hold top_p of the mass, then to those with at least min_p times the largest
    probability. Ties with the last token kept are kept.
    """
    temperature, top_k, top_p, min_p = settings
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
def generate(layers, output_layer, sequence, settings, barrier, row_lo, row_hi):
    """Generate rows row_lo..row_hi of a token sequence: feed the token before, then sample.

    Args:
        layers: Tuple of `DecoderLayer`, windows of one step. ``ids`` (1, B) of the first hold the
            token to feed first, and at the end the last token.
        output_layer: `DecoderOutput`.
        sequence: `SampledTokens`.
        settings: `SamplingSettings`.
        barrier: `BarrierPart` of the threads that share units. Each samples all tokens for itself.
        row_lo: First row.
        row_hi: End of the rows.
    """
    p = np.empty(output_layer.logits.shape[2], np.float32)
    first = layers[0]
    memory = product_memory(output_layer.logits, first.weights.w_h, first.h.shape[2], row_hi - row_lo)
    _generate(layers, output_layer, sequence, settings, barrier, (row_lo, row_hi), p, memory)


@device_function
def _generate(layers, output_layer, sequence, settings, barrier, rows, p, memory):
    """`generate` with working memory p (V,), and ``memory`` from `product_memory`."""
    row_lo, row_hi = rows
    logits = output_layer.logits
    tokens = sequence.tokens
    ids = layers[0].inputs.ids
    for n in range(len(layers)):
        layer = layers[n]
        for b in range(row_lo, row_hi):
            copy(layer.h[0, b], layer.first_unit, layer.cell.h[0, b], 0, layer.cell.h.shape[2])
    wait(barrier.counts, barrier.number)

    for step in range(tokens.shape[0]):
        # double buffering: slower threads still read h[now] while others write h[after]
        now = step % 2
        after = 1 - now
        for n in range(len(layers)):
            layer = layers[n]
            cell = layer.cell
            _step(layer, now, row_lo, row_hi, memory)
            for b in range(row_lo, row_hi):
                # publish this thread's units; the new state becomes the initial state of the next
                # step
                copy(layer.h[after, b], layer.first_unit, cell.h[1, b], 0, cell.h.shape[2])
                copy(cell.h[0, b], 0, cell.h[1, b], 0, cell.h.shape[2])
                copy(cell.c[0, b], 0, cell.c[1, b], 0, cell.c.shape[2])
            wait(barrier.counts, barrier.number)

        # logits only when a token is to be sampled
        if step >= sequence.given:
            top = layers[len(layers) - 1].h[after : after + 1]
            output(top, output_layer.w, output_layer.bias, logits, row_lo, row_hi, memory)
        for b in range(row_lo, row_hi):
            if step >= sequence.given:
                tokens[step, b] = sample_token(logits[0, b], p, sequence.uniforms[step, b], settings)
            ids[0, b] = tokens[step, b]


@device_function
def _step(layer, now, row_lo, row_hi, memory):
    """One time step of rows row_lo..row_hi of a layer, as `layer_forward`."""
    cell, _, inputs, weights, h = layer
    _, B, P = cell.gates.shape
    F, H = inputs.x.shape[2], h.shape[2]
    rows = row_hi - row_lo
    gates = flat(cell.gates)

    # gates[0, rows] = table rows of the tokens fed (one-hot product and biases)
    for b in range(row_lo, row_hi):
        copy(gates, b * P, inputs.table[inputs.ids[0, b]], 0, P)
    if F:
        # + x W_x: the layer below has already written its outputs of this step, h[1 - now]
        from_x = StepBlock(flat(inputs.x), ((1 - now) * B + row_lo) * F, B * F, F)
        to_gates = StepBlock(gates, row_lo * P, B * P, P)
        multiply(to_gates, from_x, PackedMatrix(weights.w_x, F, weights.gate_width), 1, rows, 1, memory)

    # + h W_h into the last gate_width columns
    to_gates = StepBlock(gates, row_lo * P + P - weights.gate_width, B * P, P)
    from_h = StepBlock(flat(h), (now * B + row_lo) * H, B * H, H)
    multiply(to_gates, from_h, PackedMatrix(weights.w_h, H, weights.gate_width), 1, rows, 1, memory)
    step_forward(cell, 0, row_lo, row_hi)
