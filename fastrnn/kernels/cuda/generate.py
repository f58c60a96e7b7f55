"""Sampling of a sequence of tokens: forward one step, sample, feed back.

Only the random numbers and the tokens are copied between host and device.
"""

import math

import numpy as np

from .jit import cuda, kernel, launch
from .memory import copy, to_device, to_host, zeros
from .output_losses import output_forward
from .recurrence import layer_forward

_LARGE = 1e38  # a temperature so low that its inverse is infinite is the lowest there is
_MOST_BITS = 0x7FFFFFFF


@kernel
def _draw(logits, p, uniforms, n, temperature, top_k, top_p, min_p, tokens):
    """Row b of step n: see `fastrnn.kernels.cpu.generate.draw`; one thread for each row."""
    B, V = p.shape
    for b in range(cuda.grid(1), B, cuda.gridsize(1)):
        best = 0
        for v in range(V):
            if logits[0, b, v] > logits[0, b, best]:
                best = v
        token = best
        if temperature > 0:
            highest, scale = logits[0, b, best], np.float32(min(1 / temperature, _LARGE))
            total = 0.0
            for v in range(V):
                exponent = np.float32(logits[0, b, v] - highest) * scale
                p[b, v] = np.float32(math.exp(exponent)) if exponent > np.float32(-80) else np.float32(0)
                total += p[b, v]
            for cut in range(2):
                # the fewest of the likeliest that are top_k, then that hold top_p of the mass; see
                # cpu.generate
                count, mass = top_k if cut == 0 else 1, 0.0 if cut == 0 else top_p * total
                if (cut == 0 and 0 < top_k < V) or (cut == 1 and top_p < 1):
                    low, high = np.float32(0), np.float32(2)
                    for _ in range(64):
                        middle = (low + high) * np.float32(0.5)
                        kept, held = 0, 0.0
                        for v in range(V):
                            if p[b, v] >= middle:
                                kept += 1
                                held += p[b, v]
                        if kept >= count and held >= mass:
                            low = middle
                        else:
                            high = middle
                    total = 0.0
                    for v in range(V):
                        p[b, v] = p[b, v] if p[b, v] >= low else np.float32(0)
                        total += p[b, v]
            if min_p > 0:
                total = 0.0
                for v in range(V):
                    p[b, v] = p[b, v] if p[b, v] >= min_p else np.float32(0)
                    total += p[b, v]
            wanted, reached, found = uniforms[n, b] * total, 0.0, False
            for v in range(V):
                reached += p[b, v]
                if not found and reached > wanted:
                    token, found = v, True
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
    ids, top = layers[0].inputs.ids, layers[-1].cell
    for n in range(tokens.shape[0]):
        x = nothing
        for layer in layers:
            layer_forward(layer.cell, layer.inputs._replace(x=x), layer.weights, none, nowhere, 0, B)
            x = layer.cell.h[1:]
        if n >= given:
            output_forward(top.h[1:], w_out, b_out, logits, 0, B)
            launch(_draw, B, logits, p, random, n, float(temperature), top_k, float(top_p), float(min_p), here)
        for cell, *_ in layers:
            copy(cell.h[0], cell.h[1])
            copy(cell.c[0], cell.c[1])
        launch(_feed, B, ids, here, n)
    tokens[...] = to_host(here)
