"""Convert NumPy scalars, paths and decimals to plain `bool`, `int`, `float` and `str`.

Only these types survive a round trip through a configuration file; other values are converted or rejected.
"""

import codecs
import math
import numbers
import os
from typing import Any

from .errors import ConfigError, quote

_WANTED = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
_LARGEST = 1e30  # no setting is larger, and converting huge values (Decimal('1e999999999')) would not end


def to_plain(name: str, value: Any, kind: type) -> Any:
    """Convert a value to exactly this type. Raises `ConfigError` if the conversion would change it.

    An integer may be given as ``10.0``, `Decimal` or `Fraction`; a string as a path. A `bool` is not a number.
    """
    found = _unwrap(value)
    # Conversions raise many types of errors; all mean that the value is not of this type.
    try:
        if kind is bool and isinstance(found, bool):
            return found
        if kind is str:
            return _text(found)
        if kind in (int, float) and _is_number(found):
            return _whole(found) if kind is int else float(found)
    except (TypeError, ValueError, ArithmeticError):
        pass
    raise ConfigError(f"{name} must be {_WANTED[kind]}, not {quote(value)}")


def check_whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """Convert to an integer within these bounds. Raises `ConfigError`."""
    found: int = to_plain(name, value, int)
    if found < least:
        raise ConfigError(f"{name} is {format_number(found)}; it must be at least {least}")
    if most is not None and found > most:
        raise ConfigError(f"{name} is {format_number(found)}; it must be at most {most:,}")
    return found


def check_path(name: str, value: Any) -> str:
    """Convert a string or path to the name of a file or folder. Raises `ConfigError`."""
    found = _unwrap(value)
    if isinstance(found, bytes) or (isinstance(found, os.PathLike) and isinstance(os.fspath(found), bytes)):
        found = os.fsdecode(found)
    if not isinstance(found, str | os.PathLike):
        raise ConfigError(f"{name} must be the name of a file or folder, not {quote(value)}")
    return _text(found)


def check_encoding(name: str, value: Any) -> str | None:
    """Return Python's name of a text encoding; None for UTF-8. Raises `ConfigError` for an unknown one."""
    found: str = to_plain(name, value, str)
    try:
        "".encode(found)  # raises for codecs that do not convert text, such as base64
        encoding = codecs.lookup(found).name
        codecs.getincrementaldecoder(found)
    except (LookupError, ValueError):
        raise ConfigError(
            f"{name} {quote(found)} is unknown; give one that Python knows, such as cp1252, latin-1, utf-16 or gb18030"
        ) from None
    return None if encoding == "utf-8" else encoding


def format_number(number: float) -> str:
    """Format a number for a message: large integers with commas, very large ones in scientific notation."""
    return f"{number:,}" if isinstance(number, int) and 10_000 <= abs(number) < 10**21 else f"{number:.10g}"


def _unwrap(value: Any) -> Any:
    """Convert a NumPy scalar or 0-d array to a Python value; return other values unchanged."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "dtype") and callable(getattr(value, "item", None)):
        return value.item()
    return value


def _is_number(value: Any) -> bool:
    # bool is a subclass of int, but true is not a number in a configuration file.
    return isinstance(value, numbers.Number) and not isinstance(value, bool | complex)


def _whole(value: Any) -> int:
    if isinstance(value, int):
        return int(value)
    # Compared before `int`, which would build an integer of a billion digits from Decimal('1e999999999').
    if not math.isfinite(value) or abs(value) > _LARGEST or int(value) != value:
        raise ValueError
    return int(value)


def _text(value: Any) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise TypeError
    return str.__str__(value)  # convert a subclass, such as an enum's or NumPy's, to plain str
