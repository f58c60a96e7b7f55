"""A tag for each word; words are seen as themselves and through their letters, so that unknown ones work too."""

from dataclasses import replace

import numpy as np

from ...cpu.pool import Part
from ...data.batch import Batch
from ...data.symbols import UNKNOWN
from ..alignment import right_aligned
from ..heads import CLASSES
from ..linear import Rows
from ..network import Training
from ..parameters import Array
from ..shapes import StackShape
from ..signature import spelling_stack
from ..stack import Dropout, Stack
from .labelling import EveryStep

_WORD_DROPOUT = 0.1  # of the words in a batch are taken for unknown ones in training: otherwise none is ever met there
_OTHER_KEY = 0x9E3779B1  # the spelling's dropout masks are not those of the words


class Tagger(EveryStep):
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
        self.pool.together(lambda part: self._spell(part.range(self._words), Dropout()))

    def _load(self, batch: Batch, training: Training | None) -> None:
        if training is not None and training.dropout.keep < 1:
            rng = np.random.default_rng(training.dropout.key + (training.dropout.begin << 32))
            batch = replace(batch, x=np.where(rng.random(batch.x.shape) < _WORD_DROPOUT, UNKNOWN, batch.x))
        super()._load(batch, training)
        assert batch.spelling is not None
        letters, self._words = batch.spelling.shape
        rows = right_aligned(letters, batch.spelling_lengths)
        self.spelling.allocate(letters, self._words)
        self.spelling.load(np.ascontiguousarray(batch.spelling, np.int32), None, rows=rows)
        self.spelling.enter(self.spelling.zero_state(self._words))
        self._lengths = rows.lengths
        self._word_of = np.ascontiguousarray(batch.word_of, np.int32)
        size = (1, self._words, self.spelling.shape.outputs)
        self._spelt: Array = self.kernels.zeros(size, self.dtype)
        self._dspelt: Array = self.kernels.zeros(size, self.dtype)

    def _run(self, batch: Batch, training: Training | None) -> None:
        self._load(batch, training)
        self._pack(training is not None)
        dropout = training.dropout if training else Dropout()
        dropout = dropout._replace(key=dropout.key ^ _OTHER_KEY)
        self.pool.together(lambda part: self._spell(part.range(self._words), dropout))
        self.pool.together(lambda part: self._rows(part.range(len(batch.lengths)), training))
        if training is not None:
            self.pool.together(self._gather_spelling)
            self.pool.together(lambda part: self._spell_backward(part.range(self._words), dropout))

    def _spell(self, words: Rows, dropout: Dropout) -> None:
        """Read the letters of some of the different words."""
        top = self.spelling.forward(words, dropout)
        self.kernels.summary(self._spelt, top, self._lengths, self.spelling.shape.hidden, *words)

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

    def _spell_backward(self, words: Rows, dropout: Dropout) -> None:
        hidden = self.spelling.shape.hidden
        self.kernels.summary_backward(self.spelling.dy, self._dspelt, self._lengths, hidden, *words)
        self.spelling.backward(words, dropout)

    def _pack_weights(self, part: Part, backward: bool) -> None:
        super()._pack_weights(part, backward)
        self.spelling.pack(part, backward)

    def _accumulate(self, part: Part) -> None:
        super()._accumulate(part)
        self.spelling.accumulate(part)
