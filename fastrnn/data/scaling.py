"""Dense columns: their names, and the mean and standard deviation that bring each to zero mean and unit variance."""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Scaling:
    """F columns; ``names`` may be empty where they have none. Scaled numbers are (x - mean) / deviation."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, arrays: Iterable[Array], names: Sequence[str] = ()) -> "Scaling":
        """From arrays (n, F), NaN left out, in float64. A column that never changes keeps its size: deviation 1."""
        kept = list(arrays)
        count = np.maximum(_total((~np.isnan(array)).sum(axis=0) for array in kept), 1)
        mean = _total(np.nansum(array, axis=0, dtype=np.float64) for array in kept) / count
        squares = (np.nansum((array - mean) ** 2, axis=0, dtype=np.float64) for array in kept)
        deviation = np.sqrt(_total(squares) / count)
        deviation = np.where(deviation > 1e-12 * (1 + np.abs(mean)), deviation, 1.0)
        return cls(tuple(mean.tolist()), tuple(deviation.tolist()), tuple(names))

    @classmethod
    def plain(cls, size: int, names: Sequence[str] = (), deviation: float = 1.0) -> "Scaling":
        """Mean 0 and one deviation for all."""
        return cls((0.0,) * size, (deviation,) * size, tuple(names))

    @property
    def size(self) -> int:
        return len(self.mean)

    def scaled(self, array: Array) -> npt.NDArray[np.float32]:
        """(..., F) in the columns' own units to zero mean and unit variance."""
        mean, deviation = self._arrays
        return ((array - mean) / deviation).astype(np.float32)

    def natural(self, array: Array) -> npt.NDArray[np.float64]:
        """The reverse of `scaled`, in float64."""
        mean, deviation = self._arrays
        return array.astype(np.float64) * deviation + mean

    @cached_property
    def _arrays(self) -> tuple[Array, Array]:
        return np.array(self.mean), np.array(self.deviation)

    def to_mapping(self) -> dict[str, Any]:
        return {"mean": list(self.mean), "deviation": list(self.deviation), "names": "\n".join(self.names)}


def _total(sums: Iterable[Any]) -> Array:
    """The sum of arrays (F,), in their order."""
    total: Array = functools.reduce(np.add, sums)
    return total


def scaling_from_mapping(mapping: Any) -> Scaling:
    """The reverse of `Scaling.to_mapping`. Raises `InputError` if the mapping is not sound."""
    if not isinstance(mapping, Mapping) or set(mapping) != {"mean", "deviation", "names"}:
        raise InputError("a scaling has mean, deviation and names")
    mean, deviation = _numbers(mapping["mean"]), _numbers(mapping["deviation"])
    if not mean or len(mean) != len(deviation) or not all(number > 0 for number in deviation):
        raise InputError("a scaling has a mean and a positive deviation for each column")
    if not isinstance(mapping["names"], str):
        raise InputError("the names of columns must be a text")
    names = tuple(mapping["names"].split("\n")) if mapping["names"] else ()
    if names and (len(names) != len(mean) or len(set(names)) != len(names)):
        raise InputError("a scaling has a name of its own for each column, or none")
    return Scaling(mean, deviation, names)


def _numbers(values: Any) -> tuple[float, ...]:
    if not isinstance(values, list):
        raise InputError("a scaling has lists of numbers")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise InputError("a scaling has finite numbers")
    return tuple(float(value) for value in values)
