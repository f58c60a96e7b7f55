"""Conversion of examples to arrays of ids and numbers, by the schema of a task."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ConfigError
from .dataset import IGNORED, UNSEEN, EncodedExamples, Ragged
from .example import LARGEST, Example, ExampleSet, Location
from .readers.conll import locate_word
from .schema import TaskSchema
from .sliding_windows import SlidingWindows, make_windows

Array = npt.NDArray[Any]


def numericalize(
    examples: ExampleSet, schema: TaskSchema, allow_unseen: bool = False
) -> "EncodedExamples | SlidingWindows":
    """Encode examples by a schema.

    Args:
        examples: Examples of the schema's task.
        schema: Vocabularies, labels and scalers, usually of the training data.
        allow_unseen: Whether labels that the schema lacks are kept in `EncodedExamples.unseen`, for evaluation, instead
            of raising an error.

    Raises:
        ConfigError: The examples are of another task.
        InputError: An empty sequence, an unknown label (unless the examples need no targets), or another number of
            columns; the message names file and line.
    """
    if examples.task != schema.task:
        raise ConfigError(f"these are examples of {examples.task}; the model is of {schema.task}")
    if examples.task == "forecast":
        return make_windows(examples, schema)

    places = tuple(example.place for example in examples.items)
    labels = _LabelEncoder(schema, examples.answers, allow_unseen)
    parts = _ENCODERS[examples.task](examples, schema, labels)
    return EncodedExamples(schema, places, **parts, unseen=labels.unseen)


class _LabelEncoder:
    """Converts labels to ids. ``unseen``: labels that the schema lacks, with the location of the first of each."""

    def __init__(self, schema: TaskSchema, is_required: bool, allow_unseen: bool) -> None:
        self._schema = schema
        self._is_required = is_required
        self._allow_unseen = allow_unseen
        self.unseen: dict[str, Location] = {}
        self._unseen_ids: dict[str, int] = {}

    def to_id(self, label: str, get_place: Callable[[], Location]) -> int:
        """Return the id of a label.

        An unknown label gets `IGNORED` if labels are not required, and an id of `UNSEEN` or lower if unseen labels are
        allowed. Otherwise it raises `InputError`. The location is computed only if it is needed: for tags that
        scans the example's text.
        """
        label_id = self._schema.find_label(label)
        if label_id is not None:
            return label_id
        if not self._is_required:
            return IGNORED
        if not self._allow_unseen:
            return self._schema.label_id(label, get_place())  # raises
        if label not in self._unseen_ids:
            self._unseen_ids[label] = UNSEEN - len(self.unseen)
            self.unseen[label] = get_place()
        return self._unseen_ids[label]


def _encode_tag(examples: ExampleSet, schema: TaskSchema, labels: _LabelEncoder) -> dict[str, Any]:
    assert schema.tokens is not None
    items = examples.items
    parts: dict[str, Any] = {"x": Ragged.from_sequences([schema.tokens.to_ids(e.x) for e in items], np.int32)}

    if _have_targets(examples):
        tags = [[labels.to_id(tag, partial(locate_word, e, i)) for i, tag in enumerate(e.y)] for e in items]
        parts["y"] = Ragged.from_sequences([np.array(ids, np.int32) for ids in tags])

    # Each distinct word is spelled once; `word` is its index at each step.
    if schema.characters is not None:
        word_ids: dict[str, int] = {}
        words = [np.array([word_ids.setdefault(word, len(word_ids)) for word in e.x], np.int32) for e in items]
        parts["word"] = Ragged.from_sequences(words)
        parts["spelling"] = Ragged.from_sequences([schema.characters.to_ids(word) for word in word_ids], np.int32)
    return parts


def _encode_classify(examples: ExampleSet, schema: TaskSchema, labels: _LabelEncoder) -> dict[str, Any]:
    ids = [IGNORED if e.y is None else labels.to_id(e.y, partial(_place_of, e)) for e in examples.items]
    if schema.tokens is None:
        return {"x": _encode_steps(examples, schema), "label": np.array(ids, np.int32)}
    return {"x": _encode_texts(examples, schema), "label": np.array(ids, np.int32)}


def _place_of(example: Example) -> Location:
    return example.place


def _encode_generate(examples: ExampleSet, schema: TaskSchema, _labels: _LabelEncoder) -> dict[str, Any]:
    if schema.labels:
        given = [np.array([schema.label_id(_require_text(e), e.place)], np.int32) for e in examples.items]
        return {"x": Ragged.from_sequences(given), **_encode_targets(examples, schema)}

    assert schema.inputs is not None
    for example in examples.items:
        if isinstance(example.x, str) or example.x.shape != (schema.inputs.size,):
            raise example.place.error(f'"given" must be a list of {schema.inputs.size} numbers here')
        if not (np.abs(example.x) <= LARGEST).all():
            raise example.place.error(f'"given" must hold finite numbers, at most {LARGEST:g}')
    vectors = Ragged.from_sequences([example.x[None] for example in examples.items])
    return {"x": vectors, **_encode_targets(examples, schema)}


def _encode_translate(examples: ExampleSet, schema: TaskSchema, _labels: _LabelEncoder) -> dict[str, Any]:
    return {"x": _encode_texts(examples, schema), **_encode_targets(examples, schema)}


def _encode_regress(examples: ExampleSet, schema: TaskSchema, _labels: _LabelEncoder) -> dict[str, Any]:
    parts: dict[str, Any] = {"x": _encode_steps(examples, schema)}
    if _have_targets(examples):
        outputs = [_encode_outputs(example, schema) for example in examples.items]
        parts["y"] = Ragged.from_sequences(outputs, np.float64)
    return parts


_ENCODERS = {
    "tag": _encode_tag,
    "classify": _encode_classify,
    "generate": _encode_generate,
    "translate": _encode_translate,
    "regress": _encode_regress,
}


def _have_targets(examples: ExampleSet) -> bool:
    """Return whether every example has a target."""
    return all(example.y is not None for example in examples.items)


def _require_text(example: Example) -> str:
    if not isinstance(example.x, str):
        raise example.place.error("an array where a text is needed; give the kind of data the model was trained on")
    return example.x


def _encode_texts(examples: ExampleSet, schema: TaskSchema) -> Ragged:
    """Encode input texts; one without tokens is an error."""
    assert schema.tokens is not None
    sequences = [schema.tokens.to_ids(_require_text(example)) for example in examples.items]
    for ids, example in zip(sequences, examples.items, strict=True):
        if not ids.size:
            raise example.place.error("an empty sequence; give at least one token or leave the line out")
    return Ragged.from_sequences(sequences, np.int32)


def _encode_targets(examples: ExampleSet, schema: TaskSchema) -> dict[str, Any]:
    """Encode target texts, if there are any."""
    assert schema.target is not None
    if not _have_targets(examples):
        return {}
    sequences = [schema.target.to_ids(example.y) for example in examples.items]
    return {"target": Ragged.from_sequences(sequences, np.int32)}


def _encode_steps(examples: ExampleSet, schema: TaskSchema) -> Ragged:
    """Concatenate dense steps (T, F) in their own units."""
    assert schema.inputs is not None
    for example in examples.items:
        if isinstance(example.x, str) or example.x.shape[1:] != (schema.inputs.size,):
            has = "a text" if isinstance(example.x, str) else f"{example.x.shape[1]} features"
            raise example.place.error(f"{has} where the model takes {schema.inputs.size} features a step")
    return Ragged.from_sequences([example.x for example in examples.items])


def _encode_outputs(example: Example, schema: TaskSchema) -> Array:
    """Return outputs (T, K) in their own units, NaN where not scored; among bits, -1 is not scored either."""
    assert schema.outputs is not None
    y: Array = example.y
    if y.shape[1] != schema.outputs.size:
        raise example.place.error(f"{y.shape[1]} targets where the model has {schema.outputs.size}")
    if not schema.binary:
        return y

    bits: Array = np.where(y == -1, np.nan, y)
    if not np.isin(bits[~np.isnan(bits)], (0, 1)).all():
        raise example.place.error("a target that is no bit; this model predicts 0 or 1 (-1: not scored)")
    return bits
