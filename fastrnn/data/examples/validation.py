"""Validation of an `ExampleSet` built in Python, which no reader has checked."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ConfigError, InputError, quote
from .example import LARGEST, Example, ExampleSet, Location
from .schema import check_label
from .series import Series


def check_example_set(examples: ExampleSet, task: str) -> None:
    """Check that the parts of every example are those of the task.

    `TaskSchema.build` and `numericalize` check the rest: known labels and equal numbers of columns.

    Raises:
        ConfigError: The examples are of another task.
        InputError: There is no example, or one is invalid; the message names it.
    """
    if examples.task != task:
        raise ConfigError(f"these are examples of {quote(examples.task)}; the task is {task}: give Config(task=...)")
    if not examples.items:
        raise InputError("no example was given; give at least one")

    for number, example in enumerate(examples.items, 1):
        item = Location("item", number)
        if not isinstance(example, Example):
            raise item.error(f"{quote(example)} is not an Example")
        if not isinstance(example.place, Location):
            raise item.error("its place is not a Location; give Location(file, line)")
        _CHECKS[task](example, example.place, examples.answers)


def _check_tag(example: Example, place: Location, needs_target: bool) -> None:
    _check_words(example.x, "words", place)
    if example.y is not None or needs_target:
        _check_words(example.y, "tags", place)
        if len(example.x) != len(example.y):
            raise place.error(f"{len(example.x)} words and {len(example.y)} tags; give each word its tag")
        for tag in example.y:
            check_label(tag, place)


def _check_classify(example: Example, place: Location, needs_target: bool) -> None:
    if isinstance(example.x, np.ndarray):
        _check_array(example.x, 2, "its numbers", place)
    else:
        _check_text(example.x, "its text", place)
    if example.y is not None or needs_target:
        check_label(example.y, place)


def _check_generate(example: Example, place: Location, needs_target: bool) -> None:
    if isinstance(example.x, np.ndarray):
        _check_array(example.x, 1, "what is given", place)
    else:
        check_label(example.x, place)
    if example.y is not None or needs_target:
        _check_text(example.y, "its text", place)


def _check_translate(example: Example, place: Location, needs_target: bool) -> None:
    _check_text(example.x, "its text", place)
    if example.y is not None or needs_target:
        _check_text(example.y, "its translation", place)


def _check_forecast(example: Example, place: Location, needs_target: bool) -> None:
    if not isinstance(example.x, Series):
        raise place.error(f"{quote(example.x)} where a Series is needed")


def _check_regress(example: Example, place: Location, needs_target: bool) -> None:
    _check_array(example.x, 2, "its inputs", place)
    if example.y is not None or needs_target:
        _check_array(example.y, 2, "its targets", place, allow_nan=True)
        if len(example.x) != len(example.y):
            raise place.error(f"{len(example.x)} steps of inputs and {len(example.y)} of targets; give as many")


_CHECKS = {
    "tag": _check_tag,
    "classify": _check_classify,
    "generate": _check_generate,
    "translate": _check_translate,
    "forecast": _check_forecast,
    "regress": _check_regress,
}


def _check_text(text: Any, name: str, place: Location) -> None:
    if not isinstance(text, str):
        raise place.error(f"{name} is {quote(text)}; give a text")
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise place.error(f"{name} holds a lone surrogate, which is not Unicode; give a text without")


def _check_words(words: Any, name: str, place: Location) -> None:
    if isinstance(words, str) or not isinstance(words, Sequence) or not words:
        raise place.error(f"{quote(words)} where a list of {name} is needed")
    for word in words:
        _check_text(word, f"one of its {name}", place)
        if not word or "\n" in word:
            raise place.error(f"one of its {name} is {quote(word)}; give texts of one line, none of them empty")


def _check_array(array: Any, dimensions: int, name: str, place: Location, allow_nan: bool = False) -> None:
    """Check for a non-empty array of finite numbers, or NaN if ``allow_nan``."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise place.error(f"{name} must be an array of numbers, not {quote(array)}")
    if array.ndim != dimensions or not array.size:
        shape = "(steps, features)" if dimensions == 2 else "(numbers,)"
        raise place.error(f"{name} have shape {array.shape}; give {shape}")
    numbers = array.astype(np.float64)
    is_valid = np.abs(numbers) <= LARGEST
    if allow_nan:
        is_valid |= np.isnan(numbers)
    if not is_valid.all():
        raise place.error(f"{name} hold a number that is not finite, or beyond {LARGEST:g}")
