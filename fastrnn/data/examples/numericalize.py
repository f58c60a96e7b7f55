"""Conversion of examples to arrays of ids and numbers, by the schema of a task."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ConfigError
from ...task_specs import get_supervised_task
from .dataset import IGNORED, UNSEEN, EncodedDataset, Ragged
from .example import Example, ExampleSet, Location
from .schema import TaskSchema

Array = npt.NDArray[Any]


def numericalize(examples: ExampleSet, schema: TaskSchema, allow_unseen: bool = False) -> EncodedDataset:
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
    return get_supervised_task(schema.task).encode(examples, schema, allow_unseen)


class LabelEncoder:
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
            # Below -1, which is padding, so that one array holds ids, padding and unseen labels.
            self._unseen_ids[label] = UNSEEN - len(self.unseen)
            self.unseen[label] = get_place()
        return self._unseen_ids[label]


def all_have_targets(examples: ExampleSet) -> bool:
    """Return whether every example has a target."""
    return all(example.y is not None for example in examples.items)


def require_text(example: Example) -> str:
    """Return the input text. Raises `InputError` for an array."""
    if not isinstance(example.x, str):
        raise example.place.error("an array where a text is needed; give the kind of data the model was trained on")
    return example.x


def encode_texts(examples: ExampleSet, schema: TaskSchema) -> Ragged:
    """Encode input texts; one without tokens is an error."""
    assert schema.tokens is not None
    sequences = [schema.tokens.to_ids(require_text(example)) for example in examples.items]
    for ids, example in zip(sequences, examples.items, strict=True):
        if not ids.size:
            raise example.place.error("an empty sequence; give at least one token or leave the line out")
    return Ragged.from_sequences(sequences, np.int32)


def encode_targets(examples: ExampleSet, schema: TaskSchema) -> dict[str, Any]:
    """Encode target texts, if there are any."""
    assert schema.target is not None
    if not all_have_targets(examples):
        return {}
    sequences = [schema.target.to_ids(example.y) for example in examples.items]
    return {"target": Ragged.from_sequences(sequences, np.int32)}


def encode_steps(examples: ExampleSet, schema: TaskSchema) -> Ragged:
    """Concatenate dense steps (T, F) in their own units."""
    assert schema.inputs is not None
    for example in examples.items:
        if isinstance(example.x, str) or example.x.shape[1:] != (schema.inputs.size,):
            has = "a text" if isinstance(example.x, str) else f"{example.x.shape[1]} features"
            raise example.place.error(f"{has} where the model takes {schema.inputs.size} features a step")
    return Ragged.from_sequences([example.x for example in examples.items])


def encode_outputs(example: Example, schema: TaskSchema) -> Array:
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
