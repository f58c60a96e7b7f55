"""Validation of an `ExampleSet` built in Python, which no reader has checked."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ConfigError, InputError, quote
from ...task_specs import get_supervised_task
from .example import LARGEST, Example, ExampleSet, Location


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
        get_supervised_task(task).check_example(example, example.place, examples.answers)


def check_text(text: Any, name: str, place: Location) -> None:
    """Check for a text; ``name`` is what messages call it."""
    if not isinstance(text, str):
        raise place.error(f"{name} is {quote(text)}; give a text")
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise place.error(f"{name} holds a lone surrogate, which is not Unicode; give a text without")


def check_words(words: Any, name: str, place: Location) -> None:
    """Check for a list of words; ``name`` is what messages call them."""
    if isinstance(words, str) or not isinstance(words, Sequence) or not words:
        raise place.error(f"{quote(words)} where a list of {name} is needed")
    for word in words:
        check_text(word, f"one of its {name}", place)
        if not word or "\n" in word:
            raise place.error(f"one of its {name} is {quote(word)}; give texts of one line, none of them empty")


def check_array(array: Any, dimensions: int, name: str, place: Location, allow_nan: bool = False) -> None:
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
