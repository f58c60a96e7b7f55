"""What every model can do, and what most of them share."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from ...config import Config
from ...data.examples.dataset import Batch, SplitBatch
from ...kernels import backend
from ...kernels.cpu.thread_pool import Part, Pool
from ...shapes import StackShape
from ..initialisation import Shape
from ..layers import Linear, Rows
from ..matmul_mode import packed_type
from ..network import Training
from ..parameters import Array, Parameters
from ..spec import ModelSpec, parameter_shapes
from ..stack import Dropout, State


class Model(Protocol):
    """What training needs of a model: this, and `fastrnn.nn.network.Network`, the language model."""

    parameters: Parameters
    gradients: Parameters
    pool: Pool
    kernels: Any
    dtype: np.dtype[Any]

    @property
    def shape(self) -> Shape:
        """For `initialise`."""

    def initial_state(self, batch: int) -> State:
        """What is carried from window to window; nothing for records."""

    def train_step_gradients(
        self, window: Any, state: State, keep: float = 1.0, key: int = 0, place: Rows = (0, 0)
    ) -> float:
        """The mean loss per scored position; its gradient goes to ``gradients``.

        keep < 1: dropout, drawn from ``key``; ``place``: as `Dropout` has it, the first of the window's rows in a
        larger batch, and that one's size. The same window, state, key and place give the same bits.
        """


@dataclass(frozen=True)
class SupervisedShape:
    """What initialisation must know."""

    cell: str
    tables: tuple[str, ...]
    small_tables: tuple[str, ...]


class SupervisedModel:
    """A model of a labelled task: parameters, and the arrays to run a `Batch`. Not for two threads at once.

    A batch's rows never meet, but for the words of tag: each thread takes its rows through everything.
    """

    small_tables: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        config: Config,
        signature: ModelSpec,
        threads: int | None = None,
        sharing: "SupervisedModel | None" = None,
        matmul_mode: str | None = None,
    ) -> None:
        """``sharing``: another model of the same kind whose parameters and threads this one uses."""
        self.config, self.signature = config, signature
        self.kernels = backend.load(config.device)
        backend.check(config.device, config.task)
        self.dtype: np.dtype[Any] = np.dtype(config.dtype)
        self.matmul_mode = matmul_mode or config.matmul_mode
        self.packed = packed_type(self.kernels, self.dtype, self.matmul_mode, config.hidden or 0)
        shapes = parameter_shapes(config, signature)
        self.pool: Pool = sharing.pool if sharing else self.kernels.Pool(threads or config.threads)
        self.parameters: Parameters = sharing.parameters if sharing else Parameters(shapes, self.dtype)
        self.gradients = Parameters(shapes, self.dtype)
        self._build()

    def with_shared_parameters(self, matmul_mode: str | None = None) -> "SupervisedModel":
        """The same model with arrays of its own for other batches."""
        return type(self)(self.config, self.signature, sharing=self, matmul_mode=matmul_mode or self.matmul_mode)

    @property
    def shape(self) -> SupervisedShape:
        """For `initialise`."""
        stacks = [table for shape in self._stack_shapes() for table in shape.tables]
        return SupervisedShape(self.config.cell, (*stacks, "embed.weight"), self.small_tables)

    def initial_state(self, batch: int) -> State:
        """Nothing: each record starts from zero, or from what is given."""
        return {}

    def train_step_gradients(
        self, window: Batch | SplitBatch, state: State, keep: float = 1.0, key: int = 0, place: Rows = (0, 0)
    ) -> float:
        """The mean loss per scored position, in nats or half squared errors; its gradient goes to ``gradients``.

        keep < 1: dropout, drawn from ``key`` and ``place``. ``state`` is not used. The gradients of a batch's parts
        are added up: each position counts the same, as if the batch had been run whole.
        """
        scored, dropout = max(1, window.count), Dropout(keep, key, *place)
        if isinstance(window, SplitBatch):
            return self._learn_parts(window, dropout, scored) / scored
        return self._learn(window, Training(dropout, 1 / scored)) / scored

    def _learn(self, batch: Batch, training: Training) -> float:
        """The sum of the losses of a batch; its gradient goes to ``gradients``."""
        self._run(batch, training)
        self.pool.together(self._accumulate)
        return self._total()

    def _learn_parts(self, window: SplitBatch, dropout: Dropout, scored: int) -> float:
        """The same of a batch in parts, each with the dropout masks of its rows' place."""
        dropout = dropout._replace(batch=dropout.batch or len(window.lengths))
        total, gradient = 0.0, np.zeros_like(self.gradients.flat)
        for part in window.parts:
            total += self._learn(part, Training(dropout, 1 / scored))
            gradient += self.gradients.flat  # which the next part clears
            dropout = dropout._replace(begin=dropout.begin + len(part.lengths))
        self.gradients.flat[...] = gradient
        return total

    def losses(self, batch: Batch) -> tuple[float, int]:
        """The sum of the losses of a batch, and how many positions are scored."""
        self._run(batch, None)
        return self._total(), batch.count

    def predict(self, batch: Batch) -> Array:
        """The answer: log-probabilities of classes, numbers, or probabilities of bits; see each model."""
        raise NotImplementedError

    def _linear(self, name: str) -> Linear:
        weight, bias = f"{name}.weight", f"{name}.bias"
        return Linear(self.kernels, weight, bias, self.parameters, self.gradients, self.packed)

    def _build(self) -> None:
        """Make the parts."""
        raise NotImplementedError

    def _stack_shapes(self) -> list[StackShape]:
        raise NotImplementedError

    def _run(self, batch: Batch, training: Training | None) -> None:
        """Losses of a batch; for training also everything that `_accumulate` needs."""
        raise NotImplementedError

    def _total(self) -> float:
        """The sum of the losses of the last batch."""
        raise NotImplementedError

    def _pack_weights(self, part: Part, backward: bool) -> None:
        raise NotImplementedError

    def _accumulate(self, part: Part) -> None:
        raise NotImplementedError

    def _pack(self, backward: bool) -> None:
        """All weights into the kernels' form; for training also clear the gradients."""

        def pack(part: Part) -> None:
            self._pack_weights(part, backward)
            if backward:
                lo, hi = part.range(self.gradients.flat.size)
                self.gradients.flat[lo:hi] = 0

        self.pool.together(pack)
