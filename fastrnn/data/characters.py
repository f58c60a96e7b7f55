"""How characters and names are shown in messages: one line, nothing that could disturb a terminal."""

from collections.abc import Mapping

from ..errors import ConfigError

_NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
UNKNOWN = ("error", "skip")


def readable(text: str) -> str:
    """The text with everything unprintable as an escape such as ``\\n``, ``\\x1b`` or ``\\u200b``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _NAMED.get(c) or ascii(c)[1:-1] for c in text)


def describe(counts: Mapping[str, int], most: int = 5) -> str:
    """Characters with how often they stand, the frequent first: ``'é' (12 times), '☃' (once) and 3 more``."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"'{readable(c)}' ({'once' if n == 1 else f'{n} times'})" for c, n in ordered[:most]]
    rest = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(parts) + rest


def unknown_message(counts: Mapping[str, int], what: str) -> str:
    """The one line about characters in ``what`` that a vocabulary lacks."""
    return f"{what} has characters that the model does not know: {describe(counts)}; change them, or use --unknown skip"


def check_unknown(unknown: str) -> None:
    """Raises `ConfigError` unless this is a policy for unknown characters."""
    if unknown not in UNKNOWN:
        raise ConfigError(f"unknown is {unknown!r}; it must be error or skip")
