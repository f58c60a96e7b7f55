"""Output heads: a linear layer and its loss."""

import numpy as np

from ..kernels.cpu.thread_pool import Part
from .layers import Linear, Rows
from .parameters import Array

CLASSES, NUMBERS, BITS = "classes", "numbers", "bits"


class OutputHead:
    """A linear layer with K outputs and one of three losses (`fastrnn.kernels.cpu.output_losses`).

    Args:
        linear: The linear layer.
        kind: `CLASSES`: softmax and cross-entropy; `NUMBERS`: half the squared error; `BITS`:
            sigmoid and binary cross-entropy.
    """

    def __init__(self, linear: Linear, kind: str) -> None:
        self.kernels = linear.kernels
        self.linear = linear
        self.kind = kind

        # See `load`: (T, B), outputs (T, B, K), losses (T, B), dx without columns, the targets.
        self._window = (0, 0)
        self.outputs, self.losses, self._no_dx = self._window_arrays(0, 0)
        self._targets: Array | None = None

    def load(self, steps: int, batch: int, targets: Array | None) -> None:
        """Set the targets of the next window.

        Args:
            steps: T.
            batch: B.
            targets: Classes (T, B), -1 where not scored; numbers or bits (T, B, K), NaN where not
                scored. None: `predict` only.
        """
        if self._window != (steps, batch):
            self._window = (steps, batch)
            self.outputs, self.losses, self._no_dx = self._window_arrays(steps, batch)
        target_dtype = np.int32 if self.kind == CLASSES else self.linear.dtype
        self._targets = None if targets is None else np.ascontiguousarray(targets, target_dtype)

    def _window_arrays(self, steps: int, batch: int) -> tuple[Array, Array, Array]:
        zeros, dtype = self.kernels.zeros, self.linear.dtype
        outputs = zeros((steps, batch, self.linear.outputs), dtype)
        return outputs, zeros((steps, batch), dtype), zeros((steps, batch, 0), dtype)

    def loss(self, rows: Rows, x: Array, scale: float, dx: Array | None) -> None:
        """Compute `losses` (T, B) from x (T, B, M).

        `outputs` receives the gradient of the linear layer's output times ``scale``; dx (T, B, M),
        unless None, that of x.
        """
        assert self._targets is not None
        if self.kind == CLASSES:
            wanted_dx = self._no_dx if dx is None else dx
            self.linear.cross_entropy(rows, x, self._targets, scale, self.outputs, self.losses, wanted_dx)
            return

        score = self.kernels.squared_error if self.kind == NUMBERS else self.kernels.binary_cross_entropy
        self.linear.forward(rows, x, self.outputs)
        score(self.outputs, self._targets, self.linear.dtype.type(scale), self.losses, *rows)
        if dx is not None:
            self.linear.backward(rows, self.outputs, dx)

    def predict(self, rows: Rows, x: Array) -> None:
        """Compute `outputs` (T, B, K): log-probabilities of classes, numbers, or probabilities of bits."""
        self.linear.forward(rows, x, self.outputs)
        if self.kind == CLASSES:
            self.kernels.log_softmax(self.outputs, *rows)
        elif self.kind == BITS:
            self.kernels.probabilities(self.outputs, *rows)

    def accumulate(self, part: Part, x: Array) -> None:
        """Add this part of the weight gradients, after `loss` of x (T, B, M)."""
        self.linear.accumulate(part, self.outputs, x)
