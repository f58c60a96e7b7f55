"""A stack of unidirectional or bidirectional layers, with its arrays for one window.

Rows of unequal length are padded on the left, so that all end at the last step. The state is zeroed at the first step
of each row, so padding affects neither outputs nor gradients.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..cells import CELLS
from ..kernels.cpu.thread_pool import Part
from ..shapes import StackShape
from .layers import DenseLayer, Layer, Rows
from .parameters import Array, ModelWeights

State = dict[str, Array]


@dataclass(frozen=True, eq=False)
class Padding:
    """A window of T steps in which row b occupies steps T - lengths[b] to T - 1.

    Args:
        lengths: Lengths (B,), int64.
        resets: 1 at the first step of each row, (T, B) uint8; empty if no row is padded.
        reversal: Source step (T, B), int32, that reverses each row within its span and leaves the
            padding in place.
    """

    lengths: Array
    resets: Array
    reversal: Array

    def reverse(self, ids: Array) -> Array:
        """Return ids (T, B) with each row reversed."""
        return np.take_along_axis(ids, self.reversal, axis=0)


def pad_left(steps: int, lengths: Any) -> Padding:
    """Return the padding of rows of these lengths (B,), each from 1 to T = ``steps``."""
    lengths = np.ascontiguousarray(lengths, np.int64)
    rows = np.arange(len(lengths))
    t = np.arange(steps)[:, None]

    resets = np.zeros((steps, len(lengths)) if np.any(lengths < steps) else (0, 0), np.uint8)
    if resets.size:
        resets[steps - lengths, rows] = 1

    # The row occupies [T - length, T): its mirror image of t is (T - length) + (T - 1) - t.
    reversal = np.where(t < steps - lengths, t, 2 * steps - 1 - lengths - t)
    return Padding(lengths, resets, np.ascontiguousarray(reversal, np.int32))


class Dropout(NamedTuple):
    """Dropout probabilities and position of the masks.

    A mask is a function of the key, the time step and the row's index in the whole batch, so a batch that is
    divided among processes or parts of equal T has the masks of the undivided one. Parts that are padded to
    lengths of their own have others.

    Args:
        keep_prob: Probability that a unit is kept; 1: no dropout.
        key: Selects the masks.
        begin: Index of the first row in the whole batch.
        batch: Size of the whole batch; 0: this batch is whole.
        weight_keep_prob: Probability that a recurrent weight is kept, see `fastrnn.nn.weight_dropout`.
    """

    keep_prob: float = 1.0
    key: int = 0
    begin: int = 0
    batch: int = 0
    weight_keep_prob: float = 1.0


NO_DROPOUT = Dropout()


class StackBuffers(NamedTuple):
    """Arrays (T, B, ...) of a stack for one window. The last four are for bidirectional stacks.

    Args:
        dropped: Of each layer, the outputs after dropout, (T, B, D*H).
        dy: Two buffers (T, B, D*H), which are dy and dx of a layer by turns.
        reversed: Of each layer, the reversed input.
        dreversed: Gradients of the reversed input: of layer 0, and of the layers above it.
        joined: Of each layer, the concatenated outputs of both directions, (T, B, 2H).
        halves: Gradients of the outputs of each direction, (T, B, H).
    """

    dropped: list[Array]
    dy: list[Array]
    reversed: Sequence[Array] = ()
    dreversed: Sequence[Array] = ()
    joined: Sequence[Array] = ()
    halves: Sequence[Array] = ()


class Stack:
    """L layers with D directions of H units each.

    Batch rows are independent: parts of them may be run forward and backward one after the other.
    Outputs of both directions are concatenated, (T, B, D*H), and are the input of the next layer.
    The backward direction runs the same kernels over reversed rows. States are name ->
    (L*D, B, H) in torch.nn's order: of each layer the forward direction, then the backward one.

    Args:
        weights: The weights of the model.
        shape: Sizes of the stack.
    """

    def __init__(self, weights: ModelWeights, shape: StackShape) -> None:
        self.kernels = weights.kernels
        self.shape = shape
        layer_class = Layer if CELLS[shape.cell].is_recurrent else DenseLayer
        self.layers: list[list[Layer | DenseLayer]] = []
        self.flat_layers: list[Layer | DenseLayer] = []  # the directions of layer 0, then those of layer 1, ...
        for n in range(shape.layers):
            first = len(self.flat_layers)
            for suffix in shape.suffixes:
                self.flat_layers.append(layer_class(weights, shape, n, suffix))
            self.layers.append(self.flat_layers[first:])
        self.dtype = self.flat_layers[0].dtype
        self._no_resets = self.kernels.zeros((0, 0), np.uint8)

        self._window = (0, 0)  # (T, B) of the buffers, see `allocate`
        self._buffers = self._make_buffers(0, 0)
        # The input of each layer and, last, the stack's outputs, (T, B, ...): see `set_input` and `forward`.
        self._inputs: list[Array | None] = [None] * (shape.layers + 1)
        # See `set_input`: ids (T, B) in both orders, the padding, and the resets of the state.
        self._ids = self._reversed_ids = self.kernels.zeros((0, 0), np.int32)
        self._rows: Padding | None = None
        self._resets = self._no_resets

    def zero_state(self, batch: int) -> State:
        """Return zeros, name -> (L*D, B, H)."""
        dims = (len(self.flat_layers), batch, self.shape.hidden)
        return {name: self.kernels.zeros(dims, self.dtype) for name in CELLS[self.shape.cell].states}

    def allocate(self, steps: int, batch: int) -> None:
        """Allocate the arrays for windows of T = ``steps`` and B = ``batch``, if the size changed."""
        if self._window == (steps, batch):
            return
        for layer in self.flat_layers:
            layer.allocate(steps, batch)
        self._buffers = self._make_buffers(steps, batch)
        # They would point into the arrays that have just been replaced.
        self._inputs = [None] * (self.shape.layers + 1)
        self._window = (steps, batch)

    def _make_buffers(self, steps: int, batch: int) -> StackBuffers:
        def zeros(count: int, width: int) -> list[Array]:
            return [self.kernels.zeros((steps, batch, width), self.dtype) for _ in range(count)]

        shape = self.shape
        dropped, dy = zeros(shape.layers, shape.outputs), zeros(2, shape.outputs)
        if not shape.bidirectional:
            return StackBuffers(dropped, dy)
        first, above = 0 if shape.one_hot else shape.inputs, shape.layers - 1
        return StackBuffers(
            dropped,
            dy,
            reversed=zeros(1, first) + zeros(above, shape.outputs),
            # All layers above the first have the same width and share one gradient buffer.
            dreversed=zeros(1, first) + zeros(min(above, 1), shape.outputs),
            joined=zeros(shape.layers, shape.outputs),
            halves=zeros(2, shape.hidden),
        )

    def window_bytes(self) -> int:
        """Return the bytes of the arrays of the allocated window."""
        arrays = [array for buffers in self._buffers for array in buffers]
        for layer in self.flat_layers:
            arrays += layer.window_arrays
        return sum(array.nbytes for array in arrays)

    @property
    def dy(self) -> Array:
        """The buffer for the gradient of the outputs (T, B, D*H), to fill before `backward`."""
        return self._buffers.dy[0]

    @property
    def outputs(self) -> Array:
        """The outputs (T, B, D*H) of the last `forward`; before it an array of that size."""
        outputs = self._inputs[-1]
        return self.dy if outputs is None else outputs

    def set_input(
        self,
        ids: Array,
        x: Array | None,
        resets: Array | None = None,
        rows: Padding | None = None,
        ngrams: Array | None = None,
    ) -> None:
        """Set the input of the next window.

        Args:
            ids: Ids (T, B), int32, the input of a one-hot stack.
            x: Dense input (T, B, F), or None; it may be filled later, before `forward`.
            resets: 1 where the state is zeroed before the step, (T, B) uint8; default: no reset.
            rows: Padding of the rows, whose resets replace ``resets``. A bidirectional stack
                needs it.
            ngrams: Rows of the first layer's n-grams that are added at each step, (T, B, K) int32, -1 for none;
                needed if the shape has n-grams.
        """
        if ngrams is not None:
            first = self.layers[0][0]
            assert isinstance(first, Layer)
            first.ngrams = ngrams
        self._ids = self._reversed_ids = ids
        self._inputs[0] = x
        self._rows = rows
        self._resets = self._no_resets if resets is None else resets
        # Padding is skipped by resetting the state at the first step of each row.
        if rows is not None:
            self._resets = rows.resets
            if self.shape.bidirectional and self.shape.one_hot:
                self._reversed_ids = rows.reverse(ids)

    def pack(self, part: Part, backward: bool) -> None:
        """Pack this part of the weights; with ``backward`` also their transposes."""
        for layer in self.flat_layers:
            layer.pack(part, backward)

    def set_state(self, state: State, rows: Rows | None = None) -> None:
        """Set the initial state of the next window, of some batch rows or of all."""
        for n, layer in enumerate(self.flat_layers):
            layer.set_state(state, n, rows or (0, self._window[1]))

    def get_state(self, state: State, rows: Rows | None = None) -> None:
        """Copy the final state of the last window to ``state``."""
        for n, layer in enumerate(self.flat_layers):
            layer.get_state(state, n, rows or (0, self._window[1]))

    def get_state_gradient(self, dstate: State, rows: Rows | None = None) -> None:
        """Copy the gradient of the initial state of the last window to ``dstate``."""
        for n, layer in enumerate(self.flat_layers):
            layer.get_state_gradient(dstate, n, rows or (0, self._window[1]))

    def forward(self, rows: Rows, dropout: Dropout) -> Array:
        """Return the outputs (T, B, D*H) of the top layer; dropout follows every layer, this one too."""
        x = self._inputs[0]
        for n, layer in enumerate(self.layers):
            layer[0].forward(rows, self._ids, x, self._resets)
            y = self._join(rows, n, x) if self.shape.bidirectional else layer[0].get_outputs(self._resets)
            if dropout.keep_prob < 1:
                dropped = self._buffers.dropped[n]
                self._apply_dropout(dropped, y, dropout, n, rows)
                y = dropped
            self._inputs[n + 1] = x = y
        assert x is not None
        return x

    def backward(self, rows: Rows, dropout: Dropout, dx: Array | None = None, dstate: State | None = None) -> None:
        """Run backward from `dy`, the gradient of the outputs, and ``dstate`` of the final state.

        Writes dx (T, B, F), the gradient of the input, unless it is None. `accumulate` then adds the
        gradients of the weights; `get_state_gradient` returns that of the initial state.
        """
        dy, dy_below = self._buffers.dy
        for n in reversed(range(len(self.layers))):
            if dropout.keep_prob < 1:
                # A mask is a function of its key: that of the forward pass is computed again, not
                # kept.
                self._apply_dropout(dy, dy, dropout, n, rows)
            for d, layer in enumerate(self.layers[n]):
                layer.set_state_gradient(dstate, n * len(self.layers[n]) + d, rows)
            dx_n = dy_below if n else dx
            if self.shape.bidirectional:
                self._backward_both(rows, n, dy, dx_n)
            else:
                self.layers[n][0].backward(rows, dy, dx_n, self._resets)
            # The gradient of this layer's input is that of the output of the layer below.
            dy, dy_below = dy_below, dy

    def accumulate(self, part: Part) -> None:
        """Add this part of the weight gradients, summed over all rows and steps."""
        for n, layer in enumerate(self.layers):
            layer[0].accumulate(part, self._ids, self._inputs[n])
            if self.shape.bidirectional:
                x = None if self._inputs[n] is None else self._buffers.reversed[n]
                layer[1].accumulate(part, self._reversed_ids, x)

    def _join(self, rows: Rows, n: int, x: Array | None) -> Array:
        """Run the backward direction of layer n; return both outputs concatenated, (T, B, 2H)."""
        assert self._rows is not None
        forward, backward = self.layers[n]
        reversal = self._rows.reversal
        if x is not None:
            reversed_x = self._buffers.reversed[n]
            self.kernels.gather(reversed_x, x, reversal, *rows)
            x = reversed_x
        backward.forward(rows, self._reversed_ids, x, self._resets)
        both = self._buffers.joined[n]
        self.kernels.join(both, forward.get_outputs(self._resets), backward.get_outputs(self._resets), reversal, *rows)
        return both

    def _backward_both(self, rows: Rows, n: int, dy: Array, dx: Array | None) -> None:
        """Run both directions of layer n backward from dy (T, B, 2H)."""
        assert self._rows is not None
        reversal = self._rows.reversal
        halves = self._buffers.halves
        self.kernels.split(*halves, dy, reversal, *rows)
        dreversed = None if dx is None else self._buffers.dreversed[min(n, 1)]
        for layer, half, dx_half in zip(self.layers[n], halves, (dx, dreversed), strict=True):
            layer.backward(rows, half, dx_half, self._resets)
        if dx is not None:
            # dx is the sum over both directions; the second is still in reversed order.
            self.kernels.gather_add(dx, dreversed, reversal, *rows)

    def _apply_dropout(self, out: Array, x: Array, dropout: Dropout, n: int, rows: Rows) -> None:
        # Each layer has a key of its own, so masks differ between layers.
        layer_key = np.uint32((dropout.key * len(self.layers) + n) & 0xFFFFFFFF)
        batch = dropout.batch or x.shape[1]
        self.kernels.dropout(out, x, layer_key, dropout.keep_prob, dropout.begin, batch, *rows)
