"""Layers: `Linear`, one direction of a recurrent `Layer`, and the feed-forward `DenseLayer`.

Each owns its packed weights and its arrays for one window. Parameters and gradients are views into
the model's flat arrays (`fastrnn.nn.parameters`).

A training step calls pack, set_state, forward, set_state_gradient, backward, accumulate. Methods
that take a `Part` or ``rows`` do that part of the work: a `Part` divides panels, columns or units;
``rows`` (lo, hi) are batch rows, which do not depend on each other. They are called for the whole
inside `Pool.together`, whose threads run each kernel together.

Letters: T steps, B batch rows, F input features, H hidden units, G gates; M inputs and K outputs of
a linear map.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..cells import CELLS
from ..kernels.arguments import LayerGradients, LayerInput, LayerWeights, OutputGradients, OutputLayer, Targets
from ..kernels.backend import Backend
from ..kernels.cpu.thread_pool import Part
from ..shapes import NGRAM_WEIGHT, StackShape
from .matmul_mode import BF16X3_MIN_WIDTH
from .parameters import Array, ModelWeights

Rows = tuple[int, int]


class Packing(NamedTuple):
    """A weight and its packed form, the arguments of the kernel `pack`.

    Args:
        matrix: The weight (G*H, F), gates of H rows.
        gate_order: Order of the gates in the packed form, (G,).
        gate_rows: H.
        transposed: Whether the packed form is that of the transpose, (F, G*H), for the forward pass.
        packed: The packed form.
        panels: Micro-panels of the packed form, the units of work that threads divide.
    """

    matrix: Array
    gate_order: Array
    gate_rows: int
    transposed: bool
    packed: Array
    panels: int

    @classmethod
    def allocate(
        cls, kernels: Backend, matrix: Array, gate_order: Array, *, transposed: bool, packed: np.dtype[Any]
    ) -> "Packing":
        """Return the packing of a weight into a new array of element type ``packed``."""
        rows, columns = matrix.shape
        k, n = (columns, rows) if transposed else (rows, columns)
        array = kernels.zeros(kernels.packed_size(k, n, packed), packed)
        return cls(matrix, gate_order, rows // len(gate_order), transposed, array, kernels.panels(n, matrix.dtype))


class Linear:
    """z = W x + b with weight W (K, M) and bias b (K,), for x (T, B, M).

    Args:
        weights: The weights of the model.
        weight: Name of W.
        bias: Name of b.
    """

    def __init__(self, weights: ModelWeights, weight: str, bias: str) -> None:
        self.kernels = kernels = weights.kernels
        self.weight = weights.parameters[weight]
        self.bias = weights.parameters[bias]
        self.dweight = weights.gradients[weight]
        self.dbias = weights.gradients[bias]
        self.outputs, self.inputs = self.weight.shape
        self.dtype = self.weight.dtype

        # The model's width decided on BF16X3; a narrow output layer is faster without it.
        packed = self.dtype if weights.packed == np.uint32 and self.outputs < BF16X3_MIN_WIDTH else weights.packed
        order = np.zeros(1, np.int64)  # one gate of K rows
        self._forward = Packing.allocate(kernels, self.weight, order, transposed=True, packed=packed)
        self._backward = Packing.allocate(kernels, self.weight, order, transposed=False, packed=packed)
        self.w = self._forward.packed
        self.w_back = self._backward.packed
        self._packed = OutputLayer(self.w, self.bias, self.w_back)

    def pack(self, part: Part, backward: bool) -> None:
        """Pack this part of the weights; with ``backward`` also the transpose."""
        for *weight, panels in (self._forward, self._backward) if backward else (self._forward,):
            self.kernels.pack(*weight, *part.range(panels))

    def forward(self, rows: Rows, x: Array, z: Array) -> None:
        """Compute z (T, B, K) from x (T, B, M)."""
        self.kernels.output_forward(z, x, self.w, self.bias, *rows)

    def backward(self, rows: Rows, dz: Array, dx: Array) -> None:
        """Compute dx (T, B, M) from dz (T, B, K)."""
        self.kernels.linear_backward(dx, dz, self.w_back, *rows)

    def cross_entropy(
        self, rows: Rows, x: Array, targets: Array, scale: float, logits: Array, losses: Array, dx: Array
    ) -> None:
        """Compute the losses (T, B) of softmax(z) for class targets (T, B), and gradients.

        logits (T, B, K) receives the gradient of z times ``scale``; dx (T, B, M) that of x,
        unless dx has no columns.
        """
        goal = Targets(targets, self.dtype.type(scale), losses)
        self.kernels.output_loss(logits, dx, self._packed, x, goal, *rows)

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

    def __init__(self, weights: ModelWeights, shape: StackShape, n: int, suffix: str) -> None:
        self.kernels = kernels = weights.kernels
        self.one_hot = n == 0 and shape.one_hot
        self.cell_class = kernels.CELLS[shape.cell]
        self._spec = spec = CELLS[shape.cell]
        self.has_cell_state = spec.has_cell_state
        self.is_normed = spec.is_normed
        self.order = np.array(spec.input_order)

        names = [f"{shape.prefix}.{kind}_l{n}{suffix}" for kind in ("weight_ih", "weight_hh", *spec.vectors)]
        self._dropped, self._w_hh_name = weights.dropped, names[1]
        self.w_ih, self.w_hh, *vectors = (weights.parameters[name] for name in names)
        self.dw_ih, self.dw_hh, *dvectors = (weights.gradients[name] for name in names)

        self.width = self.w_hh.shape[0]  # G*H
        self.hidden = self.width // shape.gates
        self.columns = spec.column_blocks * self.hidden
        self.features = 0 if self.one_hot else shape.features(n)
        self.dtype = dtype = self.w_ih.dtype

        # Gain and bias of a normed cell come after the norm: the biases of its input table are
        # zeros, and their gradients are not used.
        self._vectors, self._dvectors = vectors, dvectors
        self._biases, self._dbiases = vectors, dvectors
        if self.is_normed:
            self._biases, self._dbiases = ([kernels.zeros(self.width, dtype)] * 2 for _ in range(2))
        # The first of these units in the layer, and the layer's number of units, see `divide_units`.
        self._span = (0, self.hidden)

        # Rows of the table are W_ih x + b_ih + b_hh of each one-hot x; for dense x its one row is
        # the biases.
        self.table = kernels.zeros((shape.inputs if self.one_hot else 1, self.columns), dtype)
        self._dtable = kernels.zeros(self.table.shape, dtype)

        # Packed weights. One-hot inputs have the table instead of a product. Only the input weights have their
        # gates in another order than torch.nn.
        packed = weights.packed
        identity = np.arange(spec.gate_count)
        self._forward = [Packing.allocate(kernels, self.w_hh, identity, transposed=True, packed=packed)]
        self._backward = [Packing.allocate(kernels, self.w_hh, identity, transposed=False, packed=packed)]
        self.w_h = self._forward[0].packed
        self.w_h_back = self._backward[0].packed
        self.w_x = self.w_x_back = kernels.zeros(0, packed)
        if self.features:
            self._forward.append(Packing.allocate(kernels, self.w_ih, self.order, transposed=True, packed=packed))
            self._backward.append(Packing.allocate(kernels, self.w_ih, self.order, transposed=False, packed=packed))
            self.w_x = self._forward[1].packed
            self.w_x_back = self._backward[1].packed
        self._weights = LayerWeights(self.w_x, self.w_h, self.width)
        self._weights_back = LayerWeights(self.w_x_back, self.w_h_back, self.width)
        # The n-gram embedding (N, G*H), and the numbers (T, B, K) of the n-grams in the window, none by default; see
        # `Stack.set_input`.
        no_rows = kernels.zeros((0, self.width), dtype)
        name = f"{shape.prefix}.{NGRAM_WEIGHT}_l{n}{suffix}"
        self.ngram_rows = weights.parameters.get(name, no_rows)
        self.ngrams = kernels.zeros((0, 0, 0), np.int32)
        self._gradients = LayerGradients(self.dw_ih, self.dw_hh, self._dtable, weights.gradients.get(name, no_rows))
        self._no_outputs = kernels.zeros((0, 0, 0), dtype)

        # The arrays of the window, see `allocate`; backward turns dh, dc from the gradient of the
        # last state into that of the first. The last two are for a kernel argument that is not used.
        self.cell, self.outputs, self.dh, self.dc, self._no_ids, self._no_x = self._window_arrays(0, 0)
        self._states_after = self.cell.h[1:]  # a view (T, B, H), kept since making one takes long on a GPU

    def allocate(self, steps: int, batch: int) -> None:
        """Allocate the arrays for windows of T = ``steps`` and B = ``batch``."""
        arrays = self._window_arrays(steps, batch)
        self.cell, self.outputs, self.dh, self.dc, self._no_ids, self._no_x = arrays
        self._states_after = self.cell.h[1:]

    def _window_arrays(self, steps: int, batch: int) -> tuple[Any, Array, Array, Array, Array, Array]:
        zeros, dtype, hidden = self.kernels.zeros, self.dtype, self.hidden
        cell_states = hidden if self.has_cell_state else 0
        cell = self.cell_class(
            zeros((steps, batch, self.columns), dtype),
            zeros((steps + 1, batch, hidden), dtype),
            zeros((steps + 1, batch, cell_states), dtype),
            *(self._norm_arrays(steps, batch) if self.is_normed else ()),
        )
        outputs = zeros((steps, batch, hidden), dtype)
        dh = zeros((batch, hidden), dtype)
        dc = zeros((batch, cell_states), dtype)
        return cell, outputs, dh, dc, zeros((steps, batch), np.int32), zeros((steps, batch, 0), dtype)

    def _norm_arrays(self, steps: int, batch: int) -> tuple[Any, ...]:
        """Return the fields that only a normed cell has, see `fastrnn.kernels.cpu.lstm_norm.LSTMNorm`."""
        zeros, dtype = self.kernels.zeros, self.dtype
        return (
            *self._vectors,
            zeros((steps, batch, self._spec.gate_count), dtype),
            zeros(self._count_block_sums(batch), dtype),
            zeros((batch, self.width), dtype),
            zeros((batch, 2 * self.width), dtype),
            *self._span,
        )

    def _count_block_sums(self, batch: int) -> int:
        blocks: int = -(-self._span[1] // self.kernels.UNIT_BLOCK)
        return blocks * batch * self._spec.gate_count

    def divide_units(self, first: int, units: int, block_sums: Array | None) -> Array | None:
        """Declare that this layer has units ``first`` and on of a normed layer of ``units``.

        Args:
            first: A multiple of the kernels' ``UNIT_BLOCK``.
            units: Units of the layer.
            block_sums: The sums that all parts of the layer share; None: those of this part.

        Returns:
            The shared sums; None if the cell has none.
        """
        self._span = (first, units)
        if not self.is_normed:
            return None
        batch = self.cell.h.shape[1]
        if block_sums is None:
            block_sums = self.kernels.zeros(self._count_block_sums(batch), self.dtype)
        self.cell = self.cell._replace(first_unit=first, units=units, block_sums=block_sums)
        return block_sums

    @property
    def window_arrays(self) -> list[Array]:
        """The arrays of the window, for counting their bytes."""
        return [array for array in (*self.cell, self.outputs) if not isinstance(array, int)]

    def gate_values(self, gate: str) -> Array:
        """Return a gate in 0..1 of the last window, (T, B, H); its name is in ``sigmoid_gates``."""
        block, to_host = self._spec.sigmoid_gates[gate], self.kernels.to_host
        columns = slice(block * self.hidden, (block + 1) * self.hidden)
        values: Array = to_host(self.cell.gates)[:, :, columns]
        if self.is_normed:
            # A normed cell keeps the pre-activations before the norm.
            gain, bias = (to_host(vector)[columns] for vector in self._vectors)
            normed = values * to_host(self.cell.inverse_rms)[:, :, block, None]
            values = 1 / (1 + np.exp(-(gain * normed + bias)))
        return values

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
        k.table_forward(self.table, self.w_ih, *self._biases, self.order, self.one_hot, *part.range(self.columns))
        w_hh = self._dropped.get(self._w_hh_name, self.w_hh)
        for packing in (*self._forward, *self._backward) if backward else self._forward:
            matrix, *how, panels = packing
            k.pack(w_hh if matrix is self.w_hh else matrix, *how, *part.range(panels))

    def get_outputs(self, resets: Array) -> Array:
        """Return the outputs (T, B, H) of the last forward pass."""
        # A reset clears h[t], the output of step t - 1; the kernel then copies the outputs.
        outputs: Array = self.outputs if resets.size else self._states_after
        return outputs

    def _inputs(self, ids: Array, x: Array | None) -> LayerInput:
        """Return the kernels' bundle of one-hot ids (T, B) or of x (T, B, F)."""
        ids, x = ids if self.one_hot else self._no_ids, self._no_x if x is None else x
        return LayerInput(ids, self.table, x, self.ngrams, self.ngram_rows, self.order)

    def forward(self, rows: Rows, ids: Array, x: Array | None, resets: Array) -> None:
        """Run all steps from ids (T, B) or x (T, B, F); `get_outputs` returns the result."""
        outputs = self.outputs if resets.size else self._no_outputs
        self.kernels.layer_forward(self.cell, outputs, self._inputs(ids, x), self._weights, resets, *rows)

    def backward(self, rows: Rows, dy: Array, dx: Array | None, resets: Array) -> None:
        """Run all steps backward from dy (T, B, H); write dx (T, B, F) unless it is None.

        The gate gradients replace the gates, for `accumulate`.
        """
        gradients = OutputGradients(dy, self.dh, self.dc)
        dx = self._no_x if dx is None else dx
        if self.is_normed:
            self.kernels.clear(self.cell.vector_sums, *rows)
        self.kernels.layer_backward(self.cell, dx, self._weights_back, gradients, resets, *rows)

    def divide(self, pool: Any, rows: int) -> tuple[int, int]:
        """Return into how many groups the threads of a pool divide batch rows, and the units."""
        divided: tuple[int, int] = pool.divide(self.cell, self._weights, rows)
        return divided

    def accumulate(self, part: Part, ids: Array, x: Array | None) -> None:
        """Add this part of the weight gradients, summed over all rows and steps."""
        k = self.kernels
        columns = part.range(self.columns)
        k.layer_gradient(self._gradients, self.cell, self._inputs(ids, x), self.w_h, *columns)
        k.table_backward(self._dtable, self.dw_ih, *self._dbiases, self.order, self.one_hot, *columns)
        if self.is_normed:
            k.norm_gradient(*self._dvectors, self.cell.vector_sums, *columns)


class DenseLayer:
    """h = tanh(W x + b) at each step; replaces `Layer` for the cell "dense".

    It has no state, so the state methods do nothing and ``resets`` has no effect.
    """

    one_hot = False
    has_cell_state = False

    def __init__(self, weights: ModelWeights, shape: StackShape, n: int, suffix: str) -> None:
        weight, bias = (f"{shape.prefix}.{name}_l{n}{suffix}" for name in ("weight_ih", "bias_ih"))
        self.linear = Linear(weights, weight, bias)
        self.kernels = weights.kernels
        self.hidden = shape.hidden
        self.dtype = self.linear.dtype
        self.pack = self.linear.pack

        # The arrays of the window, (T, B, H), see `allocate`.
        self.outputs, self._dz = self._window_arrays(0, 0)

    def allocate(self, steps: int, batch: int) -> None:
        """Allocate the arrays for windows of T = ``steps`` and B = ``batch``."""
        self.outputs, self._dz = self._window_arrays(steps, batch)

    def _window_arrays(self, steps: int, batch: int) -> tuple[Array, Array]:
        size = (steps, batch, self.hidden)
        return self.kernels.zeros(size, self.dtype), self.kernels.zeros(size, self.dtype)

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
