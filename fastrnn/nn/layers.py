"""A linear map z = W x + b, its weights packed for the kernels.

One recurrent layer: its weights, packed for the kernels, and its arrays for one window.

The plain layer h = tanh(W x + b): no recurrence, each step by itself.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cells import CELLS
from ..kernels.cpu.thread_pool import Part
from ..shapes import StackShape
from .matmul_mode import SPLIT_FROM
from .parameters import Array

Rows = tuple[int, int]


class Linear:
    """Weight (K, M) and bias (K,). Methods with a `Part` do one thread's share; rows are batch rows of (T, B, ...)."""

    def __init__(
        self, kernels: Any, weight: str, bias: str, weights: Mapping[str, Array], gradients: Mapping[str, Array],
        packed: np.dtype[Any],
    ) -> None:  # fmt: skip
        """``weight``, ``bias``: the names of its parameters. ``packed``: see `packed_type`."""
        self.kernels = kernels
        self.weight, self.bias = weights[weight], weights[bias]
        self.dweight, self.dbias = gradients[weight], gradients[bias]
        self.outputs, self.inputs = self.weight.shape
        self.dtype, size = self.weight.dtype, kernels.packed_size
        if packed == np.uint32 and self.outputs < SPLIT_FROM:
            packed = self.dtype
        self.w = kernels.zeros(size(self.inputs, self.outputs, packed), packed)
        self.w_back = kernels.zeros(size(self.outputs, self.inputs, packed), packed)
        self._order = np.zeros(1, np.int64)

    def pack(self, part: Part, backward: bool) -> None:
        """Weights into panels, this part of them."""
        k = self.kernels
        panels = part.range(k.panels(self.outputs, self.dtype))
        k.pack(self.weight, self._order, self.outputs, True, self.w, *panels)
        if backward:
            panels = part.range(k.panels(self.inputs, self.dtype))
            k.pack(self.weight, self._order, self.outputs, False, self.w_back, *panels)

    def forward(self, rows: Rows, x: Array, z: Array) -> None:
        """z (T, B, K) from x (T, B, M)."""
        self.kernels.output_forward(x, self.w, self.bias, z, *rows)

    def backward(self, rows: Rows, dz: Array, dx: Array) -> None:
        """dx (T, B, M) from dz (T, B, K)."""
        self.kernels.linear_backward(dz, self.w_back, dx, *rows)

    def cross_entropy(
        self, rows: Rows, x: Array, targets: Array, scale: float, logits: Array, losses: Array, dx: Array
    ) -> None:
        """Losses (T, B) of the softmax of z; logits (T, B, K) become their gradients, and dx, unless it has no columns,
        that of x."""
        self.kernels.output_loss(
            x, self.w, self.bias, targets, self.dtype.type(scale), logits, losses, self.w_back, dx, *rows
        )

    def accumulate(self, part: Part, dz: Array, x: Array) -> None:
        """Add this part of the weight gradients, from dz (T, B, K) and x (T, B, M)."""
        rows = part.range(self.outputs)
        flat_dz, flat_x = dz.reshape(-1, self.outputs), x.reshape(-1, self.inputs)
        self.kernels.weight_gradient(self.dweight, flat_dz, flat_x, self.w, *rows)
        self.kernels.bias_backward(self.dbias, flat_dz, *rows)


class Layer:
    """One direction of layer ``n`` of a stack, fed one-hot ids or numbers x (T, B, F).

    The weights may be those of some of its H units only, to step with `generate`: their number is H here, then.
    Methods with a `Part` do one thread's share; rows are batch rows.
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
        self._identity = np.arange(spec.gate_count)
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        self.w_ih, self.w_hh, self.b_ih, self.b_hh = (weights[f"{shape.prefix}.{name}_l{n}{suffix}"] for name in names)
        self.dw_ih, self.dw_hh, self.db_ih, self.db_hh = (
            gradients[f"{shape.prefix}.{name}_l{n}{suffix}"] for name in names
        )
        self.width, recurrent = self.w_hh.shape
        self.hidden = self.width // shape.gates
        self.columns = spec.column_blocks * self.hidden
        self.features = 0 if self.one_hot else shape.features(n)
        dtype, size = self.w_ih.dtype, kernels.packed_size
        self.dtype = dtype
        self.table = kernels.zeros((shape.inputs if self.one_hot else 1, self.columns), dtype)
        self.w_x = kernels.zeros(size(self.features, self.width, packed), packed)
        self.w_h = kernels.zeros(size(recurrent, self.width, packed), packed)
        self.w_x_back = kernels.zeros(size(self.width, self.features, packed), packed)
        self.w_h_back = kernels.zeros(size(self.width, recurrent, packed), packed)
        self._no_rows = kernels.zeros((0, 0, 0), dtype)
        self._dtable = kernels.zeros(self.table.shape, dtype)

    def allocate(self, steps: int, batch: int) -> None:
        """Arrays for windows of T = steps and B = batch."""
        zeros, hidden = self.kernels.zeros, self.hidden
        self.cell = self.cell_class(
            zeros((steps, batch, self.columns), self.dtype),
            zeros((steps + 1, batch, hidden), self.dtype),
            zeros((steps + 1, batch, hidden if self.has_cell_state else 0), self.dtype),
        )
        self.outputs = zeros((steps, batch, hidden), self.dtype)
        self.dh = zeros((batch, hidden), self.dtype)
        self.dc = zeros((batch, hidden if self.has_cell_state else 0), self.dtype)
        self._no_ids = zeros((steps, batch), np.int32)
        self._no_x = zeros((steps, batch, 0), self.dtype)

    @property
    def window(self) -> list[Array]:
        """The arrays of the window."""
        return [*self.cell, self.outputs]

    def set_state(self, state: Mapping[str, Array], n: int, rows: Rows) -> None:
        """Start the next window from part n of a state, name -> (N, B, H)."""
        (lo, hi), copy = rows, self.kernels.copy
        copy(self.cell.h[0, lo:hi], state["h"][n, lo:hi])
        if self.has_cell_state:
            copy(self.cell.c[0, lo:hi], state["c"][n, lo:hi])

    def get_state(self, state: Mapping[str, Array], n: int, rows: Rows) -> None:
        """Copy the state that the last window ended in."""
        (lo, hi), copy = rows, self.kernels.copy
        copy(state["h"][n, lo:hi], self.cell.h[-1, lo:hi])
        if self.has_cell_state:
            copy(state["c"][n, lo:hi], self.cell.c[-1, lo:hi])

    def set_state_gradient(self, dstate: Mapping[str, Array] | None, n: int, rows: Rows) -> None:
        """Begin with part n of the gradient of the last state; None: nothing follows this window."""
        (lo, hi), copy = rows, self.kernels.copy
        copy(self.dh[lo:hi], 0 if dstate is None else dstate["h"][n, lo:hi])
        if self.has_cell_state:
            copy(self.dc[lo:hi], 0 if dstate is None else dstate["c"][n, lo:hi])

    def get_state_gradient(self, dstate: Mapping[str, Array], n: int, rows: Rows) -> None:
        """Copy the gradient of the initial state, after `backward`."""
        (lo, hi), copy = rows, self.kernels.copy
        copy(dstate["h"][n, lo:hi], self.dh[lo:hi])
        if self.has_cell_state:
            copy(dstate["c"][n, lo:hi], self.dc[lo:hi])

    def pack(self, part: Part, backward: bool) -> None:
        """Weights into panels, this part of them."""
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

    def y(self, starts: Array) -> Array:
        """The outputs (T, B, H) of the last forward pass."""
        outputs: Array = self.outputs if starts.size else self.cell.h[1:]
        return outputs

    def forward(self, rows: Rows, ids: Array, x: Array | None, starts: Array) -> None:
        """ids (T, B) if the layer is fed one-hot, else x (T, B, F); `y` holds the result."""
        self.kernels.layer_forward(
            self.cell, self.width, ids if self.one_hot else self._no_ids, self.table,
            self._no_x if x is None else x, self.w_x, self.w_h, starts,
            self.outputs if starts.size else self._no_rows, *rows,
        )  # fmt: skip

    def backward(self, rows: Rows, dy: Array, dx: Array | None, starts: Array) -> None:
        """dy (T, B, H) -> dx (T, B, F), unless None; gate gradients stay here; dh, dc go from last to initial state."""
        self.kernels.layer_backward(
            self.cell, self.width, dy, self.dh, self.dc, self.w_x_back, self.w_h_back,
            self._no_x if dx is None else dx, starts, *rows,
        )  # fmt: skip

    def accumulate(self, part: Part, ids: Array, x: Array | None) -> None:
        """Add this part of the weight gradients of the whole window."""
        k, columns = self.kernels, part.range(self.columns)
        k.layer_gradient(
            self.dw_ih, self.dw_hh, self._dtable, self.cell, self.width, ids if self.one_hot else self._no_ids,
            self._no_x if x is None else x, self.order, self.w_h, *columns,
        )  # fmt: skip
        k.table_backward(self._dtable, self.dw_ih, self.db_ih, self.db_hh, self.order, self.one_hot, *columns)


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

    def set_state(self, state: Mapping[str, Array], n: int, rows: Rows) -> None:
        """No state to start from."""

    def get_state(self, state: Mapping[str, Array], n: int, rows: Rows) -> None:
        """No state to end in."""

    def set_state_gradient(self, dstate: Mapping[str, Array] | None, n: int, rows: Rows) -> None:
        """No state to have a gradient."""

    def get_state_gradient(self, dstate: Mapping[str, Array], n: int, rows: Rows) -> None:
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
