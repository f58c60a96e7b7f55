"""One answer for each step of a sequence, or one for the whole of it: stack -> (summary) -> linear map -> loss."""

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
    """regress: numbers, or probabilities of bits, (T, B, K) at each step. One to one where T is 1."""

    def _build(self) -> None:
        self.encoder = SequenceEncoder(
            self.kernels, self.config, self.signature, "rnn", self.parameters, self.gradients, self.packed
        )
        self.head = OutputHead(self.kernels, self._linear("out"), self._kind())

    def _kind(self) -> str:
        return BITS if self.signature.binary else NUMBERS

    def _stack_shapes(self) -> list[StackShape]:
        return [self.encoder.stack.shape]

    def predict(self, batch: Batch, state: State | None = None) -> Array:
        """(T, B, K); what stands in the padding means nothing.

        ``state``, name -> (L, B, H): where rows without padding go on from; carried on in place. For one direction.
        """
        self._load(batch, None)
        if state is not None:
            self.encoder.stack.set_state(state)
        self._pack(False)
        self._read()
        self.pool.together(lambda part: self._answer(part.range(len(batch.lengths))))
        if state is not None:
            self.encoder.stack.get_state(state)
        return self.head.outputs.copy()

    def _read(self) -> None:
        """What is to be done before the rows go their ways."""

    def _load(self, batch: Batch, training: Training | None) -> None:
        self.encoder.load(batch.x, batch.lengths)
        steps, rows = batch.x.shape[:2]
        self.head.load(steps, rows, batch.y)

    def _run(self, batch: Batch, training: Training | None) -> None:
        self._load(batch, training)
        self._pack(training is not None)
        self.pool.together(lambda part: self._rows(part.range(len(batch.lengths)), training))

    def _rows(self, rows: Rows, training: Training | None) -> None:
        """Forward, and when training backward, of some batch rows."""
        dropout, scale = training or Training()
        top, dy = self.encoder.forward(rows, dropout), self.encoder.stack.dy
        self.head.loss(rows, top, scale, None if training is None else dy)
        if training is not None:
            self.encoder.backward(rows, dropout)

    def _answer(self, rows: Rows) -> None:
        self.head.answer(rows, self.encoder.forward(rows, Dropout()))

    def _total(self) -> float:
        return float(self.head.losses.sum(dtype=np.float64))

    def _pack_weights(self, part: Part, backward: bool) -> None:
        self.encoder.pack(part, backward)
        self.head.linear.pack(part, backward)

    def _accumulate(self, part: Part) -> None:
        self.encoder.accumulate(part)
        self.head.accumulate(part)


class SymbolTagger(PerStepModel):
    """tag, where the words are symbols that are not spelt: log-probabilities (T, B, K)."""

    def _kind(self) -> str:
        return CLASSES


class ForecastModel(PerStepModel):
    """forecast: numbers (B, K) from the last output of the stack."""

    def predict(self, batch: Batch, state: State | None = None) -> Array:
        """(B, K)."""
        found: Array = super().predict(batch, state)[0]
        return found

    def _load(self, batch: Batch, training: Training | None) -> None:
        self.encoder.load(batch.x, batch.lengths)
        rows, width = len(batch.lengths), self.head.linear.inputs
        self._summary: Array = self.kernels.zeros((1, rows, width), self.dtype)
        self._dsummary: Array = self.kernels.zeros((1, rows, width), self.dtype)
        self.head.load(1, rows, None if batch.y is None else batch.y[None])

    def _rows(self, rows: Rows, training: Training | None) -> None:
        dropout, scale = training or Training()
        self._summarise(rows, dropout)
        self.head.loss(rows, self._summary, scale, None if training is None else self._dsummary)
        if training is not None:
            stack, lengths = self.encoder.stack, self.encoder.rows.lengths
            self.kernels.pool_backward(stack.dy, self._dsummary, lengths, stack.shape.hidden, *rows)
            self.encoder.backward(rows, dropout)

    def _answer(self, rows: Rows) -> None:
        self._summarise(rows, Dropout())
        self.head.answer(rows, self._summary)

    def _summarise(self, rows: Rows, dropout: Dropout) -> None:
        top, stack = self.encoder.forward(rows, dropout), self.encoder.stack
        self.kernels.pool_sequence(self._summary, top, self.encoder.rows.lengths, stack.shape.hidden, *rows)


class Classifier(ForecastModel):
    """classify: log-probabilities (B, K) from the last output of each direction and the mean over all steps."""

    small_tables = ("embed.weight",)

    def _kind(self) -> str:
        return CLASSES
