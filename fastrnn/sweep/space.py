"""Which settings a sweep tries: a TOML file in which a value may be a list or a range.

    hidden = [128, 256]
    lr = {log = [1e-4, 1e-2]}
    dropout = {range = [0, 0.5]}

    [sweep]
    data = ["notes.txt"]
    trials = 20

Lists alone make a grid, every combination once; with a range, or for fewer trials than there are, settings are drawn.
"""

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..config import Config, key_of, nearest, validate_fields
from ..errors import ConfigError

_DRAWN = 20  # trials, where none are asked for and there is no grid
_MOST = 10_000
_KINDS = ("range", "log")
_OWN = {"data": (str, list), "trials": (int,), "seed": (int,)}


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[Any, ...]

    def draw(self, u: float) -> Any:
        """The value at u, in [0, 1)."""
        return self.values[int(u * len(self.values))]


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, by their logarithms if ``log``; ``whole`` ones if both ends are."""

    low: float
    high: float
    log: bool
    whole: bool

    def draw(self, u: float) -> Any:
        """The number at u, in [0, 1), with three digits that count: short to read, and to type."""
        straight = self.low + (self.high - self.low) * u
        value = self.low * (self.high / self.low) ** u if self.log else straight
        if self.whole:
            return round(value)
        return min(max(float(f"{value:.3g}"), self.low), self.high)


@dataclass(frozen=True)
class Space:
    """``fixed`` settings by field name, ``varied`` ones, and how many trials of them on which data."""

    fixed: dict[str, Any]
    varied: dict[str, Choice | Range]
    data: tuple[str, ...]
    trials: int
    seed: int = 1

    def settings(self, number: int) -> dict[str, Any]:
        """What trial ``number`` = 0, 1, ... varies: a pure function of the space and the number."""
        grid = self.grid
        if grid is None:
            rng = np.random.default_rng([self.seed, number])
            return {name: value.draw(float(rng.random())) for name, value in self.varied.items()}
        if self.trials < grid:
            number = int(np.random.default_rng(self.seed).permutation(grid)[number])
        found = {}
        for name, choice in reversed(self.varied.items()):
            assert isinstance(choice, Choice)
            number, at = divmod(number, len(choice.values))
            found[name] = choice.values[at]
        return dict(reversed(found.items()))

    @property
    def grid(self) -> int | None:
        """How many combinations there are, if that is a number."""
        return _combinations(self.varied)

    def config(self, varied: dict[str, Any]) -> Config:
        """The whole configuration. Raises `ConfigError`."""
        return Config(**self.fixed | varied)

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold; the same for spaces whose trials are the same, but for their number."""
        varied = {name: vars(value) for name, value in self.varied.items()}
        return {"fixed": self.fixed, "varied": varied, "data": list(self.data), "seed": self.seed}


def read_space(path: str | Path, data: tuple[str, ...] = (), trials: int | None = None) -> Space:
    """The space in a TOML file; ``data`` and ``trials`` stand above what it says. Raises `ConfigError` naming the file.

    Every combination is tried out as a `Config`, or the ends of every range.
    """
    mapping = _read(path)
    own = mapping.pop("sweep", {})
    _check_own(own, path)
    fixed: dict[str, Any] = {}
    varied: dict[str, Choice | Range] = {}
    for key, value in mapping.items():
        if isinstance(value, list | dict):
            field, found = _varied(key, value, str(path))
            varied[field] = found
        else:
            fixed |= validate_fields({key: value}, str(path))
    named = own.get("data", [])
    data = data or ((named,) if isinstance(named, str) else tuple(named))
    grid = _combinations(varied)
    count = trials or own.get("trials") or grid or _DRAWN
    space = Space(fixed, varied, data, min(count, grid or count), own.get("seed", 1))
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


def _check_own(own: Any, path: str | Path) -> None:
    if not isinstance(own, dict):
        raise ConfigError(f"{path}: sweep must be a table: [sweep] with data, trials and seed")
    for key, value in own.items():
        if key not in _OWN:
            raise ConfigError(f"{path}: unknown key {key!r} in [sweep]{nearest(key, _OWN)}")
        if isinstance(value, bool) or not isinstance(value, _OWN[key]) or (key != "data" and value < (key == "trials")):
            wanted = "a file or a list of files" if key == "data" else "a whole number"
            raise ConfigError(f"{path}: {key} in [sweep] must be {wanted}, not {value!r}")
        if isinstance(value, list) and not all(isinstance(name, str) for name in value):
            raise ConfigError(f"{path}: data in [sweep] must be a file or a list of files, not {value!r}")


def _varied(key: str, value: Any, source: str) -> tuple[str, Choice | Range]:
    """The field that a key varies, and how."""
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
            f"{source}: {key} = {value!r} is no range; write {{log = [1e-4, 1e-2]}} or {{range = [0, 0.5]}}"
        )
    low, high = ends
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or (kind == "log" and low <= 0):
        least = " greater than 0" if kind == "log" else ""
        raise ConfigError(f"{source}: {key}: a {kind} goes from a number{least} to a greater one, not {low} to {high}")
    ((field, low),) = validate_fields({key: low}, source).items()
    high = validate_fields({key: high}, source)[field]
    return field, Range(low, high, kind == "log", isinstance(low, int))


def _combinations(varied: dict[str, Choice | Range]) -> int | None:
    if any(isinstance(value, Range) for value in varied.values()):
        return None
    return math.prod(len(value.values) for value in varied.values() if isinstance(value, Choice))


def _check(space: Space, source: str) -> None:
    if not space.varied:
        raise ConfigError(f"{source}: nothing varies; give a setting a list or a range: hidden = [128, 256]")
    if space.trials > _MOST:
        raise ConfigError(f"{source}: {space.trials:,} trials; at most {_MOST:,}: give trials in [sweep]")
    try:
        if space.grid is not None:
            for number in range(space.trials):
                space.config(space.settings(number))
        for u in (0.0, 1 - 1e-9):
            space.config({name: value.draw(u) for name, value in space.varied.items()})
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
    if "-" in space.data:
        raise ConfigError(f"{source}: standard input can be read once only, not by every trial; name a file")
    if not space.data and space.fixed.get("task", "language-model") != "language-model":
        raise ConfigError(
            f"{source}: task {space.fixed['task']} needs data: name its files in [sweep] or after {source}"
        )


def shown(varied: dict[str, Any]) -> str:
    """Such as ``hidden=128 lr=0.003``."""
    return " ".join(f"{key_of(name)}={value}" for name, value in varied.items())
