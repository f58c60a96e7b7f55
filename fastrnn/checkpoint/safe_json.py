"""JSON that is safe to read from a stranger: bounded depth, bounded count of values, no duplicate keys, finite numbers.

Python's own parser answers a few megabytes of brackets with gigabytes of lists, keeps the last of two equal keys and
reads ``NaN``. The bounds are checked by a scan that builds nothing, before the parser runs.
"""

import json
import math
import re
from typing import Any

DEPTH = 8
_DIGITS = 40  # enough for the 128-bit state of a random generator

# A string (or what is left of the text, when the string has no end: so that the scan stays linear), or a mark.
_MARK = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)


def parse(text: str, *, values: int, depth: int = DEPTH) -> Any:
    """The value of a JSON text. Raises `ValueError` when it is not JSON or breaks a bound."""
    check_bounds(text, values=values, depth=depth)
    return json.loads(
        text,
        object_pairs_hook=_distinct,
        parse_int=_integer,
        parse_float=_finite,
        parse_constant=_refuse_constant,
    )


def dump(value: Any, *, values: int, depth: int = DEPTH) -> str:
    """An ASCII JSON text that `parse` reads with the same bounds. Raises `ValueError` for NaN or a broken bound."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    check_bounds(text, values=values, depth=depth)
    return text


def check_bounds(text: str, *, values: int, depth: int) -> None:
    """Raises `ValueError` when the text nests deeper than `depth` or may hold more than `values` values."""
    count = level = 0
    for marks, match in enumerate(_MARK.finditer(text)):
        mark = match[0]
        if mark == "[" or mark == "{":
            level += 1
            count += 1
        elif mark == "]" or mark == "}":
            level -= 1
        elif mark == ",":
            count += 1
        if level > depth:
            raise ValueError(f"nested more than {depth} deep")
        if count >= values or marks > 4 * values:  # a value has at most a key, itself or two brackets, and a comma
            raise ValueError(f"more than {values} values")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return mapping


def _integer(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number beyond the range of float64")
    return number


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
