"""Sampling of a sequence of tokens: forward one step, sample, feed back.

A block samples the token of a batch row with the algorithm of `fastrnn.kernels.cpu.generate`; its
threads share the vocabulary. Only the random numbers and the tokens are copied between host and
device.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from .bfloat16 import bits_of
from .jit import SIMULATED, cuda, device, kernel, launch
from .memory import copy_state, to_device, to_host, zeros
from .output_losses import output_forward
from .recurrence import layer_forward
from .reductions import add_up
from .target import REDUCING

_LARGE = 1e38  # bound of 1 / temperature, which may overflow
_NEGLIGIBLE = np.float32(-80)  # below, e**x is negligible beside the most likely token's e**0
_MOST_BITS = 0x7FFFFFFF  # the sign bit is 0
_MOST_BLOCKS = 1 if SIMULATED else 1 << 16


class Params(NamedTuple):
    """See `fastrnn.kernels.cpu.generate.sample_token`: two numbers of float64, an integer, float64."""

    temperature: Any
    top_k: Any
    top_p: Any
    min_p: Any


@device
def _total(shared, me, value):
    """Return the sum of ``value`` over the block, to all its threads."""
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
def _find_threshold(p, shared, me, count, mass):
    """Return the largest bit pattern t such that the numbers with bits >= t are at least ``count``
    and sum to at least ``mass``. Non-negative floats are ordered like their bits.
    """
    low, high = 0, _MOST_BITS
    while low < high:
        middle = (low + high + 1) // 2
        kept, held = 0.0, 0.0
        for v in range(me, p.size, REDUCING):
            if bits_of(p[v]) >= middle:
                kept += 1.0
                held += p[v]
        kept = _total(shared, me, kept)
        held = _total(shared, me, held)
        if kept >= count and held >= mass:
            low = middle
        else:
            high = middle - 1
    return low


@device
def _zero_below(p, shared, me, least):
    """Zero the numbers with bits below ``least``; return the sum of the rest."""
    held = 0.0
    for v in range(me, p.size, REDUCING):
        if bits_of(p[v]) < least:
            p[v] = np.float32(0)
        held += p[v]
    return _total(shared, me, held)


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
def _sample_tokens(logits, p, uniforms, n, params, tokens):
    """tokens[n, b] from logits (1, B, V) and uniforms[n, b]; p (B, V) float32 is working memory."""
    _, B, V = logits.shape
    shared = cuda.shared.array(REDUCING, np.float64)
    indices = cuda.shared.array(REDUCING, np.int64)
    me = cuda.threadIdx.x
    for b in range(cuda.blockIdx.x, B, cuda.gridDim.x):
        token = _first_largest(logits[0, b], shared, indices, me)
        if params.temperature > 0:
            # softmax without its normalisation: the maximum becomes 1
            highest = logits[0, b, token]
            scale = np.float32(min(1 / params.temperature, _LARGE))
            held = 0.0
            for v in range(me, V, REDUCING):
                exponent = np.float32(logits[0, b, v] - highest) * scale
                p[b, v] = np.float32(math.exp(exponent)) if exponent > _NEGLIGIBLE else np.float32(0)
                held += p[b, v]
            total = _total(shared, me, held)

            if 0 < params.top_k < V:
                total = _zero_below(p[b], shared, me, _find_threshold(p[b], shared, me, params.top_k, 0.0))
            if params.top_p < 1:
                total = _zero_below(p[b], shared, me, _find_threshold(p[b], shared, me, 1, params.top_p * total))
            if params.min_p > 0:
                held = 0.0
                for v in range(me, V, REDUCING):
                    p[b, v] = p[b, v] if p[b, v] >= params.min_p else np.float32(0)
                    held += p[b, v]
                total = _total(shared, me, held)
            token = _pick(p[b], shared, me, uniforms[n, b] * total, token)
        if me == 0:
            tokens[n, b] = token


@kernel
def _feed(ids, tokens, n):
    """ids[0] = tokens[n]."""
    for b in range(cuda.grid(1), ids.shape[1], cuda.gridsize(1)):
        ids[0, b] = tokens[n, b]


def generate(layers, output_layer, sequence, settings, barrier, row_lo, row_hi):
    """Sample ``tokens`` (N, B), an array of the host; see `fastrnn.kernels.cpu.generate`."""
    w_out, b_out, logits = output_layer
    tokens, given, uniforms = sequence
    none, nowhere = zeros((0, 0), np.uint8), zeros((0, 0, 0), logits.dtype)
    _, B, V = logits.shape
    p, nothing = zeros((B, V), np.float32), zeros((1, B, 0), logits.dtype)
    here, random = to_device(tokens), to_device(uniforms)
    temperature, top_k, top_p, min_p = settings
    params = Params(float(temperature), int(top_k), float(top_p), float(min_p))
    ids = layers[0].inputs.ids
    outputs = [layer.cell.h[1:] for layer in layers]
    for n in range(tokens.shape[0]):
        x = nothing
        for layer, y in zip(layers, outputs, strict=True):
            layer_forward(layer.cell, layer.inputs._replace(x=x), layer.weights, none, nowhere, 0, B)
            x = y
        if n >= given:
            output_forward(outputs[-1], w_out, b_out, logits, 0, B)
            _sample_tokens[min(B, _MOST_BLOCKS), REDUCING](logits, p, random, n, params, here)
        for layer in layers:
            copy_state(layer.cell.h, 0, layer.cell.h, 1, 0, B)
            copy_state(layer.cell.c, 0, layer.cell.c, 1, 0, B)
        launch(_feed, B, ids, here, n)
    tokens[...] = to_host(here)
