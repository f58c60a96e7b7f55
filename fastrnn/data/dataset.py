"""Encoded examples, ready to be cut into batches; `encode` makes them from records and a vocabulary."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .batch import EMPTY, Batch
from .ragged import MOST_POSITIONS, Ragged, bounded
from .record import Place
from .splitting import some_rows, split_rows
from .symbols import END
from .vocabulary import Vocabulary

_SHOWN = 5  # labels in a message
Array = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]


class Examples(Protocol):
    """What `batches` cut: a `Dataset`, or the `Windows` of a forecast."""

    @property
    def vocabulary(self) -> Vocabulary: ...

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
class Dataset:
    """n examples. ``x``: ids, dense steps, or (generate) `given` as sequences of one; ``y``: tags or outputs a step;
    ``label`` (n,): classes, -1 unknown; ``target``: ids for the decoder; ``word`` and ``spelling`` (tag): which of the
    different words stands at each step, and the characters of each. Numbers are in their own units, and scaled when a
    batch is made. ``unseen``: labels that the vocabulary lacks, with the place of the first; label i of them is
    `UNSEEN` - i in ``y`` or ``label``.
    """

    vocabulary: Vocabulary
    places: tuple[Place, ...]
    x: Ragged
    y: Ragged | None = None
    label: Array | None = None
    target: Ragged | None = None
    word: Ragged | None = None
    spelling: Ragged | None = None
    unseen: Mapping[str, Place] = field(default_factory=dict)

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

    def take(self, rows: Positions) -> "Dataset":
        """Some of the examples, in this order."""
        y, target, word = (None if part is None else part.take(rows) for part in (self.y, self.target, self.word))
        places = tuple(self.places[i] for i in rows)
        label = None if self.label is None else self.label[rows]
        return replace(self, places=places, x=self.x.take(rows), y=y, label=label, target=target, word=word)

    def split(self, valid: float, seed: int) -> tuple["Dataset", "Dataset | None"]:
        """Shuffled by the seed; the second has ``round(valid * n)`` examples, and is None if that is 0."""
        train, held = split_rows(len(self), valid, seed)
        return (self.take(train), self.take(held)) if len(held) else (self, None)

    def some(self, count: int, seed: int) -> "Dataset":
        """At most ``count`` examples, drawn by the seed."""
        return self.take(some_rows(len(self), count, seed))

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
        yield self.x, self.x.flat if inputs is None else inputs.as_trained(self.x.flat)
        if self.y is not None:
            yield self.y, self._fed(self.y.flat) if outputs is not None and outputs.rounds else self.y.flat
        if self.target is not None:
            yield self.target, self.target.flat

    def _fed(self, y: Array) -> Array:
        """Outputs (..., K) as the loss takes them."""
        outputs = self.vocabulary.outputs
        assert outputs is not None
        return y.astype(np.float32) if self.vocabulary.binary else outputs.scaled(outputs.as_trained(y))

    def _scaled(self, x: Array) -> Array:
        inputs = self.vocabulary.inputs
        assert inputs is not None
        return inputs.scaled(inputs.as_trained(x))

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


def unseen_told(unseen: Mapping[str, Place]) -> str:
    """A line about labels that the model has not learnt."""
    names = ", ".join(f"{label!r} ({place})" for label, place in list(unseen.items())[:_SHOWN])
    more = f" and {len(unseen) - _SHOWN} more" if len(unseen) > _SHOWN else ""
    return f"labels that did not occur in training count as wrong and have no loss: {names}{more}"


def _update(digest: Any, array: Array) -> None:
    digest.update(str((array.shape, array.dtype.str[1:])).encode())
    digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
