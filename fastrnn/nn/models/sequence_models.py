"""Models with one output per step or per sequence: stack -> (summary) -> linear layer -> loss.

The tagger joins word embeddings with character-level encodings, so that unknown words work too.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...config import Config
from ...data.examples.dataset import Batch
from ...data.examples.symbol_vocab import UNKNOWN
from ...kernels.cpu.thread_pool import Part
from ...shapes import StackShape
from ..layers import Linear, Rows
from ..network import TrainingPass
from ..parameters import Array
from ..spec import ModelSpec, spelling_stack
from ..stack import NO_DROPOUT, Dropout, Stack, State, pad_left
from .base import SequenceEncoder, SupervisedModel

CLASSES, NUMBERS, BITS = "classes", "numbers", "bits"
# Fraction of words replaced by the unknown word in training, which otherwise would not occur there.
_WORD_DROPOUT = 0.1
# Makes the dropout masks of the character stack differ from those of the word stack.
_SPELLING_KEY = 0x9E3779B1


class OutputHead:
    """A linear layer with K outputs and one of three losses (`fastrnn.kernels.cpu.output_losses`).

    Args:
        linear: The linear layer.
        kind: `CLASSES`: softmax and cross-entropy; `NUMBERS`: half the squared error; `BITS`:
            sigmoid and binary cross-entropy.
    """

    def __init__(self, linear: Linear, kind: str) -> None:
        self.kernels = linear.kernels
        self.linear = linear
        self.kind = kind

        # See `set_targets`: (T, B), outputs (T, B, K), losses (T, B), dx without columns, the targets.
        self._window = (0, 0)
        self.outputs, self.losses, self._no_dx = self._window_arrays(0, 0)
        self._targets: Array | None = None

    def set_targets(self, steps: int, batch: int, targets: Array | None) -> None:
        """Set the targets of the next window.

        Args:
            steps: T.
            batch: B.
            targets: Classes (T, B), -1 where not scored; numbers or bits (T, B, K), NaN where not
                scored. None: `predict` only.
        """
        if self._window != (steps, batch):
            self._window = (steps, batch)
            self.outputs, self.losses, self._no_dx = self._window_arrays(steps, batch)
        target_dtype = np.int32 if self.kind == CLASSES else self.linear.dtype
        self._targets = None if targets is None else np.ascontiguousarray(targets, target_dtype)

    def _window_arrays(self, steps: int, batch: int) -> tuple[Array, Array, Array]:
        zeros, dtype = self.kernels.zeros, self.linear.dtype
        outputs = zeros((steps, batch, self.linear.outputs), dtype)
        return outputs, zeros((steps, batch), dtype), zeros((steps, batch, 0), dtype)

    def loss(self, rows: Rows, x: Array, scale: float, dx: Array | None) -> None:
        """Compute `losses` (T, B) from x (T, B, M).

        `outputs` receives the gradient of the linear layer's output times ``scale``; dx (T, B, M),
        unless None, that of x.
        """
        assert self._targets is not None
        if self.kind == CLASSES:
            wanted_dx = self._no_dx if dx is None else dx
            self.linear.cross_entropy(rows, x, self._targets, scale, self.outputs, self.losses, wanted_dx)
            return

        score = self.kernels.squared_error if self.kind == NUMBERS else self.kernels.binary_cross_entropy
        self.linear.forward(rows, x, self.outputs)
        score(self.outputs, self._targets, self.linear.dtype.type(scale), self.losses, *rows)
        if dx is not None:
            self.linear.backward(rows, self.outputs, dx)

    def predict(self, rows: Rows, x: Array) -> None:
        """Compute `outputs` (T, B, K): log-probabilities of classes, numbers, or probabilities of bits."""
        self.linear.forward(rows, x, self.outputs)
        if self.kind == CLASSES:
            self.kernels.log_softmax(self.outputs, *rows)
        elif self.kind == BITS:
            self.kernels.probabilities(self.outputs, *rows)

    def accumulate(self, part: Part, x: Array) -> None:
        """Add this part of the weight gradients, after `loss` of x (T, B, M)."""
        self.linear.accumulate(part, self.outputs, x)


class PerStepModel(SupervisedModel):
    """regress: numbers, or probabilities of bits, (T, B, K); one output per example where T is 1.

    ``options``: ``threads``, ``share_with`` and ``matmul_mode`` of `SupervisedModel`.
    """

    def __init__(self, config: Config, spec: ModelSpec, **options: Any) -> None:
        super().__init__(config, spec, **options)
        self.encoder = SequenceEncoder(self.weights, config, spec, "rnn")
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

    def _load(self, batch: Batch, training: TrainingPass | None) -> None:
        """Set the batch of the next pass."""
        self.encoder.set_input(batch.x, batch.lengths)
        steps, rows = batch.x.shape[:2]
        self.head.set_targets(steps, rows, batch.y)

    def _run(self, batch: Batch, training: TrainingPass | None) -> None:
        self._load(batch, training)
        self._pack(training is not None)
        self.pool.together(lambda part: self._run_rows(part.range(len(batch.lengths)), training))

    def _run_rows(self, rows: Rows, training: TrainingPass | None) -> None:
        """Run some batch rows forward, and for training backward."""
        dropout, scale = training or TrainingPass()
        top = self.encoder.forward(rows, dropout)
        dy = None if training is None else self.encoder.stack.dy
        self.head.loss(rows, top, scale, dy)
        if training is not None:
            self.encoder.backward(rows, dropout)

    def _predict_rows(self, rows: Rows) -> None:
        self.head.predict(rows, self.encoder.forward(rows, NO_DROPOUT))

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

    def __init__(self, config: Config, spec: ModelSpec, **options: Any) -> None:
        super().__init__(config, spec, **options)
        # Input of the head and its gradient, (1, B, M), see `_load`.
        self._summary, self._dsummary = self._summary_arrays(0)

    def _summary_arrays(self, rows: int) -> tuple[Array, Array]:
        size = (1, rows, self.head.linear.inputs)
        return self.kernels.zeros(size, self.dtype), self.kernels.zeros(size, self.dtype)

    def predict(self, batch: Batch, state: State | None = None) -> Array:
        """Return the outputs (B, K)."""
        outputs: Array = super().predict(batch, state)[0]
        return outputs

    def _load(self, batch: Batch, training: TrainingPass | None) -> None:
        self.encoder.set_input(batch.x, batch.lengths)
        rows = len(batch.lengths)
        self._summary, self._dsummary = self._summary_arrays(rows)
        self.head.set_targets(1, rows, None if batch.y is None else batch.y[None])

    def _run_rows(self, rows: Rows, training: TrainingPass | None) -> None:
        dropout, scale = training or TrainingPass()
        self._summarise(rows, dropout)
        self.head.loss(rows, self._summary, scale, None if training is None else self._dsummary)
        if training is not None:
            stack, lengths = self.encoder.stack, self.encoder.rows.lengths
            self.kernels.pool_backward(stack.dy, self._dsummary, lengths, stack.shape.hidden, *rows)
            self.encoder.backward(rows, dropout)

    def _predict_rows(self, rows: Rows) -> None:
        self._summarise(rows, NO_DROPOUT)
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


class WordGroup(NamedTuple):
    """Distinct words that are padded to the same length.

    Args:
        ids: Character ids (Tc, U), right-aligned.
        lengths: Lengths (U,) of the words, int64.
        first: Index of the first of them among all distinct words of the batch.
    """

    ids: Array
    lengths: Array
    first: int


class DistinctWords(NamedTuple):
    """The U distinct words of a batch.

    Args:
        groups: Their characters.
        word_of: Index (T, B) of the word at each position, int32.
        encodings: Encodings (1, U, W) of the words.
        dencodings: Their gradients.
    """

    groups: list[WordGroup]
    word_of: Array
    encodings: Array
    dencodings: Array


class Tagger(PerStepModel):
    """tag: log-probabilities (T, B, K).

    A bidirectional stack encodes the characters of each distinct word of a batch once; the final
    outputs of both directions are concatenated with the word's embedding at each occurrence
    (Ling et al. 2015).
    """

    def __init__(self, config: Config, spec: ModelSpec, **options: Any) -> None:
        super().__init__(config, spec, **options)
        self.spelling = Stack(self.weights, spelling_stack(config, spec))
        # Of the loaded batch, see `_load`.
        self._words = DistinctWords([], np.zeros((0, 0), np.int32), *self._encoding_arrays(0))

    def _encoding_arrays(self, words: int) -> tuple[Array, Array]:
        size = (1, words, self.spelling.shape.outputs)
        return self.kernels.zeros(size, self.dtype), self.kernels.zeros(size, self.dtype)

    def _output_kind(self) -> str:
        return CLASSES

    def _stack_shapes(self) -> list[StackShape]:
        return [*super()._stack_shapes(), self.spelling.shape]

    def _prepare(self) -> None:
        for group in self._words.groups:
            self._spell_group(group, NO_DROPOUT)

    def _load(self, batch: Batch, training: TrainingPass | None) -> None:
        if training is not None and training.dropout.keep_prob < 1:
            # Parts of a batch begin at different rows and so draw different numbers.
            rng = np.random.default_rng(training.dropout.key + (training.dropout.begin << 32))
            batch = replace(batch, x=np.where(rng.random(batch.x.shape) < _WORD_DROPOUT, UNKNOWN, batch.x))
        super()._load(batch, training)
        assert batch.spelling_lengths is not None

        groups: list[WordGroup] = []
        words = 0
        for ids in batch.spelling:
            lengths = np.ascontiguousarray(batch.spelling_lengths[words : words + ids.shape[1]], np.int64)
            groups.append(WordGroup(np.ascontiguousarray(ids, np.int32), lengths, words))
            words += len(lengths)
        word_of = np.ascontiguousarray(batch.word_of, np.int32)
        self._words = DistinctWords(groups, word_of, *self._encoding_arrays(words))

    def _run(self, batch: Batch, training: TrainingPass | None) -> None:
        self._load(batch, training)
        self._pack(training is not None)
        dropout = training.dropout if training else NO_DROPOUT
        dropout = dropout._replace(key=dropout.key ^ _SPELLING_KEY)

        for group in self._words.groups:
            self._spell_group(group, dropout)
        self.pool.together(lambda part: self._run_rows(part.range(len(batch.lengths)), training))

        if training is not None:
            # All rows must be done: an occurrence of a word may be in any of them.
            self.pool.together(self._gather_spelling)
            for group in self._words.groups:
                self._spell_group_backward(group, dropout)

    def _spell_group(self, group: WordGroup, dropout: Dropout) -> None:
        """Encode the characters of a group; threads divide its words."""
        letters, count = group.ids.shape
        self.spelling.allocate(letters, count)
        self.spelling.set_input(group.ids, None, rows=pad_left(letters, group.lengths))
        self.spelling.set_state(self.spelling.zero_state(count))

        encodings = self._words.encodings[:, group.first : group.first + count]
        dropout = self._group_dropout(group, dropout)
        self.pool.together(lambda part: self._spell(part.range(count), group, encodings, dropout))

    def _spell_group_backward(self, group: WordGroup, dropout: Dropout) -> None:
        """Run the character stack backward; with several groups also add the weight gradients."""
        count = group.ids.shape[1]
        has_several = len(self._words.groups) > 1
        # The stack's arrays hold the last group's forward pass: repeat this group's.
        if has_several:
            self._spell_group(group, dropout)

        dencodings = self._words.dencodings[:, group.first : group.first + count]
        dropout = self._group_dropout(group, dropout)
        self.pool.together(lambda part: self._spell_backward(part.range(count), group, dencodings, dropout))
        if has_several:
            self.pool.together(self.spelling.accumulate)

    def _group_dropout(self, group: WordGroup, dropout: Dropout) -> Dropout:
        """Return the dropout with the masks of the group's position among all distinct words."""
        if len(self._words.groups) == 1:
            return dropout
        return dropout._replace(begin=dropout.begin + group.first, batch=self._words.encodings.shape[1])

    def _spell(self, words: Rows, group: WordGroup, encodings: Array, dropout: Dropout) -> None:
        """Compute ``encodings`` (1, U, W) of some words of the group in the stack."""
        top = self.spelling.forward(words, dropout)
        self.kernels.pool_sequence(encodings, top, group.lengths, self.spelling.shape.hidden, *words)

    def _run_rows(self, rows: Rows, training: TrainingPass | None) -> None:
        # First, since the stack reads embeddings and encodings side by side.
        self._insert_spellings(rows)
        super()._run_rows(rows, training)

    def _predict_rows(self, rows: Rows) -> None:
        self._insert_spellings(rows)
        super()._predict_rows(rows)

    def _insert_spellings(self, rows: Rows) -> None:
        """Copy the encoding of each word next to its embedding, for some batch rows."""
        encoder = self.encoder
        self.kernels.embedding_forward(
            encoder.x, encoder.embedding_size, self._words.encodings[0], self._words.word_of, *rows
        )

    def _gather_spelling(self, part: Part) -> None:
        """Sum the gradient of each distinct word's encoding over its occurrences; some columns."""
        encoder = self.encoder
        columns = part.range(self.spelling.shape.outputs)
        self.kernels.embedding_backward(
            self._words.dencodings[0], encoder.dx, encoder.embedding_size, self._words.word_of, *columns
        )

    def _spell_backward(self, words: Rows, group: WordGroup, dencodings: Array, dropout: Dropout) -> None:
        """Run some words of the group in the stack backward from ``dencodings`` (1, U, W)."""
        hidden = self.spelling.shape.hidden
        self.kernels.pool_backward(self.spelling.dy, dencodings, group.lengths, hidden, *words)
        self.spelling.backward(words, dropout)

    def _pack_weights(self, part: Part, backward: bool) -> None:
        super()._pack_weights(part, backward)
        self.spelling.pack(part, backward)

    def _accumulate(self, part: Part) -> None:
        super()._accumulate(part)
        if len(self._words.groups) == 1:  # `_spell_group_backward` adds those of several groups
            self.spelling.accumulate(part)
