"""Plain Python values as records: what a labelled task is asked, without a file."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from ...errors import InputError
from .example import LARGEST, Example, Location
from .schema import TaskSchema

Array = np.ndarray[Any, Any]


def records_of(values: Iterable[Any], vocabulary: TaskSchema) -> Iterator[Example]:
    """A record of each value; records stay as they are.

    classify, translate: texts; tag: lists of words; regress, and classify of numbers: arrays (T, F), or (F,) for one
    step. Raises `InputError` that says which item is something else.
    """
    # A table is iterated over by the names of its columns, and a mapping by its keys: neither is what is asked.
    table = hasattr(values, "columns") or isinstance(values, Mapping)
    single = isinstance(values, str | bytes | bytearray) or getattr(values, "ndim", 1) == 0
    if table or single or not isinstance(values, Iterable):
        column = "; of a table give one column" if table else ""
        raise InputError(f"{_kind(values)} where a list is needed; give a list of {_wanted(vocabulary)}s{column}")
    for number, value in enumerate(values, 1):
        yield value if isinstance(value, Example) else _record(value, vocabulary, Location("item", number))


def step_of(value: Any, vocabulary: TaskSchema) -> Example:
    """The record of one step: a word (tag), or numbers (F,), also a single one where F is 1. Raises `InputError`."""
    place = Location("step")
    if vocabulary.task == "tag":
        if not isinstance(value, str) or not value:
            raise place.error(f"{_kind(value)} where a word is needed")
        return Example([value], None, place)
    assert vocabulary.inputs is not None
    size = vocabulary.inputs.size
    found = numbers_of(value, place)
    if found.shape != (size,) and not (found.ndim == 0 and size == 1):
        raise place.error(f"numbers of shape {found.shape}; a step takes {size}, shape ({size},)")
    return Example(found.reshape(1, size), None, place)


def _record(value: Any, vocabulary: TaskSchema, place: Location) -> Example:
    if vocabulary.task == "tag":
        if not isinstance(value, list | tuple) or not value or not all(isinstance(w, str) and w for w in value):
            raise place.error(f"{_kind(value)} where a list of words is needed")
        return Example(list(value), None, place)
    if vocabulary.tokens is not None:
        if not isinstance(value, str):
            raise place.error(f"{_kind(value)} where a text is needed")
        return Example(value, None, place, value)
    found = numbers_of(value, place)
    if found.ndim not in (1, 2) or not found.size:
        raise place.error(f"numbers of shape {found.shape}; give (steps, features), or (features,) for one step")
    return Example(found if found.ndim == 2 else found[None], None, place)


def numbers_of(value: Any, place: Location) -> Array:
    """In float64. Raises `InputError` for what is no number, or not finite."""
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):
        raise place.error("rows of different lengths; give an array of numbers") from None
    if found.dtype.kind == "O":
        found = _plain(found)
    if found.dtype.kind not in "biuf":
        raise place.error(f"{_kind(value)} where numbers are needed")
    with np.errstate(over="ignore"):  # what becomes infinite is named below
        found = found.astype(np.float64)
    if not (np.abs(found) <= LARGEST).all():
        raise place.error(f"a number that is not finite, or beyond {LARGEST:g}; give finite ones")
    return found


def _plain(objects: Array) -> Array:
    """An array of Python numbers, such as a table with columns of several types gives, as one of float64."""
    numbers = all(isinstance(one, Real | Decimal | np.bool_) for one in objects.flat)
    try:
        return objects.astype(np.float64) if numbers else objects
    except (OverflowError, ValueError):  # an integer too large, a Decimal that signals
        return np.full(objects.shape, np.inf)


def _wanted(vocabulary: TaskSchema) -> str:
    if vocabulary.task == "tag":
        return "word list"
    return "text" if vocabulary.tokens is not None else "array"


def _kind(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, str):
        return "a text" if value else "an empty text"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    return f"a value of type {type(value).__name__}"
