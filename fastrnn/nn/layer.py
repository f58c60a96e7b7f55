"""One recurrent layer: its weights, packed for the kernels, and its arrays for one window."""

from typing import Any

import numpy as np

from ..cpu.pool import Part
from .parameters import Array, Parameters
from .shapes import GATES, ModelShape

# blocks of gate columns, and the torch gate that each of the first G blocks takes from W_ih (see cpu/cells.py)
_COLUMNS = {
    "rnn": (1, (0,)),
    "rnn-relu": (1, (0,)),
    "gru": (4, (2, 0, 1)),
    "gru-simplified": (2, (0, 1)),
    "lstm": (4, (0, 1, 2, 3)),
}


class Layer:
    """Layer ``n`` of a stack. Methods with a `Part` do one thread's share; rows are batch rows."""

    def __init__(
        self, kernels: Any, shape: ModelShape, n: int, weights: Parameters, gradients: Parameters, packed: Any
    ) -> None:
        self.kernels, self.hidden, self.one_hot = kernels, shape.hidden, n == 0
        self.cell_class = kernels.CELLS[shape.cell]
        self.has_cell_state = shape.cell == "lstm"
        self.width = GATES[shape.cell] * shape.hidden
        blocks, order = _COLUMNS[shape.cell]
        self.columns = blocks * shape.hidden
        self.order = np.array(order)
        self._identity = np.arange(len(order))
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        self.w_ih, self.w_hh, self.b_ih, self.b_hh = (weights[f"rnn.{name}_l{n}"] for name in names)
        self.dw_ih, self.dw_hh, self.db_ih, self.db_hh = (gradients[f"rnn.{name}_l{n}"] for name in names)
        self.features = 0 if self.one_hot else shape.hidden
        dtype, size = weights.flat.dtype, kernels.packed_size
        self.dtype = dtype
        self.table = kernels.zeros((shape.vocab if self.one_hot else 1, self.columns), dtype)
        self.w_x = kernels.zeros(size(self.features, self.width, packed), packed)
        self.w_h = kernels.zeros(size(self.hidden, self.width, packed), packed)
        self.w_x_back = kernels.zeros(size(self.width, self.features, packed), packed)
        self.w_h_back = kernels.zeros(size(self.width, self.hidden, packed), packed)
        self._no_rows = kernels.zeros((0, 0, 0), dtype)
        self._dtable = np.zeros_like(self.table)

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

    def forward(self, rows: tuple[int, int], ids: Array, x: Array | None, starts: Array) -> None:
        """ids (T, B) for the first layer, x (T, B, H) above it; `y` holds the result."""
        self.kernels.layer_forward(
            self.cell, self.width, ids if self.one_hot else self._no_ids, self.table,
            self._no_x if x is None else x, self.w_x, self.w_h, starts,
            self.outputs if starts.size else self._no_rows, *rows,
        )  # fmt: skip

    def backward(self, rows: tuple[int, int], dy: Array, dx: Array | None, starts: Array) -> None:
        """dy (T, B, H) -> dx (T, B, H); gate gradients stay in the layer; dh, dc go from last to initial state."""
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
