"""Conversion of plain Python values to examples, for predictions from Python."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from ...errors import InputError
from ...task_specs import get_supervised_task
from .example import LARGEST, Example, Location
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
