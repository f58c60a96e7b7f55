"""Values as Python callers give them (NumPy scalars, paths, decimals) to plain `bool`, `int`, `float` and `str`.

Only these can be written to a configuration and read again, so everything else is converted or refused on entry.
"""

import math
import numbers
import os
from typing import Any

from .errors import ConfigError
from .message import quoted

_WANTED = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
_LARGEST = 1e30  # beyond it no setting is possible, and converting some values takes for ever


def to_plain(name: str, value: Any, kind: type) -> Any:
    """The value as exactly this type. Raises `ConfigError` that names it where nothing would be the same.

    A whole number may come as ``10.0``, `Decimal` or `Fraction`; a text may come as a path. A `bool` is no number.
    """
    found = _unwrap(value)
    try:
        if kind is bool and isinstance(found, bool):
            return found
        if kind is str:
            return _text(found)
        if kind in (int, float) and _is_number(found):
            return _whole(found) if kind is int else float(found)
    except (TypeError, ValueError, ArithmeticError):
        pass
    raise ConfigError(f"{name} must be {_WANTED[kind]}, not {quoted(value)}")


def check_whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """A whole number within these bounds. Raises `ConfigError`."""
    found: int = to_plain(name, value, int)
    if found < least:
        raise ConfigError(f"{name} is {shown(found)}; it must be at least {least}")
    if most is not None and found > most:
        raise ConfigError(f"{name} is {shown(found)}; it must be at most {most:,}")
    return found


def check_path(name: str, value: Any) -> str:
    """The name of a file or folder, given as text or path. Raises `ConfigError`."""
    found = _unwrap(value)
    if isinstance(found, bytes) or (isinstance(found, os.PathLike) and isinstance(os.fspath(found), bytes)):
        found = os.fsdecode(found)
    if not isinstance(found, str | os.PathLike):
        raise ConfigError(f"{name} must be the name of a file or folder, not {quoted(value)}")
    return _text(found)


def shown(number: float) -> str:
    """A number for a message; large whole numbers with commas, very large ones in short."""
    return f"{number:,}" if isinstance(number, int) and 10_000 <= abs(number) < 10**21 else f"{number:.10g}"


def _unwrap(value: Any) -> Any:
    """A NumPy scalar, or an array without dimensions, as Python's own value; other values as they are."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "dtype") and callable(getattr(value, "item", None)):
        return value.item()
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Number) and not isinstance(value, bool | complex)


def _whole(value: Any) -> int:
    if isinstance(value, int):
        return int(value)
    if not math.isfinite(value) or abs(value) > _LARGEST or int(value) != value:
        raise ValueError
    return int(value)


def _text(value: Any) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise TypeError
    return str.__str__(value)  # of a subclass, such as an enumeration's or NumPy's, the text alone
