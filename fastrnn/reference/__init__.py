"""Reference implementation in plain NumPy: every cell, back-propagation through time, and a language model.

It is slow and written to be read; the compiled kernels are tested against it. Suggested reading order:

1. `cells`: one time step of each cell, forward and backward
2. `model`: a cell unrolled over time, back-propagation through time, and bidirectional layers; softmax and
   cross-entropy; and a language model made of these, with ``step``, ``forward``, ``loss`` and ``backward``

Letters: T time steps, B batch (parallel streams), F input features, H hidden units, V vocabulary, G gates, L layers.
A prime marks the step before: h' is the hidden state before the step, ``h_prev`` in the code. A vector is a row of a
(B, ...) array, so W x in an equation is ``x @ W.T`` in the code. ``dy`` is the gradient of the loss with respect to
``y``. Gradients of weights are added to the arrays given; gradients of activations are new arrays.

    >>> import numpy as np
    >>> from fastrnn.shapes import ModelShape, language_model_shapes
    >>> shape = ModelShape(cell="lstm", layers=1, hidden=8, vocab=4)
    >>> rng = np.random.default_rng(0)
    >>> rnn = Reference(shape, {name: rng.normal(size=size) for name, size in language_model_shapes(shape).items()})
    >>> rnn.step(2).shape
    (4,)
"""

from .cells import (
    Array,
    NormWeights,
    State,
    Weights,
    gru_simplified_step,
    gru_simplified_step_backward,
    gru_step,
    gru_step_backward,
    linear,
    linear_backward,
    lstm_norm_step,
    lstm_norm_step_backward,
    lstm_step,
    lstm_step_backward,
    rms_norm,
    rms_norm_backward,
    rnn_step,
    rnn_step_backward,
    sigmoid,
)
from .model import (
    CELLS,
    Cell,
    Reference,
    bidirectional_backward,
    bidirectional_forward,
    cross_entropy,
    cross_entropy_backward,
    layer_backward,
    layer_forward,
    layer_weights,
    softmax,
)

__all__ = [
    "CELLS",
    "Array",
    "Cell",
    "NormWeights",
    "Reference",
    "State",
    "Weights",
    "bidirectional_backward",
    "bidirectional_forward",
    "cross_entropy",
    "cross_entropy_backward",
    "gru_simplified_step",
    "gru_simplified_step_backward",
    "gru_step",
    "gru_step_backward",
    "layer_backward",
    "layer_forward",
    "layer_weights",
    "linear",
    "linear_backward",
    "lstm_norm_step",
    "lstm_norm_step_backward",
    "lstm_step",
    "lstm_step_backward",
    "rms_norm",
    "rms_norm_backward",
    "rnn_step",
    "rnn_step_backward",
    "sigmoid",
    "softmax",
]
