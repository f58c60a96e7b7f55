"""Characters and names in messages: one line each, without control characters."""

import unicodedata
from collections.abc import Iterable, Mapping, Set

from ...errors import ConfigError
from ...message import ESCAPES, quoted
from ...message import readable as readable

# Names of characters whose Unicode name is missing or little known.
_NAMES = {
    "\0": "NUL", "\a": "bell", "\b": "backspace", "\v": "vertical tab", "\f": "form feed", "\x1a": "Ctrl-Z",
    "\x1b": "escape", "\x7f": "delete", "\x85": "next line", "\ufeff": "byte order mark",
}  # fmt: skip
UNKNOWN = ("error", "skip")


def label(char: str) -> str:
    """Return a character in quotes, or its code point and name if it is not visible by itself.

    ``'é'``, ``'\\n'``, ``U+0301 combining acute accent``.
    """
    if len(char) != 1 or char in ESCAPES or (char.isprintable() and not _is_unclear(char)):
        return f"'{readable(char)}'"
    name = _NAMES.get(char) or unicodedata.name(char, "").lower()
    return f"U+{ord(char):04X} {name}".rstrip()


def _is_unclear(char: str) -> bool:
    """Whether a printable character is unclear by itself: a combining mark or U+FFFD."""
    return char == "\ufffd" or unicodedata.category(char)[0] == "M"


def describe(counts: Mapping[str, int], most: int = 5) -> str:
    """Return characters with their counts, most frequent first: ``'é' (12 times), '☃' (once) and 3 more``."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{label(c)} ({'once' if n == 1 else f'{n} times'})" for c, n in ordered[:most]]
    rest = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(parts) + rest


def unknown_message(counts: Mapping[str, int], what: str, known: Iterable[str] = ()) -> str:
    """Return the error message about characters in ``what`` that a vocabulary (``known``) lacks."""
    form = find_normal_form(counts, set(known))
    advice = f"write it in Unicode normal form {form}, change them" if form else "change them"
    return f"{what} has characters that the model does not know: {describe(counts)}; {advice}, or use --unknown skip"


def find_normal_form(missing: Iterable[str], known: Set[str]) -> str | None:
    """Return ``NFC`` or ``NFD`` if the vocabulary has the missing characters in that normal form, else None."""
    lacked = [c for c in missing if len(c) == 1]
    # combining marks of known characters: a missing one means that the text is decomposed
    composed = {part for c in known for part in unicodedata.normalize("NFD", c)[1:]}
    if any(c in composed for c in lacked):
        return "NFC"
    apart = [parts for c in lacked if (parts := unicodedata.normalize("NFD", c)) != c]
    return "NFD" if any(all(part in known for part in parts) for parts in apart) else None


def check_unknown(unknown: str) -> None:
    """Raises `ConfigError` unless this is a policy for unknown characters."""
    if not isinstance(unknown, str) or unknown not in UNKNOWN:
        raise ConfigError(f"unknown is {quoted(unknown)}; it must be error or skip")
