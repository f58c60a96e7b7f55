"""What reads a sequence: ids or numbers -> embeddings, where there are any -> a stack of layers."""

from typing import Any

import numpy as np

from ..config import Config
from ..kernels.cpu.thread_pool import Part
from .layers import Rows
from .padding import pad_left
from .parameters import Array, Parameters
from .spec import ModelSpec, embeds, input_stack
from .stack import Dropout, Stack, State


class SequenceEncoder:
    """A `Stack` over right-aligned rows, and what it is fed.

    Words are looked up in ``embed.weight`` (V, E) and stand in columns 0..E of `x`; what may come after is filled by
    the owner. Characters are fed one-hot.
    """

    def __init__(
        self,
        kernels: Any,
        config: Config,
        signature: ModelSpec,
        prefix: str,
        weights: Parameters,
        gradients: Parameters,
        packed: np.dtype[Any],
    ) -> None:
        self.kernels = kernels
        self.stack = Stack(kernels, input_stack(config, signature, prefix), weights, gradients, packed)
        self.tokens, self.embeds = signature.tokens, embeds(config, signature)
        if self.embeds:
            self.table, self._dtable = weights["embed.weight"], gradients["embed.weight"]
        self._window = (0, 0)

    @property
    def embedded(self) -> int:
        """E, the first columns of x."""
        return self.table.shape[1] if self.embeds else 0

    def load(self, x: Array, lengths: Array) -> None:
        """The next window: ids (T, B), or numbers (T, B, F), right-aligned rows of these lengths (B,)."""
        steps, batch = x.shape[:2]
        self.rows = pad_left(steps, lengths)
        self.stack.allocate(steps, batch)
        if self._window != (steps, batch) and self.embeds:
            width = self.stack.shape.inputs
            self.x: Array = self.kernels.zeros((steps, batch, width), self.stack.dtype)
            self.dx: Array = self.kernels.zeros((steps, batch, width), self.stack.dtype)
        self._window = (steps, batch)
        self._ids = np.ascontiguousarray(x, np.int32) if self.tokens else np.zeros((steps, batch), np.int32)
        fed: Array | None = None
        if self.embeds:
            fed = self.x
        elif not self.stack.shape.one_hot:
            # a dense layer has no table to choose from: its one-hot input is written out
            numbers = np.eye(self.tokens)[self._ids] if self.tokens else x
            fed = np.ascontiguousarray(numbers, self.stack.dtype)
        self.stack.load(self._ids, fed, rows=self.rows)
        self.stack.set_state(self.stack.zero_state(batch))

    def pack(self, part: Part, backward: bool) -> None:
        """Weights into the kernels' form, this part of them."""
        self.stack.pack(part, backward)

    def forward(self, rows: Rows, dropout: Dropout) -> Array:
        """The outputs (T, B, D*H) of the stack."""
        if self.embeds:
            self.kernels.lookup(self.x, 0, self.table, self._ids, *rows)
        return self.stack.forward(rows, dropout)

    def backward(self, rows: Rows, dropout: Dropout, dstate: State | None = None) -> None:
        """From the gradients in ``stack.dy`` and of the last state; that of x goes to `dx` where words are embedded."""
        self.stack.backward(rows, dropout, self.dx if self.embeds else None, dstate)

    def accumulate(self, part: Part) -> None:
        """Add this part of the weight gradients."""
        self.stack.accumulate(part)
        if self.embeds:
            self.kernels.lookup_backward(self._dtable, self.dx, 0, self._ids, *part.range(self.embedded))
