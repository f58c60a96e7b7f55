"""`TaskSchema`: the vocabularies, labels and scalers that encode a task's examples and decode its predictions.

A schema is built from training data, checked, and saved with the model. All checks raise `InputError`. Dense columns
are standardized to zero mean and unit variance.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...config import Config
from ...errors import InputError, nearest, quote, shorten
from ...task_specs import TASK_SPECS, get_supervised_task, list_supervised_tasks
from .example import Example, ExampleSet, Location, training_rows
from .readers.csv_columns import Columns
from .series import CALENDAR
from .symbol_vocab import CHARS, WORDS, SymbolVocab, symbol_vocab_from_dict

Array = npt.NDArray[Any]

# A deviation below this fraction of the column's magnitude is float64 rounding error.
_ROUNDING = 4 * np.finfo(np.float64).eps
_LARGEST_SCALED = 1e18  # float32 can represent its square
_MAX_LISTED = 12  # labels in a message
_MAX_STEPS = 65536
# Types of the values of a mapping that are not tables.
_TYPES: dict[str, type] = {"binary": bool, "horizon": int, "seq": int, "date": str, "date_order": str, "labels": str}


@dataclass(frozen=True)
class StandardScaler:
    """Scales F columns: scaled = (x - mean) / deviation.

    Attributes:
        mean: Mean of each column (F,).
        deviation: Standard deviation of each column (F,).
        names: Names of the columns (F,), empty if they have none.
        rounds_to_float32: Whether numbers are rounded to float32 before scaling. Models written by version 0.1 were
            trained that way and give the same predictions only if it is repeated.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    names: tuple[str, ...] = ()
    rounds_to_float32: bool = False

    @classmethod
    def fit(cls, arrays: Iterable[Array], names: Sequence[str] = (), predicted: bool = False) -> "StandardScaler":
        """Fit to arrays (n, F) in float64, ignoring NaN.

        A constant column gets a deviation of 1. If the columns are ``predicted``, errors must be small relative to the
        column's magnitude, so the deviation of a constant column is at most that magnitude.
        """
        fitted = [_fit_column(column, predicted) for column in np.concatenate(list(arrays)).T]
        return cls(tuple(mean for mean, _ in fitted), tuple(deviation for _, deviation in fitted), tuple(names))

    @classmethod
    def identity(cls, size: int, names: Sequence[str] = (), deviation: float = 1.0) -> "StandardScaler":
        """Return a scaler of ``size`` columns with mean 0 and the same deviation."""
        return cls((0.0,) * size, (deviation,) * size, tuple(names))

    @property
    def size(self) -> int:
        """Number of columns F."""
        return len(self.mean)

    def transform(self, array: Array) -> npt.NDArray[np.float32]:
        """Scale (..., F) in float64, and clip to the range that float32 can square."""
        mean, deviation = self._arrays
        with np.errstate(over="ignore"):  # division by a tiny deviation overflows; clipped below
            scaled = (array - mean) / deviation
        return np.clip(scaled, -_LARGEST_SCALED, _LARGEST_SCALED).astype(np.float32)

    def round_as_trained(self, array: Array) -> Array:
        """Round float64 to float32 if the model was trained on rounded numbers (`rounds_to_float32`)."""
        return array.astype(np.float32) if self.rounds_to_float32 and array.dtype == np.float64 else array

    def inverse_transform(self, array: Array) -> npt.NDArray[np.float64]:
        """Undo `transform` on (..., F), in float64."""
        mean, deviation = self._arrays
        return array.astype(np.float64) * deviation + mean

    @cached_property
    def _arrays(self) -> tuple[Array, Array]:
        return np.array(self.mean), np.array(self.deviation)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible mapping. A missing ``dtype`` means `rounds_to_float32`."""
        mapping = {"mean": list(self.mean), "deviation": list(self.deviation), "names": "\n".join(self.names)}
        return mapping if self.rounds_to_float32 else mapping | {"dtype": "float64"}


def _fit_column(column: Array, predicted: bool) -> tuple[float, float]:
    """Return the mean and standard deviation of numbers (n,), ignoring NaN."""
    column = column.astype(np.float64)
    column = column[~np.isnan(column)]
    if not column.size:
        return 0.0, 1.0
    magnitude = float(np.abs(column).max())

    # Subtract one of the numbers and divide by the largest difference, so that neither a large mean nor a tiny spread
    # loses digits.
    mean = float(column[0])
    column -= mean
    largest = float(np.abs(column).max())  # 0 for a constant column
    if largest > 0:
        column /= largest
        mean += float(column.mean()) * largest
        deviation = float(column.std()) * largest
        if deviation > _ROUNDING * magnitude:
            return mean, deviation
    return mean, min(1.0, magnitude) if predicted and magnitude else 1.0


def scaler_from_dict(mapping: Any) -> StandardScaler:
    """Restore a scaler from `StandardScaler.to_dict`. Raises `InputError` if the mapping is invalid."""
    if not isinstance(mapping, Mapping) or set(mapping) - {"dtype"} != {"mean", "deviation", "names"}:
        raise InputError("a scaler needs the keys mean, deviation and names")
    if mapping.get("dtype", "float64") != "float64":
        raise InputError("the dtype of a scaler must be float64")

    mean = _parse_floats(mapping["mean"])
    deviation = _parse_floats(mapping["deviation"])
    if not mean or len(mean) != len(deviation) or not all(number > 0 for number in deviation):
        raise InputError("a scaler needs a mean and a positive deviation for each column")

    if not isinstance(mapping["names"], str):
        raise InputError("the column names of a scaler must be one text")
    names = tuple(mapping["names"].split("\n")) if mapping["names"] else ()
    if names and (len(names) != len(mean) or len(set(names)) != len(names)):
        raise InputError("a scaler needs a different name for each column, or none")
    return StandardScaler(mean, deviation, names, rounds_to_float32="dtype" not in mapping)


def _parse_floats(values: Any) -> tuple[float, ...]:
    if not isinstance(values, list):
        raise InputError("mean and deviation of a scaler must be lists")
    for value in values:
        # bool is a subclass of int.
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise InputError("the numbers of a scaler must be finite")
    return tuple(float(value) for value in values)


@dataclass(frozen=True)
class TaskSchema:
    """The vocabularies, labels and scalers of a task; fields that it does not need are None or empty.

    Attributes:
        task: Name of the task.
        tokens: Vocabulary of the input.
        characters: Vocabulary of the spelling of words (tag).
        target: Vocabulary of the decoder.
        labels: Names of classes or tags, in the order of their ids.
        inputs: Scaler of dense inputs: of regress, classify, and generate from vectors, and of the series of forecast.
        outputs: Scaler of the targets of regress.
        binary: Whether the targets of regress are bits.
        horizon: Steps that forecast predicts.
        seq: Steps of the window that forecast reads.
        date: Column from which the calendar features are read (forecast).
        date_order: Order of day, month and year ("dmy", "mdy" or "ymd") where a date alone is ambiguous.
    """

    task: str
    tokens: SymbolVocab | None = None
    characters: SymbolVocab | None = None
    target: SymbolVocab | None = None
    labels: tuple[str, ...] = ()
    inputs: StandardScaler | None = None
    outputs: StandardScaler | None = None
    binary: bool = False
    horizon: int = 0
    seq: int = 0
    date: str | None = None
    date_order: str = ""

    kind: ClassVar[str] = "task"

    @classmethod
    def build(cls, examples: ExampleSet, config: Config) -> "TaskSchema":
        """Build the schema from the training examples (`select_training_examples`), and the labels from all examples.

        Raises `InputError` for labels and column names that could not be loaded again.
        """
        check_column_names((*examples.inputs, *examples.outputs), examples.items[0].place)
        task = get_supervised_task(examples.task)
        schema = task.build_schema(examples, select_training_examples(examples, config), config)
        _check_round_trip(schema)
        return schema

    @property
    def size(self) -> int:
        """Number of entries of the largest table."""
        tables = [t.size for t in (self.tokens, self.characters, self.target, self.inputs, self.outputs) if t]
        return max([*tables, len(self.labels)])

    @property
    def columns(self) -> Columns | None:
        """The columns to read from a table, for tasks that read named columns."""
        if "columns" not in TASK_SPECS[self.task].options or self.inputs is None or not self.inputs.names:
            return None
        return Columns(self.inputs.names, self.outputs.names if self.outputs else (), self.date, self.date_order)

    @property
    def features(self) -> int:
        """Features F of dense input; for a series: changes, levels and calendar."""
        columns = self.inputs.size if self.inputs else 0
        return 2 * columns + (CALENDAR if self.date else 0) if self.horizon else columns

    def label_id(self, label: str, place: Location) -> int:
        """Return the id of a label. Raises `InputError` if it is unknown."""
        label_id = self.find_label(label)
        if label_id is None:
            names = ", ".join(map(shorten, self.labels[:_MAX_LISTED]))
            more = ", ..." if len(self.labels) > _MAX_LISTED else ""
            hint = nearest(label, self.labels)
            raise place.error(f"label {quote(label)} is unknown{hint}; the model knows {names}{more}")
        return label_id

    def find_label(self, label: str) -> int | None:
        """Return the id of a label, None if it is unknown."""
        return self._label_ids.get(label)

    @cached_property
    def _label_ids(self) -> dict[str, int]:
        """Ids of labels.

        Older models may have labels with spaces and quotation marks around them, which readers now strip; those are
        also found by their stripped form, unless another label has it.
        """
        ids = {label: i for i, label in enumerate(self.labels)}
        for i, label in enumerate(self.labels):
            ids.setdefault(label.strip(), i)
            ids.setdefault(label.strip().strip('"'), i)
        return ids

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible mapping for `schema_from_dict`, without empty fields."""
        mapping: dict[str, Any] = {"kind": self.kind, "task": self.task}
        for name in ("tokens", "characters", "target", "inputs", "outputs"):
            table = getattr(self, name)
            if table is not None:
                mapping[name] = table.to_dict()
        if self.labels:
            mapping["labels"] = "\n".join(self.labels)
        for name in ("binary", "horizon", "seq", "date", "date_order"):
            if getattr(self, name):
                mapping[name] = getattr(self, name)
        return mapping


def schema_from_dict(mapping: Any) -> TaskSchema:
    """Restore a schema from `TaskSchema.to_dict`. Raises `InputError` if the mapping is invalid."""
    if not isinstance(mapping, Mapping) or mapping.get("kind") != TaskSchema.kind:
        raise InputError("not the vocabulary of a labelled task")
    values = {key: value for key, value in mapping.items() if key != "kind"}
    unknown = set(values) - {field.name for field in fields(TaskSchema)}
    if unknown or values.get("task") not in list_supervised_tasks():
        raise InputError(f"a vocabulary with {sorted(map(str, unknown)) or 'an unknown task'}")

    for name in ("tokens", "characters", "target"):
        if name in values:
            values[name] = symbol_vocab_from_dict(values[name])
    for name in ("inputs", "outputs"):
        if name in values:
            values[name] = scaler_from_dict(values[name])
    _check_values(values)
    values["labels"] = tuple(values["labels"].split("\n")) if "labels" in values else ()

    schema = TaskSchema(**values)
    _check_fields(schema)
    return schema


def _check_values(mapping: Mapping[str, Any]) -> None:
    """Check types and ranges of numbers, flags and texts."""
    for name, kind in _TYPES.items():
        # bool is a subclass of int: compare types.
        if name in mapping and (type(mapping[name]) is not kind or not mapping[name]):
            raise InputError(f"the {name} of a vocabulary is damaged")
    for name in ("horizon", "seq"):
        if not 0 <= mapping.get(name, 0) <= _MAX_STEPS:
            raise InputError(f"the {name} of a vocabulary is out of range")
    if mapping.get("date_order", "dmy") not in ("dmy", "mdy", "ymd"):
        raise InputError("the date_order of a vocabulary is damaged")


def _check_fields(schema: TaskSchema) -> None:
    """Check that the fields are those of the task, and that labels are distinct."""
    task = get_supervised_task(schema.task)
    required = set(task.required_fields)
    either = set(task.either_fields)
    allowed = required | either | set(task.optional_fields)
    present = {f.name for f in fields(schema) if f.name != "task" and getattr(schema, f.name)}
    if not required <= present <= allowed or (either and len(present & either) != 1):
        raise InputError(f"a vocabulary of {schema.task} with the wrong tables: {', '.join(sorted(present))}")

    if len(set(schema.labels)) != len(schema.labels) or "" in schema.labels:
        raise InputError("the labels of a vocabulary must be different and not empty")
    # They cannot be printed or written as UTF-8.
    if any("\ud800" <= c <= "\udfff" for label in schema.labels for c in label):
        raise InputError("the labels of a vocabulary cannot hold surrogates")


def _check_round_trip(schema: TaskSchema) -> None:
    """Check that a new schema survives saving and loading, so that no model is trained that cannot be loaded."""
    try:
        # By the code that loads a model, so that both accept the same.
        loaded = schema_from_dict(json.loads(json.dumps(schema.to_dict(), allow_nan=False)))
    except (InputError, ValueError) as error:
        raise InputError(f"the vocabulary of this data cannot be kept ({error}); change the data") from None
    if loaded != schema:
        raise InputError("the vocabulary of this data cannot be kept: it would be read as another; change the data")


def check_label(label: Any, place: Location) -> str:
    """Check that a label can be saved, as one line of a text, and return it."""
    if not isinstance(label, str):
        raise place.error(f"the label is {quote(label)}, which is no text; give a text such as {quote(str(label))}")
    if not label or "\n" in label:
        problem = "holds a line break" if label else "is empty"
        raise place.error(f"the label {quote(label)} {problem}; give it a name of one line")
    if any("\ud800" <= c <= "\udfff" for c in label):
        raise place.error(f"the label {quote(label)} is not Unicode; give it a plain name")
    return label


def check_column_names(names: Sequence[Any], place: Location) -> None:
    """Check that column names can be saved, as lines of a text, and are distinct."""
    for name in names:
        if not isinstance(name, str) or not name or "\n" in name:
            raise place.error(f"a column is named {quote(name)}; give it a name of one line")
    if len(set(names)) != len(names):
        raise place.error("two columns have the same name; give each its own")


def select_training_examples(examples: ExampleSet, config: Config) -> Sequence[Example]:
    """Return the training examples.

    These are all examples if validation has its own file, or if each example is split in time (forecast).
    """
    if config.valid_file is not None or get_supervised_task(examples.task).splits_in_time:
        return examples.items
    return [examples.items[i] for i in training_rows(len(examples), config.valid, config.seed)]


def build_vocab(config: Config, texts: Iterable[str], min_count: int) -> SymbolVocab:
    """Build the vocabulary of texts, of the token unit of ``config``."""
    return SymbolVocab.build(config.tokens or CHARS, texts, min_count)


def target_min_count(config: Config) -> int:
    """Return the least count of a symbol in targets: 1 for characters, since the decoder cannot spell missing ones."""
    return config.min_count if config.tokens == WORDS else 1


def collect_labels(labels: Iterable[tuple[Any, Location]]) -> tuple[str, ...]:
    """Return the distinct labels: whole numbers by value, then the others alphabetically."""
    names = {check_label(label, place) for label, place in labels}
    # Longer digit strings are identifiers rather than numbers.
    return tuple(sorted(names, key=lambda s: (0, int(s), s) if s.isdecimal() and len(s) < 20 else (1, 0, s)))


def fit_inputs(training: Sequence[Example], names: Sequence[str] = ()) -> StandardScaler:
    """Fit the scaler of dense inputs (T, F).

    Bytes are divided by 255; bits (and -1) are unchanged; other columns get zero mean and unit variance.
    """
    arrays = [example.x for example in training]
    features = arrays[0].shape[1]
    if arrays[0].dtype == np.uint8:
        return StandardScaler.identity(features, names, 255.0)
    if all(np.isin(array, (-1, 0, 1)).all() for array in arrays):
        return StandardScaler.identity(features, names)
    return StandardScaler.fit(arrays, names)
