"""Seeded random models, states and texts for tests, with T, B, F, H and V all different."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrnn.cells import CELLS
from fastrnn.data.text.ngrams import NGrams
from fastrnn.reference import NormWeights, Reference, Weights
from fastrnn.shapes import ModelShape, language_model_shapes

Array = NDArray[Any]

T, B, F, H, V = 5, 3, 2, 4, 6
SCALE = 0.6  # large enough to bend every activation, small enough to saturate none


def make_model(
    cell: str, layers: int, rng: np.random.Generator, hidden: int = H, vocab: int = V, ngrams: NGrams | None = None
) -> Reference:
    """A reference model with normal random weights, float64."""
    ngrams = ngrams or NGrams(vocab)
    shape = ModelShape(cell, layers, hidden, vocab, ngrams=len(ngrams))
    parameters = {name: rng.normal(scale=SCALE, size=size) for name, size in language_model_shapes(shape).items()}
    return Reference(shape, parameters, ngrams=[ngrams.tokens(n) for n in range(len(ngrams))])


def make_weights(cell: str, features: int, hidden: int, rng: np.random.Generator) -> Weights | NormWeights:
    """The weights of one layer, float64."""
    rows = CELLS[cell].gate_count * hidden
    sizes = ((rows, features), (rows, hidden), (rows,), (rows,))
    arrays = (rng.normal(scale=SCALE, size=size) for size in sizes)
    return NormWeights(*arrays) if CELLS[cell].is_normed else Weights(*arrays)


def make_state(cell: str, rng: np.random.Generator, *size: int) -> dict[str, Array]:
    """A random state of that size: (B, H) for a layer, (L, B, H) for a model."""
    return {name: rng.normal(scale=SCALE, size=size) for name in CELLS[cell].states}


def make_text(rng: np.random.Generator, steps: int = T, batch: int = B, vocab: int = V) -> tuple[Array, Array]:
    """Random ids and targets, (T, B) each with T and B at least 3; some targets are not scored.

    The last stream is scored at its last step only; streams 0 and 1 lack one target each.
    """
    ids, targets = rng.integers(vocab, size=(2, steps, batch))
    targets[:-1, -1] = targets[0, 0] = targets[2, 1] = -1
    return ids, targets


def make_resets(steps: int = T, batch: int = B) -> Array:
    """Stream 0 starts at once and again at step 3, stream 1 at the last step but one, the others never."""
    resets = np.zeros((steps, batch), np.uint8)
    resets[0, 0] = resets[3, 0] = resets[steps - 2, 1] = 1
    return resets


def make_ngrams(vocab: int = V) -> NGrams:
    """The pairs "0 1" and "1 1", every pair that ends with 2, and the triple "1 0 1"."""
    pairs = sorted([0 + 1 * vocab, 1 + 1 * vocab, *(token + 2 * vocab for token in range(vocab))])
    suffix = vocab + pairs.index(0 + 1 * vocab)
    return NGrams(vocab, [*pairs, 1 + suffix * vocab])
