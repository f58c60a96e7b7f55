"""The plain layer h = tanh(W x + b): no recurrence, each step by itself."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cpu.pool import Part
from .linear import Linear, Rows
from .parameters import Array
from .shapes import StackShape


class DenseLayer:
    """In a `Stack` where other cells have a `Layer`. It has no state, and so the starts mean nothing to it."""

    one_hot, has_cell_state = False, False

    def __init__(
        self,
        kernels: Any,
        shape: StackShape,
        n: int,
        suffix: str,
        weights: Mapping[str, Array],
        gradients: Mapping[str, Array],
        packed: np.dtype[Any],
    ) -> None:
        weight, bias = (f"{shape.prefix}.{name}_l{n}{suffix}" for name in ("weight_ih", "bias_ih"))
        self.linear = Linear(kernels, weight, bias, weights, gradients, packed)
        self.kernels, self.hidden, self.dtype = kernels, shape.hidden, self.linear.dtype
        self.pack = self.linear.pack

    def allocate(self, steps: int, batch: int) -> None:
        """Arrays for windows of T = steps and B = batch."""
        zeros = self.kernels.zeros
        self.outputs = zeros((steps, batch, self.hidden), self.dtype)
        self._dz = zeros((steps, batch, self.hidden), self.dtype)

    @property
    def window(self) -> list[Array]:
        """The arrays of the window."""
        return [self.outputs, self._dz]

    def enter(self, state: Mapping[str, Array], n: int, rows: Rows) -> None:
        """No state to start from."""

    def leave(self, state: Mapping[str, Array], n: int, rows: Rows) -> None:
        """No state to end in."""

    def enter_backward(self, dstate: Mapping[str, Array] | None, n: int, rows: Rows) -> None:
        """No state to have a gradient."""

    def leave_backward(self, dstate: Mapping[str, Array], n: int, rows: Rows) -> None:
        """No state to have a gradient."""

    def y(self, starts: Array) -> Array:
        """The outputs (T, B, H) of the last forward pass."""
        outputs: Array = self.outputs
        return outputs

    def forward(self, rows: Rows, ids: Array, x: Array | None, starts: Array) -> None:
        """x (T, B, F); `y` holds the result."""
        assert x is not None
        self.linear.forward(rows, x, self.outputs)
        self.kernels.tanh_forward(self.outputs, *rows)

    def backward(self, rows: Rows, dy: Array, dx: Array | None, starts: Array) -> None:
        """dy (T, B, H) -> dx (T, B, F)."""
        self.kernels.tanh_backward(self._dz, self.outputs, dy, *rows)
        if dx is not None:
            self.linear.backward(rows, self._dz, dx)

    def accumulate(self, part: Part, ids: Array, x: Array | None) -> None:
        """Add this part of the weight gradients of the whole window."""
        assert x is not None
        self.linear.accumulate(part, self._dz, x)
