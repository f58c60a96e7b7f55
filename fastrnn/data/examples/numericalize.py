"""Records to encoded examples, by a vocabulary."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ConfigError
from .dataset import EMPTY, UNSEEN, EncodedExamples, Ragged
from .example import LARGEST, Example, ExampleSet, Location
from .readers.conll import locate_word
from .schema import TaskSchema
from .sliding_windows import SlidingWindows, windows

Array = npt.NDArray[Any]


def numericalize(
    records: ExampleSet, vocabulary: TaskSchema, allow_unseen: bool = False
) -> "EncodedExamples | SlidingWindows":
    """Records as a vocabulary sees them.

    ``allow_unseen``: for evaluation, labels that the vocabulary lacks are kept apart (`EncodedExamples.unseen`). Raises
    `InputError` that names file and line for an empty sequence, an unknown label (unless the records need no answers)
    or another number of columns.
    """
    if records.task != vocabulary.task:
        raise ConfigError(f"these are records of {records.task}; the model is of {vocabulary.task}")
    if records.task == "forecast":
        return windows(records, vocabulary)
    places = tuple(record.place for record in records.items)
    labels = _Labels(vocabulary, records.answers, allow_unseen)
    parts = _ENCODERS[records.task](records, vocabulary, labels)
    return EncodedExamples(vocabulary, places, **parts, unseen=labels.unseen)


class _Labels:
    """Labels to ids. ``unseen``: those that the vocabulary lacks, with the place of the first of each."""

    def __init__(self, vocabulary: TaskSchema, answers: bool, allow_unseen: bool) -> None:
        self._vocabulary, self._answers, self._allow_unseen = vocabulary, answers, allow_unseen
        self.unseen: dict[str, Location] = {}
        self._unseen_ids: dict[str, int] = {}

    def id_of(self, label: str, place: Callable[[], Location]) -> int:
        """The id, `EMPTY` for an unknown label that is not needed, `UNSEEN` or below for one that may be unknown."""
        found = self._vocabulary.find_label(label)
        if found is not None:
            return found
        if not self._answers:
            return EMPTY
        if not self._allow_unseen:
            return self._vocabulary.label_id(label, place())  # raises
        if label not in self._unseen_ids:
            self._unseen_ids[label] = UNSEEN - len(self.unseen)
            self.unseen[label] = place()
        return self._unseen_ids[label]


def _tag(records: ExampleSet, vocabulary: TaskSchema, labels: _Labels) -> dict[str, Any]:
    assert vocabulary.tokens is not None
    parts: dict[str, Any] = {"x": Ragged.of([vocabulary.tokens.to_ids(r.x) for r in records.items], np.int32)}
    if _answered(records):
        tags = [[labels.id_of(tag, partial(locate_word, r, i)) for i, tag in enumerate(r.y)] for r in records.items]
        parts["y"] = Ragged.of([np.array(t, np.int32) for t in tags])
    if vocabulary.characters is not None:
        numbers: dict[str, int] = {}
        words = [np.array([numbers.setdefault(word, len(numbers)) for word in r.x], np.int32) for r in records.items]
        parts["word"] = Ragged.of(words)
        parts["spelling"] = Ragged.of([vocabulary.characters.to_ids(word) for word in numbers], np.int32)
    return parts


def _classify(records: ExampleSet, vocabulary: TaskSchema, labels: _Labels) -> dict[str, Any]:
    ids = [EMPTY if r.y is None else labels.id_of(r.y, partial(_place, r)) for r in records.items]
    if vocabulary.tokens is None:
        return {"x": _dense(records, vocabulary), "label": np.array(ids, np.int32)}
    return {"x": _ids(records, vocabulary), "label": np.array(ids, np.int32)}


def _place(record: Example) -> Location:
    return record.place


def _generate(records: ExampleSet, vocabulary: TaskSchema, _labels: _Labels) -> dict[str, Any]:
    if vocabulary.labels:
        given = [np.array([vocabulary.label_id(_text(r), r.place)], np.int32) for r in records.items]
        return {"x": Ragged.of(given), **_decoded(records, vocabulary)}
    assert vocabulary.inputs is not None
    for record in records.items:
        if isinstance(record.x, str) or record.x.shape != (vocabulary.inputs.size,):
            raise record.place.error(f'"given" must be a list of {vocabulary.inputs.size} numbers here')
        if not (np.abs(record.x) <= LARGEST).all():
            raise record.place.error(f'"given" must hold finite numbers, at most {LARGEST:g}')
    return {"x": Ragged.of([r.x[None] for r in records.items]), **_decoded(records, vocabulary)}


def _translate(records: ExampleSet, vocabulary: TaskSchema, _labels: _Labels) -> dict[str, Any]:
    return {"x": _ids(records, vocabulary), **_decoded(records, vocabulary)}


def _regress(records: ExampleSet, vocabulary: TaskSchema, _labels: _Labels) -> dict[str, Any]:
    parts: dict[str, Any] = {"x": _dense(records, vocabulary)}
    if _answered(records):
        parts["y"] = Ragged.of([_outputs(record, vocabulary) for record in records.items], np.float64)
    return parts


_ENCODERS = {
    "tag": _tag,
    "classify": _classify,
    "generate": _generate,
    "translate": _translate,
    "regress": _regress,
}


def _answered(records: ExampleSet) -> bool:
    """Whether every record has its answer."""
    return all(record.y is not None for record in records.items)


def _text(record: Example) -> str:
    if not isinstance(record.x, str):
        raise record.place.error("an array where a text is needed; give the kind of data the model was trained on")
    return record.x


def _ids(records: ExampleSet, vocabulary: TaskSchema) -> Ragged:
    """Ids of the texts; one without a token is an error."""
    assert vocabulary.tokens is not None
    found = [vocabulary.tokens.to_ids(_text(record)) for record in records.items]
    for ids, record in zip(found, records.items, strict=True):
        if not ids.size:
            raise record.place.error("an empty sequence; give at least one token or leave the line out")
    return Ragged.of(found, np.int32)


def _decoded(records: ExampleSet, vocabulary: TaskSchema) -> dict[str, Any]:
    assert vocabulary.target is not None
    if not _answered(records):
        return {}
    return {"target": Ragged.of([vocabulary.target.to_ids(record.y) for record in records.items], np.int32)}


def _dense(records: ExampleSet, vocabulary: TaskSchema) -> Ragged:
    """Steps (T, F) as they are, scaled when a batch is made."""
    assert vocabulary.inputs is not None
    for record in records.items:
        if isinstance(record.x, str) or record.x.shape[1:] != (vocabulary.inputs.size,):
            has = "a text" if isinstance(record.x, str) else f"{record.x.shape[1]} features"
            raise record.place.error(f"{has} where the model takes {vocabulary.inputs.size} features a step")
    return Ragged.of([record.x for record in records.items])


def _outputs(record: Example, vocabulary: TaskSchema) -> Array:
    """Outputs (T, K) in their own units; NaN, and -1 among bits, is not scored."""
    assert vocabulary.outputs is not None
    y: Array = record.y
    if y.shape[1] != vocabulary.outputs.size:
        raise record.place.error(f"{y.shape[1]} targets where the model has {vocabulary.outputs.size}")
    if not vocabulary.binary:
        return y
    bits: Array = np.where(y == -1, np.nan, y)
    if not np.isin(bits[~np.isnan(bits)], (0, 1)).all():
        raise record.place.error("a target that is no bit; this model predicts 0 or 1 (-1: not scored)")
    return bits
