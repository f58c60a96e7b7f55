"""Warnings about a text, one sentence each: line ends, invisible characters, separators that do not occur."""

import unicodedata
from collections.abc import Mapping, Sequence

from .decoding import describe, label, readable

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
    return f"the text has invisible characters: {describe(found)}" if found else None


def mixed_forms_remark(chars: str) -> str | None:
    """Return a warning if a letter occurs both composed and with a combining mark, else None."""
    known = set(chars)
    for char in chars:
        parts = unicodedata.normalize("NFD", char)
        if len(parts) == 2 and unicodedata.category(parts[1])[0] == "M" and known.issuperset(parts):
            return f"accents are written in two ways, {label(char)} and {label(parts[1])}; normalise the text to NFC"
    return None


def separator_remark(separator: str, found: int, ends: LineEnds, kind: str) -> str | None:
    """Return a warning if the document separator does not occur in the text, else None."""
    if found:
        return None
    remark = f"the document separator '{readable(separator)}' does not occur in the text; each file is one document"
    if kind != "words" and ends.pairs and "\n" in separator.replace("\r\n", ""):
        better = readable(separator.replace("\r\n", "\n").replace("\n", "\r\n"))
        remark += rf". Its lines end with \r\n: give '{better}'"
    return remark


def vocabulary_remark(size: int, unknown: int, tokens: int, min_count: int) -> str | None:
    """Return a warning if many words are unknown or the vocabulary has a single token, else None."""
    if unknown > _MANY_UNKNOWN * tokens:
        return (
            f"{unknown / tokens:.0%} of the words are <UNK>, because they occur fewer than {min_count} times "
            f"(vocabulary of {size:,}); give a smaller --min-count, --tokens chars, or more text"
        )
    return "the text has one character only, again and again: there is nothing to learn" if size == 1 else None


def names_remark(names: Sequence[str], what: str, most: int = 3) -> str | None:
    """Return a warning that lists files, or None if there are none."""
    if not names:
        return None
    shown = ", ".join(map(readable, names[:most]))
    return f"{what}: {shown}" + (f" and {len(names) - most:,} more" if len(names) > most else "")
