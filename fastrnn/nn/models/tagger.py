"""A tag for each word; words are seen as themselves and through their letters, so that unknown ones work too."""

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
from ..padding import pad_left
from ..parameters import Array
from ..spec import spelling_stack
from ..stack import Dropout, Stack
from .sequence_models import PerStepModel

_WORD_DROPOUT = 0.1  # of the words in a batch are taken for unknown ones in training: otherwise none is ever met there
_OTHER_KEY = 0x9E3779B1  # the spelling's dropout masks are not those of the words


class Group(NamedTuple):
    """Different words that are padded together: letters ``ids`` (Tc, U), ``lengths`` (U,), and the number of words
    before them."""

    ids: Array
    lengths: Array
    first: int


class Tagger(PerStepModel):
    """tag: log-probabilities (T, B, K).

    Two directions read the letters of each of the U different words of a batch once (Ling et al. 2015); the ends of
    both stand beside the word's embedding, wherever in the batch it occurs.
    """

    def _build(self) -> None:
        super()._build()
        shape = spelling_stack(self.config, self.signature)
        self.spelling = Stack(self.kernels, shape, self.parameters, self.gradients, self.packed)

    def _kind(self) -> str:
        return CLASSES

    def _stack_shapes(self) -> list[StackShape]:
        return [*super()._stack_shapes(), self.spelling.shape]

    def _read(self) -> None:
        for group in self._groups:
            self._spell_group(group, Dropout())

    def _load(self, batch: Batch, training: Training | None) -> None:
        if training is not None and training.dropout.keep < 1:
            rng = np.random.default_rng(training.dropout.key + (training.dropout.begin << 32))
            batch = replace(batch, x=np.where(rng.random(batch.x.shape) < _WORD_DROPOUT, UNKNOWN, batch.x))
        super()._load(batch, training)
        assert batch.spelling_lengths is not None
        self._groups: list[Group] = []
        words = 0
        for ids in batch.spelling:
            lengths = batch.spelling_lengths[words : words + ids.shape[1]]
            self._groups.append(Group(np.ascontiguousarray(ids, np.int32), lengths, words))
            words += len(lengths)
        self._word_of = np.ascontiguousarray(batch.word_of, np.int32)
        size = (1, words, self.spelling.shape.outputs)
        self._spelt: Array = self.kernels.zeros(size, self.dtype)
        self._dspelt: Array = self.kernels.zeros(size, self.dtype)

    def _run(self, batch: Batch, training: Training | None) -> None:
        self._load(batch, training)
        self._pack(training is not None)
        dropout = training.dropout if training else Dropout()
        dropout = dropout._replace(key=dropout.key ^ _OTHER_KEY)
        for group in self._groups:
            self._spell_group(group, dropout)
        self.pool.together(lambda part: self._rows(part.range(len(batch.lengths)), training))
        if training is not None:
            self.pool.together(self._gather_spelling)
            for group in self._groups:
                self._spell_group_backward(group, dropout)

    def _spell_group(self, group: Group, dropout: Dropout) -> None:
        """Read the letters of a group of the different words."""
        letters, count = group.ids.shape
        self._aligned = pad_left(letters, group.lengths)
        self.spelling.allocate(letters, count)
        self.spelling.load(group.ids, None, rows=self._aligned)
        self.spelling.set_state(self.spelling.zero_state(count))
        spelt = self._spelt[:, group.first : group.first + count]
        dropout = self._of_group(group, dropout)
        self.pool.together(lambda part: self._spell(part.range(count), spelt, dropout))

    def _spell_group_backward(self, group: Group, dropout: Dropout) -> None:
        """From the gradients of what was read back to the letters; of several groups the weights' gradients too."""
        count, several = group.ids.shape[1], len(self._groups) > 1
        if several:  # another group stands in the arrays
            self._spell_group(group, dropout)
        dspelt = self._dspelt[:, group.first : group.first + count]
        dropout = self._of_group(group, dropout)
        self.pool.together(lambda part: self._spell_backward(part.range(count), dspelt, dropout))
        if several:
            self.pool.together(self.spelling.accumulate)

    def _of_group(self, group: Group, dropout: Dropout) -> Dropout:
        """The masks of a group's place among all words."""
        if len(self._groups) == 1:
            return dropout
        return dropout._replace(begin=dropout.begin + group.first, batch=self._spelt.shape[1])

    def _spell(self, words: Rows, spelt: Array, dropout: Dropout) -> None:
        top = self.spelling.forward(words, dropout)
        self.kernels.pool_sequence(spelt, top, self._aligned.lengths, self.spelling.shape.hidden, *words)

    def _rows(self, rows: Rows, training: Training | None) -> None:
        self._place(rows)
        super()._rows(rows, training)

    def _answer(self, rows: Rows) -> None:
        self._place(rows)
        super()._answer(rows)

    def _place(self, rows: Rows) -> None:
        """Beside each word's embedding what was read of its letters."""
        encoder = self.encoder
        self.kernels.lookup(encoder.x, encoder.embedded, self._spelt[0], self._word_of, *rows)

    def _gather_spelling(self, part: Part) -> None:
        """The gradient of what was read of each different word, from all its places; this part of the columns."""
        encoder, columns = self.encoder, part.range(self.spelling.shape.outputs)
        self.kernels.lookup_backward(self._dspelt[0], encoder.dx, encoder.embedded, self._word_of, *columns)

    def _spell_backward(self, words: Rows, dspelt: Array, dropout: Dropout) -> None:
        hidden = self.spelling.shape.hidden
        self.kernels.pool_backward(self.spelling.dy, dspelt, self._aligned.lengths, hidden, *words)
        self.spelling.backward(words, dropout)

    def _pack_weights(self, part: Part, backward: bool) -> None:
        super()._pack_weights(part, backward)
        self.spelling.pack(part, backward)

    def _accumulate(self, part: Part) -> None:
        super()._accumulate(part)
        if len(self._groups) == 1:  # those of several are added up one by one
            self.spelling.accumulate(part)
