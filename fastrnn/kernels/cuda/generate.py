"""Sampling of a sequence of tokens: forward one step, sample, feed back.

A block samples the token of a batch row with the algorithm of `fastrnn.kernels.sampling_math`; its
threads share the vocabulary. Only the random numbers and the tokens are copied between host and
device.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ..arguments import SamplingSettings
from ..sampling_math import ngram_lookup, scale_of, search_key, softmax_weight, threshold_search, truncation
from .jit import SIMULATED, cuda, device, kernel, launch
from .memory import copy_state, to_device, to_host, zeros
from .output_losses import output_forward
from .packing import bits_of
from .recurrence import layer_forward
from .reductions import add_up
from .target import REDUCING

_MOST_BLOCKS = 1 if SIMULATED else 1 << 16


class Weights(NamedTuple):
    """Unnormalised probabilities of the tokens of one row, and how a block adds up numbers.

    Args:
        p: (V,) float32, not negative. Thread ``me`` reads and writes tokens me, me + REDUCING, ...
        shared: (REDUCING,) float64 in shared memory.
        me: Number of the thread.
    """

    p: Any
    shared: Any
    me: Any


@device
def _total(shared, me, value):
    """Return the sum of ``value`` over the block, to all its threads."""
    # through shared memory in a fixed order, so that all runs sample the same tokens
    shared[me] = value
    add_up(shared, me)
    total = shared[0]
    cuda.syncthreads()  # before anybody reuses the array
    return total


@device
def _first_largest(logits, shared, indices, me):
    """Return the index of the largest of logits (V,), the first one if there are several."""
    best = me if me < logits.size else 0
    for v in range(me, logits.size, REDUCING):
        if logits[v] > logits[best]:
            best = v
    shared[me] = logits[best]
    indices[me] = best
    cuda.syncthreads()
    half = REDUCING // 2
    while half > 0:
        if me < half:
            # of equal logits the smaller index, as a search from the front would find
            value, other = shared[me], shared[me + half]
            if other > value or (other == value and indices[me + half] < indices[me]):
                shared[me] = other
                indices[me] = indices[me + half]
        cuda.syncthreads()
        half //= 2
    best = indices[0]
    cuda.syncthreads()
    return best


@device
def _hold_from(work, least):
    """Number and sum of the probabilities with bits >= ``least``."""
    kept, held = 0.0, 0.0
    for v in range(work.me, work.p.size, REDUCING):
        if bits_of(work.p[v]) >= least:
            kept += 1.0
            held += work.p[v]
    # every thread gets the totals, so all of them take the same branches afterwards
    return _total(work.shared, work.me, kept), _total(work.shared, work.me, held)


@device
def _zero_below(work, least):
    """Zero the probabilities with bits below ``least``; return the sum of the rest."""
    held = 0.0
    for v in range(work.me, work.p.size, REDUCING):
        if bits_of(work.p[v]) < least:
            work.p[v] = np.float32(0)
        held += work.p[v]
    return _total(work.shared, work.me, held)


@device
def _zero_small(work, least):
    """Zero the probabilities below ``least``; return the sum of the rest."""
    held = 0.0
    for v in range(work.me, work.p.size, REDUCING):
        work.p[v] = work.p[v] if work.p[v] >= least else np.float32(0)
        held += work.p[v]
    return _total(work.shared, work.me, held)


@device
def _exp(x):
    return np.float32(math.exp(x))


_scale_of = device(scale_of)
_weight = device(softmax_weight(_exp))
_find_threshold = device(threshold_search(_hold_from))
_truncate = device(truncation(_find_threshold, _zero_below, _zero_small))
_search_key = device(search_key)
_lookup_row = device(ngram_lookup(_search_key))


@device
def _pick(p, shared, me, target, best):
    """Return the first token whose cumulative probability exceeds ``target``, to thread 0; ``best``
    if rounding leaves none.
    """
    # Each thread adds up a part of the vocabulary; thread 0 finds the part, then the token in it.
    length = (p.size + REDUCING - 1) // REDUCING
    held = 0.0
    cuda.syncthreads()  # the threads have divided p in another way until now
    for v in range(me * length, min((me + 1) * length, p.size)):
        held += p[v]
    shared[me] = held
    cuda.syncthreads()
    token = best
    if me == 0:
        reached = 0.0
        part = 0
        while part < REDUCING and reached + shared[part] <= target:
            reached += shared[part]
            part += 1
        for v in range(part * length, min((part + 1) * length, p.size)):
            reached += p[v]
            if reached > target:
                token = v
                break
    cuda.syncthreads()
    return token


@kernel
def _sample_tokens(logits, p, uniforms, n, settings, tokens):
    """tokens[n, b] from logits (1, B, V) and uniforms[n, b]; p (B, V) float32 is working memory."""
    _, B, V = logits.shape
    shared = cuda.shared.array(REDUCING, np.float64)
    indices = cuda.shared.array(REDUCING, np.int64)
    me = cuda.threadIdx.x
    for b in range(cuda.blockIdx.x, B, cuda.gridDim.x):
        token = _first_largest(logits[0, b], shared, indices, me)
        if settings.temperature > 0:
            highest = logits[0, b, token]
            scale = _scale_of(settings.temperature)
            held = 0.0
            for v in range(me, V, REDUCING):
                p[b, v] = _weight(logits[0, b, v], highest, scale)
                held += p[b, v]
            total = _total(shared, me, held)
            total = _truncate(Weights(p[b], shared, me), total, settings)
            token = _pick(p[b], shared, me, uniforms[n, b] * total, token)
        if me == 0:
            tokens[n, b] = token


@kernel
def _lookup_ngrams(ngrams, ids, before, keys, vocab):
    """ngrams (1, B, K): those that end at the tokens ids[0]; one thread per row."""
    for b in range(cuda.grid(1), ids.shape[1], cuda.gridsize(1)):
        _lookup_row(ngrams, ids, before, keys, vocab, b)


@kernel
def _feed_tokens(ids, tokens, n):
    """ids[0] = tokens[n]."""
    for b in range(cuda.grid(1), ids.shape[1], cuda.gridsize(1)):
        ids[0, b] = tokens[n, b]


def generate(layers, output_layer, sequence, settings, barrier, row_lo, row_hi):
    """Sample ``tokens`` (N, B), an array of the host; see `fastrnn.kernels.cpu.generate`."""
    w_out, b_out, logits = output_layer
    tokens, given, uniforms, before, keys = sequence
    none, nowhere = zeros((0, 0), np.uint8), zeros((0, 0, 0), logits.dtype)
    _, B, V = logits.shape
    p, nothing = zeros((B, V), np.float32), zeros((1, B, 0), logits.dtype)
    # one copy each way for all tokens
    here, random = to_device(tokens), to_device(uniforms)
    temperature, top_k, top_p, min_p = settings
    # of fixed types: another type would compile the kernel once more
    settings = SamplingSettings(float(temperature), int(top_k), float(top_p), float(min_p))
    ids, ngrams = layers[0].inputs.ids, layers[0].inputs.ngrams
    outputs = [layer.cell.h[1:] for layer in layers]
    for n in range(tokens.shape[0]):
        x = nothing
        if ngrams.size:
            launch(_lookup_ngrams, B, ngrams, ids, before, keys, V)
        # launches are asynchronous: the host runs ahead and never waits inside this loop
        for layer, y in zip(layers, outputs, strict=True):
            layer_forward(layer.cell, nowhere, layer.inputs._replace(x=x), layer.weights, none, 0, B)
            x = y
        if n >= given:
            output_forward(logits, outputs[-1], w_out, b_out, 0, B)
            _sample_tokens[min(B, _MOST_BLOCKS), REDUCING](logits, p, random, n, settings, here)
        # the state after the step is the initial state of the next: h[0] = h[1]
        for layer in layers:
            copy_state(layer.cell.h, 0, layer.cell.h, 1, 0, B)
            copy_state(layer.cell.c, 0, layer.cell.c, 1, 0, B)
        launch(_feed_tokens, B, ids, here, n)
    tokens[...] = to_host(here)
