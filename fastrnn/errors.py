"""Exceptions raised for user errors, and the format of their messages.

A message is one line: the problem, then how to fix it. The command line prints it after ``fastrnn:`` and exits with
``exit_status``.
"""

import difflib
from collections.abc import Iterable, Sequence

ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
MESSAGE = 600  # maximum characters of a message
NAME = 160  # maximum characters of a quoted name, label or other user text


def escape(text: str) -> str:
    """Escape unprintable characters, as ``\\n``, ``\\x1b`` or ``\\u200b``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ESCAPES.get(c) or ascii(c)[1:-1] for c in text)


def shorten(text: str, most: int = NAME) -> str:
    """Shorten a text to ``most`` characters: its start and end with `` ... `` between them."""
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail - 5]} ... {text[-tail:]}"


def join_first(names: Sequence[str], most: int) -> str:
    """Join the first ``most`` names with commas, and count the others: ``a, b and 7 more``."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def quote(value: object) -> str:
    """Return the repr of a value, escaped and shortened."""
    if isinstance(value, str):  # shorten first: escapes may be ten times as long
        return shorten(ascii(shorten(value)) if not value.isprintable() else repr(shorten(value)))
    return escape(shorten(repr(value)))


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean X?"`` for the most similar known word, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


class FastRNNError(Exception):
    """Base class of all errors a user can fix. Long messages are shortened."""

    exit_status = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(shorten(str(message), MESSAGE))


class ConfigError(FastRNNError):
    """A setting is unknown, invalid, or incompatible with another."""

    exit_status = 2


class InputError(FastRNNError):
    """Input data cannot be read or contains unknown tokens."""


class CheckpointError(FastRNNError):
    """A model file is missing, corrupt, of another format, or of another version."""


class OutputError(FastRNNError):
    """A result cannot be written to the requested place."""


class BackendError(FastRNNError):
    """The requested device, or so many threads, are not available."""


class DivergedError(FastRNNError):
    """Training repeatedly produced NaN or infinity, even with smaller learning rates."""

    exit_status = 4
