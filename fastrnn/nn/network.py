"""A language model's network: one-hot tokens -> stack of recurrent layers -> output layer -> softmax."""

from typing import Any, NamedTuple, Protocol

import numpy as np

from ..config import Config
from ..kernels import backend
from ..kernels.cpu.thread_pool import Part, Pool
from ..shapes import ModelShape
from .layers import Linear, Rows
from .matmul_mode import packed_type
from .parameters import Array, Parameters
from .stack import Dropout, Stack, State

__all__ = ["Network", "State", "Training"]


class Sharing(Protocol):
    """Whose threads and parameters a network may use: another network's, or a whole model's."""

    pool: Pool
    parameters: Parameters


class Window(Protocol):
    """A window to learn from, as `fastrnn.data.text.bptt.Window`."""

    @property
    def x(self) -> Array: ...
    @property
    def y(self) -> Array: ...
    @property
    def starts(self) -> Array | None: ...


class Training(NamedTuple):
    """How a window is learnt: ``scale`` is what each position's loss counts."""

    dropout: Dropout = Dropout()
    scale: float = 1.0


class Network:
    """Parameters and the arrays to run them. Not for two threads at once; its own pool makes the threads."""

    def __init__(
        self,
        shape: ModelShape,
        *,
        dtype: Any = np.float32,
        threads: int | None = None,
        device: str = "cpu",
        sharing: Sharing | None = None,
        gradients: Parameters | None = None,
        matmul_mode: str = "exact",
    ) -> None:
        """``sharing``: whose parameters and threads this network uses; its windows are its own, and its gradients,
        unless they are given too.

        ``matmul_mode``: how to multiply, see `packed_type`. Raises `BackendError` where the processor cannot do that.
        """
        self.kernels, self.device = backend.load(device), device
        self.shape, self.matmul_mode = shape, matmul_mode
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.pool: Pool = sharing.pool if sharing else self.kernels.Pool(threads)
        self.parameters: Parameters = sharing.parameters if sharing else Parameters(shape, dtype, self.kernels)
        shapes = {name: view.shape for name, view in self.parameters.items()}
        self.gradients = Parameters(shapes, dtype, self.kernels) if gradients is None else gradients
        self.packed = packed_type(self.kernels, self.dtype, matmul_mode, shape.hidden)
        self.stack = Stack(self.kernels, shape.stack, self.parameters, self.gradients, self.packed)
        self.out = Linear(self.kernels, "out.weight", "out.bias", self.parameters, self.gradients, self.packed)
        self._window = (0, 0)
        self.logits: Array
        self.losses: Array

    @classmethod
    def from_config(cls, config: Config, vocab: int) -> "Network":
        """The network that a configuration with a size describes, its parameters all zero."""
        assert config.hidden is not None
        shape = ModelShape(config.cell, config.layers, config.hidden, vocab)
        dtype, matmul_mode = np.dtype(config.dtype), config.matmul_mode
        return cls(shape, dtype=dtype, threads=config.threads, device=config.device, matmul_mode=matmul_mode)

    def with_shared_parameters(self, matmul_mode: str | None = None) -> "Network":
        """The same model with arrays of its own for windows of another size."""
        how = matmul_mode or self.matmul_mode
        return Network(self.shape, dtype=self.dtype, device=self.device, sharing=self, matmul_mode=how)

    @property
    def layers(self) -> list[Any]:
        """The layers of the stack."""
        return self.stack.flat_layers

    @property
    def w_out(self) -> Array:
        """The packed weights of the output layer."""
        packed: Array = self.out.w
        return packed

    def initial_state(self, batch: int) -> State:
        """Zeros: name -> (L, B, H)."""
        return self.stack.zero_state(batch)

    def train_step_gradients(
        self, window: Window, state: State, keep: float = 1.0, key: int = 0, place: Rows = (0, 0)
    ) -> float:
        """`loss_and_gradient` of a window."""
        return self.loss_and_gradient(window.x, window.y, window.starts, state, keep, key, place)

    def loss(self, x: Array, y: Array, starts: Array | None, state: State) -> Array:
        """Losses (T, B) in nats of targets y (T, B), -1 = not scored, after x (T, B). ``state`` is carried on."""
        self._run(x, y, starts, state, None)
        losses: Array = self.kernels.to_host(self.losses)
        return losses

    def loss_and_gradient(
        self,
        x: Array,
        y: Array,
        starts: Array | None,
        state: State,
        keep: float = 1.0,
        key: int = 0,
        place: Rows = (0, 0),
    ) -> float:
        """Mean loss over scored positions; its gradient goes to ``gradients``, also that of the initial state to
        ``dstate``.

        ``state`` is carried on in place. keep < 1: dropout between layers and before the output, drawn from ``key``
        and ``place``, see `Dropout`.
        """
        scored = max(1, int(np.count_nonzero(y >= 0)))
        self._run(x, y, starts, state, Training(Dropout(keep, key, *place), 1 / scored))
        self.pool.together(self.accumulate)
        return float(self.kernels.to_host(self.losses).sum(dtype=np.float64)) / scored

    def step_logits(self, x: Array, state: State) -> Array:
        """Logits (B, V) after one step of tokens x (1, B). ``state`` is carried on in place."""
        none = np.full_like(x, -1)
        self._run(x, none, None, state, None)
        logits = self.kernels.zeros((1, *self.logits.shape[1:]), self.dtype)
        self.out.forward((0, x.shape[1]), self.layers[-1].cell.h[1:], logits)
        first: Array = self.kernels.to_host(logits)[0]
        return first

    @property
    def dstate(self) -> State:
        """Gradient of the initial state of the last window: name -> (L, B, H)."""
        found = self.initial_state(self._window[1])
        self.stack.get_state_gradient(found)
        return found

    def pack(self, part: Part, backward: bool) -> None:
        """Put this part of all weights into the kernels' form; for training also clear that part of the gradients."""
        self.pack_weights(part, backward)
        if backward:
            lo, hi = part.range(self.gradients.flat.size)
            self.kernels.copy(self.gradients.flat[lo:hi], 0)

    def pack_weights(self, part: Part, backward: bool) -> None:
        """Put this part of all weights into the kernels' form."""
        self.stack.pack(part, backward)
        self.out.pack(part, backward)

    def load(self, x: Array, y: Array, starts: Array | None) -> None:
        """The window that is run next: ids, targets and starts, (T, B) each."""
        self.allocate(*x.shape)
        here = self.kernels.to_device
        self._targets = here(y)
        self.stack.load(here(x), None, None if starts is None else here(starts))

    def set_state(self, state: State, rows: Rows | None = None) -> None:
        """Start the next window from this state."""
        self.stack.set_state(state, rows)

    def get_state(self, state: State) -> None:
        """Copy the state that the last window ended in."""
        self.stack.get_state(state)

    def allocate(self, steps: int, batch: int) -> None:
        """Arrays for windows of T = steps and B = batch, kept until another size is asked for."""
        if self._window == (steps, batch):
            return
        zeros = self.kernels.zeros
        self.stack.allocate(steps, batch)
        self.logits = zeros((steps, batch, self.shape.vocab), self.dtype)
        self.losses = zeros((steps, batch), self.dtype)
        self._no_dy = zeros((steps, batch, 0), self.dtype)
        self._top = self.stack.dy  # until the first window has been run
        self._window = (steps, batch)

    def window_bytes(self) -> int:
        """What the arrays of the allocated window take, apart from weights, gradients and moments."""
        return int(self.stack.window_bytes() + self.logits.nbytes + self.losses.nbytes)

    def run(self, rows: Rows, training: Training | None) -> None:
        """Forward, and when training backward, of some batch rows through all layers: they never meet the others."""
        dropout, scale = training or Training()
        self._top = self.stack.forward(rows, dropout)
        dy = self._no_dy if training is None else self.stack.dy
        self.out.cross_entropy(rows, self._top, self._targets, scale, self.logits, self.losses, dy)
        if training is not None:
            self.stack.backward(rows, dropout)

    def accumulate(self, part: Part) -> None:
        """Add this part of the weight gradients of the window."""
        self.stack.accumulate(part)
        self.out.accumulate(part, self.logits, self._top)

    def _run(self, x: Array, y: Array, starts: Array | None, state: State, training: Training | None) -> None:
        self.load(x, y, starts)
        self.set_state(state)
        self.pool.together(lambda part: self.pack(part, training is not None))
        self.pool.together(lambda part: self.run(part.range(x.shape[1]), training))
        self.get_state(state)
