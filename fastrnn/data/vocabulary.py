"""What a model of a labelled task must remember to encode its inputs and to show its answers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ..config import Config, nearest
from ..errors import InputError
from ..message import quoted, shorten
from ..nn.signature import Signature
from .record import Place, Record, Records
from .scaling import Scaling, scaling_from_mapping
from .series import CALENDAR
from .soundness import check_kept, check_label, check_names, check_plain, check_sound
from .splitting import training_rows
from .symbols import CHARS, WORDS, Symbols, symbols_from_mapping
from .tables import Columns

_SHOWN = 12  # labels in a message


@dataclass(frozen=True)
class Vocabulary:
    """The tables of a task; those that it does not need are None or empty.

    ``tokens``: symbols of the input ids; ``characters``: of the spelling of words (tag); ``target``: of the decoder;
    ``labels``: names of classes or tags, in order; ``inputs``: dense inputs (regress, classify, generate from vectors,
    and the series of forecast); ``outputs``: what regress predicts, ``binary`` if these are bits; ``horizon`` and
    ``seq``: steps predicted and seen (forecast); ``date``: the column that the calendar is read from, ``date_order``:
    which of its numbers are day, month and year ("dmy", "mdy", "ymd"), where that is not plain.
    """

    task: str
    tokens: Symbols | None = None
    characters: Symbols | None = None
    target: Symbols | None = None
    labels: tuple[str, ...] = ()
    inputs: Scaling | None = None
    outputs: Scaling | None = None
    binary: bool = False
    horizon: int = 0
    seq: int = 0
    date: str | None = None
    date_order: str = ""

    kind: ClassVar[str] = "task"

    @classmethod
    def build(cls, records: Records, config: Config) -> "Vocabulary":
        """The tables for these records, made from those that train (`splitting.training_rows`); labels from all.

        Raises `InputError` for labels and names that could not be read again.
        """
        check_names((*records.inputs, *records.outputs), records.items[0].place)
        found = _BUILDERS[records.task](records, training_items(records, config), config)
        check_kept(found, vocabulary_from_mapping)
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

    def signature(self, task: str) -> Signature:
        """What goes in and out of a model with this vocabulary."""
        labels = len(self.labels)
        if task == "forecast":
            labels = self.horizon * (self.inputs.size if self.inputs else 0)
        elif task == "regress":
            labels = self.outputs.size if self.outputs else 0
        elif task == "generate" and self.inputs:
            labels = self.inputs.size
        return Signature(
            task,
            tokens=self.tokens.size if self.tokens else 0,
            characters=self.characters.size if self.characters else 0,
            features=0 if task == "generate" else self.features,
            labels=labels,
            target_tokens=self.target.size if self.target else 0,
            binary=self.binary,
        )

    def label_id(self, label: str, place: Place) -> int:
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
        """What JSON can hold, for `vocabulary_from_mapping`; tables that are not there are left out."""
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


def training_items(records: Records, config: Config) -> Sequence[Record]:
    """The records that train: all where validation has a file of its own, or (forecast) the end of each series."""
    if config.valid_file is not None or records.task == "forecast":
        return records.items
    return [records.items[i] for i in training_rows(len(records), config.valid, config.seed)]


def vocabulary_from_mapping(mapping: Any) -> Vocabulary:
    """The reverse of `Vocabulary.to_mapping`. Raises `InputError` if the mapping is not a sound vocabulary."""
    if not isinstance(mapping, Mapping) or mapping.get("kind") != Vocabulary.kind:
        raise InputError("not the vocabulary of a labelled task")
    rest = {key: value for key, value in mapping.items() if key != "kind"}
    unknown = set(rest) - {field.name for field in fields(Vocabulary)}
    if unknown or rest.get("task") not in list(_BUILDERS):
        raise InputError(f"a vocabulary with {sorted(map(str, unknown)) or 'an unknown task'}")
    for name in ("tokens", "characters", "target"):
        if name in rest:
            rest[name] = symbols_from_mapping(rest[name])
    for name in ("inputs", "outputs"):
        if name in rest:
            rest[name] = scaling_from_mapping(rest[name])
    check_plain(rest)
    rest["labels"] = tuple(rest["labels"].split("\n")) if "labels" in rest else ()
    found = Vocabulary(**rest)
    check_sound(found)
    return found


def _tag(records: Records, items: Sequence[Record], config: Config) -> Vocabulary:
    words = [record.x for record in items]
    spelt = any(len(word) > 1 for sentence in words for word in sentence)
    return Vocabulary(
        "tag",
        tokens=Symbols.build("tokens", words, config.min_count),
        characters=Symbols.build("chars", (w for s in words for w in s), config.min_count) if spelt else None,
        labels=_labels((tag, record.place) for record in records.items for tag in record.y or ()),
    )


def _classify(records: Records, items: Sequence[Record], config: Config) -> Vocabulary:
    labels = _labels((record.y, record.place) for record in records.items if record.y is not None)
    if len(labels) < 2:
        raise records.items[0].place.error("every example has the same label; classify needs at least two labels")
    if isinstance(items[0].x, str):
        return Vocabulary("classify", tokens=_texts(config, (r.x for r in items), config.min_count), labels=labels)
    return Vocabulary("classify", inputs=_dense(items, records.inputs), labels=labels)


def _generate(records: Records, items: Sequence[Record], config: Config) -> Vocabulary:
    target = _texts(config, (record.y for record in items), _least_in_targets(config))
    if isinstance(items[0].x, str):
        return Vocabulary("generate", target=target, labels=_labels((r.x, r.place) for r in records.items))
    return Vocabulary("generate", target=target, inputs=Scaling.of([record.x[None] for record in items]))


def _translate(records: Records, items: Sequence[Record], config: Config) -> Vocabulary:
    return Vocabulary(
        "translate",
        tokens=_texts(config, (record.x for record in items), config.min_count),
        target=_texts(config, (record.y for record in items), _least_in_targets(config)),
    )


def _forecast(records: Records, items: Sequence[Record], config: Config) -> Vocabulary:
    valid = 0 if config.valid_file is not None else config.valid
    series = [record.x for record in items]
    past = [one.values[: max(1, int((1 - valid) * len(one)))] for one in series]
    return Vocabulary(
        "forecast",
        inputs=Scaling.of(past, series[0].columns, predicted=True),
        horizon=config.horizon or 1,
        seq=config.seq,
        date=series[0].date,
        date_order=series[0].date_order,
    )


def _regress(records: Records, items: Sequence[Record], config: Config) -> Vocabulary:
    targets = [record.y for record in items]
    seen = np.unique(np.concatenate([t[~np.isnan(t)] for t in targets]))
    if not seen.size:
        raise records.items[0].place.error("no target at all; give each example what is to be predicted")
    binary = set(seen.tolist()) <= {-1.0, 0.0, 1.0} and 0.0 in seen
    if binary:
        outputs = Scaling.plain(targets[0].shape[1], records.outputs)
    else:
        outputs = Scaling.of(targets, records.outputs, predicted=True)
    return Vocabulary("regress", inputs=_dense(items, records.inputs), outputs=outputs, binary=binary)


_BUILDERS = {
    "tag": _tag,
    "classify": _classify,
    "generate": _generate,
    "translate": _translate,
    "forecast": _forecast,
    "regress": _regress,
}


def _texts(config: Config, texts: Iterable[str], min_count: int) -> Symbols:
    return Symbols.build(config.tokens or CHARS, texts, min_count)


def _least_in_targets(config: Config) -> int:
    """How often a symbol must stand in the targets: a character that was left out could never be written."""
    return config.min_count if config.tokens == WORDS else 1


def _labels(found: Iterable[tuple[Any, Place]]) -> tuple[str, ...]:
    """Every label once: whole numbers by value, before the others in alphabetical order."""
    names = {check_label(label, place) for label, place in found}
    return tuple(sorted(names, key=lambda s: (0, int(s), s) if s.isdecimal() and len(s) < 20 else (1, 0, s)))


def _dense(items: Sequence[Record], names: Sequence[str] = ()) -> Scaling:
    """Bytes count from 0 to 1; bits (and -1) stay as they are; other columns get zero mean and unit variance."""
    arrays = [record.x for record in items]
    features = arrays[0].shape[1]
    if arrays[0].dtype == np.uint8:
        return Scaling.plain(features, names, 255.0)
    if all(np.isin(array, (-1, 0, 1)).all() for array in arrays):
        return Scaling.plain(features, names)
    return Scaling.of(arrays, names)
