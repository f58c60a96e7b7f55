"""The textbook: every cell and back-propagation through time in plain NumPy, one time step at a time.

Slow, and written to be read. The compiled kernels are tested against it. A reading order:

1. `arithmetic`: the linear map and the sigmoid, with their gradients
2. `rnn`, `lstm`, `gru`, `gru_simplified`: one time step of each cell, and the same step backward
3. `layer`: a cell unrolled over time, and back-propagation through time
4. `bidirectional`: a layer that reads from both ends
5. `loss`: softmax and cross-entropy
6. `model`: a deep language model made of these, with ``step``, ``forward``, ``loss`` and ``backward``

Letters: T time steps, B batch (parallel streams), F input features, H hidden units, V vocabulary, G gates, L layers.
A prime marks the step before, so h' is the hidden state that a step starts from; in the code it is ``h_prev``. A vector
is a row of a (B, ...) array, so the equations' W x reads ``x @ W.T`` in the code. The gradient of the loss with respect
to ``y`` is called ``dy``. Gradients of weights add to what is there; gradients of activations are new arrays.

    >>> import numpy as np
    >>> from fastrnn.shapes import ModelShape, parameter_shapes
    >>> shape = ModelShape(cell="lstm", layers=1, hidden=8, vocab=4)
    >>> rng = np.random.default_rng(0)
    >>> rnn = Reference(shape, {name: rng.normal(size=size) for name, size in parameter_shapes(shape).items()})
    >>> rnn.step(2).shape
    (4,)
"""

from .cells import (
    Array,
    State,
    Weights,
    gru_simplified_step,
    gru_simplified_step_backward,
    gru_step,
    gru_step_backward,
    linear,
    linear_backward,
    lstm_step,
    lstm_step_backward,
    rnn_step,
    rnn_step_backward,
    sigmoid,
)
from .layer import CELLS, Cell, bidirectional_backward, bidirectional_forward, layer_backward, layer_forward
from .loss import cross_entropy, cross_entropy_backward, softmax
from .model import Reference, layer_weights

__all__ = [
    "CELLS",
    "Array",
    "Cell",
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
    "lstm_step",
    "lstm_step_backward",
    "rnn_step",
    "rnn_step_backward",
    "sigmoid",
    "softmax",
]
