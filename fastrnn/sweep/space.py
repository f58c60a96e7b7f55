"""Search space of a sweep: a TOML file in which a value may be a list or a range.

    hidden = [128, 256]
    lr = {log = [1e-4, 1e-2]}
    dropout = {range = [0, 0.5]}

    [sweep]
    data = ["notes.txt"]
    trials = 20

Lists alone make a grid, in which every combination is one trial; ``trials`` limits them to a random subset. With a
range, settings are sampled at random.
"""

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..config import Config, key_of, validate_fields
from ..errors import ConfigError, nearest

_DEFAULT_TRIALS = 20  # without a grid
_MAX_TRIALS = 10_000
_KINDS = ("range", "log")
_SWEEP_KEYS = {"data": (str, list), "trials": (int,), "seed": (int,)}


@dataclass(frozen=True)
class Choice:
    """A setting with a list of values."""

    values: tuple[Any, ...]

    def value_at(self, u: float) -> Any:
        """Return the value at quantile u, 0 <= u < 1."""
        return self.values[int(u * len(self.values))]


@dataclass(frozen=True)
class Range:
    """A setting with a range of numbers.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Whether the logarithm is uniformly distributed, rather than the number.
        is_integer: Whether values are integers.
    """

    low: float
    high: float
    log: bool
    is_integer: bool

    def value_at(self, u: float) -> Any:
        """Return the number at quantile u, 0 <= u < 1, rounded to three significant digits."""
        linear = self.low + (self.high - self.low) * u
        value = self.low * (self.high / self.low) ** u if self.log else linear
        if self.is_integer:
            return round(value)
        return min(max(float(f"{value:.3g}"), self.low), self.high)


@dataclass(frozen=True)
class Space:
    """The search space of a sweep.

    Attributes:
        fixed: Settings of every trial, by field name.
        varied: Settings that differ from trial to trial, by field name.
        data: Input names.
        trials: Number of trials.
        seed: Random seed for sampling settings.
    """

    fixed: dict[str, Any]
    varied: dict[str, Choice | Range]
    data: tuple[str, ...]
    trials: int
    seed: int = 1

    def settings(self, number: int) -> dict[str, Any]:
        """Return the varied settings of trial ``number`` = 0, 1, ...; a pure function of space and number."""
        size = self.grid_size
        if size is None:
            rng = np.random.default_rng([self.seed, number])
            return {name: value.value_at(float(rng.random())) for name, value in self.varied.items()}
        # A random subset without repetition: the first trials of a permutation that the seed fixes.
        if self.trials < size:
            number = int(np.random.default_rng(self.seed).permutation(size)[number])

        # The number in mixed radix: one digit for each list, the last list fastest.
        found = {}
        for name, choice in reversed(self.varied.items()):
            assert isinstance(choice, Choice)
            number, at = divmod(number, len(choice.values))
            found[name] = choice.values[at]
        return dict(reversed(found.items()))

    @property
    def grid_size(self) -> int | None:
        """Number of combinations; None if a setting has a range."""
        return _count_combinations(self.varied)

    def config(self, varied: dict[str, Any]) -> Config:
        """Return the configuration of a trial. Raises `ConfigError`."""
        return Config(**self.fixed | varied)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible mapping that identifies the space, whatever its number of trials."""
        # The stored key of `is_integer` is "whole".
        varied = {
            name: {("whole" if key == "is_integer" else key): item for key, item in vars(value).items()}
            for name, value in self.varied.items()
        }
        return {"fixed": self.fixed, "varied": varied, "data": list(self.data), "seed": self.seed}


def read_space(path: str | Path, data: tuple[str, ...] = (), trials: int | None = None) -> Space:
    """Read a search space from a TOML file.

    Every combination is validated as a `Config`, and the ends of every range.

    Args:
        path: TOML file.
        data: Input names, instead of those in the file.
        trials: Number of trials, instead of the one in the file.

    Raises:
        ConfigError: The file cannot be read or is invalid; the message names it.
    """
    mapping = _read(path)
    table = mapping.pop("sweep", {})
    _check_sweep_table(table, path)
    fixed: dict[str, Any] = {}
    varied: dict[str, Choice | Range] = {}
    for key, value in mapping.items():
        if isinstance(value, list | dict):
            field, found = _parse_varied(key, value, str(path))
            varied[field] = found
        else:
            fixed |= validate_fields({key: value}, str(path))
    named = table.get("data", [])
    data = data or ((named,) if isinstance(named, str) else tuple(named))
    grid = _count_combinations(varied)
    count = trials or table.get("trials") or grid or _DEFAULT_TRIALS
    # A grid has no more trials than combinations, whatever number is asked for.
    space = Space(fixed, varied, data, min(count, grid or count), table.get("seed", 1))
    _check(space, str(path))
    return space


def _read(path: str | Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this sweep: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


def _check_sweep_table(table: Any, path: str | Path) -> None:
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: sweep must be a table: [sweep] with data, trials and seed")
    for key, value in table.items():
        if key not in _SWEEP_KEYS:
            raise ConfigError(f"{path}: unknown key {key!r} in [sweep]{nearest(key, _SWEEP_KEYS)}")
        if (
            isinstance(value, bool)
            or not isinstance(value, _SWEEP_KEYS[key])
            or (key != "data" and value < (key == "trials"))
        ):
            wanted = "a file or a list of files" if key == "data" else "a whole number"
            raise ConfigError(f"{path}: {key} in [sweep] must be {wanted}, not {value!r}")
        if isinstance(value, list) and not all(isinstance(name, str) for name in value):
            raise ConfigError(f"{path}: data in [sweep] must be a file or a list of files, not {value!r}")


def _parse_varied(key: str, value: Any, source: str) -> tuple[str, Choice | Range]:
    """Return the field and the values of a key whose value is a list or a range."""
    if isinstance(value, list):
        if not value:
            raise ConfigError(f"{source}: {key} is an empty list; give its values")
        fields = [validate_fields({key: item}, source) for item in value]
        ((field, _),) = fields[0].items()
        return field, Choice(tuple(item[field] for item in fields))
    kind = next(iter(value), "")
    ends = value.get(kind)
    numbers = isinstance(ends, list) and len(ends) == 2 and all(type(end) in (int, float) for end in ends)
    if set(value) - set(_KINDS) or len(value) != 1 or not numbers:
        raise ConfigError(
            f"{source}: {key} = {value!r} is not a range; write {{log = [1e-4, 1e-2]}} or {{range = [0, 0.5]}}"
        )
    low, high = ends
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or (kind == "log" and low <= 0):
        least = " greater than 0" if kind == "log" else ""
        raise ConfigError(
            f"{source}: {key}: a {kind} must go from a number{least} to a greater one, not from {low} to {high}"
        )
    ((field, low),) = validate_fields({key: low}, source).items()
    high = validate_fields({key: high}, source)[field]
    return field, Range(low, high, kind == "log", isinstance(low, int))


def _count_combinations(varied: dict[str, Choice | Range]) -> int | None:
    if any(isinstance(value, Range) for value in varied.values()):
        return None
    return math.prod(len(value.values) for value in varied.values() if isinstance(value, Choice))


def _check(space: Space, source: str) -> None:
    if not space.varied:
        raise ConfigError(f"{source}: nothing varies; give a setting a list or a range: hidden = [128, 256]")
    if space.trials > _MAX_TRIALS:
        raise ConfigError(f"{source}: {space.trials:,} trials; at most {_MAX_TRIALS:,}: give trials in [sweep]")
    try:
        if space.grid_size is not None:
            for number in range(space.trials):
                space.config(space.settings(number))
        # A range is valid if both of its ends are: the limits of each setting are an interval.
        for u in (0.0, 1 - 1e-9):
            space.config({name: value.value_at(u) for name, value in space.varied.items()})
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
    if "-" in space.data:
        raise ConfigError(f"{source}: standard input can be read once only, not by every trial; name a file")
    if not space.data and space.fixed.get("task", "language-model") != "language-model":
        raise ConfigError(
            f"{source}: task {space.fixed['task']} needs data: name its files in [sweep] or after {source}"
        )


def format_settings(varied: dict[str, Any]) -> str:
    """Format settings as ``hidden=128 lr=0.003``."""
    return " ".join(f"{key_of(name)}={value}" for name, value in varied.items())
