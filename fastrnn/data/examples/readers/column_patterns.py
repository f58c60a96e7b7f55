"""Column patterns of --columns: names, globs and exclusions with ``!``."""

import fnmatch
import re
from collections.abc import Iterator, Sequence

from ....config import nearest
from ....errors import InputError
from ..example import Location

_SHOWN = 8  # names in a message
_PATTERN = re.compile(r'\s*(!?)\s*(?:"((?:[^"]|"")*)"|([^,]*?))\s*(?:,|$)')


def match_columns(patterns: str, header: Sequence[str], file: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns that match comma-separated names or globs, in that order, and those excluded by ``!``.

    A name with a comma in it is written in double quotes. Raises `InputError`.
    """
    # The value may be one column's name with a comma, * or ! in it.
    if patterns.strip() in header:
        return (patterns.strip(),), ()
    found: dict[str, None] = {}
    excluded_names: dict[str, None] = {}
    seen = set()
    for pattern, excluded in _split_patterns(patterns, header):
        if (pattern, excluded) in seen:
            raise InputError(f"--columns names {pattern!r} twice; name each column once")
        seen.add((pattern, excluded))
        # An exact name wins over its reading as a glob: names such as "y[1]" are common.
        names = [name for name in header if name == pattern] or fnmatch.filter(header, pattern)
        if not names:
            raise Location(file).error(f"no column {pattern!r}{near_column(pattern, header)}")
        (excluded_names if excluded else found).update(dict.fromkeys(names))
    return tuple(name for name in found if name not in excluded_names), tuple(excluded_names)


def near_column(name: str, header: Sequence[str]) -> str:
    """A suggestion for an error message; a name with a comma in it is quoted as --columns requires."""
    names = [f'"{known}"' if "," in known else known for known in header]
    parts = [shown for shown in names if name and name in re.split(r"\s*,\s*", shown.strip('"')) and "," in shown]
    if parts:
        return f"; did you mean {parts[0]}, with the quotation marks?"
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return nearest(name, names) or f"; there are {shown}"


def _split_patterns(patterns: str, header: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """The patterns of --columns, and whether each excludes columns."""
    at = 0
    while at < len(patterns):
        match = _PATTERN.match(patterns, at)
        if match is None:
            raise InputError(f"--columns {patterns!r}: close the quotation marks, and put a comma after them")
        at = match.end()
        excluded, quoted, plain = match.groups()
        name = quoted.replace('""', '"') if quoted is not None else plain
        # A column may itself be called "!name".
        if f"{excluded}{name}" in header:
            yield f"{excluded}{name}", False
        elif name:
            yield name, bool(excluded)
