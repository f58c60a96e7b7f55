"""Messages about the characters of a text: unknown or invisible ones, line ends, separators that do not occur."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence, Set

from ...errors import ESCAPES, ConfigError, escape, join_first, quote

# Names of characters whose Unicode name is missing or little known.
_NAMES = {
    "\0": "NUL", "\a": "bell", "\b": "backspace", "\v": "vertical tab", "\f": "form feed", "\x1a": "Ctrl-Z",
    "\x1b": "escape", "\x7f": "delete", "\x85": "next line", "\ufeff": "byte order mark",
}  # fmt: skip
UNKNOWN = ("error", "skip")


def format_char(char: str) -> str:
    """Return a character in quotes, or its code point and name if it is not visible by itself.

    ``'é'``, ``'\\n'``, ``U+0301 combining acute accent``.
    """
    if len(char) != 1 or char in ESCAPES or (char.isprintable() and not _is_unclear(char)):
        return f"'{escape(char)}'"
    name = _NAMES.get(char) or unicodedata.name(char, "").lower()
    return f"U+{ord(char):04X} {name}".rstrip()


def _is_unclear(char: str) -> bool:
    """Whether a printable character is unclear by itself: a combining mark or U+FFFD."""
    return char == "\ufffd" or unicodedata.category(char)[0] == "M"


def describe_chars(counts: Mapping[str, int], most: int = 5) -> str:
    """Return characters with their counts, most frequent first: ``'é' (12 times), '☃' (once) and 3 more``."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{format_char(c)} ({'once' if n == 1 else f'{n} times'})" for c, n in ordered]
    return join_first(parts, most)


def describe_unknown(counts: Mapping[str, int], what: str, known: Iterable[str] = ()) -> str:
    """Return the error message about characters in ``what`` that a vocabulary (``known``) lacks."""
    form = find_normal_form(counts, set(known))
    advice = f"write it in Unicode normal form {form}, change them" if form else "change them"
    return (
        f"{what} has characters that the model does not know: {describe_chars(counts)}; {advice}, or use --unknown skip"
    )


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
        raise ConfigError(f"unknown is {quote(unknown)}; it must be error or skip")


# Characters that display as nothing or as a blank. Joiners (U+200C, U+200D) are excluded: Persian, Indic scripts and
# emoji need them.
_NOT_SEEN = frozenset(
    chr(code)
    for code in (*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0), 0xAD, 0x061C, 0x180E, 0x200B, 0x200E,
                 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF, 0xFFFD)
)  # fmt: skip
# The most common accidental ones; word encoders count only these, one by one, to save time.
ACCIDENTS = "\0\v\f\x1a\x85\xad\u200b\u2028\u2029\ufeff\ufffd"
_MANY_UNKNOWN = 0.2  # share of <UNK> above which a vocabulary is reported as too small


class LineEnds:
    """Incremental counts of the line ends of texts."""

    def __init__(self) -> None:
        self.newlines = self.returns = self.pairs = 0  # \n, \r, and \r\n, which counts among both
        self._after_return = False

    def start(self) -> None:
        """Start a new text."""
        self._after_return = False

    def feed(self, chunk: bytes) -> None:
        """Count the line ends of a chunk."""
        if not chunk:
            return
        self.newlines += chunk.count(b"\n")
        # CR LF may be cut in two by the end of a chunk.
        if self._after_return and chunk.startswith(b"\n"):
            self.pairs += 1
        if returns := chunk.count(b"\r"):
            self.returns += returns
            self.pairs += chunk.count(b"\r\n")
        self._after_return = chunk.endswith(b"\r")

    def remark(self, kind: str) -> str | None:
        """Return a warning for tokens of this kind, or None if ``\\n`` ends every line."""
        alone = self.returns - self.pairs
        plain = self.newlines - self.pairs
        if not self.returns or kind == "bytes" or (kind == "words" and not alone):
            return None
        if not self.newlines:
            how = r"lines end with \r alone"
        elif not alone and not plain:
            return r"lines end with \r\n: the model learns both characters; convert the text to \n if it should not"
        else:
            found = ((r"\n", plain), (r"\r\n", self.pairs), (r"\r alone", alone))
            how = "lines end in different ways: " + ", ".join(f"{end} {n:,} times" for end, n in found if n)
        reads = r"words take \r alone for a blank" if kind == "words" else "the model learns them as they are"
        return rf"{how}; {reads}; convert the text to \n"


def find_invisible(chars: str) -> str:
    """Return the characters that display as nothing or as a blank."""
    return "".join(c for c in chars if c in _NOT_SEEN)


def invisible_remark(counts: Mapping[str, int]) -> str | None:
    """Return a warning about invisible characters, or None."""
    found = {c: n for c, n in counts.items() if n}
    advice = "; leave out a byte order mark with --encoding utf-8-sig" if "\ufeff" in found else ""
    return f"the text has invisible characters: {describe_chars(found)}{advice}" if found else None


def mixed_forms_remark(chars: str) -> str | None:
    """Return a warning if a letter occurs both composed and with a combining mark, else None."""
    known = set(chars)
    # A letter is mixed if the vocabulary has it composed, and also its base letter and its combining mark.
    for char in chars:
        parts = unicodedata.normalize("NFD", char)
        if len(parts) == 2 and unicodedata.category(parts[1])[0] == "M" and known.issuperset(parts):
            forms = f"{format_char(char)} and {format_char(parts[1])}"
            return f"accents are written in two ways, {forms}; normalise the text to NFC"
    return None


def separator_remark(separator: str, found: int, ends: LineEnds, kind: str) -> str | None:
    """Return a warning if the document separator does not occur in the text, else None."""
    if found:
        return None
    remark = f"the document separator '{escape(separator)}' does not occur in the text; each file is one document"
    if kind != "words" and ends.pairs and "\n" in separator.replace("\r\n", ""):
        better = escape(separator.replace("\r\n", "\n").replace("\n", "\r\n"))
        remark += rf". Its lines end with \r\n: give '{better}'"
    return remark


def vocabulary_remark(size: int, unknown: int, tokens: int, min_count: int) -> str | None:
    """Return a warning if many words are unknown or the vocabulary has a single token, else None."""
    if unknown > _MANY_UNKNOWN * tokens:
        return (
            f"{unknown / tokens:.0%} of the words are <UNK>, because they occur fewer than {min_count} times "
            f"(vocabulary of {size:,}); give a smaller --min-count, --tokens chars, or more text"
        )
    return "the text repeats a single character: there is nothing to learn" if size == 1 else None


def names_remark(names: Sequence[str], what: str, most: int = 3) -> str | None:
    """Return a warning that lists files, or None if there are none."""
    return f"{what}: {join_first(list(map(escape, names)), most)}" if names else None
