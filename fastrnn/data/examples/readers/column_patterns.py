"""Columns of a table by name or glob, as --columns writes them."""

import fnmatch
import re
from collections.abc import Iterator, Sequence

from ....config import nearest
from ....errors import InputError
from ..example import Location

_SHOWN = 8  # names in a message
_PATTERN = re.compile(r'\s*(!?)\s*(?:"((?:[^"]|"")*)"|([^,]*?))\s*(?:,|$)')


def match_columns(patterns: str, header: Sequence[str], file: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns that comma-separated names or globs stand for, in that order, and those left out by ``!``.

    A name that holds a comma is written in double quotes. Raises `InputError`.
    """
    if patterns.strip() in header:
        return (patterns.strip(),), ()
    found: dict[str, None] = {}
    left_out: dict[str, None] = {}
    seen = set()
    for pattern, excluded in _parts(patterns, header):
        if (pattern, excluded) in seen:
            raise InputError(f"--columns names {pattern!r} twice; name each column once")
        seen.add((pattern, excluded))
        names = [name for name in header if name == pattern] or fnmatch.filter(header, pattern)
        if not names:
            raise Location(file).error(f"no column {pattern!r}{near_column(pattern, header)}")
        (left_out if excluded else found).update(dict.fromkeys(names))
    return tuple(name for name in found if name not in left_out), tuple(left_out)


def near_column(name: str, header: Sequence[str]) -> str:
    """A suggestion; a name that holds a comma is shown as --columns takes it."""
    names = [f'"{known}"' if "," in known else known for known in header]
    parts = [shown for shown in names if name and name in re.split(r"\s*,\s*", shown.strip('"')) and "," in shown]
    if parts:
        return f"; did you mean {parts[0]}, with the quotation marks?"
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return nearest(name, names) or f"; there are {shown}"


def _parts(patterns: str, header: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """The parts of --columns, and whether each leaves columns out."""
    at = 0
    while at < len(patterns):
        match = _PATTERN.match(patterns, at)
        if match is None:
            raise InputError(f"--columns {patterns!r}: close the quotation marks, and put a comma after them")
        at = match.end()
        excluded, quoted, plain = match.groups()
        name = quoted.replace('""', '"') if quoted is not None else plain
        if f"{excluded}{name}" in header:
            yield f"{excluded}{name}", False
        elif name:
            yield name, bool(excluded)
