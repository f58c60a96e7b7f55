"""`SupervisedModel`, the base class of the supervised tasks' models, and `SequenceEncoder`, a part of most of them."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...config import Config
from ...data.examples.dataset import Batch, SplitBatch
from ...kernels import backend
from ...kernels.cpu.thread_pool import Part, Pool
from ...shapes import StackShape
from ..layers import Linear, Rows
from ..matmul_mode import packed_dtype
from ..network import TrainingPass
from ..parameters import Array, ModelWeights, Parameters
from ..spec import ModelSpec, has_embeddings, input_stack, parameter_shapes
from ..stack import NO_DROPOUT, Dropout, Stack, State, pad_left
from ..weight_dropout import WeightDropout


class SequenceEncoder:
    """A `Stack` over right-aligned rows, with its input.

    Word embeddings, rows of ``embed.weight`` (V, E), fill columns 0..E of `x`. A model may fill
    further columns (tag: the outputs of the character stack). Characters are one-hot.
    """

    def __init__(self, weights: ModelWeights, config: Config, spec: ModelSpec, prefix: str) -> None:
        self.kernels = weights.kernels
        self.stack = Stack(weights, input_stack(config, spec, prefix))
        self.tokens = spec.tokens
        self.has_embeddings = has_embeddings(config, spec)
        if self.has_embeddings:
            self.table = weights.parameters["embed.weight"]
            self._dtable = weights.gradients["embed.weight"]

        # See `set_input`: (T, B), the padding and the ids (T, B); with embeddings also the stack's input
        # and its gradient, (T, B, F).
        self._window = (0, 0)
        self.rows = pad_left(0, ())
        self._ids = np.zeros((0, 0), np.int32)
        self.x, self.dx = self._window_arrays(0, 0)

    @property
    def embedding_size(self) -> int:
        """E, the number of columns of `x` that hold embeddings."""
        return self.table.shape[1] if self.has_embeddings else 0

    def set_input(self, x: Array, lengths: Array) -> None:
        """Set the next window: ids (T, B) or numbers (T, B, F), right-aligned, of lengths (B,)."""
        steps, batch = x.shape[:2]
        self.rows = pad_left(steps, lengths)
        self.stack.allocate(steps, batch)
        if self._window != (steps, batch) and self.has_embeddings:
            self.x, self.dx = self._window_arrays(steps, batch)
        self._window = (steps, batch)
        self._ids = np.ascontiguousarray(x, np.int32) if self.tokens else np.zeros((steps, batch), np.int32)

        dense_input: Array | None = None
        if self.has_embeddings:
            dense_input = self.x  # filled by `forward`
        elif not self.stack.shape.one_hot:
            # A dense layer has no input table, so one-hot vectors are made explicitly.
            numbers = np.eye(self.tokens)[self._ids] if self.tokens else x
            dense_input = np.ascontiguousarray(numbers, self.stack.dtype)
        self.stack.set_input(self._ids, dense_input, rows=self.rows)
        self.stack.set_state(self.stack.zero_state(batch))

    def _window_arrays(self, steps: int, batch: int) -> tuple[Array, Array]:
        size = (steps, batch, self.stack.shape.inputs)
        return self.kernels.zeros(size, self.stack.dtype), self.kernels.zeros(size, self.stack.dtype)

    def pack(self, part: Part, backward: bool) -> None:
        """Pack this part of the weights."""
        self.stack.pack(part, backward)

    def forward(self, rows: Rows, dropout: Dropout) -> Array:
        """Return the outputs (T, B, D*H) of the stack."""
        if self.has_embeddings:
            self.kernels.embedding_forward(self.x, 0, self.table, self._ids, *rows)
        return self.stack.forward(rows, dropout)

    def backward(self, rows: Rows, dropout: Dropout, dstate: State | None = None) -> None:
        """Run backward from ``stack.dy``, of the outputs, and ``dstate``, of the final state.

        With embeddings, `dx` receives the gradient of `x`.
        """
        self.stack.backward(rows, dropout, self.dx if self.has_embeddings else None, dstate)

    def accumulate(self, part: Part) -> None:
        """Add this part of the weight gradients."""
        self.stack.accumulate(part)
        if self.has_embeddings:
            self.kernels.embedding_backward(self._dtable, self.dx, 0, self._ids, *part.range(self.embedding_size))


@dataclass(frozen=True)
class SupervisedShape:
    """The properties that initialisation needs, see `fastrnn.nn.parameters.Shape`."""

    cell: str
    tables: tuple[str, ...]
    small_tables: tuple[str, ...]


class SupervisedModel:
    """A model of a supervised task: parameters, gradients, and the arrays to run a `Batch`.

    Not thread-safe: it runs its own pool of threads. Batch rows are independent, except for the
    words of tag: each thread runs its rows through the whole model.

    Args:
        config: Configuration with ``hidden`` set.
        spec: Sizes of inputs and outputs.
        threads: Number of threads; default: that of ``config``.
        share_with: A model of the same class whose parameters and threads are used instead of new
            ones.
        matmul_mode: Precision of matrix products; default: that of ``config``.
    """

    small_tables: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        config: Config,
        spec: ModelSpec,
        threads: int | None = None,
        share_with: "SupervisedModel | None" = None,
        matmul_mode: str | None = None,
    ) -> None:
        self.config = config
        self.spec = spec
        self.kernels = backend.load(config.device)
        backend.check(config.device, config.task, cell=config.cell)
        self.dtype: np.dtype[Any] = np.dtype(config.dtype)
        self.matmul_mode = matmul_mode or config.matmul_mode
        self.packed = packed_dtype(self.kernels, self.dtype, self.matmul_mode, config.hidden or 0)
        shapes = parameter_shapes(config, spec)
        self.pool: Pool = share_with.pool if share_with else self.kernels.Pool(threads or config.threads)
        self.parameters: Parameters = share_with.parameters if share_with else Parameters(shapes, self.dtype)
        # Never shared: an evaluation beside a training must not overwrite its gradients.
        self.gradients = self.parameters.zeros_like()
        self.weight_dropout = WeightDropout(self.kernels, self.parameters, self.gradients)
        self.weights = ModelWeights(
            self.kernels, self.parameters, self.gradients, self.packed, self.weight_dropout.dropped
        )
        self._stays_packed = False  # see `pack_once`

    def with_shared_parameters(self, matmul_mode: str | None = None) -> "SupervisedModel":
        """Return a model with these parameters and separate arrays, for another size or mode."""
        return type(self)(self.config, self.spec, share_with=self, matmul_mode=matmul_mode or self.matmul_mode)

    @property
    def shape(self) -> SupervisedShape:
        """The properties that `initialise` needs."""
        stacks = [table for shape in self._stack_shapes() for table in shape.tables]
        return SupervisedShape(self.config.cell, (*stacks, "embed.weight"), self.small_tables)

    def initial_state(self, batch: int) -> State:
        """Return an empty state: no example depends on the one before it."""
        return {}

    def train_step_gradients(self, window: Batch | SplitBatch, state: State, dropout: Dropout = NO_DROPOUT) -> float:
        """Return the mean loss over scored positions, in nats or half squared errors.

        Its gradient replaces `gradients`. A `SplitBatch` gives the gradient of the undivided batch:
        each position has the same weight. (Not its dropout masks, if its parts differ in length.) See
        `Model.train_step_gradients`; ``state`` is not used.
        """
        scored = max(1, window.count)
        self.weight_dropout.start(self.pool, dropout.weight_keep_prob, dropout.key)
        if isinstance(window, SplitBatch):
            loss = self._forward_backward_parts(window, dropout, scored)
        else:
            loss = self._forward_backward(window, TrainingPass(dropout, 1 / scored))
        self.weight_dropout.finish(self.pool)
        return loss / scored

    def _forward_backward(self, batch: Batch, training: TrainingPass) -> float:
        """Return the sum of the losses of a batch; its scaled gradient replaces `gradients`."""
        self._run(batch, training)
        self.pool.together(self._accumulate)
        return self._sum_losses()

    def _forward_backward_parts(self, window: SplitBatch, dropout: Dropout, scored: int) -> float:
        """Do the same for a batch in parts; each has the dropout masks of its rows, see `Dropout`."""
        dropout = dropout._replace(batch=dropout.batch or len(window.lengths))
        total = 0.0
        gradient = np.zeros_like(self.gradients.flat)
        for part in window.parts:
            total += self._forward_backward(part, TrainingPass(dropout, 1 / scored))
            gradient += self.gradients.flat  # the next part overwrites it
            dropout = dropout._replace(begin=dropout.begin + len(part.lengths))
        self.gradients.flat[...] = gradient
        return total

    def losses(self, batch: Batch) -> tuple[float, int]:
        """Return the sum of the losses of a batch and the number of scored positions."""
        self._run(batch, None)
        return self._sum_losses(), batch.count

    def predict(self, batch: Batch) -> Array:
        """Return log-probabilities, numbers or probabilities of bits, see each model."""
        raise NotImplementedError

    def pack_once(self) -> None:
        """Pack the weights now, and not again in `predict`, which later changes of the weights do not affect.

        For many short predictions.
        """
        self._pack(False)
        self._stays_packed = True

    def _make_linear(self, name: str) -> Linear:
        """Return a linear layer with the parameters ``name.weight`` and ``name.bias``."""
        weight, bias = f"{name}.weight", f"{name}.bias"
        return Linear(self.weights, weight, bias)

    def _stack_shapes(self) -> list[StackShape]:
        """Return the shapes of all stacks."""
        raise NotImplementedError

    def _run(self, batch: Batch, training: TrainingPass | None) -> None:
        """Compute the losses of a batch; for training also all inputs of `_accumulate`."""
        raise NotImplementedError

    def _sum_losses(self) -> float:
        """Return the sum of the losses of the last batch."""
        raise NotImplementedError

    def _pack_weights(self, part: Part, backward: bool) -> None:
        """Pack this part of the weights; with ``backward`` also their transposes."""
        raise NotImplementedError

    def _accumulate(self, part: Part) -> None:
        """Add this part of the weight gradients."""
        raise NotImplementedError

    def _pack(self, backward: bool) -> None:
        """Pack all weights; for training also zero the gradients."""
        if self._stays_packed and not backward:
            return

        def pack(part: Part) -> None:
            self._pack_weights(part, backward)
            if backward:
                lo, hi = part.range(self.gradients.flat.size)
                self.gradients.flat[lo:hi] = 0

        self.pool.together(pack)
