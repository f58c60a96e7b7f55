"""Tagger: word embeddings joined with character-level encodings, so that unknown words work too."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ...data.examples.dataset import Batch
from ...data.examples.symbol_vocab import UNKNOWN
from ...kernels.cpu.thread_pool import Part
from ...shapes import StackShape
from ..heads import CLASSES
from ..layers import Rows
from ..network import Training
from ..padding import Padding, pad_left
from ..parameters import Array
from ..spec import spelling_stack
from ..stack import Dropout, Stack
from .sequence_models import PerStepModel

# Fraction of words replaced by the unknown word in training, which otherwise would not occur there.
_WORD_DROPOUT = 0.1
# Makes the dropout masks of the character stack differ from those of the word stack.
_SPELLING_KEY = 0x9E3779B1


class WordGroup(NamedTuple):
    """Distinct words that are padded to the same length.

    Args:
        ids: Character ids (Tc, U), right-aligned.
        lengths: Lengths (U,) of the words.
        first: Index of the first of them among all distinct words of the batch.
    """

    ids: Array
    lengths: Array
    first: int


class Tagger(PerStepModel):
    """tag: log-probabilities (T, B, K).

    A bidirectional stack encodes the characters of each distinct word of a batch once; the final
    outputs of both directions are concatenated with the word's embedding at each occurrence
    (Ling et al. 2015).
    """

    # Set by `_build`.
    spelling: Stack
    # Of the last batch, set by `_load`: groups of the U distinct words; index (T, B) of the word at
    # each position; encodings (1, U, W) of the distinct words, and their gradients.
    _groups: list[WordGroup]
    _word_of: Array
    _spellings: Array
    _dspellings: Array
    # Padding of the group that is in the stack's arrays, set by `_spell_group`.
    _padding: Padding

    def _build(self) -> None:
        super()._build()
        shape = spelling_stack(self.config, self.spec)
        self.spelling = Stack(self.weights, shape)

    def _output_kind(self) -> str:
        return CLASSES

    def _stack_shapes(self) -> list[StackShape]:
        return [*super()._stack_shapes(), self.spelling.shape]

    def _prepare(self) -> None:
        for group in self._groups:
            self._spell_group(group, Dropout())

    def _load(self, batch: Batch, training: Training | None) -> None:
        if training is not None and training.dropout.keep_prob < 1:
            # Parts of a batch begin at different rows and so draw different numbers.
            rng = np.random.default_rng(training.dropout.key + (training.dropout.begin << 32))
            batch = replace(batch, x=np.where(rng.random(batch.x.shape) < _WORD_DROPOUT, UNKNOWN, batch.x))
        super()._load(batch, training)
        assert batch.spelling_lengths is not None

        self._groups = []
        words = 0
        for ids in batch.spelling:
            lengths = batch.spelling_lengths[words : words + ids.shape[1]]
            self._groups.append(WordGroup(np.ascontiguousarray(ids, np.int32), lengths, words))
            words += len(lengths)
        self._word_of = np.ascontiguousarray(batch.word_of, np.int32)

        size = (1, words, self.spelling.shape.outputs)
        self._spellings = self.kernels.zeros(size, self.dtype)
        self._dspellings = self.kernels.zeros(size, self.dtype)

    def _run(self, batch: Batch, training: Training | None) -> None:
        self._load(batch, training)
        self._pack(training is not None)
        dropout = training.dropout if training else Dropout()
        dropout = dropout._replace(key=dropout.key ^ _SPELLING_KEY)

        for group in self._groups:
            self._spell_group(group, dropout)
        self.pool.together(lambda part: self._run_rows(part.range(len(batch.lengths)), training))

        if training is not None:
            self.pool.together(self._gather_spelling)
            for group in self._groups:
                self._spell_group_backward(group, dropout)

    def _spell_group(self, group: WordGroup, dropout: Dropout) -> None:
        """Encode the characters of a group; threads divide its words."""
        letters, count = group.ids.shape
        self._padding = pad_left(letters, group.lengths)
        self.spelling.allocate(letters, count)
        self.spelling.load(group.ids, None, rows=self._padding)
        self.spelling.set_state(self.spelling.zero_state(count))

        encodings = self._spellings[:, group.first : group.first + count]
        dropout = self._group_dropout(group, dropout)
        self.pool.together(lambda part: self._spell(part.range(count), encodings, dropout))

    def _spell_group_backward(self, group: WordGroup, dropout: Dropout) -> None:
        """Run the character stack backward; with several groups also add the weight gradients."""
        count = group.ids.shape[1]
        has_several = len(self._groups) > 1
        # The stack's arrays hold the last group's forward pass: repeat this group's.
        if has_several:
            self._spell_group(group, dropout)

        dencodings = self._dspellings[:, group.first : group.first + count]
        dropout = self._group_dropout(group, dropout)
        self.pool.together(lambda part: self._spell_backward(part.range(count), dencodings, dropout))
        if has_several:
            self.pool.together(self.spelling.accumulate)

    def _group_dropout(self, group: WordGroup, dropout: Dropout) -> Dropout:
        """Return the dropout with the masks of the group's position among all distinct words."""
        if len(self._groups) == 1:
            return dropout
        return dropout._replace(begin=dropout.begin + group.first, batch=self._spellings.shape[1])

    def _spell(self, words: Rows, encodings: Array, dropout: Dropout) -> None:
        """Compute ``encodings`` (1, U, W) of some words of the group in the stack."""
        top = self.spelling.forward(words, dropout)
        self.kernels.pool_sequence(encodings, top, self._padding.lengths, self.spelling.shape.hidden, *words)

    def _run_rows(self, rows: Rows, training: Training | None) -> None:
        self._insert_spellings(rows)
        super()._run_rows(rows, training)

    def _predict_rows(self, rows: Rows) -> None:
        self._insert_spellings(rows)
        super()._predict_rows(rows)

    def _insert_spellings(self, rows: Rows) -> None:
        """Copy the encoding of each word next to its embedding, for some batch rows."""
        encoder = self.encoder
        self.kernels.embedding_forward(encoder.x, encoder.embedding_size, self._spellings[0], self._word_of, *rows)

    def _gather_spelling(self, part: Part) -> None:
        """Sum the gradient of each distinct word's encoding over its occurrences; some columns."""
        encoder = self.encoder
        columns = part.range(self.spelling.shape.outputs)
        self.kernels.embedding_backward(
            self._dspellings[0], encoder.dx, encoder.embedding_size, self._word_of, *columns
        )

    def _spell_backward(self, words: Rows, dencodings: Array, dropout: Dropout) -> None:
        """Run some words of the group in the stack backward from ``dencodings`` (1, U, W)."""
        hidden = self.spelling.shape.hidden
        self.kernels.pool_backward(self.spelling.dy, dencodings, self._padding.lengths, hidden, *words)
        self.spelling.backward(words, dropout)

    def _pack_weights(self, part: Part, backward: bool) -> None:
        super()._pack_weights(part, backward)
        self.spelling.pack(part, backward)

    def _accumulate(self, part: Part) -> None:
        super()._accumulate(part)
        if len(self._groups) == 1:  # `_spell_group_backward` adds those of several groups
            self.spelling.accumulate(part)
