"""Sequence encoder: ids or numbers -> embeddings, if the model has them -> a stack of layers."""

import numpy as np

from ..config import Config
from ..kernels.cpu.thread_pool import Part
from .layers import Rows
from .padding import pad_left
from .parameters import Array, ModelWeights
from .spec import ModelSpec, has_embeddings, input_stack
from .stack import Dropout, Stack, State


class SequenceEncoder:
    """A `Stack` over right-aligned rows, with its input.

    Word embeddings, rows of ``embed.weight`` (V, E), fill columns 0..E of `x`. A model may fill
    further columns (tag: the outputs of the character stack). Characters are one-hot.
    """

    def __init__(self, weights: ModelWeights, config: Config, spec: ModelSpec, prefix: str) -> None:
        self.kernels = weights.kernels
        self.stack = Stack(weights, input_stack(config, spec, prefix))
        self.tokens = spec.tokens
        self.has_embeddings = has_embeddings(config, spec)
        if self.has_embeddings:
            self.table = weights.parameters["embed.weight"]
            self._dtable = weights.gradients["embed.weight"]

        # See `load`: (T, B), the padding and the ids (T, B); with embeddings also the stack's input
        # and its gradient, (T, B, F).
        self._window = (0, 0)
        self.rows = pad_left(0, ())
        self._ids = np.zeros((0, 0), np.int32)
        self.x, self.dx = self._window_arrays(0, 0)

    @property
    def embedding_size(self) -> int:
        """E, the number of columns of `x` that hold embeddings."""
        return self.table.shape[1] if self.has_embeddings else 0

    def load(self, x: Array, lengths: Array) -> None:
        """Set the next window: ids (T, B) or numbers (T, B, F), right-aligned, of lengths (B,)."""
        steps, batch = x.shape[:2]
        self.rows = pad_left(steps, lengths)
        self.stack.allocate(steps, batch)
        if self._window != (steps, batch) and self.has_embeddings:
            self.x, self.dx = self._window_arrays(steps, batch)
        self._window = (steps, batch)
        self._ids = np.ascontiguousarray(x, np.int32) if self.tokens else np.zeros((steps, batch), np.int32)

        dense_input: Array | None = None
        if self.has_embeddings:
            dense_input = self.x  # filled by `forward`
        elif not self.stack.shape.one_hot:
            # A dense layer has no input table, so one-hot vectors are made explicitly.
            numbers = np.eye(self.tokens)[self._ids] if self.tokens else x
            dense_input = np.ascontiguousarray(numbers, self.stack.dtype)
        self.stack.load(self._ids, dense_input, rows=self.rows)
        self.stack.set_state(self.stack.zero_state(batch))

    def _window_arrays(self, steps: int, batch: int) -> tuple[Array, Array]:
        size = (steps, batch, self.stack.shape.inputs)
        return self.kernels.zeros(size, self.stack.dtype), self.kernels.zeros(size, self.stack.dtype)

    def pack(self, part: Part, backward: bool) -> None:
        """Pack this part of the weights."""
        self.stack.pack(part, backward)

    def forward(self, rows: Rows, dropout: Dropout) -> Array:
        """Return the outputs (T, B, D*H) of the stack."""
        if self.has_embeddings:
            self.kernels.embedding_forward(self.x, 0, self.table, self._ids, *rows)
        return self.stack.forward(rows, dropout)

    def backward(self, rows: Rows, dropout: Dropout, dstate: State | None = None) -> None:
        """Run backward from ``stack.dy``, of the outputs, and ``dstate``, of the final state.

        With embeddings, `dx` receives the gradient of `x`.
        """
        self.stack.backward(rows, dropout, self.dx if self.has_embeddings else None, dstate)

    def accumulate(self, part: Part) -> None:
        """Add this part of the weight gradients."""
        self.stack.accumulate(part)
        if self.has_embeddings:
            self.kernels.embedding_backward(self._dtable, self.dx, 0, self._ids, *part.range(self.embedding_size))
