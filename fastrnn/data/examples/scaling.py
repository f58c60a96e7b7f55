"""Standardization of dense columns to zero mean and unit variance."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError

Array = npt.NDArray[Any]

# A deviation below this fraction of the column's magnitude is float64 rounding error.
_ROUNDING = 4 * np.finfo(np.float64).eps
_LARGEST_SCALED = 1e18  # float32 can represent its square


@dataclass(frozen=True)
class StandardScaler:
    """Scales F columns: scaled = (x - mean) / deviation.

    Attributes:
        mean: Mean of each column (F,).
        deviation: Standard deviation of each column (F,).
        names: Names of the columns (F,), empty if they have none.
        rounds_to_float32: Whether numbers are rounded to float32 before scaling. Models written by version 0.1 were
            trained that way and give the same answers only if it is repeated.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    names: tuple[str, ...] = ()
    rounds_to_float32: bool = False

    @classmethod
    def fit(cls, arrays: Iterable[Array], names: Sequence[str] = (), predicted: bool = False) -> "StandardScaler":
        """Fit to arrays (n, F) in float64, ignoring NaN.

        A constant column gets a deviation of 1. If the columns are ``predicted``, errors must be small relative to the
        column's magnitude, so the deviation of a constant column is at most that magnitude.
        """
        fitted = [_fit_column(column, predicted) for column in np.concatenate(list(arrays)).T]
        return cls(tuple(mean for mean, _ in fitted), tuple(deviation for _, deviation in fitted), tuple(names))

    @classmethod
    def identity(cls, size: int, names: Sequence[str] = (), deviation: float = 1.0) -> "StandardScaler":
        """Return a scaler of ``size`` columns with mean 0 and the same deviation."""
        return cls((0.0,) * size, (deviation,) * size, tuple(names))

    @property
    def size(self) -> int:
        """Number of columns F."""
        return len(self.mean)

    def transform(self, array: Array) -> npt.NDArray[np.float32]:
        """Scale (..., F) in float64, and clip to the range that float32 can square."""
        mean, deviation = self._arrays
        with np.errstate(over="ignore"):  # division by a tiny deviation overflows; clipped below
            scaled = (array - mean) / deviation
        return np.clip(scaled, -_LARGEST_SCALED, _LARGEST_SCALED).astype(np.float32)

    def round_as_trained(self, array: Array) -> Array:
        """Round float64 to float32 if the model was trained on rounded numbers (`rounds_to_float32`)."""
        return array.astype(np.float32) if self.rounds_to_float32 and array.dtype == np.float64 else array

    def inverse_transform(self, array: Array) -> npt.NDArray[np.float64]:
        """Undo `transform` on (..., F), in float64."""
        mean, deviation = self._arrays
        return array.astype(np.float64) * deviation + mean

    @cached_property
    def _arrays(self) -> tuple[Array, Array]:
        return np.array(self.mean), np.array(self.deviation)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible mapping. A missing ``dtype`` means `rounds_to_float32`."""
        mapping = {"mean": list(self.mean), "deviation": list(self.deviation), "names": "\n".join(self.names)}
        return mapping if self.rounds_to_float32 else mapping | {"dtype": "float64"}


def _fit_column(column: Array, predicted: bool) -> tuple[float, float]:
    """Return the mean and standard deviation of numbers (n,), ignoring NaN."""
    column = column.astype(np.float64)
    column = column[~np.isnan(column)]
    if not column.size:
        return 0.0, 1.0
    magnitude = float(np.abs(column).max())

    # Subtract one of the numbers and divide by the largest difference, so that neither a large mean nor a tiny spread
    # loses digits.
    mean = float(column[0])
    column -= mean
    largest = float(np.abs(column).max())  # 0 for a constant column
    if largest > 0:
        column /= largest
        mean += float(column.mean()) * largest
        deviation = float(column.std()) * largest
        if deviation > _ROUNDING * magnitude:
            return mean, deviation
    return mean, min(1.0, magnitude) if predicted and magnitude else 1.0


def scaler_from_dict(mapping: Any) -> StandardScaler:
    """Restore a scaler from `StandardScaler.to_dict`. Raises `InputError` if the mapping is invalid."""
    if not isinstance(mapping, Mapping) or set(mapping) - {"dtype"} != {"mean", "deviation", "names"}:
        raise InputError("a scaler needs the keys mean, deviation and names")
    if mapping.get("dtype", "float64") != "float64":
        raise InputError("the dtype of a scaler must be float64")

    mean = _parse_floats(mapping["mean"])
    deviation = _parse_floats(mapping["deviation"])
    if not mean or len(mean) != len(deviation) or not all(number > 0 for number in deviation):
        raise InputError("a scaler needs a mean and a positive deviation for each column")

    if not isinstance(mapping["names"], str):
        raise InputError("the column names of a scaler must be one text")
    names = tuple(mapping["names"].split("\n")) if mapping["names"] else ()
    if names and (len(names) != len(mean) or len(set(names)) != len(names)):
        raise InputError("a scaler needs a different name for each column, or none")
    return StandardScaler(mean, deviation, names, rounds_to_float32="dtype" not in mapping)


def _parse_floats(values: Any) -> tuple[float, ...]:
    if not isinstance(values, list):
        raise InputError("mean and deviation of a scaler must be lists")
    for value in values:
        # bool is a subclass of int.
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise InputError("the numbers of a scaler must be finite")
    return tuple(float(value) for value in values)
