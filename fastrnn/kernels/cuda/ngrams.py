"""The n-gram embedding (N, G*H): its rows are added where an n-gram ends; and their gradients.

For the arrays see `fastrnn.kernels.arguments.LayerInput`; a window has T*B*K places where an n-gram may end.
"""

import numpy as np

from .jit import cuda, kernel, launch
from .memory import constant, flat


@kernel
def _add_rows(gates, ngrams, ngram_rows, gate_order):
    """gates[t, b] += the rows of the n-grams that end at token (t, b); one thread per element."""
    T, B, K = ngrams.shape
    gate_width = ngram_rows.shape[1]
    H = gate_width // gate_order.size
    for i in range(cuda.grid(1), T * B * gate_width, cuda.gridsize(1)):
        token, column = i // gate_width, i % gate_width
        t, b = token // B, token % B
        row = gate_order[column // H] * H + column % H
        total = gates[t, b, column]
        for k in range(K):
            n = ngrams[t, b, k]
            if n >= 0:
                total += ngram_rows[n, row]
        gates[t, b, column] = total


def add_rows(gates, inputs):
    """Add to gates (T, B, P) the rows of the n-grams that end at each token."""
    if inputs.ngrams.size:
        T, B, _ = inputs.ngrams.shape
        size = T * B * inputs.ngram_rows.shape[1]
        launch(_add_rows, size, gates, inputs.ngrams, inputs.ngram_rows, constant(inputs.gate_order))


@kernel
def _link_places(ngrams, links):
    """links[0, i] = the next place after i with the same n-gram, -1 if there is none; links[1, i] = whether i is the
    first one with its n-gram. ``ngrams``: flat.
    """
    for i in range(cuda.grid(1), ngrams.size, cuda.gridsize(1)):
        n = ngrams[i]
        links[0, i] = -1
        links[1, i] = n >= 0
        if n >= 0:
            for j in range(i + 1, ngrams.size):
                if ngrams[j] == n:
                    links[0, i] = j
                    break
            for j in range(i):
                if ngrams[j] == n:
                    links[1, i] = 0
                    break


@kernel
def _add_gradients(dngram_rows, gates, ngrams, each, links, gate_order):
    """dngram_rows[n] += sum of gates[t, b] over the places of n-gram n in their order: the same bits each time.

    ``ngrams``: flat, ``each`` of them for a token.
    """
    B = gates.shape[1]
    gate_width = dngram_rows.shape[1]
    H = gate_width // gate_order.size
    for i in range(cuda.grid(1), ngrams.size * gate_width, cuda.gridsize(1)):
        place, column = i // gate_width, i % gate_width
        if links[1, place] != 0:
            n = ngrams[place]
            row = gate_order[column // H] * H + column % H
            total = dngram_rows.dtype.type(0)
            while place >= 0:
                token = place // each
                total += gates[token // B, token % B, column]
                place = links[0, place]
            dngram_rows[n, row] += total


def add_gradients(dngram_rows, gates, inputs):
    """Add the gradients of the n-grams' rows, from those of the pre-activations in gates (T, B, P)."""
    if inputs.ngrams.size:
        ngrams, each = flat(inputs.ngrams), inputs.ngrams.shape[2]
        links = cuda.device_array((2, ngrams.size), np.int32)
        launch(_link_places, ngrams.size, ngrams, links)
        size = ngrams.size * dngram_rows.shape[1]
        launch(_add_gradients, size, dngram_rows, gates, ngrams, each, links, constant(inputs.gate_order))
