"""What must hold of a task's vocabulary: of one from a file, and of a new one before anything is trained with it.

All checks raise `InputError`.

What a model of a labelled task must remember to encode its inputs and to show its answers.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...config import Config, nearest
from ...errors import InputError
from ...message import quoted, shorten
from .example import Example, ExampleSet, Location
from .readers.csv_columns import Columns
from .scaling import StandardScaler, scaler_from_mapping
from .series import CALENDAR
from .split import training_rows
from .symbol_vocab import CHARS, WORDS, SymbolVocab, symbol_vocab_from_mapping

if TYPE_CHECKING:
    pass

_TYPES: dict[str, type] = {"binary": bool, "horizon": int, "seq": int, "date": str, "date_order": str, "labels": str}
_MOST_STEPS = 65536
# What a task's vocabulary must hold; generate has labels or inputs, classify and regress tokens or inputs.
_NEEDED = {
    "tag": ("tokens", "labels"),
    "classify": ("labels",),
    "generate": ("target",),
    "translate": ("tokens", "target"),
    "forecast": ("inputs", "horizon", "seq"),
    "regress": ("inputs", "outputs"),
}
_OPTIONAL = {"tag": {"characters"}, "regress": {"binary"}, "forecast": {"date", "date_order"}}
_EITHER = {"classify": ("tokens", "inputs"), "generate": ("labels", "inputs")}


def check_plain(mapping: Mapping[str, Any]) -> None:
    """Numbers, flags and texts have their types and ranges."""
    for name, kind in _TYPES.items():
        if name in mapping and (type(mapping[name]) is not kind or not mapping[name]):
            raise InputError(f"the {name} of a vocabulary is damaged")
    for name in ("horizon", "seq"):
        if not 0 <= mapping.get(name, 0) <= _MOST_STEPS:
            raise InputError(f"the {name} of a vocabulary is out of range")
    if mapping.get("date_order", "dmy") not in ("dmy", "mdy", "ymd"):
        raise InputError("the date_order of a vocabulary is damaged")


def check_sound(vocabulary: "TaskSchema") -> None:
    """The tables are those of the task, and the labels are different ones."""
    allowed = {*_NEEDED[vocabulary.task], *_EITHER.get(vocabulary.task, ())}
    allowed |= _OPTIONAL.get(vocabulary.task, set())
    held = {f.name for f in fields(vocabulary) if f.name != "task" and getattr(vocabulary, f.name)}
    either = held & set(_EITHER.get(vocabulary.task, ()))
    if not set(_NEEDED[vocabulary.task]) <= held <= allowed or (vocabulary.task in _EITHER and len(either) != 1):
        raise InputError(f"a vocabulary of {vocabulary.task} with the wrong tables: {', '.join(sorted(held))}")
    if len(set(vocabulary.labels)) != len(vocabulary.labels) or "" in vocabulary.labels:
        raise InputError("the labels of a vocabulary must be different and not empty")
    if any("\ud800" <= c <= "\udfff" for label in vocabulary.labels for c in label):
        raise InputError("the labels of a vocabulary cannot hold surrogates")


def check_label(label: Any, place: Location) -> str:
    """A label that can be kept: labels are kept as lines of one text."""
    if not isinstance(label, str):
        raise place.error(f"the label is {quoted(label)}, which is no text; give a text such as {quoted(str(label))}")
    if not label or "\n" in label:
        what = "holds a line break" if label else "is empty"
        raise place.error(f"the label {quoted(label)} {what}; give it a name of one line")
    if any("\ud800" <= c <= "\udfff" for c in label):
        raise place.error(f"the label {quoted(label)} is not Unicode; give it a plain name")
    return label


def check_names(names: Sequence[Any], place: Location) -> None:
    """Names of columns that can be kept, in the same way."""
    for name in names:
        if not isinstance(name, str) or not name or "\n" in name:
            raise place.error(f"a column is named {quoted(name)}; give it a name of one line")
    if len(set(names)) != len(names):
        raise place.error("two columns have the same name; give each its own")


def check_kept(vocabulary: "TaskSchema", read: Callable[[Any], "TaskSchema"]) -> None:
    """A new vocabulary is read back as it is written, so that no model is trained that cannot be loaded."""
    try:
        kept = read(json.loads(json.dumps(vocabulary.to_mapping(), allow_nan=False)))
    except (InputError, ValueError) as error:
        raise InputError(f"the vocabulary of this data cannot be kept ({error}); change the data") from None
    if kept != vocabulary:
        raise InputError("the vocabulary of this data cannot be kept: it would be read as another; change the data")


_SHOWN = 12  # labels in a message


@dataclass(frozen=True)
class TaskSchema:
    """The tables of a task; those that it does not need are None or empty.

    ``tokens``: symbols of the input ids; ``characters``: of the spelling of words (tag); ``target``: of the decoder;
    ``labels``: names of classes or tags, in order; ``inputs``: dense inputs (regress, classify, generate from vectors,
    and the series of forecast); ``outputs``: what regress predicts, ``binary`` if these are bits; ``horizon`` and
    ``seq``: steps predicted and seen (forecast); ``date``: the column that the calendar is read from, ``date_order``:
    which of its numbers are day, month and year ("dmy", "mdy", "ymd"), where that is not plain.
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
    def build(cls, records: ExampleSet, config: Config) -> "TaskSchema":
        """The tables for these records, made from those that train (`splitting.training_rows`); labels from all.

        Raises `InputError` for labels and names that could not be read again.
        """
        check_names((*records.inputs, *records.outputs), records.items[0].place)
        found = _BUILDERS[records.task](records, training_items(records, config), config)
        check_kept(found, schema_from_mapping)
        return found

    @property
    def size(self) -> int:
        """The number of entries in the largest table."""
        tables = [t.size for t in (self.tokens, self.characters, self.target, self.inputs, self.outputs) if t]
        return max([*tables, len(self.labels)])

    @property
    def columns(self) -> Columns | None:
        """The exact columns of a table to read, if that is what the task reads."""
        if self.task not in ("forecast", "regress", "classify") or self.inputs is None or not self.inputs.names:
            return None
        return Columns(self.inputs.names, self.outputs.names if self.outputs else (), self.date, self.date_order)

    @property
    def features(self) -> int:
        """F of dense input; of a series, changes, levels and the calendar."""
        columns = self.inputs.size if self.inputs else 0
        return 2 * columns + (CALENDAR if self.date else 0) if self.task == "forecast" else columns

    def label_id(self, label: str, place: Location) -> int:
        """The id of a label. Raises `InputError` for one that is unknown."""
        found = self.find_label(label)
        if found is None:
            names = ", ".join(map(shorten, self.labels[:_SHOWN])) + (", ..." if len(self.labels) > _SHOWN else "")
            raise place.error(f"label {quoted(label)} is unknown{nearest(label, self.labels)}; the model knows {names}")
        return found

    def find_label(self, label: str) -> int | None:
        """The id of a label, None for one that is unknown."""
        return self._label_ids.get(label)

    @cached_property
    def _label_ids(self) -> dict[str, int]:
        """Labels as they are; then, of models older than the reader's cleaning, without blanks and quotation marks."""
        ids = {label: i for i, label in enumerate(self.labels)}
        for i, label in enumerate(self.labels):
            ids.setdefault(label.strip(), i)
            ids.setdefault(label.strip().strip('"'), i)
        return ids

    def to_mapping(self) -> dict[str, Any]:
        """What JSON can hold, for `schema_from_mapping`; tables that are not there are left out."""
        mapping: dict[str, Any] = {"kind": self.kind, "task": self.task}
        for name in ("tokens", "characters", "target", "inputs", "outputs"):
            table = getattr(self, name)
            if table is not None:
                mapping[name] = table.to_mapping()
        if self.labels:
            mapping["labels"] = "\n".join(self.labels)
        for name in ("binary", "horizon", "seq", "date", "date_order"):
            if getattr(self, name):
                mapping[name] = getattr(self, name)
        return mapping


def training_items(records: ExampleSet, config: Config) -> Sequence[Example]:
    """The records that train: all where validation has a file of its own, or (forecast) the end of each series."""
    if config.valid_file is not None or records.task == "forecast":
        return records.items
    return [records.items[i] for i in training_rows(len(records), config.valid, config.seed)]


def schema_from_mapping(mapping: Any) -> TaskSchema:
    """The reverse of `TaskSchema.to_mapping`. Raises `InputError` if the mapping is not a sound vocabulary."""
    if not isinstance(mapping, Mapping) or mapping.get("kind") != TaskSchema.kind:
        raise InputError("not the vocabulary of a labelled task")
    rest = {key: value for key, value in mapping.items() if key != "kind"}
    unknown = set(rest) - {field.name for field in fields(TaskSchema)}
    if unknown or rest.get("task") not in list(_BUILDERS):
        raise InputError(f"a vocabulary with {sorted(map(str, unknown)) or 'an unknown task'}")
    for name in ("tokens", "characters", "target"):
        if name in rest:
            rest[name] = symbol_vocab_from_mapping(rest[name])
    for name in ("inputs", "outputs"):
        if name in rest:
            rest[name] = scaler_from_mapping(rest[name])
    check_plain(rest)
    rest["labels"] = tuple(rest["labels"].split("\n")) if "labels" in rest else ()
    found = TaskSchema(**rest)
    check_sound(found)
    return found


def _tag(records: ExampleSet, items: Sequence[Example], config: Config) -> TaskSchema:
    words = [record.x for record in items]
    spelt = any(len(word) > 1 for sentence in words for word in sentence)
    return TaskSchema(
        "tag",
        tokens=SymbolVocab.build("tokens", words, config.min_count),
        characters=SymbolVocab.build("chars", (w for s in words for w in s), config.min_count) if spelt else None,
        labels=_labels((tag, record.place) for record in records.items for tag in record.y or ()),
    )


def _classify(records: ExampleSet, items: Sequence[Example], config: Config) -> TaskSchema:
    labels = _labels((record.y, record.place) for record in records.items if record.y is not None)
    if len(labels) < 2:
        raise records.items[0].place.error("every example has the same label; classify needs at least two labels")
    if isinstance(items[0].x, str):
        return TaskSchema("classify", tokens=_texts(config, (r.x for r in items), config.min_count), labels=labels)
    return TaskSchema("classify", inputs=_dense(items, records.inputs), labels=labels)


def _generate(records: ExampleSet, items: Sequence[Example], config: Config) -> TaskSchema:
    target = _texts(config, (record.y for record in items), _least_in_targets(config))
    if isinstance(items[0].x, str):
        return TaskSchema("generate", target=target, labels=_labels((r.x, r.place) for r in records.items))
    return TaskSchema("generate", target=target, inputs=StandardScaler.fit([record.x[None] for record in items]))


def _translate(records: ExampleSet, items: Sequence[Example], config: Config) -> TaskSchema:
    return TaskSchema(
        "translate",
        tokens=_texts(config, (record.x for record in items), config.min_count),
        target=_texts(config, (record.y for record in items), _least_in_targets(config)),
    )


def _forecast(records: ExampleSet, items: Sequence[Example], config: Config) -> TaskSchema:
    valid = 0 if config.valid_file is not None else config.valid
    series = [record.x for record in items]
    past = [one.values[: max(1, int((1 - valid) * len(one)))] for one in series]
    return TaskSchema(
        "forecast",
        inputs=StandardScaler.fit(past, series[0].columns, predicted=True),
        horizon=config.horizon or 1,
        seq=config.seq,
        date=series[0].date,
        date_order=series[0].date_order,
    )


def _regress(records: ExampleSet, items: Sequence[Example], config: Config) -> TaskSchema:
    targets = [record.y for record in items]
    seen = np.unique(np.concatenate([t[~np.isnan(t)] for t in targets]))
    if not seen.size:
        raise records.items[0].place.error("no target at all; give each example what is to be predicted")
    binary = set(seen.tolist()) <= {-1.0, 0.0, 1.0} and 0.0 in seen
    if binary:
        outputs = StandardScaler.identity(targets[0].shape[1], records.outputs)
    else:
        outputs = StandardScaler.fit(targets, records.outputs, predicted=True)
    return TaskSchema("regress", inputs=_dense(items, records.inputs), outputs=outputs, binary=binary)


_BUILDERS = {
    "tag": _tag,
    "classify": _classify,
    "generate": _generate,
    "translate": _translate,
    "forecast": _forecast,
    "regress": _regress,
}


def _texts(config: Config, texts: Iterable[str], min_count: int) -> SymbolVocab:
    return SymbolVocab.build(config.tokens or CHARS, texts, min_count)


def _least_in_targets(config: Config) -> int:
    """How often a symbol must stand in the targets: a character that was left out could never be written."""
    return config.min_count if config.tokens == WORDS else 1


def _labels(found: Iterable[tuple[Any, Location]]) -> tuple[str, ...]:
    """Every label once: whole numbers by value, before the others in alphabetical order."""
    names = {check_label(label, place) for label, place in found}
    return tuple(sorted(names, key=lambda s: (0, int(s), s) if s.isdecimal() and len(s) < 20 else (1, 0, s)))


def _dense(items: Sequence[Example], names: Sequence[str] = ()) -> StandardScaler:
    """Bytes count from 0 to 1; bits (and -1) stay as they are; other columns get zero mean and unit variance."""
    arrays = [record.x for record in items]
    features = arrays[0].shape[1]
    if arrays[0].dtype == np.uint8:
        return StandardScaler.identity(features, names, 255.0)
    if all(np.isin(array, (-1, 0, 1)).all() for array in arrays):
        return StandardScaler.identity(features, names)
    return StandardScaler.fit(arrays, names)
