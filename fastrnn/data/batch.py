"""A batch of the labelled tasks: padded arrays, time-major. What a model takes, whatever the task.

Letters: T steps, B records, F input features, K labels or outputs, S decoder steps, C columns of a series.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Ids = npt.NDArray[np.int32]
Positions = npt.NDArray[np.int64]

EMPTY = -1  # a target that is not scored
UNSEEN = -2  # and below: a label that the model has not learnt; it has no loss, and every answer is wrong


@dataclass(frozen=True, eq=False)
class Batch:
    """B records, padded. Arrays that a task does not have are None.

    ``x``: ids (T, B) int32 or dense (T, B, F) float32, right-aligned: row b stands at steps T - lengths[b] to T - 1,
    with 0 before them. generate: ``given``, label ids (B,) int32 or vectors (B, K) float32, and lengths of 1.
    ``y``: tag (T, B) int32, -1 where nothing is scored; classify (B,) int32, -1 unknown; regress (T, B, K) float32,
    NaN where nothing is scored; forecast (B, horizon * C) float32, scaled, NaN where the future is not known.
    ``spelling`` (tag): the character ids (Tc, U) of the U different words of the batch, right-aligned, in several
    arrays one after the other where one would be too large; ``spelling_lengths`` (U,); ``word_of`` (T, B): which of
    the U words stands there, 0 in the padding.
    ``target_in``, ``target_out`` (generate, translate): (S, B) int32, left-aligned: what the decoder is fed (0 first)
    and what it is to predict (0 last, then -1).
    ``rows`` (B,): the index of each record in its data set.
    """

    x: Array
    lengths: Positions
    rows: Positions
    y: Array | None = None
    spelling: tuple[Ids, ...] = ()
    spelling_lengths: Positions | None = None
    word_of: Ids | None = None
    target_in: Ids | None = None
    target_out: Ids | None = None

    @property
    def count(self) -> int:
        """How many positions are scored."""
        targets = self.y if self.target_out is None else self.target_out
        if targets is None:
            return 0
        if targets.dtype.kind == "f":
            return int(np.count_nonzero(~np.isnan(targets)))
        return int(np.count_nonzero(targets >= 0))

    @property
    def scored(self) -> int:
        """The same: nothing else is counted."""
        return self.count


@dataclass(frozen=True, eq=False)
class SplitBatch:
    """A training batch whose rows are padded and run part by part, because padded together they need too much memory.

    The rows of the parts, one after the other, are those of the batch.
    """

    parts: tuple[Batch, ...]

    @property
    def rows(self) -> Positions:
        return np.concatenate([part.rows for part in self.parts])

    @property
    def lengths(self) -> Positions:
        return np.concatenate([part.lengths for part in self.parts])

    @property
    def count(self) -> int:
        """How many positions are scored."""
        return sum(part.count for part in self.parts)

    @property
    def scored(self) -> int:
        """The same: nothing else is counted."""
        return self.count
