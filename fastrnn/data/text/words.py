"""Word tokenization and detokenization.

A token is a word (with inner apostrophes and hyphens), a number, one ideograph or kana, a punctuation mark or symbol,
or `EOS`. `EOS` marks the end of each line and of each sentence inside a line; it is decoded as a line break. Spaces
are not kept: `Detokenizer` inserts them by the rules of English typography.
"""

import functools
import re
import unicodedata
from collections.abc import Iterable

EOS = "<EOS>"
UNK = "<UNK>"

_TITLES = ("Mr", "Mrs", "Ms", "Dr", "St", "Prof", "Rev", "Gen", "Col", "Capt", "Lt", "Sgt", "Jr", "Sr")
_ABBREVIATIONS = frozenset({*_TITLES, "vs", "etc", "cf", "No", "Fig", "Vol", "pp"})
# Ideographs, kana and their punctuation are written without spaces, each a token of its own.
_WIDE = "\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
# Marks, closing quotes, blanks, and (group 1) the first letter of what follows; or the same without blanks in
# Chinese and Japanese. Counts are bounded and runs are entered at their start only, so that the time is linear.
_SENTENCE_END = re.compile(
    r"""(?<![.!?…])[.!?…।]{1,8}["'”’)\]]{0,4}[ \t]+(?=["“‘'(\[¿¡]{0,4}(\w))"""
    r"""|[。！？]{1,8}[」』”’）]{0,4}(?=[^\s」』”’）])"""
)
_WIDE_CHARACTER = re.compile(f"[{_WIDE}]")
_NO_SPACE_BEFORE = frozenset(".,;:!?)]}%…”’»›/—–।") | {"--"}
_NO_SPACE_AFTER = frozenset("([{“‘«‹¿¡$£€#@/—–") | {"--"}
_STRAIGHT_QUOTES = ('"', "'")


def split_words(text: str) -> list[str]:
    """Split a text into tokens, with `EOS` for each line break and each end of a sentence within a line."""
    marked = _SENTENCE_END.sub(_end_sentence, text)
    return [EOS if token == "\n" else token for token in _token_pattern().findall(marked)]


class Detokenizer:
    """Incremental conversion of tokens to text; `EOS` becomes a line break and closes every quotation."""

    def __init__(self) -> None:
        self._start_line()

    def _start_line(self) -> None:
        self._glued = True  # no space before the next token
        self._wide = False
        self._open: set[str] = set()

    def feed(self, tokens: Iterable[str]) -> str:
        """Return the text of these tokens, with spaces where English typography requires them."""
        return "".join(map(self._add, tokens))

    def _add(self, token: str) -> str:
        if token == EOS:
            self._start_line()
            return "\n"
        closes, opens = self._quote(token)
        wide = _WIDE_CHARACTER.match(token) is not None
        # Chinese and Japanese have no spaces between words.
        glue = self._glued or closes or token in _NO_SPACE_BEFORE or token.startswith("..") or wide or self._wide
        self._glued = opens or token in _NO_SPACE_AFTER
        self._wide = wide
        return token if glue else " " + token

    def _quote(self, token: str) -> tuple[bool, bool]:
        """Return whether a straight quotation mark closes, and whether it opens, a quotation."""
        if token not in _STRAIGHT_QUOTES:
            return False, False
        closes = token in self._open
        self._open ^= {token}
        return closes, not closes


def _end_sentence(match: re.Match[str]) -> str:
    """Return the same marks, followed by a line break unless they belong to an abbreviation."""
    found = match.group()
    first = match.group(1)
    # Ideographic full stops never belong to abbreviations.
    if first is None:
        return found + "\n"
    before = _word_before(match.string, match.start())
    # A single capital is an initial (J. S. Bach).
    abbreviated = found[0] == "." and (before in _ABBREVIATIONS or (len(before) == 1 and before.isupper()))
    if abbreviated or first.islower() or not first.isalpha():
        return found
    return found.rstrip(" \t") + "\n"


def _word_before(text: str, end: int) -> str:
    """Return up to six letters and digits before a position; no abbreviation is longer."""
    start = end
    while start > max(end - 6, 0) and text[start - 1].isalnum():
        start -= 1
    return text[start:end]


@functools.cache
def _token_pattern() -> re.Pattern[str]:
    """Compile the pattern of a token."""
    # Python's \w excludes combining marks (accents, Indic vowels), so they are added here
    marks = f"{_mark_ranges()}\u200c\u200d"
    letter = f"[^\\W\\d{_WIDE}]"
    inside = f"[^\\W{_WIDE}]"
    rest = f"{inside}*(?:[{marks}]+{inside}*)*"
    word = f"{letter}{rest}(?:['’\\-]{inside}{rest})*"
    number = rf"\d+(?:[.,:]\d+)*{inside}*"
    other = f"[^\\w\\s](?:\u200d[^\\w\\s]|[{marks}])*"
    letters = r"(?:[^\W\d_]\.){2,}"  # i.e., U.S.
    runs = "|".join(rf"\{mark}{{2,}}" for mark in ".-*=~#+<>")
    return re.compile(rf"\n|{letters}|{word}|{number}|{runs}|[{_WIDE}][{marks}]*|{other}|[^\s]")


def _mark_ranges() -> str:
    """Return the combining marks of the basic multilingual plane as the content of a character class."""
    marks = [c for c in range(0x10000) if unicodedata.category(chr(c)) in ("Mn", "Mc", "Me")]
    ranges: list[list[int]] = []
    for code in marks:
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"\\u{low:04x}-\\u{high:04x}" for low, high in ranges)
