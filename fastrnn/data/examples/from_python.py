"""Examples from plain Python values: conversion for predictions, and checks of sets that no reader has made."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from ...errors import ConfigError, InputError, quote
from ...task_specs import get_supervised_task
from .example import LARGEST, Example, ExampleSet, Location
from .schema import TaskSchema

Array = np.ndarray[Any, Any]


def iter_examples(values: Iterable[Any], schema: TaskSchema) -> Iterator[Example]:
    """Convert each value to an example; an `Example` is passed through.

    classify and translate take texts; tag takes lists of words; regress, and classify of numbers, take arrays (T, F),
    or (F,) for one step. Raises `InputError` with the position of the first item of another type.
    """
    task = get_supervised_task(schema.task)
    # Iterating over a table gives the names of its columns, and over a mapping its keys: neither is data.
    is_table = hasattr(values, "columns") or isinstance(values, Mapping)
    is_scalar = isinstance(values, str | bytes | bytearray) or getattr(values, "ndim", 1) == 0
    if is_table or is_scalar or not isinstance(values, Iterable):
        column = "; of a table give one column" if is_table else ""
        expected = task.name_input(schema)
        raise InputError(f"{describe_value(values)} where a list is needed; give a list of {expected}s{column}")

    for number, value in enumerate(values, 1):
        if isinstance(value, Example):
            yield value
        else:
            yield task.convert_input(value, schema, Location("item", number))


def step_to_example(value: Any, schema: TaskSchema) -> Example:
    """Convert one step to an example: a word (tag), or numbers (F,), or a scalar if F is 1. Raises `InputError`."""
    return get_supervised_task(schema.task).convert_input_step(value, schema, Location("step"))


def convert_step_numbers(value: Any, schema: TaskSchema, place: Location) -> Example:
    """Convert the numbers (F,) of one step, or a scalar if F is 1."""
    assert schema.inputs is not None
    size = schema.inputs.size
    numbers = to_float64(value, place)
    if numbers.shape != (size,) and not (numbers.ndim == 0 and size == 1):
        raise place.error(f"numbers of shape {numbers.shape}; a step takes {size}, shape ({size},)")
    return Example(numbers.reshape(1, size), None, place)


def convert_text_or_numbers(value: Any, schema: TaskSchema, place: Location) -> Example:
    """Convert a text, if the schema has a vocabulary of the input, or numbers (T, F), or (F,) for one step."""
    if schema.tokens is not None:
        if not isinstance(value, str):
            raise place.error(f"{describe_value(value)} where a text is needed")
        return Example(value, None, place, value)

    numbers = to_float64(value, place)
    if numbers.ndim not in (1, 2) or not numbers.size:
        raise place.error(f"numbers of shape {numbers.shape}; give (steps, features), or (features,) for one step")
    return Example(numbers if numbers.ndim == 2 else numbers[None], None, place)


def to_float64(value: Any, place: Location) -> Array:
    """Convert to a float64 array. Raises `InputError` if an element is not a number or not finite."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        raise place.error("rows of different lengths; give an array of numbers") from None
    if array.dtype.kind == "O":
        array = _objects_to_float64(array)
    if array.dtype.kind not in "biuf":
        raise place.error(f"{describe_value(value)} where numbers are needed")
    with np.errstate(over="ignore"):  # an overflow becomes infinite and is reported below
        array = array.astype(np.float64)
    if not (np.abs(array) <= LARGEST).all():
        raise place.error(f"a number that is not finite, or beyond {LARGEST:g}; give finite ones")
    return array


def _objects_to_float64(objects: Array) -> Array:
    """Convert Python numbers, such as the rows of a table with several column types; return other objects as is."""
    are_numbers = all(isinstance(element, Real | Decimal | np.bool_) for element in objects.flat)
    try:
        return objects.astype(np.float64) if are_numbers else objects
    except (OverflowError, ValueError):  # an integer too large, or a signaling NaN of Decimal
        return np.full(objects.shape, np.inf)


def describe_value(value: Any) -> str:
    """Name the type of a value."""
    if isinstance(value, str):
        return "a text" if value else "an empty text"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    return f"a value of type {type(value).__name__}"


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
        get_supervised_task(task).check_example(example, example.place, examples.needs_targets)


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
