"""Layers: `Linear`, one direction of a recurrent `Layer`, and the feed-forward `DenseLayer`.

Each owns its packed weights and its arrays for one window. Parameters and gradients are views into
the model's flat arrays (`fastrnn.nn.parameters`).

A training step calls pack, set_state, forward, set_state_gradient, backward, accumulate. Methods
that take a `Part` or ``rows`` do one thread's share of the work: a `Part` divides panels, columns
or units; ``rows`` (lo, hi) are batch rows, which do not depend on each other.

Letters: T steps, B batch rows, F input features, H hidden units, G gates; M inputs and K outputs of
a linear map.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cells import CELLS
from ..kernels.arguments import LayerGradients, LayerInput, LayerWeights, OutputGradients, OutputLayer, Targets
from ..kernels.cpu.thread_pool import Part
from ..shapes import StackShape
from .matmul_mode import BF16X3_MIN_WIDTH
from .parameters import Array

Rows = tuple[int, int]


class Linear:
    """z = W x + b with weight W (K, M) and bias b (K,), for x (T, B, M)."""

    def __init__(
        self, kernels: Any, weight: str, bias: str, weights: Mapping[str, Array], gradients: Mapping[str, Array],
        packed: np.dtype[Any],
    ) -> None:  # fmt: skip
        """Allocate the packed weights.

        Args:
            kernels: Kernels of the device.
            weight: Name of the weight.
            bias: Name of the bias.
            weights: Parameters of the model.
            gradients: Their gradients.
            packed: Element type of the packed weights, see `packed_dtype`.
        """
        self.kernels = kernels
        self.weight = weights[weight]
        self.bias = weights[bias]
        self.dweight = gradients[weight]
        self.dbias = gradients[bias]
        self.outputs, self.inputs = self.weight.shape
        self.dtype = self.weight.dtype

        # The model's width decided on BF16X3; a narrow output layer is faster without it.
        if packed == np.uint32 and self.outputs < BF16X3_MIN_WIDTH:
            packed = self.dtype
        size = kernels.packed_size
        self.w = kernels.zeros(size(self.inputs, self.outputs, packed), packed)
        self.w_back = kernels.zeros(size(self.outputs, self.inputs, packed), packed)
        self._packed = OutputLayer(self.w, self.bias, self.w_back)
        self._order = np.zeros(1, np.int64)  # one gate of K rows

    def pack(self, part: Part, backward: bool) -> None:
        """Pack this part of the weights; with ``backward`` also the transpose."""
        k = self.kernels
        panels = part.range(k.panels(self.outputs, self.dtype))
        k.pack(self.weight, self._order, self.outputs, True, self.w, *panels)
        if backward:
            panels = part.range(k.panels(self.inputs, self.dtype))
            k.pack(self.weight, self._order, self.outputs, False, self.w_back, *panels)

    def forward(self, rows: Rows, x: Array, z: Array) -> None:
        """Compute z (T, B, K) from x (T, B, M)."""
        self.kernels.output_forward(x, self.w, self.bias, z, *rows)

    def backward(self, rows: Rows, dz: Array, dx: Array) -> None:
        """Compute dx (T, B, M) from dz (T, B, K)."""
        self.kernels.linear_backward(dz, self.w_back, dx, *rows)

    def cross_entropy(
        self, rows: Rows, x: Array, targets: Array, scale: float, logits: Array, losses: Array, dx: Array
    ) -> None:
        """Compute the losses (T, B) of softmax(z) for class targets (T, B), and gradients.

        logits (T, B, K) receives the gradient of z times ``scale``; dx (T, B, M) that of x,
        unless dx has no columns.
        """
        goal = Targets(targets, self.dtype.type(scale), losses)
        self.kernels.output_loss(self._packed, x, goal, logits, dx, *rows)

    def accumulate(self, part: Part, dz: Array, x: Array) -> None:
        """Add this part of the weight gradients, given dz (T, B, K) and x (T, B, M)."""
        rows = part.range(self.outputs)
        flat_dz = dz.reshape(-1, self.outputs)
        flat_x = x.reshape(-1, self.inputs)
        self.kernels.weight_gradient(self.dweight, flat_dz, flat_x, self.w, *rows)
        self.kernels.bias_backward(self.dbias, flat_dz, *rows)


class Layer:
    """One direction of layer ``n`` of a stack; its input is one-hot ids (T, B) or x (T, B, F).

    `IncrementalDecoder` creates layers with some of the units only; H is then their number, while
    the recurrent weights still have all units as inputs.
    """

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
        self.kernels = kernels
        self.one_hot = n == 0 and shape.one_hot
        self.cell_class = kernels.CELLS[shape.cell]
        spec = CELLS[shape.cell]
        self.has_cell_state = spec.has_cell_state
        self.order = np.array(spec.input_order)
        self._identity = np.arange(spec.gate_count)  # the gate order of the recurrent weights

        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        self.w_ih, self.w_hh, self.b_ih, self.b_hh = (weights[f"{shape.prefix}.{name}_l{n}{suffix}"] for name in names)
        self.dw_ih, self.dw_hh, self.db_ih, self.db_hh = (
            gradients[f"{shape.prefix}.{name}_l{n}{suffix}"] for name in names
        )

        self.width, recurrent = self.w_hh.shape  # G*H, units that are fed back
        self.hidden = self.width // shape.gates
        self.columns = spec.column_blocks * self.hidden
        self.features = 0 if self.one_hot else shape.features(n)
        self.dtype = dtype = self.w_ih.dtype

        # Rows of the table are W_ih x + b_ih + b_hh of each one-hot x; for dense x its one row is
        # the biases.
        self.table = kernels.zeros((shape.inputs if self.one_hot else 1, self.columns), dtype)
        self._dtable = kernels.zeros(self.table.shape, dtype)
        size = kernels.packed_size
        self.w_x = kernels.zeros(size(self.features, self.width, packed), packed)
        self.w_h = kernels.zeros(size(recurrent, self.width, packed), packed)
        self.w_x_back = kernels.zeros(size(self.width, self.features, packed), packed)
        self.w_h_back = kernels.zeros(size(self.width, recurrent, packed), packed)
        self._weights = LayerWeights(self.w_x, self.w_h, self.width)
        self._weights_back = LayerWeights(self.w_x_back, self.w_h_back, self.width)
        self._gradients = LayerGradients(self.dw_ih, self.dw_hh, self._dtable)
        self._no_outputs = kernels.zeros((0, 0, 0), dtype)

        # The arrays of the window, set by `allocate`; backward turns dh, dc from the gradient of
        # the last state into that of the first.
        self.cell: Any
        self._states_after: Array  # a view of cell.h, (T, B, H)
        self.outputs: Array
        self.dh: Array
        self.dc: Array
        # Of the window's size, for a kernel argument that is not used.
        self._no_ids: Array
        self._no_x: Array

    def allocate(self, steps: int, batch: int) -> None:
        """Allocate the arrays for windows of T = ``steps`` and B = ``batch``."""
        zeros = self.kernels.zeros
        hidden = self.hidden
        self.cell = self.cell_class(
            zeros((steps, batch, self.columns), self.dtype),
            zeros((steps + 1, batch, hidden), self.dtype),
            zeros((steps + 1, batch, hidden if self.has_cell_state else 0), self.dtype),
        )
        self._states_after = self.cell.h[1:]
        self.outputs = zeros((steps, batch, hidden), self.dtype)
        self.dh = zeros((batch, hidden), self.dtype)
        self.dc = zeros((batch, hidden if self.has_cell_state else 0), self.dtype)
        self._no_ids = zeros((steps, batch), np.int32)
        self._no_x = zeros((steps, batch, 0), self.dtype)

    @property
    def window_arrays(self) -> list[Array]:
        """The arrays of the window, for counting their bytes."""
        return [*self.cell, self.outputs]

    def set_state(self, state: Mapping[str, Array], n: int, rows: Rows) -> None:
        """Set the initial state of the next window to index n of ``state``, name -> (N, B, H)."""
        copy_state = self.kernels.copy_state
        copy_state(self.cell.h, 0, state["h"], n, *rows)
        if self.has_cell_state:
            copy_state(self.cell.c, 0, state["c"], n, *rows)

    def get_state(self, state: Mapping[str, Array], n: int, rows: Rows) -> None:
        """Copy the final state of the last window to index n of ``state``."""
        copy_state = self.kernels.copy_state
        last = self.cell.h.shape[0] - 1
        copy_state(state["h"], n, self.cell.h, last, *rows)
        if self.has_cell_state:
            copy_state(state["c"], n, self.cell.c, last, *rows)

    def set_state_gradient(self, dstate: Mapping[str, Array] | None, n: int, rows: Rows) -> None:
        """Set the gradient of the final state to index n of ``dstate``; None means zero."""
        lo, hi = rows
        copy = self.kernels.copy
        clear = self.kernels.clear
        if dstate is None:
            clear(self.dh, lo, hi)
            clear(self.dc, lo, hi)
            return
        copy(self.dh[lo:hi], dstate["h"][n, lo:hi])
        if self.has_cell_state:
            copy(self.dc[lo:hi], dstate["c"][n, lo:hi])

    def get_state_gradient(self, dstate: Mapping[str, Array], n: int, rows: Rows) -> None:
        """Copy the gradient of the initial state to index n of ``dstate``, after `backward`."""
        lo, hi = rows
        copy = self.kernels.copy
        copy(dstate["h"][n, lo:hi], self.dh[lo:hi])
        if self.has_cell_state:
            copy(dstate["c"][n, lo:hi], self.dc[lo:hi])

    def pack(self, part: Part, backward: bool) -> None:
        """Pack this part of the weights; with ``backward`` also their transposes."""
        k = self.kernels
        k.table_forward(
            self.table, self.w_ih, self.b_ih, self.b_hh, self.order, self.one_hot, *part.range(self.columns)
        )
        self._pack(part, self.w_hh, self._identity, True, self.w_h)
        if backward:
            self._pack(part, self.w_hh, self._identity, False, self.w_h_back)
        if self.features:
            self._pack(part, self.w_ih, self.order, True, self.w_x)
            if backward:
                self._pack(part, self.w_ih, self.order, False, self.w_x_back)

    def _pack(self, part: Part, matrix: Array, order: Array, transposed: bool, packed: Array) -> None:
        panels = self.kernels.panels(matrix.shape[0 if transposed else 1], self.dtype)
        self.kernels.pack(matrix, order, self.hidden, transposed, packed, *part.range(panels))

    def get_outputs(self, resets: Array) -> Array:
        """Return the outputs (T, B, H) of the last forward pass."""
        # A reset clears h[t], the output of step t - 1; the kernel then copies the outputs.
        outputs: Array = self.outputs if resets.size else self._states_after
        return outputs

    def _inputs(self, ids: Array, x: Array | None) -> LayerInput:
        """Return the kernels' bundle of one-hot ids (T, B) or of x (T, B, F)."""
        return LayerInput(ids if self.one_hot else self._no_ids, self.table, self._no_x if x is None else x)

    def forward(self, rows: Rows, ids: Array, x: Array | None, resets: Array) -> None:
        """Run all steps from ids (T, B) or x (T, B, F); `get_outputs` returns the result."""
        outputs = self.outputs if resets.size else self._no_outputs
        self.kernels.layer_forward(self.cell, self._inputs(ids, x), self._weights, resets, outputs, *rows)

    def backward(self, rows: Rows, dy: Array, dx: Array | None, resets: Array) -> None:
        """Run all steps backward from dy (T, B, H); write dx (T, B, F) unless it is None.

        The gate gradients replace the gates, for `accumulate`.
        """
        gradients = OutputGradients(dy, self.dh, self.dc)
        dx = self._no_x if dx is None else dx
        self.kernels.layer_backward(self.cell, self._weights_back, gradients, dx, resets, *rows)

    def accumulate(self, part: Part, ids: Array, x: Array | None) -> None:
        """Add this part of the weight gradients, summed over all rows and steps."""
        k = self.kernels
        columns = part.range(self.columns)
        k.layer_gradient(self._gradients, self.cell, self._inputs(ids, x), self.order, self.w_h, *columns)
        k.table_backward(self._dtable, self.dw_ih, self.db_ih, self.db_hh, self.order, self.one_hot, *columns)


class DenseLayer:
    """h = tanh(W x + b) at each step; replaces `Layer` for the cell "dense".

    It has no state, so the state methods do nothing and ``resets`` has no effect.
    """

    one_hot = False
    has_cell_state = False

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
        self.kernels = kernels
        self.hidden = shape.hidden
        self.dtype = self.linear.dtype
        self.pack = self.linear.pack

        # The arrays of the window, (T, B, H), set by `allocate`.
        self.outputs: Array
        self._dz: Array

    def allocate(self, steps: int, batch: int) -> None:
        """Allocate the arrays for windows of T = ``steps`` and B = ``batch``."""
        zeros = self.kernels.zeros
        self.outputs = zeros((steps, batch, self.hidden), self.dtype)
        self._dz = zeros((steps, batch, self.hidden), self.dtype)

    @property
    def window_arrays(self) -> list[Array]:
        """The arrays of the window, for counting their bytes."""
        return [self.outputs, self._dz]

    def set_state(self, state: Mapping[str, Array], n: int, rows: Rows) -> None:
        """Do nothing: there is no state."""

    def get_state(self, state: Mapping[str, Array], n: int, rows: Rows) -> None:
        """Do nothing: there is no state."""

    def set_state_gradient(self, dstate: Mapping[str, Array] | None, n: int, rows: Rows) -> None:
        """Do nothing: there is no state."""

    def get_state_gradient(self, dstate: Mapping[str, Array], n: int, rows: Rows) -> None:
        """Do nothing: there is no state."""

    def get_outputs(self, resets: Array) -> Array:
        """Return the outputs (T, B, H) of the last forward pass."""
        return self.outputs

    def forward(self, rows: Rows, ids: Array, x: Array | None, resets: Array) -> None:
        """Compute the outputs from x (T, B, F); `get_outputs` returns them."""
        assert x is not None
        self.linear.forward(rows, x, self.outputs)
        self.kernels.tanh_forward(self.outputs, *rows)

    def backward(self, rows: Rows, dy: Array, dx: Array | None, resets: Array) -> None:
        """Compute dx (T, B, F) from dy (T, B, H), unless dx is None."""
        self.kernels.tanh_backward(self._dz, self.outputs, dy, *rows)
        if dx is not None:
            self.linear.backward(rows, self._dz, dx)

    def accumulate(self, part: Part, ids: Array, x: Array | None) -> None:
        """Add this part of the weight gradients, summed over all rows and steps."""
        assert x is not None
        self.linear.accumulate(part, self._dz, x)
