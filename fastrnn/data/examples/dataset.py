"""Encoded examples of a labelled task, and the padded, time-major batches made of them.

Letters: T steps, B examples, F input features, K labels or outputs, S decoder steps, C columns of a series.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ...errors import join_first
from .example import Location, sample_rows, split_rows
from .schema import TaskSchema
from .symbol_vocab import END

Array = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]

# Bounds on the positions (T * B, padding included) of one batch.
MAX_POSITIONS = 1 << 17  # of several examples: about 300 MB for each 100 units of a layer
CHEAP_POSITIONS = 1 << 14  # batches up to this size cost little, however much of them is padding
_MAX_PADDING_RATIO = 4  # of the positions of a larger batch to the steps of its examples

IGNORED = -1  # target that is not scored
UNSEEN = -2  # this and lower: labels the model has not learned; they have no loss, and every prediction is wrong

_MAX_LISTED = 5  # labels in a message


@dataclass(frozen=True, eq=False)
class Ragged:
    """n sequences of different lengths in one array: sequence i is ``flat[bounds[i] : bounds[i + 1]]``.

    Attributes:
        flat: The concatenated sequences (total, ...).
        bounds: Start of each sequence, and the total length (n + 1,).
    """

    flat: Array
    bounds: Positions

    @classmethod
    def from_sequences(cls, sequences: Sequence[Array], dtype: Any = None) -> "Ragged":
        """Concatenate arrays (T_i, ...), at least one."""
        flat = np.concatenate(sequences)
        return cls(flat if dtype is None else flat.astype(dtype, copy=False), _bounds_of_lengths(map(len, sequences)))

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def lengths(self) -> Positions:
        """Length of each sequence (n,)."""
        return np.diff(self.bounds)

    def take(self, rows: Positions) -> "Ragged":
        """Return some of the sequences, in this order."""
        lengths = self.lengths[rows]
        bounds = _bounds_of_lengths(lengths.tolist())
        # Position of each taken element within its sequence: 0..T_i-1 for each row.
        within = np.arange(bounds[-1]) - np.repeat(bounds[:-1], lengths)
        return Ragged(self.flat[np.repeat(self.bounds[rows], lengths) + within], bounds)

    def align_right(self, rows: Positions, padding: float = 0) -> Array:
        """Pad to (T, B, ...), T the greatest length; each sequence ends at the last step."""
        lengths = self.lengths[rows]
        steps = int(lengths.max(initial=0))
        # Step t of the array is step t - (T - length) of the sequence: negative in the padding.
        return self._gather(np.arange(steps)[:, None] - (steps - lengths), self.bounds[rows], lengths, padding)

    def align_left(self, rows: Positions, padding: float = 0, extra_steps: int = 0) -> Array:
        """Pad to (T + extra_steps, B, ...), T the greatest length; each sequence starts at the first step."""
        lengths = self.lengths[rows]
        steps = int(lengths.max(initial=0)) + extra_steps
        every_step = np.broadcast_to(np.arange(steps)[:, None], (steps, len(rows)))
        return self._gather(every_step, self.bounds[rows], lengths, padding)

    def _gather(self, steps: Positions, first: Positions, lengths: Positions, padding: float) -> Array:
        """Return the values at ``steps`` (T, B) of the sequences that start at ``first`` (B,); padding outside them."""
        is_inside = (steps >= 0) & (steps < lengths)
        values: Array = (
            self.flat[np.where(is_inside, first + steps, 0)]
            if len(self.flat)
            else np.zeros((*steps.shape, *self.flat.shape[1:]), self.flat.dtype)
        )
        values[~is_inside] = padding
        return values


def _bounds_of_lengths(lengths: Iterable[int]) -> Positions:
    return np.concatenate([[0], np.cumsum(np.fromiter(lengths, np.int64))]).astype(np.int64)


def iter_bounded_batches(
    rows: Positions, sizes: Sequence[Positions], max_rows: int = 64, cheap_positions: int = CHEAP_POSITIONS
) -> Iterator[Positions]:
    """Cut rows, in their order, into batches whose padded size is bounded.

    A batch has at most ``max_rows`` rows and `MAX_POSITIONS` positions; a larger example gets a batch of its own.
    A batch of more than ``cheap_positions`` also ends before padding would become most of it.

    Args:
        rows: Indices of examples (B,).
        sizes: Lengths (n,) of all examples, for each kind of sequence that is padded (source, target).
        max_rows: Most rows of a batch.
        cheap_positions: Size up to which the amount of padding does not matter.
    """
    start = steps = 0
    lengths = [size[rows].tolist() for size in sizes]
    peaks = [0] * len(sizes)  # greatest length in the current batch, for each kind of sequence
    for end, size in enumerate(zip(*lengths, strict=True)):
        # Size of the batch rows[start : end + 1].
        peaks = [max(pair) for pair in zip(peaks, size, strict=True)]
        longest = sum(peaks)
        steps += sum(size)
        padded = longest * (end + 1 - start)

        is_wasteful = padded > cheap_positions and padded > _MAX_PADDING_RATIO * steps
        if end > start and (end - start == max_rows or padded > MAX_POSITIONS or is_wasteful):
            yield rows[start:end]
            start = end
            peaks = list(size)
            steps = sum(size)
    if start < len(rows):
        yield rows[start:]


@dataclass(frozen=True, eq=False)
class Batch:
    """B padded examples. Arrays that a task does not have are None.

    Attributes:
        x: Ids (T, B) int32 or dense numbers (T, B, F) float32, right-aligned: example b occupies steps T - lengths[b]
            to T - 1, after zeros. generate: label ids (B,) int32 or vectors (B, K) float32, with lengths of 1.
        lengths: Steps of each example (B,).
        rows: Index of each example in its dataset (B,).
        y: tag: (T, B) int32, -1 where not scored; classify: (B,) int32, -1 if unknown; regress: (T, B, K) float32, NaN
            where not scored; forecast: (B, horizon * C) float32, scaled, NaN where the future is unknown.
        spelling: tag: character ids (Tc, U) of the U distinct words of the batch, right-aligned; several arrays of
            consecutive words if one would be too large.
        spelling_lengths: Characters of each distinct word (U,).
        word_of: Index of the distinct word at each step (T, B), 0 in the padding.
        target_in: generate and translate: decoder input (S, B) int32, left-aligned; starts with 0.
        target_out: Tokens for the decoder to predict (S, B) int32, left-aligned; ends with 0, then -1.
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
        """Number of scored positions."""
        targets = self.y if self.target_out is None else self.target_out
        if targets is None:
            return 0
        if targets.dtype.kind == "f":
            return int(np.count_nonzero(~np.isnan(targets)))
        return int(np.count_nonzero(targets >= 0))

    @property
    def scored_count(self) -> int:
        """Same as `count`; windows of text differ in the two."""
        return self.count


@dataclass(frozen=True, eq=False)
class SplitBatch:
    """A training batch in parts that are padded and run one after another, because together they need too much memory.

    The rows of the batch are those of the parts, concatenated.
    """

    parts: tuple[Batch, ...]

    @property
    def rows(self) -> Positions:
        """Index of each example in its dataset (B,)."""
        return np.concatenate([part.rows for part in self.parts])

    @property
    def lengths(self) -> Positions:
        """Steps of each example (B,)."""
        return np.concatenate([part.lengths for part in self.parts])

    @property
    def count(self) -> int:
        """Number of scored positions."""
        return sum(part.count for part in self.parts)

    @property
    def scored_count(self) -> int:
        """Same as `count`; windows of text differ in the two."""
        return self.count


class EncodedDataset(Protocol):
    """A dataset to cut into batches: `EncodedExamples`, or the `SlidingWindows` of a forecast."""

    @property
    def schema(self) -> TaskSchema: ...

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> Positions:
        """Steps of x (n,)."""

    @property
    def sizes(self) -> Positions:
        """Size (n,) by which examples are grouped into batches."""

    @property
    def padded_lengths(self) -> Sequence[Positions]:
        """Lengths (n,) of each kind of sequence that a batch pads."""

    @property
    def fingerprint(self) -> str:
        """Hash of schema and examples."""

    def batch(self, rows: Positions) -> Batch:
        """Pad these examples into a batch."""

    def split(self, valid: float, seed: int) -> tuple[Any, Any]:
        """Return the training examples and the validation examples (None if there are none)."""

    def sample(self, count: int, seed: int) -> Any:
        """Return at most ``count`` random examples."""


@dataclass(frozen=True, eq=False)
class EncodedExamples:
    """n encoded examples. Dense numbers are in their own units; `batch` scales them.

    Attributes:
        schema: The schema by which the examples were encoded.
        places: Location of each example (n,).
        x: Ids or dense steps; for generate, the labels or vectors as sequences of length one.
        y: Tags or outputs of each step.
        label: Classes (n,), -1 if unknown.
        target: Ids for the decoder.
        word: tag: index of the distinct word at each step.
        spelling: tag: characters of each distinct word.
        unseen: Labels that the schema lacks, with the location of the first of each; label i of them is `UNSEEN` - i
            in ``y`` or ``label``.
        has_steps: Whether x is a sequence; False for the labels or vectors of generate.
    """

    schema: TaskSchema
    places: tuple[Location, ...]
    x: Ragged
    y: Ragged | None = None
    label: Array | None = None
    target: Ragged | None = None
    word: Ragged | None = None
    spelling: Ragged | None = None
    unseen: Mapping[str, Location] = field(default_factory=dict)
    has_steps: bool = True

    def __len__(self) -> int:
        return len(self.x)

    @property
    def lengths(self) -> Positions:
        """Steps of x (n,)."""
        return self.x.lengths

    @property
    def sizes(self) -> Positions:
        """Steps of x and target together (n,)."""
        return self.x.lengths if self.target is None else self.x.lengths + self.target.lengths

    @property
    def padded_lengths(self) -> Sequence[Positions]:
        """Lengths (n,) of x and target."""
        return [part.lengths for part in (self.x, self.target) if part is not None]

    @property
    def fingerprint(self) -> str:
        """Hash of schema and examples."""
        digest = hashlib.blake2b(json.dumps(self.schema.to_dict(), sort_keys=True).encode(), digest_size=16)
        for part, flat in self._iter_hash_parts():
            _update_digest(digest, part.bounds)
            _update_digest(digest, flat)
        if self.label is not None:
            _update_digest(digest, self.label)
        return digest.hexdigest()

    def take(self, rows: Positions) -> "EncodedExamples":
        """Return some of the examples, in this order."""
        y, target, word = (None if part is None else part.take(rows) for part in (self.y, self.target, self.word))
        places = tuple(self.places[i] for i in rows)
        label = None if self.label is None else self.label[rows]
        return replace(self, places=places, x=self.x.take(rows), y=y, label=label, target=target, word=word)

    def split(self, valid: float, seed: int) -> tuple["EncodedExamples", "EncodedExamples | None"]:
        """Split at random into training examples and ``round(valid * n)`` validation examples (None if that is 0)."""
        train, held_out = split_rows(len(self), valid, seed)
        return (self.take(train), self.take(held_out)) if len(held_out) else (self, None)

    def sample(self, count: int, seed: int) -> "EncodedExamples":
        """Return at most ``count`` random examples."""
        return self.take(sample_rows(len(self), count, seed))

    def batch(self, rows: Positions) -> Batch:
        """Pad these examples into a batch, and scale dense numbers."""
        common: dict[str, Any] = {"rows": rows, "lengths": self.lengths[rows]}
        if self.target is not None:
            common |= self._decoder_targets(rows)
        if not self.has_steps:
            x = self.x.align_right(rows)[0]
            return Batch(x=x if self.schema.labels else self._scale_inputs(x), **common)

        x = self.x.align_right(rows)
        if self.schema.inputs is not None:
            x = self._scale_inputs(x)
            # Scaling moved the zeros of the padding.
            x[self._is_padding(rows, len(x))] = 0
        if self.spelling is not None:
            common |= self._batch_spelling(rows)
        return Batch(x=x, y=self._batch_targets(rows), **common)

    def actual(self, rows: Positions) -> Array:
        """Return the outputs (T, B, K) of regress in their own units, float64, NaN where not scored."""
        assert self.y is not None
        return self.y.align_right(rows, np.nan)

    def _iter_hash_parts(self) -> Iterator[tuple[Ragged, Array]]:
        """Yield sequences with the values to hash.

        Runs started by version 0.1 hashed values rounded to float32; their fingerprint must match when they resume.
        """
        inputs = self.schema.inputs
        outputs = self.schema.outputs
        yield self.x, self.x.flat if inputs is None else inputs.round_as_trained(self.x.flat)
        if self.y is not None:
            is_rounded = outputs is not None and outputs.rounds_to_float32
            yield self.y, self._scale_targets(self.y.flat) if is_rounded else self.y.flat
        if self.target is not None:
            yield self.target, self.target.flat

    def _scale_targets(self, y: Array) -> Array:
        """Convert outputs (..., K) to the numbers that the loss takes; bits are not scaled."""
        outputs = self.schema.outputs
        assert outputs is not None
        return y.astype(np.float32) if self.schema.binary else outputs.transform(outputs.round_as_trained(y))

    def _scale_inputs(self, x: Array) -> Array:
        inputs = self.schema.inputs
        assert inputs is not None
        return inputs.transform(inputs.round_as_trained(x))

    def _is_padding(self, rows: Positions, steps: int) -> npt.NDArray[np.bool_]:
        """Return the mask (T, B) of the padding of right-aligned examples."""
        return np.arange(steps)[:, None] < steps - self.lengths[rows]

    def _batch_targets(self, rows: Positions) -> Array | None:
        """Return `Batch.y`."""
        if self.label is not None:
            labels: Array = self.label[rows]
            return labels
        if self.y is None:
            return None
        if self.schema.outputs is None:
            return self.y.align_right(rows, IGNORED)
        return self._scale_targets(self.actual(rows))

    def _decoder_targets(self, rows: Positions) -> dict[str, Array]:
        """Return the decoder's input, which starts with the end symbol, and its targets, which end with it."""
        assert self.target is not None
        lengths = self.target.lengths[rows]
        out = self.target.align_left(rows, IGNORED, extra_steps=1)
        out[lengths, np.arange(len(rows))] = END
        # Teacher forcing: the input is the target delayed by one step.
        delayed = np.vstack([np.full((1, len(rows)), END, np.int32), np.maximum(out[:-1], 0)])
        return {"target_in": delayed, "target_out": out}

    def _batch_spelling(self, rows: Positions) -> dict[str, Any]:
        """Return the spelling of the distinct words of a batch, and the word at each step."""
        assert self.word is not None
        assert self.spelling is not None
        words = self.word.take(rows)
        # A frequent word occurs many times in a batch: its characters are read once.
        distinct, index = np.unique(words.flat, return_inverse=True)

        # Groups change the order of the words: argsort inverts that permutation.
        groups = _group_spellings(self.spelling.lengths[distinct])
        order = np.concatenate(groups)
        word_of = Ragged(np.argsort(order)[index.reshape(-1)].astype(np.int32), words.bounds)
        return {
            "spelling": tuple(self.spelling.align_right(distinct[group]) for group in groups),
            "spelling_lengths": self.spelling.lengths[distinct[order]],
            "word_of": word_of.align_right(np.arange(len(rows))),
        }


def _group_spellings(lengths: Positions) -> list[Positions]:
    """Group words of these lengths for padding: one group, unless a long word would make it too large."""
    order = np.arange(len(lengths))
    if len(lengths) * lengths.max() <= MAX_POSITIONS:
        return [order]
    by_length = np.argsort(lengths, kind="stable")
    return list(iter_bounded_batches(by_length, [lengths], len(lengths), MAX_POSITIONS))


def describe_unseen_labels(unseen: Mapping[str, Location]) -> str:
    """Return a line about labels that the model has not learned."""
    names = join_first([f"{label!r} ({place})" for label, place in unseen.items()], _MAX_LISTED)
    return f"labels that did not occur in training count as wrong and have no loss: {names}"


def _update_digest(digest: Any, array: Array) -> None:
    """Hash shape, type and values; the bytes are little-endian on every machine."""
    digest.update(str((array.shape, array.dtype.str[1:])).encode())
    digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
