"""Sequences of different lengths in one array, and the padded batches made of them.

A batch of the labelled tasks: padded arrays, time-major. What a model takes, whatever the task.

Letters: T steps, B records, F input features, K labels or outputs, S decoder steps, C columns of a series.

Encoded examples, ready to be cut into batches; `encode` makes them from records and a vocabulary.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .example import Location
from .schema import TaskSchema
from .split import sample_rows, split_rows
from .symbol_vocab import END

Array = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]

MOST_POSITIONS = 1 << 17  # of a padded batch of several records: some 300 MB for each 100 units of a layer
FEW_POSITIONS = 1 << 14  # that cost little, however many of them are padding
_MOST_PADDED = 4  # times as many positions as the records have steps


@dataclass(frozen=True, eq=False)
class Ragged:
    """n sequences: number i is ``flat[bounds[i] : bounds[i + 1]]``; ``flat`` (total, ...), ``bounds`` (n + 1,)."""

    flat: Array
    bounds: Positions

    @classmethod
    def of(cls, sequences: Sequence[Array], dtype: Any = None) -> "Ragged":
        """From arrays (T_i, ...), at least one."""
        flat = np.concatenate(sequences)
        return cls(flat if dtype is None else flat.astype(dtype, copy=False), _bounds(map(len, sequences)))

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def lengths(self) -> Positions:
        return np.diff(self.bounds)

    def take(self, rows: Positions) -> "Ragged":
        """Some of the sequences, in this order."""
        lengths = self.lengths[rows]
        bounds = _bounds(lengths.tolist())
        within = np.arange(bounds[-1]) - np.repeat(bounds[:-1], lengths)
        return Ragged(self.flat[np.repeat(self.bounds[rows], lengths) + within], bounds)

    def right(self, rows: Positions, padding: float = 0) -> Array:
        """(T, B, ...), T the greatest length: each sequence ends at the last step."""
        first, lengths = self.bounds[rows], self.lengths[rows]
        steps = int(lengths.max(initial=0))
        return self._filled(np.arange(steps)[:, None] - (steps - lengths), first, lengths, padding)

    def left(self, rows: Positions, padding: float = 0, more: int = 0) -> Array:
        """(T + more, B, ...), T the greatest length: each sequence starts at the first step."""
        first, lengths = self.bounds[rows], self.lengths[rows]
        steps = int(lengths.max(initial=0)) + more
        return self._filled(np.broadcast_to(np.arange(steps)[:, None], (steps, len(rows))), first, lengths, padding)

    def _filled(self, at: Positions, first: Positions, lengths: Positions, padding: float) -> Array:
        """The values at steps ``at`` (T, B) of sequences; padding where a sequence has no such step."""
        inside = (at >= 0) & (at < lengths)
        found: Array = (
            self.flat[np.where(inside, first + at, 0)]
            if len(self.flat)
            else np.zeros((*at.shape, *self.flat.shape[1:]), self.flat.dtype)
        )
        found[~inside] = padding
        return found


def bounded(
    rows: Positions, sizes: Sequence[Positions], most: int = 64, few: int = FEW_POSITIONS
) -> Iterator[Positions]:
    """These rows, in their order, in batches of at most ``most`` rows whose padded size is bounded.

    ``sizes``: for each kind of sequence that is padded (a source, a target) its lengths, of all records. A record that
    is alone larger than the bound has a batch of its own. A batch of more than ``few`` positions
    also ends where padding would be most of it.
    """
    start = longest = steps = 0
    lengths = [size[rows].tolist() for size in sizes]
    peaks = [0] * len(sizes)
    for end, size in enumerate(zip(*lengths, strict=True)):
        peaks = [max(pair) for pair in zip(peaks, size, strict=True)]
        longest, steps = sum(peaks), steps + sum(size)
        padded = longest * (end + 1 - start)
        wasteful = padded > few and padded > _MOST_PADDED * steps
        if end > start and (end - start == most or padded > MOST_POSITIONS or wasteful):
            yield rows[start:end]
            start, peaks, steps = end, list(size), sum(size)
    if start < len(rows):
        yield rows[start:]


def _bounds(lengths: Iterable[int]) -> Positions:
    return np.concatenate([[0], np.cumsum(np.fromiter(lengths, np.int64))]).astype(np.int64)


Ids = npt.NDArray[np.int32]


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


_SHOWN = 5  # labels in a message


class EncodedDataset(Protocol):
    """What `batches` cut: a `EncodedExamples`, or the `Windows` of a forecast."""

    @property
    def vocabulary(self) -> TaskSchema: ...

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> Positions:
        """Steps of x (n,)."""

    @property
    def sizes(self) -> Positions:
        """What records of like length are sorted by (n,)."""

    @property
    def padded(self) -> Sequence[Positions]:
        """The lengths (n,) of each kind of sequence that a batch pads."""

    @property
    def fingerprint(self) -> str:
        """A hash of vocabulary and examples."""

    def batch(self, rows: Positions) -> Batch:
        """These examples, padded."""

    def split(self, valid: float, seed: int) -> tuple[Any, Any]:
        """The examples that train, and those that validate (None if there are none)."""

    def some(self, count: int, seed: int) -> Any:
        """At most ``count`` of the examples, drawn by the seed."""


@dataclass(frozen=True, eq=False)
class EncodedExamples:
    """n examples. ``x``: ids, dense steps, or (generate) `given` as sequences of one; ``y``: tags or outputs a step;
    ``label`` (n,): classes, -1 unknown; ``target``: ids for the decoder; ``word`` and ``spelling`` (tag): which of the
    different words stands at each step, and the characters of each. Numbers are in their own units, and scaled when a
    batch is made. ``unseen``: labels that the vocabulary lacks, with the place of the first; label i of them is
    `UNSEEN` - i in ``y`` or ``label``.
    """

    vocabulary: TaskSchema
    places: tuple[Location, ...]
    x: Ragged
    y: Ragged | None = None
    label: Array | None = None
    target: Ragged | None = None
    word: Ragged | None = None
    spelling: Ragged | None = None
    unseen: Mapping[str, Location] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def lengths(self) -> Positions:
        return self.x.lengths

    @property
    def sizes(self) -> Positions:
        return self.x.lengths if self.target is None else self.x.lengths + self.target.lengths

    @property
    def padded(self) -> Sequence[Positions]:
        return [part.lengths for part in (self.x, self.target) if part is not None]

    @property
    def fingerprint(self) -> str:
        digest = hashlib.blake2b(json.dumps(self.vocabulary.to_mapping(), sort_keys=True).encode(), digest_size=16)
        for part, flat in self._as_trained():
            _update(digest, part.bounds)
            _update(digest, flat)
        if self.label is not None:
            _update(digest, self.label)
        return digest.hexdigest()

    def take(self, rows: Positions) -> "EncodedExamples":
        """Some of the examples, in this order."""
        y, target, word = (None if part is None else part.take(rows) for part in (self.y, self.target, self.word))
        places = tuple(self.places[i] for i in rows)
        label = None if self.label is None else self.label[rows]
        return replace(self, places=places, x=self.x.take(rows), y=y, label=label, target=target, word=word)

    def split(self, valid: float, seed: int) -> tuple["EncodedExamples", "EncodedExamples | None"]:
        """Shuffled by the seed; the second has ``round(valid * n)`` examples, and is None if that is 0."""
        train, held = split_rows(len(self), valid, seed)
        return (self.take(train), self.take(held)) if len(held) else (self, None)

    def some(self, count: int, seed: int) -> "EncodedExamples":
        """At most ``count`` examples, drawn by the seed."""
        return self.take(sample_rows(len(self), count, seed))

    def batch(self, rows: Positions) -> Batch:
        """These examples, padded."""
        task = self.vocabulary.task
        common: dict[str, Any] = {"rows": rows, "lengths": self.lengths[rows]}
        if self.target is not None:
            common |= self._targets(rows)
        if task == "generate":
            x = self.x.right(rows)[0]
            return Batch(x=x if self.vocabulary.labels else self._scaled(x), **common)
        x = self.x.right(rows)
        if self.vocabulary.inputs is not None:
            x = self._scaled(x)
            x[self._padding(rows, len(x))] = 0
        if self.spelling is not None:
            common |= self._spelt(rows)
        return Batch(x=x, y=self._answers(rows), **common)

    def actual(self, rows: Positions) -> Array:
        """The outputs (T, B, K) of regress in their own units, float64, NaN where nothing is scored."""
        assert self.y is not None
        return self.y.right(rows, np.nan)

    def _as_trained(self) -> Iterator[tuple[Ragged, Array]]:
        """Sequences with their values, as the fingerprint of a run has them that version 0.1 began, too."""
        inputs, outputs = self.vocabulary.inputs, self.vocabulary.outputs
        yield self.x, self.x.flat if inputs is None else inputs.round_as_trained(self.x.flat)
        if self.y is not None:
            yield self.y, self._fed(self.y.flat) if outputs is not None and outputs.rounds_to_float32 else self.y.flat
        if self.target is not None:
            yield self.target, self.target.flat

    def _fed(self, y: Array) -> Array:
        """Outputs (..., K) as the loss takes them."""
        outputs = self.vocabulary.outputs
        assert outputs is not None
        return y.astype(np.float32) if self.vocabulary.binary else outputs.transform(outputs.round_as_trained(y))

    def _scaled(self, x: Array) -> Array:
        inputs = self.vocabulary.inputs
        assert inputs is not None
        return inputs.transform(inputs.round_as_trained(x))

    def _padding(self, rows: Positions, steps: int) -> npt.NDArray[np.bool_]:
        """Where nothing stands (T, B)."""
        return np.arange(steps)[:, None] < steps - self.lengths[rows]

    def _answers(self, rows: Positions) -> Array | None:
        if self.label is not None:
            found: Array = self.label[rows]
            return found
        if self.y is None:
            return None
        return self.y.right(rows, EMPTY) if self.vocabulary.outputs is None else self._fed(self.actual(rows))

    def _targets(self, rows: Positions) -> dict[str, Array]:
        """The decoder's input, which starts with the end symbol, and what it predicts, which ends with it."""
        assert self.target is not None
        lengths = self.target.lengths[rows]
        out = self.target.left(rows, EMPTY, more=1)
        out[lengths, np.arange(len(rows))] = END
        fed = np.vstack([np.full((1, len(rows)), END, np.int32), np.maximum(out[:-1], 0)])
        return {"target_in": fed, "target_out": out}

    def _spelt(self, rows: Positions) -> dict[str, Array]:
        assert self.word is not None
        assert self.spelling is not None
        words = self.word.take(rows)
        different, which = np.unique(words.flat, return_inverse=True)
        groups = _spelling_groups(self.spelling.lengths[different])
        order = np.concatenate(groups)
        word_of = Ragged(np.argsort(order)[which.reshape(-1)].astype(np.int32), words.bounds)
        return {
            "spelling": tuple(self.spelling.right(different[group]) for group in groups),
            "spelling_lengths": self.spelling.lengths[different[order]],
            "word_of": word_of.right(np.arange(len(rows))),
        }


def _spelling_groups(lengths: Positions) -> list[Positions]:
    """Words of these lengths in groups that are padded together: one, unless a long word made it too large."""
    order = np.arange(len(lengths))
    if len(lengths) * lengths.max() <= MOST_POSITIONS:
        return [order]
    return list(bounded(np.argsort(lengths, kind="stable"), [lengths], len(lengths), MOST_POSITIONS))


def unseen_told(unseen: Mapping[str, Location]) -> str:
    """A line about labels that the model has not learnt."""
    names = ", ".join(f"{label!r} ({place})" for label, place in list(unseen.items())[:_SHOWN])
    more = f" and {len(unseen) - _SHOWN} more" if len(unseen) > _SHOWN else ""
    return f"labels that did not occur in training count as wrong and have no loss: {names}{more}"


def _update(digest: Any, array: Array) -> None:
    digest.update(str((array.shape, array.dtype.str[1:])).encode())
    digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
