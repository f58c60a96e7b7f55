"""`ExampleSet` that a Python caller has built: checked as a reader checks a file, since no reader has seen them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ConfigError, InputError
from ...message import quoted
from .example import LARGEST, Example, ExampleSet, Location
from .schema import check_label
from .series import Series


def check_given(records: ExampleSet, task: str) -> None:
    """Raises `InputError` that names the record whose parts are not those of this task, `ConfigError` for another task.

    Vocabulary and encoding check the rest: that labels are known and shapes equal.
    """
    if records.task != task:
        raise ConfigError(f"these are records of {quoted(records.task)}; the task is {task}: give Config(task=...)")
    if not records.items:
        raise InputError("no record was given; give at least one")
    for number, record in enumerate(records.items, 1):
        if not isinstance(record, Example):
            raise Location("item", number).error(f"{quoted(record)} is no Record")
        place = record.place if isinstance(record.place, Location) else Location("item", number)
        if not isinstance(record.place, Location):
            raise place.error("its place is no Place; give Place(name, line)")
        _CHECKS[task](record, place, records.answers)


def _tag(record: Example, place: Location, answers: bool) -> None:
    _check_words(record.x, "words", place)
    if record.y is not None or answers:
        _check_words(record.y, "tags", place)
        if len(record.x) != len(record.y):
            raise place.error(f"{len(record.x)} words and {len(record.y)} tags; give each word its tag")
        for tag in record.y:
            check_label(tag, place)


def _classify(record: Example, place: Location, answers: bool) -> None:
    if isinstance(record.x, np.ndarray):
        _check_array(record.x, 2, "its numbers", place)
    else:
        _check_text(record.x, "its text", place)
    if record.y is not None or answers:
        check_label(record.y, place)


def _generate(record: Example, place: Location, answers: bool) -> None:
    if isinstance(record.x, np.ndarray):
        _check_array(record.x, 1, "what is given", place)
    else:
        check_label(record.x, place)
    if record.y is not None or answers:
        _check_text(record.y, "its text", place)


def _translate(record: Example, place: Location, answers: bool) -> None:
    _check_text(record.x, "its text", place)
    if record.y is not None or answers:
        _check_text(record.y, "its translation", place)


def _forecast(record: Example, place: Location, answers: bool) -> None:
    if not isinstance(record.x, Series):
        raise place.error(f"{quoted(record.x)} where a Series is needed")


def _regress(record: Example, place: Location, answers: bool) -> None:
    _check_array(record.x, 2, "its inputs", place)
    if record.y is not None or answers:
        _check_array(record.y, 2, "its targets", place, missing=True)
        if len(record.x) != len(record.y):
            raise place.error(f"{len(record.x)} steps of inputs and {len(record.y)} of targets; give as many")


_CHECKS = {
    "tag": _tag,
    "classify": _classify,
    "generate": _generate,
    "translate": _translate,
    "forecast": _forecast,
    "regress": _regress,
}


def _check_text(text: Any, what: str, place: Location) -> None:
    if not isinstance(text, str):
        raise place.error(f"{what} is {quoted(text)}; give a text")
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise place.error(f"{what} holds a lone surrogate, which is not Unicode; give a text without")


def _check_words(words: Any, what: str, place: Location) -> None:
    if isinstance(words, str) or not isinstance(words, Sequence) or not words:
        raise place.error(f"{quoted(words)} where a list of {what} is needed")
    for word in words:
        _check_text(word, f"one of its {what}", place)
        if not word or "\n" in word:
            raise place.error(f"one of its {what} is {quoted(word)}; give texts of one line, none of them empty")


def _check_array(array: Any, dimensions: int, what: str, place: Location, missing: bool = False) -> None:
    """Finite numbers; ``missing``: or NaN."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise place.error(f"{what} must be an array of numbers, not {quoted(array)}")
    if array.ndim != dimensions or not array.size:
        shape = "(steps, features)" if dimensions == 2 else "(numbers,)"
        raise place.error(f"{what} have shape {array.shape}; give {shape}")
    sound = np.abs(array.astype(np.float64)) <= LARGEST
    if not (sound | np.isnan(array.astype(np.float64)) if missing else sound).all():
        raise place.error(f"{what} hold a number that is not finite, or beyond {LARGEST:g}")
