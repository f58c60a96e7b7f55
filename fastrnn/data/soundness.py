"""What must hold of a task's vocabulary: of one from a file, and of a new one before anything is trained with it.

All checks raise `InputError`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..message import quoted
from .record import Place

if TYPE_CHECKING:
    from .vocabulary import Vocabulary

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


def check_sound(vocabulary: "Vocabulary") -> None:
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


def check_label(label: Any, place: Place) -> str:
    """A label that can be kept: labels are kept as lines of one text."""
    if not isinstance(label, str):
        raise place.error(f"the label is {quoted(label)}, which is no text; give a text such as {quoted(str(label))}")
    if not label or "\n" in label:
        what = "holds a line break" if label else "is empty"
        raise place.error(f"the label {quoted(label)} {what}; give it a name of one line")
    if any("\ud800" <= c <= "\udfff" for c in label):
        raise place.error(f"the label {quoted(label)} is not Unicode; give it a plain name")
    return label


def check_names(names: Sequence[Any], place: Place) -> None:
    """Names of columns that can be kept, in the same way."""
    for name in names:
        if not isinstance(name, str) or not name or "\n" in name:
            raise place.error(f"a column is named {quoted(name)}; give it a name of one line")
    if len(set(names)) != len(names):
        raise place.error("two columns have the same name; give each its own")


def check_kept(vocabulary: "Vocabulary", read: Callable[[Any], "Vocabulary"]) -> None:
    """A new vocabulary is read back as it is written, so that no model is trained that cannot be loaded."""
    try:
        kept = read(json.loads(json.dumps(vocabulary.to_mapping(), allow_nan=False)))
    except (InputError, ValueError) as error:
        raise InputError(f"the vocabulary of this data cannot be kept ({error}); change the data") from None
    if kept != vocabulary:
        raise InputError("the vocabulary of this data cannot be kept: it would be read as another; change the data")
