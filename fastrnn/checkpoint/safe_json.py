"""JSON from untrusted files: bounded depth and number of values, no duplicate keys, finite numbers.

Python's own parser builds gigabytes of lists from a few megabytes of brackets, keeps the last of two
equal keys and accepts ``NaN``. A scan that builds nothing checks the bounds before the parser runs.
"""

import json
import math
import re
from typing import Any

DEPTH = 8
_DIGITS = 40  # enough for the 128-bit state of a random generator

# A string or a punctuation mark. A string without an end takes the rest of the text, which keeps the
# scan linear.
_MARK = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)


def parse(text: str, *, values: int, depth: int = DEPTH) -> Any:
    """Parse a JSON text. Raises `ValueError` when it is not JSON or exceeds a bound."""
    check_bounds(text, values=values, depth=depth)
    return json.loads(
        text,
        object_pairs_hook=_check_distinct,
        parse_int=_parse_int,
        parse_float=_parse_float,
        parse_constant=_refuse_constant,
    )


def dump(value: Any, *, values: int, depth: int = DEPTH) -> str:
    """Serialize to ASCII JSON that `parse` accepts with the same bounds.

    Raises `ValueError` for NaN and for an exceeded bound.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    check_bounds(text, values=values, depth=depth)
    return text


def check_bounds(text: str, *, values: int, depth: int) -> None:
    """Raise `ValueError` for nesting deeper than `depth` or possibly more than `values` values."""
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


def _check_distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("duplicate key in one object")
    return mapping


def _parse_int(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _parse_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number beyond the range of float64")
    return number


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
