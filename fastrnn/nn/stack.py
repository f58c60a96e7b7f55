"""Layers one upon another, each in one direction or in both, and their arrays for one window."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..cells import CELLS
from ..kernels.cpu.thread_pool import Part
from ..shapes import StackShape
from .layers import DenseLayer, Layer, Rows
from .padding import Padding
from .parameters import Array

State = dict[str, Array]


class Dropout(NamedTuple):
    """``keep``: the probability that a unit stays; ``key``: where the masks are drawn from.

    Rows that are part of a larger batch have the masks of their place in it: ``begin`` of ``batch`` (0: it is whole).
    """

    keep: float = 1.0
    key: int = 0
    begin: int = 0
    batch: int = 0


class Stack:
    """L layers. Batch rows never meet: a thread takes its rows forward and backward without waiting for another.

    The outputs of both directions lie side by side, (T, B, D*H), and are what the layer above is fed. The backward
    direction runs the same kernels over the rows reversed. States are name -> (L*D, B, H), in torch.nn's order: each
    layer's forward direction, then its backward one.
    """

    def __init__(
        self,
        kernels: Any,
        shape: StackShape,
        weights: Mapping[str, Array],
        gradients: Mapping[str, Array],
        packed: np.dtype[Any],
    ) -> None:
        self.kernels, self.shape = kernels, shape
        make = Layer if CELLS[shape.cell].is_recurrent else DenseLayer
        self.layers = [
            [make(kernels, shape, n, suffix, weights, gradients, packed) for suffix in shape.suffixes]
            for n in range(shape.layers)
        ]
        self.flat_layers = [direction for layer in self.layers for direction in layer]
        self.dtype: np.dtype[Any] = self.flat_layers[0].dtype
        self._no_starts: Array = kernels.zeros((0, 0), np.uint8)
        self._window = (0, 0)

    def zero_state(self, batch: int) -> State:
        """Zeros: name -> (L*D, B, H)."""
        dims = (len(self.flat_layers), batch, self.shape.hidden)
        return {name: self.kernels.zeros(dims, self.dtype) for name in CELLS[self.shape.cell].states}

    def allocate(self, steps: int, batch: int) -> None:
        """Arrays for windows of T = steps and B = batch, kept until another size is asked for."""
        if self._window == (steps, batch):
            return

        def zeros(width: int) -> Array:
            array: Array = self.kernels.zeros((steps, batch, width), self.dtype)
            return array

        shape = self.shape
        for layer in self.flat_layers:
            layer.allocate(steps, batch)
        self.dropped = [zeros(shape.outputs) for _ in self.layers]
        self._dy = [zeros(shape.outputs) for _ in range(2)]
        if shape.bidirectional:
            widths = [0 if shape.one_hot else shape.inputs] + [shape.outputs] * (shape.layers - 1)
            self._reversed = [zeros(width) for width in widths]
            self._dreversed = [zeros(width) for width in widths[:2]]  # every layer but the first has the same width
            self._joined = [zeros(shape.outputs) for _ in self.layers]
            self._halves = [zeros(shape.hidden) for _ in range(2)]
        self._inputs: list[Array | None] = [None] * (shape.layers + 1)
        self._window = (steps, batch)

    def window_bytes(self) -> int:
        """What the arrays of the allocated window take."""
        arrays = [*self.dropped, *self._dy]
        if self.shape.bidirectional:
            arrays += [*self._reversed, *self._dreversed, *self._joined, *self._halves]
        for layer in self.flat_layers:
            arrays += layer.window
        return sum(array.nbytes for array in arrays)

    @property
    def dy(self) -> Array:
        """Where the gradient of the outputs (T, B, D*H) is to be put before `backward`."""
        return self._dy[0]

    def load(self, ids: Array, x: Array | None, starts: Array | None = None, rows: Padding | None = None) -> None:
        """What the next window is fed: ids (T, B) int32, or numbers x (T, B, F), which may be filled later.

        starts (T, B), or those of the alignment: 1 where the state is zeroed. A bidirectional stack needs ``rows``.
        """
        self._ids = self._reversed_ids = ids
        self._inputs[0] = x
        self._rows = rows
        self._starts = self._no_starts if starts is None else starts
        if rows is not None:
            self._starts = rows.starts
            if self.shape.bidirectional and self.shape.one_hot:
                self._reversed_ids = rows.reversed(ids)

    def pack(self, part: Part, backward: bool) -> None:
        """Weights into the kernels' form, this part of them."""
        for layer in self.flat_layers:
            layer.pack(part, backward)

    def set_state(self, state: State, rows: Rows | None = None) -> None:
        """Start the next window from this state, of some batch rows or of all."""
        for n, layer in enumerate(self.flat_layers):
            layer.set_state(state, n, rows or (0, self._window[1]))

    def get_state(self, state: State, rows: Rows | None = None) -> None:
        """Copy the state that the last window ended in."""
        for n, layer in enumerate(self.flat_layers):
            layer.get_state(state, n, rows or (0, self._window[1]))

    def get_state_gradient(self, dstate: State, rows: Rows | None = None) -> None:
        """Copy the gradient of the initial state of the last window."""
        for n, layer in enumerate(self.flat_layers):
            layer.get_state_gradient(dstate, n, rows or (0, self._window[1]))

    def forward(self, rows: Rows, dropout: Dropout) -> Array:
        """The outputs (T, B, D*H) of the top layer. keep < 1: dropout after every layer, this one too."""
        x = self._inputs[0]
        for n, layer in enumerate(self.layers):
            layer[0].forward(rows, self._ids, x, self._starts)
            y = self._join(rows, n, x) if self.shape.bidirectional else layer[0].y(self._starts)
            if dropout.keep < 1:
                self._drop(self.dropped[n], y, dropout, n, rows)
                y = self.dropped[n]
            self._inputs[n + 1] = x = y
        assert x is not None
        return x

    def backward(self, rows: Rows, dropout: Dropout, dx: Array | None = None, dstate: State | None = None) -> None:
        """From the gradients of the outputs, in `dy`, and of the last state, to that of the input, dx (T, B, F).

        Those of the weights wait for `accumulate`, that of the initial state for `get_state_gradient`.
        """
        dy, below = self._dy
        for n in reversed(range(len(self.layers))):
            if dropout.keep < 1:
                self._drop(dy, dy, dropout, n, rows)
            for d, layer in enumerate(self.layers[n]):
                layer.set_state_gradient(dstate, n * len(self.layers[n]) + d, rows)
            to = below if n else dx
            if self.shape.bidirectional:
                self._backward_both(rows, n, dy, to)
            else:
                self.layers[n][0].backward(rows, dy, to, self._starts)
            dy, below = below, dy

    def accumulate(self, part: Part) -> None:
        """Add this part of the weight gradients of the whole window."""
        for n, layer in enumerate(self.layers):
            layer[0].accumulate(part, self._ids, self._inputs[n])
            if self.shape.bidirectional:
                x = None if self._inputs[n] is None else self._reversed[n]
                layer[1].accumulate(part, self._reversed_ids, x)

    def _join(self, rows: Rows, n: int, x: Array | None) -> Array:
        """The backward direction of layer n, and both beside each other."""
        assert self._rows is not None
        forward, backward = self.layers[n]
        reversal = self._rows.reversal
        if x is not None:
            self.kernels.gather(self._reversed[n], x, reversal, *rows)
            x = self._reversed[n]
        backward.forward(rows, self._reversed_ids, x, self._starts)
        both = self._joined[n]
        self.kernels.join(both, forward.y(self._starts), backward.y(self._starts), reversal, *rows)
        return both

    def _backward_both(self, rows: Rows, n: int, dy: Array, dx: Array | None) -> None:
        assert self._rows is not None
        reversal = self._rows.reversal
        self.kernels.split(*self._halves, dy, reversal, *rows)
        dreversed = None if dx is None else self._dreversed[min(n, 1)]
        for layer, half, to in zip(self.layers[n], self._halves, (dx, dreversed), strict=True):
            layer.backward(rows, half, to, self._starts)
        if dx is not None:
            self.kernels.add_gathered(dx, dreversed, reversal, *rows)

    def _drop(self, out: Array, x: Array, dropout: Dropout, n: int, rows: Rows) -> None:
        mixed = np.uint32((dropout.key * len(self.layers) + n) & 0xFFFFFFFF)
        batch = dropout.batch or x.shape[1]
        self.kernels.dropout(out, x, mixed, dropout.keep, dropout.begin, batch, *rows)
