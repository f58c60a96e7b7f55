"""Sampling of a sequence of tokens in one compiled call: forward one step, sample a token, feed it
back.
"""

from typing import Any, NamedTuple

import numpy as np

from ..sampling_math import ngram_lookup, scale_of, search_key, softmax_weight, threshold_search, truncation
from .activations import exp
from .barrier import barrier_threads, wait
from .blocks import PackedMatrix, StepBlock, copy, flat
from .grid import whole_share
from .jit import device_function, inline_function, kernel
from .matmul import multiply, product_memory
from .output_losses import output
from .recurrence import add_ngram_rows, prepare_forward, step_forward

_LAYERS = 2  # a kernel takes so many layers, or a multiple of it


class Weights(NamedTuple):
    """Unnormalised probabilities of the tokens."""

    p: Any
    """(V,) float32, not negative."""
    bits: Any
    """The same memory as int32."""


# inlined into the bisection: a call there costs a sixth of the time of top-k (measured)
@inline_function
def _hold_from(work, least):
    """Number and sum of the probabilities with bits >= ``least``."""
    p, bits = work
    kept, total = 0, 0.0
    for v in range(p.size):
        if bits[v] >= least:
            kept += 1
            total += p[v]
    return kept, total


@device_function
def _zero_below(work, least):
    """Zero the probabilities with bits below ``least``; return the sum of the rest."""
    p, bits = work
    total = 0.0
    for v in range(p.size):
        if bits[v] < least:
            p[v] = 0
        total += p[v]
    return total


@device_function
def _zero_small(work, least):
    """Zero the probabilities below ``least``; return the sum of the rest."""
    p = work.p
    total = 0.0
    for v in range(p.size):
        if p[v] < least:
            p[v] = 0
        total += p[v]
    return total


_scale_of = inline_function(scale_of)
_weight = inline_function(softmax_weight(exp))
_find_threshold = device_function(threshold_search(_hold_from))
_truncate = inline_function(truncation(_find_threshold, _zero_below, _zero_small))
_search_key = device_function(search_key)
_lookup_ngrams = device_function(ngram_lookup(_search_key))


@device_function
def sample_token(logits, p, uniform, settings):
    """Sample one token from logits (V,), given a uniform random number in [0, 1). p (V,) float32 is
    working memory.

    ``settings``: `SamplingSettings`. Temperature 0 returns the most likely token. The algorithm is
    that of `fastrnn.kernels.sampling_math`.
    """
    # the first of equal logits wins; NaN never does, except in front
    best = 0
    for v in range(logits.size):
        if logits[v] > logits[best]:
            best = v
    if settings.temperature <= 0:
        return best

    highest = logits[best]
    scale = _scale_of(settings.temperature)
    total = 0.0
    for v in range(logits.size):
        p[v] = _weight(logits[v], highest, scale)
        total += p[v]

    total = _truncate(Weights(p, p.view(np.int32)), total, settings)
    return _pick(p, uniform * total, best)


@device_function
def _pick(p, target, best):
    """The first token whose cumulative probability exceeds ``target``; ``best`` if rounding leaves
    none.
    """
    # in float64: with float32 a large vocabulary's last tokens would be lost in the rounding
    reached = 0.0
    for v in range(p.size):
        reached += p[v]
        if reached > target:
            return v
    return best


def generate(layers, output_layer, sequence, settings, barrier, row_lo, row_hi):
    """Generate rows row_lo..row_hi of a token sequence: feed the token before, then sample.

    With n-grams, those that end at the token are fed too.

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
    # the last layer again, which is not used: a kernel is compiled for the length of a tuple
    more = layers[-1:] * (-len(layers) % _LAYERS)
    _generate_rows(layers + more, len(layers), output_layer, sequence, settings, barrier, (row_lo, row_hi))


@kernel
def _generate_rows(layers, depth, output_layer, sequence, settings, barrier, rows):
    """`generate` with the first ``depth`` of the layers."""
    # arrays are allocated here, once for all tokens: a device function may not allocate
    p = np.empty(output_layer.logits.shape[2], np.float32)
    first = layers[0]
    memory = product_memory(output_layer.logits, first.weights.w_h, first.h.shape[2], rows[1] - rows[0])
    _generate(layers, depth, output_layer, sequence, settings, barrier, rows, (p, memory))


@device_function
def _generate(layers, depth, output_layer, sequence, settings, barrier, rows, work):
    """`_generate_rows` with working memory: p (V,), and that of `product_memory`."""
    row_lo, row_hi = rows
    p, memory = work
    logits = output_layer.logits
    tokens = sequence.tokens
    ids = layers[0].inputs.ids
    # h of all units, gathered from the threads, is the input of the first step; indices instead of
    # layers in a loop, so that the code of a layer is compiled once
    for n in range(depth):
        layer = layers[n]
        for b in range(row_lo, row_hi):
            copy(layer.h[0, b], layer.first_unit, layer.cell.h[0, b], 0, layer.cell.h.shape[2])
    wait(barrier.counts, barrier.number)

    for step in range(tokens.shape[0]):
        # double buffering: slower threads still read h[now] while others write h[after]
        now = step % 2
        after = 1 - now
        top = layers[0].h
        first = layers[0].inputs
        for b in range(row_lo, row_hi):
            _lookup_ngrams(first.ngrams, first.ids, sequence.before, sequence.ngram_keys, logits.shape[2], b)
        for n in range(depth):
            layer = layers[n]
            top = layer.h
            cell = layer.cell
            _step(layer, now, barrier, row_lo, row_hi, memory)
            for b in range(row_lo, row_hi):
                # publish this thread's units; the new state becomes the initial state of the next
                # step
                copy(layer.h[after, b], layer.first_unit, cell.h[1, b], 0, cell.h.shape[2])
                copy(cell.h[0, b], 0, cell.h[1, b], 0, cell.h.shape[2])
                copy(cell.c[0, b], 0, cell.c[1, b], 0, cell.c.shape[2])
            wait(barrier.counts, barrier.number)

        # logits only when a token is to be sampled
        if step >= sequence.given:
            output(logits, top[after : after + 1], output_layer.w, output_layer.bias, row_lo, row_hi, memory)
        for b in range(row_lo, row_hi):
            if step >= sequence.given:
                tokens[step, b] = sample_token(logits[0, b], p, sequence.uniforms[step, b], settings)
            ids[0, b] = tokens[step, b]


@device_function
def _step(layer, now, barrier, row_lo, row_hi, memory):
    """One time step of rows row_lo..row_hi of a layer, as `layer_forward`."""
    cell, _, inputs, weights, h = layer
    _, B, P = cell.gates.shape
    F, H = inputs.x.shape[2], h.shape[2]
    rows = row_hi - row_lo
    gates = flat(cell.gates)

    # gates[0, rows] = table rows of the tokens fed (one-hot product and biases), + rows of n-grams
    units = cell.h.shape[2]
    share = whole_share(barrier_threads(barrier.counts), row_lo, row_hi, units)
    for b in range(row_lo, row_hi):
        copy(gates, b * P, inputs.table[inputs.ids[0, b]], 0, P)
        add_ngram_rows(cell.gates[0, b], inputs, 0, b, share, units)
    if F:
        # + x W_x: the layer below has already written its outputs of this step, h[1 - now]
        from_x = StepBlock(flat(inputs.x), ((1 - now) * B + row_lo) * F, B * F, F)
        to_gates = StepBlock(gates, row_lo * P, B * P, P)
        multiply(to_gates, from_x, PackedMatrix(weights.w_x, F, weights.gate_width), 1, rows, 1, memory)

    # + h W_h into the last gate_width columns
    to_gates = StepBlock(gates, row_lo * P + P - weights.gate_width, B * P, P)
    from_h = StepBlock(flat(h), (now * B + row_lo) * H, B * H, H)
    multiply(to_gates, from_h, PackedMatrix(weights.w_h, H, weights.gate_width), 1, rows, 1, memory)
    if prepare_forward(cell, 0, share):
        wait(barrier.counts, barrier.number)
    step_forward(cell, 0, share)
