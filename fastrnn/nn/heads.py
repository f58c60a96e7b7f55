"""What stands on top: a linear map, and the loss of what it says."""

from typing import Any

import numpy as np

from ..kernels.cpu.thread_pool import Part
from .layers import Linear, Rows
from .parameters import Array

CLASSES, NUMBERS, BITS = "classes", "numbers", "bits"


class OutputHead:
    """Linear map to K outputs. ``kind``: softmax with cross-entropy of classes, half the squared error of numbers,
    or sigmoid with cross-entropy of bits (`fastrnn.kernels.cpu.output_losses`)."""

    def __init__(self, kernels: Any, linear: Linear, kind: str) -> None:
        self.kernels, self.linear, self.kind = kernels, linear, kind
        self._window = (0, 0)

    def load(self, steps: int, batch: int, targets: Array | None) -> None:
        """Targets of the next window: classes (T, B) int32, -1 not scored; others (T, B, K), NaN not scored."""
        if self._window != (steps, batch):
            self._window = (steps, batch)
            zeros, dtype = self.kernels.zeros, self.linear.dtype
            self.outputs: Array = zeros((steps, batch, self.linear.outputs), dtype)
            self.losses: Array = zeros((steps, batch), dtype)
            self._no_dx: Array = zeros((steps, batch, 0), dtype)
        kind = np.int32 if self.kind == CLASSES else self.linear.dtype
        self._targets = None if targets is None else np.ascontiguousarray(targets, kind)

    def loss(self, rows: Rows, x: Array, scale: float, dx: Array | None) -> None:
        """Losses (T, B) after x (T, B, M); the outputs become their gradients, times ``scale``; dx, if asked for."""
        assert self._targets is not None
        self._x = x
        if self.kind == CLASSES:
            to = self._no_dx if dx is None else dx
            self.linear.cross_entropy(rows, x, self._targets, scale, self.outputs, self.losses, to)
            return
        score = self.kernels.squared_error if self.kind == NUMBERS else self.kernels.binary_cross_entropy
        self.linear.forward(rows, x, self.outputs)
        score(self.outputs, self._targets, self.linear.dtype.type(scale), self.losses, *rows)
        if dx is not None:
            self.linear.backward(rows, self.outputs, dx)

    def answer(self, rows: Rows, x: Array) -> None:
        """The outputs (T, B, K) become log-probabilities of classes, numbers, or probabilities of bits."""
        self.linear.forward(rows, x, self.outputs)
        if self.kind == CLASSES:
            self.kernels.log_softmax(self.outputs, *rows)
        elif self.kind == BITS:
            self.kernels.probabilities(self.outputs, *rows)

    def accumulate(self, part: Part) -> None:
        """Add this part of the weight gradients, after `loss`."""
        self.linear.accumulate(part, self.outputs, self._x)
