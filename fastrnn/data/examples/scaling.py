"""Dense columns: their names, and the mean and standard deviation that bring each to zero mean and unit variance."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError

Array = npt.NDArray[Any]

_ROUNDING = 4 * np.finfo(np.float64).eps  # a spread below this share of the numbers' size is float64's own rounding
_LARGEST_SCALED = 1e18  # its square still fits into float32


@dataclass(frozen=True)
class StandardScaler:
    """F columns; ``names`` may be empty where they have none. Scaled numbers are (x - mean) / deviation.

    ``rounds``: numbers were rounded to float32 before they were scaled. Models written by version 0.1 were trained so,
    and give the same answers only if that is kept.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    names: tuple[str, ...] = ()
    rounds: bool = False

    @classmethod
    def fit(cls, arrays: Iterable[Array], names: Sequence[str] = (), predicted: bool = False) -> "StandardScaler":
        """Fit to arrays (n, F), NaN left out, in float64.

        A column that never changes has deviation 1. Where it is ``predicted``, an error is to be small beside its
        size: the deviation is that size, if it is smaller.
        """
        fitted = [_fit(column, predicted) for column in np.concatenate(list(arrays)).T]
        return cls(tuple(mean for mean, _ in fitted), tuple(deviation for _, deviation in fitted), tuple(names))

    @classmethod
    def identity(cls, size: int, names: Sequence[str] = (), deviation: float = 1.0) -> "StandardScaler":
        """Mean 0 and one deviation for all."""
        return cls((0.0,) * size, (deviation,) * size, tuple(names))

    @property
    def size(self) -> int:
        return len(self.mean)

    def transform(self, array: Array) -> npt.NDArray[np.float32]:
        """(..., F) in the columns' own units to zero mean and unit variance, computed in float64.

        What lies further away than float32 can square is cut off there.
        """
        mean, deviation = self._arrays
        with np.errstate(over="ignore"):  # a tiny deviation: cut off below
            scaled = (array - mean) / deviation
        return np.clip(scaled, -_LARGEST_SCALED, _LARGEST_SCALED).astype(np.float32)

    def as_trained(self, array: Array) -> Array:
        """The numbers as the model's training read them: rounded to float32 if it did that."""
        return array.astype(np.float32) if self.rounds and array.dtype == np.float64 else array

    def inverse_transform(self, array: Array) -> npt.NDArray[np.float64]:
        """The reverse of `scaled`, in float64."""
        mean, deviation = self._arrays
        return array.astype(np.float64) * deviation + mean

    @cached_property
    def _arrays(self) -> tuple[Array, Array]:
        return np.array(self.mean), np.array(self.deviation)

    def to_mapping(self) -> dict[str, Any]:
        """What JSON can hold. Without ``dtype`` numbers are rounded to float32 first."""
        mapping = {"mean": list(self.mean), "deviation": list(self.deviation), "names": "\n".join(self.names)}
        return mapping if self.rounds else mapping | {"dtype": "float64"}


def _fit(column: Array, predicted: bool) -> tuple[float, float]:
    """Mean and standard deviation of numbers (n,)."""
    column = column.astype(np.float64)
    column = column[~np.isnan(column)]
    if not column.size:
        return 0.0, 1.0
    size = float(np.abs(column).max())

    # Differences from one of the numbers, divided by the largest: neither a large mean nor a tiny spread loses digits.
    mean = float(column[0])
    column -= mean
    largest = float(np.abs(column).max())
    if largest > 0:
        column /= largest
        mean, deviation = mean + float(column.mean()) * largest, float(column.std()) * largest
        if deviation > _ROUNDING * size:
            return mean, deviation
    return mean, min(1.0, size) if predicted and size else 1.0


def scaler_from_mapping(mapping: Any) -> StandardScaler:
    """The reverse of `StandardScaler.to_mapping`. Raises `InputError` if the mapping is not sound."""
    if not isinstance(mapping, Mapping) or set(mapping) - {"dtype"} != {"mean", "deviation", "names"}:
        raise InputError("a scaling has mean, deviation and names")
    if mapping.get("dtype", "float64") != "float64":
        raise InputError("the numbers of a scaling are float64")
    mean, deviation = _numbers(mapping["mean"]), _numbers(mapping["deviation"])
    if not mean or len(mean) != len(deviation) or not all(number > 0 for number in deviation):
        raise InputError("a scaling has a mean and a positive deviation for each column")
    if not isinstance(mapping["names"], str):
        raise InputError("the names of columns must be a text")
    names = tuple(mapping["names"].split("\n")) if mapping["names"] else ()
    if names and (len(names) != len(mean) or len(set(names)) != len(names)):
        raise InputError("a scaling has a name of its own for each column, or none")
    return StandardScaler(mean, deviation, names, rounds="dtype" not in mapping)


def _numbers(values: Any) -> tuple[float, ...]:
    if not isinstance(values, list):
        raise InputError("a scaling has lists of numbers")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise InputError("a scaling has finite numbers")
    return tuple(float(value) for value in values)
