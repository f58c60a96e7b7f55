"""A language model's network: one-hot tokens -> stack of recurrent layers -> output layer -> softmax."""

from typing import Any

import numpy as np

from .. import backend
from ..config import Config
from ..cpu.pool import Part, Pool
from ..errors import BackendError
from .layer import Layer
from .parameters import Array, Parameters
from .shapes import STATES, ModelShape

State = dict[str, Array]


class Network:
    """Parameters and the arrays to run them. Not for two threads at once; its own pool makes the threads."""

    def __init__(
        self,
        shape: ModelShape,
        *,
        dtype: Any = np.float32,
        threads: int | None = None,
        device: str = "cpu",
        sharing: "Network | None" = None,
        products: str = "exact",
    ) -> None:
        """``sharing``: another network whose parameters and threads this one uses; its windows are its own.

        ``products`` of float32 numbers: "exact"; "rounded" takes the weights as bfloat16, half the memory to read, only
        to predict with; "bfloat16" takes both factors so and adds up in float32. Raises `BackendError` where the
        processor cannot do that.
        """
        self.kernels = backend.load(device)
        self.shape = shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.pool: Pool = sharing.pool if sharing else self.kernels.Pool(threads)
        self.parameters: Parameters = sharing.parameters if sharing else Parameters(shape, dtype)
        self.gradients = Parameters(shape, dtype)
        packed = self._packed_type(products)
        self.layers = [
            Layer(self.kernels, shape, n, self.parameters, self.gradients, packed) for n in range(shape.layers)
        ]
        size = self.kernels.packed_size
        self.w_out = self.kernels.zeros(size(shape.hidden, shape.vocab, packed), packed)
        self.w_out_back = self.kernels.zeros(size(shape.vocab, shape.hidden, packed), packed)
        self._first_gate = np.zeros(1, np.int64)
        self._window = (0, 0)
        self._no_starts: Array = np.zeros((0, 0), np.uint8)
        self.logits: Array
        self.losses: Array

    @classmethod
    def from_config(cls, config: Config, vocab: int) -> "Network":
        """The network that a configuration with a size describes, its parameters all zero."""
        assert config.hidden is not None
        shape = ModelShape(config.cell, config.layers, config.hidden, vocab)
        dtype, products = np.dtype(config.dtype), config.products
        return cls(shape, dtype=dtype, threads=config.threads, device=config.device, products=products)

    def sibling(self, products: str | None = None) -> "Network":
        """The same model with arrays of its own for windows of another size."""
        return Network(self.shape, dtype=self.dtype, sharing=self, products=products or self.products)

    def _packed_type(self, products: str) -> np.dtype[Any]:
        self.products = products
        if products == "exact" or self.dtype != np.float32:
            return self.dtype
        if products == "rounded":
            return np.dtype(np.uint16)
        target = self.kernels.TARGET
        if not target.bfloat16_dot:
            raise BackendError(
                f"precision bfloat16 needs AVX-512 BF16 instructions; this processor runs {target.name}: use float32"
            )
        return np.dtype(np.int32)

    def initial_state(self, batch: int) -> State:
        """Zeros: name -> (L, B, H)."""
        dims = (self.shape.layers, batch, self.shape.hidden)
        return {name: np.zeros(dims, self.dtype) for name in STATES[self.shape.cell]}

    def loss(self, x: Array, y: Array, starts: Array | None, state: State) -> Array:
        """Losses (T, B) in nats of targets y (T, B), -1 = not scored, after x (T, B). ``state`` is carried on."""
        return self._run(x, y, starts, state, None)

    def loss_and_gradient(
        self, x: Array, y: Array, starts: Array | None, state: State, keep: float = 1.0, key: int = 0
    ) -> float:
        """Mean loss over scored positions; its gradient goes to ``gradients``, also that of the initial state to
        ``dstate``.

        ``state`` is carried on in place. keep < 1: dropout between layers and before the output, drawn from ``key``.
        """
        scored = max(1, int(np.count_nonzero(y >= 0)))
        losses = self._run(x, y, starts, state, (keep, key, 1 / scored))
        self.pool.together(self._accumulate)
        return float(losses.sum(dtype=np.float64)) / scored

    def step_logits(self, x: Array, state: State) -> Array:
        """Logits (B, V) after one step of tokens x (1, B). ``state`` is carried on in place."""
        none = np.full_like(x, -1)
        self._run(x, none, None, state, None)
        logits = np.empty((1, *self.logits.shape[1:]), self.dtype)
        top = self.layers[-1].cell.h[1:]
        self.kernels.output_forward(top, self.w_out, self.parameters["out.bias"], logits, 0, x.shape[1])
        first: Array = logits[0]
        return first

    @property
    def dstate(self) -> State:
        """Gradient of the initial state of the last window: name -> (L, B, H)."""
        found = {"h": np.stack([layer.dh for layer in self.layers]), "c": np.stack([layer.dc for layer in self.layers])}
        return {name: found[name] for name in STATES[self.shape.cell]}

    def pack(self, part: Part, backward: bool) -> None:
        """Put this part of all weights into the kernels' form."""
        for layer in self.layers:
            layer.pack(part, backward)
        weight, order, vocab = self.parameters["out.weight"], self._first_gate, self.shape.vocab
        panels = self.kernels.panels
        self.kernels.pack(weight, order, vocab, True, self.w_out, *part.range(panels(vocab, self.dtype)))
        if backward:
            hidden = part.range(panels(self.shape.hidden, self.dtype))
            self.kernels.pack(weight, order, vocab, False, self.w_out_back, *hidden)
            lo, hi = part.range(self.gradients.flat.size)
            self.gradients.flat[lo:hi] = 0

    def generating_layers(self, token: int) -> tuple[Any, ...]:
        """What `generate` takes, for the allocated window (1, B); every row is fed ``token`` first."""
        batch = self._window[1]
        first = np.full((1, batch), token, np.int32)
        layers, x = [], self.layers[0].cell.h[1:, :, :0].copy()
        for layer in self.layers:
            ids = first if layer.one_hot else np.zeros_like(first)
            layers.append((layer.cell, layer.width, ids, layer.table, x, layer.w_x, layer.w_h))
            x = layer.cell.h[1:]
        return tuple(layers)

    def _run(self, x: Array, y: Array, starts: Array | None, state: State, training: Any) -> Array:
        self.allocate(*x.shape)
        self._ids, self._targets = x, y
        self._starts = self._no_starts if starts is None else starts
        self.enter(state)
        self.pool.together(lambda part: self.pack(part, training is not None))
        self.pool.together(lambda part: self._rows(part.range(x.shape[1]), training))
        self.leave(state)
        return self.losses

    def enter(self, state: State) -> None:
        """Start the next window from this state."""
        for n, layer in enumerate(self.layers):
            layer.cell.h[0] = state["h"][n]
            if layer.has_cell_state:
                layer.cell.c[0] = state["c"][n]

    def leave(self, state: State) -> None:
        """Copy the state that the last window ended in."""
        for n, layer in enumerate(self.layers):
            state["h"][n] = layer.cell.h[-1]
            if layer.has_cell_state:
                state["c"][n] = layer.cell.c[-1]

    def allocate(self, steps: int, batch: int) -> None:
        """Arrays for windows of T = steps and B = batch, kept until another size is asked for."""
        if self._window == (steps, batch):
            return
        zeros, hidden = self.kernels.zeros, self.shape.hidden
        for layer in self.layers:
            layer.allocate(steps, batch)
        self.logits = zeros((steps, batch, self.shape.vocab), self.dtype)
        self.losses = zeros((steps, batch), self.dtype)
        self._dropped = [zeros((steps, batch, hidden), self.dtype) for _ in self.layers]
        self._dy = [zeros((steps, batch, hidden), self.dtype) for _ in range(2)]
        self._no_dy = zeros((steps, batch, 0), self.dtype)
        self._window = (steps, batch)

    def window_bytes(self) -> int:
        """What the arrays of the allocated window take, apart from weights, gradients and moments."""
        arrays = [self.logits, self.losses, *self._dropped, *self._dy]
        for layer in self.layers:
            arrays += [*layer.cell, layer.outputs]
        return sum(array.nbytes for array in arrays)

    def _rows(self, rows: tuple[int, int], training: Any) -> None:
        """Forward, and when training backward, of some batch rows through all layers: they never meet the others."""
        keep, key, scale = training or (1.0, 0, 1.0)
        self._inputs: list[Array | None] = [None] * (len(self.layers) + 1)
        x: Array | None = None
        for n, layer in enumerate(self.layers):
            layer.forward(rows, self._ids, x, self._starts)
            x = layer.y(self._starts)
            if keep < 1:
                self._drop(self._dropped[n], x, key, n, keep, rows)
                x = self._dropped[n]
            self._inputs[n + 1] = x
        dy = self._no_dy if training is None else self._dy[0]
        self.kernels.output_loss(
            x, self.w_out, self.parameters["out.bias"], self._targets, self.dtype.type(scale), self.logits,
            self.losses, self.w_out_back, dy, *rows,
        )  # fmt: skip
        if training is not None:
            self._backward(rows, keep, key)

    def _backward(self, rows: tuple[int, int], keep: float, key: int) -> None:
        dy, dx = self._dy
        for n in reversed(range(len(self.layers))):
            layer = self.layers[n]
            if keep < 1:
                self._drop(dy, dy, key, n, keep, rows)
            layer.dh[rows[0] : rows[1]] = 0
            layer.dc[rows[0] : rows[1]] = 0
            layer.backward(rows, dy, dx if n else None, self._starts)
            dy, dx = dx, dy

    def _drop(self, out: Array, x: Array, key: int, n: int, keep: float, rows: tuple[int, int]) -> None:
        mixed = np.uint32((key * len(self.layers) + n) & 0xFFFFFFFF)
        self.kernels.dropout(out, x, mixed, keep, *rows)

    def _accumulate(self, part: Part) -> None:
        for n, layer in enumerate(self.layers):
            layer.accumulate(part, self._ids, self._inputs[n])
        top, k, vocab = self._inputs[-1], self.kernels, self.shape.vocab
        assert top is not None
        dlogits = self.logits.reshape(-1, vocab)
        flat_top = top.reshape(-1, self.shape.hidden)
        k.weight_gradient(self.gradients["out.weight"], dlogits, flat_top, self.w_out, *part.range(vocab))
        k.bias_backward(self.gradients["out.bias"], dlogits, *part.range(vocab))
