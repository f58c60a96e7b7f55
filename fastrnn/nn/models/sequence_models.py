"""Models with one output per step or per sequence: stack -> (summary) -> linear layer -> loss."""

import numpy as np

from ...data.examples.dataset import Batch
from ...kernels.cpu.thread_pool import Part
from ...shapes import StackShape
from ..encoder import SequenceEncoder
from ..heads import BITS, CLASSES, NUMBERS, OutputHead
from ..layers import Rows
from ..network import Training
from ..parameters import Array
from ..stack import Dropout, State
from .base import SupervisedModel


class PerStepModel(SupervisedModel):
    """regress: numbers, or probabilities of bits, (T, B, K); one output per example where T is 1."""

    # Set by `_build`.
    encoder: SequenceEncoder
    head: OutputHead

    def _build(self) -> None:
        self.encoder = SequenceEncoder(self.weights, self.config, self.spec, "rnn")
        self.head = OutputHead(self._make_linear("out"), self._output_kind())

    def _output_kind(self) -> str:
        """Return the kind of `OutputHead`."""
        return BITS if self.spec.binary else NUMBERS

    def _stack_shapes(self) -> list[StackShape]:
        return [self.encoder.stack.shape]

    def predict(self, batch: Batch, state: State | None = None) -> Array:
        """Return the outputs (T, B, K); those of padding are meaningless.

        Args:
            batch: Inputs.
            state: Initial state of rows without padding, name -> (L, B, H), replaced by the final
                state. For unidirectional stacks. Default: zero.
        """
        self._load(batch, None)
        if state is not None:
            self.encoder.stack.set_state(state)
        self._pack(False)
        self._prepare()
        self.pool.together(lambda part: self._predict_rows(part.range(len(batch.lengths))))
        if state is not None:
            self.encoder.stack.get_state(state)
        return self.head.outputs.copy()

    def _prepare(self) -> None:
        """Prepare `predict`, before threads divide the rows."""

    def _load(self, batch: Batch, training: Training | None) -> None:
        """Set the batch of the next pass."""
        self.encoder.load(batch.x, batch.lengths)
        steps, rows = batch.x.shape[:2]
        self.head.load(steps, rows, batch.y)

    def _run(self, batch: Batch, training: Training | None) -> None:
        self._load(batch, training)
        self._pack(training is not None)
        self.pool.together(lambda part: self._run_rows(part.range(len(batch.lengths)), training))

    def _run_rows(self, rows: Rows, training: Training | None) -> None:
        """Run some batch rows forward, and for training backward."""
        dropout, scale = training or Training()
        top = self.encoder.forward(rows, dropout)
        dy = None if training is None else self.encoder.stack.dy
        self.head.loss(rows, top, scale, dy)
        if training is not None:
            self.encoder.backward(rows, dropout)

    def _predict_rows(self, rows: Rows) -> None:
        self.head.predict(rows, self.encoder.forward(rows, Dropout()))

    def _sum_losses(self) -> float:
        return float(self.head.losses.sum(dtype=np.float64))

    def _pack_weights(self, part: Part, backward: bool) -> None:
        self.encoder.pack(part, backward)
        self.head.linear.pack(part, backward)

    def _accumulate(self, part: Part) -> None:
        self.encoder.accumulate(part)
        self.head.accumulate(part, self._head_input())

    def _head_input(self) -> Array:
        """Return the input of the head in the last batch, (T, B, M)."""
        return self.encoder.stack.outputs


class SymbolTagger(PerStepModel):
    """tag, where every word is a single character: log-probabilities (T, B, K)."""

    def _output_kind(self) -> str:
        return CLASSES


class FinalOutputModel(PerStepModel):
    """forecast: numbers (B, K) from the final output of the stack."""

    # Input of the head and its gradient, (1, B, M), set by `_load`.
    _summary: Array
    _dsummary: Array

    def predict(self, batch: Batch, state: State | None = None) -> Array:
        """Return the outputs (B, K)."""
        outputs: Array = super().predict(batch, state)[0]
        return outputs

    def _load(self, batch: Batch, training: Training | None) -> None:
        self.encoder.load(batch.x, batch.lengths)
        rows, width = len(batch.lengths), self.head.linear.inputs
        self._summary = self.kernels.zeros((1, rows, width), self.dtype)
        self._dsummary = self.kernels.zeros((1, rows, width), self.dtype)
        self.head.load(1, rows, None if batch.y is None else batch.y[None])

    def _run_rows(self, rows: Rows, training: Training | None) -> None:
        dropout, scale = training or Training()
        self._summarise(rows, dropout)
        self.head.loss(rows, self._summary, scale, None if training is None else self._dsummary)
        if training is not None:
            stack, lengths = self.encoder.stack, self.encoder.rows.lengths
            self.kernels.pool_backward(stack.dy, self._dsummary, lengths, stack.shape.hidden, *rows)
            self.encoder.backward(rows, dropout)

    def _predict_rows(self, rows: Rows) -> None:
        self._summarise(rows, Dropout())
        self.head.predict(rows, self._summary)

    def _head_input(self) -> Array:
        return self._summary

    def _summarise(self, rows: Rows, dropout: Dropout) -> None:
        """Compute the summary of some rows: final outputs and, if the head has room, means."""
        top = self.encoder.forward(rows, dropout)
        stack = self.encoder.stack
        self.kernels.pool_sequence(self._summary, top, self.encoder.rows.lengths, stack.shape.hidden, *rows)


class Classifier(FinalOutputModel):
    """classify: log-probabilities (B, K) from the final output of each direction and the mean over time."""

    small_tables = ("embed.weight",)

    def _output_kind(self) -> str:
        return CLASSES
