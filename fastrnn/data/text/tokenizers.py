"""Tokenizers: vocabularies of characters, bytes or words, which encode text to ids and decode ids to text.

Three kinds, in the table `KINDS`: Unicode characters (code points), bytes (256 ids, any file), and words. V is the
size of the vocabulary; an id is a whole number from 0 to V-1.

A word token is a word (with inner apostrophes and hyphens), a number, one ideograph or kana, a punctuation mark or
symbol, or `EOS`. `EOS` marks the end of each line and of each sentence inside a line; it is decoded as a line break.
Spaces are not kept: `Detokenizer` inserts them by the rules of English typography.
"""

import abc
import codecs
import copy
import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ...errors import InputError, escape
from .ngrams import NGrams
from .remarks import check_unknown, describe_unknown

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
Ids = npt.NDArray[np.int64]
IdsLike = npt.ArrayLike
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # surrogates that "surrogateescape" does not map to a byte
_FEW = 32  # up to here plain Python is faster than NumPy; samples are decoded an id at a time


def split_words(text: str) -> list[str]:
    """Split a text into tokens, with `EOS` for each line break and each end of a sentence within a line."""
    marked = _SENTENCE_END.sub(_end_sentence, text)
    return [EOS if token == "\n" else token for token in _token_pattern().findall(marked)]


class Detokenizer:
    """Incremental conversion of tokens to text; `EOS` becomes a line break and closes every quotation."""

    def __init__(self) -> None:
        self._glued = True  # no space before the next token
        self._wide = False
        self._open: set[str] = set()  # quotation marks without their partner

    def _start_line(self) -> None:
        self._glued = True
        self._wide = False
        self._open = set()

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


class Decoder(abc.ABC):
    """Incremental decoder: the results of `feed` and a final `flush`, joined, equal `Tokenizer.decode` of all ids."""

    @abc.abstractmethod
    def feed(self, ids: IdsLike) -> str:
        """Return the text that these ids complete. Raises `InputError` for an id outside the vocabulary."""

    def flush(self) -> str:
        """Return the rest: the replacement character for an incomplete UTF-8 sequence, else an empty string."""
        return ""


class Tokenizer(abc.ABC):
    """A vocabulary of `size` tokens."""

    kind: ClassVar[str]
    end: ClassVar[int | None] = None  # the id that ends a sentence
    unknown: ClassVar[int | None] = None  # the id of whatever is not in the vocabulary
    size: int

    @abc.abstractmethod
    def encode(self, text: str, unknown: str = "error") -> Ids:
        """Encode a short text such as a prompt or a line.

        Args:
            text: The text.
            unknown: Treatment of characters that the vocabulary lacks: ``"error"``, or ``"skip"`` to omit them.
                Unknown words always become ``<UNK>``.

        Returns:
            Token ids (n,), int64.

        Raises:
            InputError: If the vocabulary lacks characters and ``unknown`` is ``"error"``.
        """

    @abc.abstractmethod
    def decoder(self) -> Decoder:
        """Return a new incremental decoder."""

    @abc.abstractmethod
    def token_text(self, token: int) -> str:
        """Return a token for display; unprintable ones as an escape such as ``\\n`` or ``\\xc3``."""

    @abc.abstractmethod
    def tokens_to_dict(self) -> dict[str, Any]:
        """Return the mapping of `to_dict` without n-grams."""

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable mapping for `tokenizer_from_dict`."""
        return self.tokens_to_dict() | ({"ngrams": self.ngrams.keys.tolist()} if len(self.ngrams) else {})

    @functools.cached_property
    def ngrams(self) -> NGrams:
        """The n-grams that a model with this vocabulary reads beside the tokens; none by default."""
        return NGrams(self.size)

    def with_ngrams(self, ngrams: NGrams) -> Self:
        """Return the same vocabulary with these n-grams; it encodes and decodes as before, and is equal to this one."""
        copied = copy.copy(self)
        copied.__dict__["ngrams"] = ngrams
        return copied

    def decode(self, ids: IdsLike) -> str:
        """Decode ids (n,). Characters and valid UTF-8 are restored exactly; invalid bytes become U+FFFD."""
        decoder = self.decoder()
        return decoder.feed(ids) + decoder.flush()

    def start_ids(self, separator: str | None = None) -> Ids:
        """Return the ids fed to a zero state without a prompt: the separator, if any, else a line break.

        If the vocabulary has neither: its first token. The result is never empty.
        """
        for text in (separator, "\n"):
            ids = self.encode(text, "skip") if text else np.empty(0, np.int64)
            if ids.size:
                return ids
        return np.zeros(1, np.int64)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.tokens_to_dict() == other.tokens_to_dict()

    def __hash__(self) -> int:
        return hash((self.kind, self.size))

    def _check_ids(self, ids: IdsLike) -> Ids:
        """Return ids as int64 (n,). Raises `InputError` for ids outside 0..V-1."""
        array = np.asarray(ids, dtype=np.int64).reshape(-1)
        few = array.tolist() if array.size < _FEW else [array.min(), array.max()]
        if few and not (min(few) >= 0 and max(few) < self.size):
            raise InputError(f"token ids run from 0 to {self.size - 1}; got {min(few)} to {max(few)}")
        return array


class CharTokenizer(Tokenizer):
    """Unicode code points in ascending order; ``chars[i]`` has the id i."""

    kind = "chars"

    def __init__(self, chars: str) -> None:
        self.chars = chars
        self.size = len(chars)
        self._codes = code_points(chars)
        if not self.size:
            raise InputError("a vocabulary of characters needs at least one")
        # `encode` searches the sorted code points.
        if (self._codes[1:] <= self._codes[:-1]).any():
            raise InputError("the characters of a vocabulary must be different and in ascending order")
        if ((self._codes >= 0xD800) & (self._codes <= 0xDFFF)).any():
            raise InputError("a vocabulary of characters cannot hold surrogates")

    def encode(self, text: str, unknown: str = "error") -> Ids:
        check_unknown(unknown)
        codes = code_points(text)
        # The code points are sorted, so the position of a character is its id.
        ids: Ids = np.searchsorted(self._codes, codes).astype(np.int64)
        known = self._codes[np.minimum(ids, self.size - 1)] == codes
        if unknown == "error" and not known.all():
            missing = Counter(c for c, k in zip(text, known, strict=True) if not k)
            raise InputError(describe_unknown(missing, "the text", self.chars))
        found: Ids = ids[known]
        return found

    def decoder(self) -> Decoder:
        return _CharDecoder(self)

    def token_text(self, token: int) -> str:
        return escape(self.chars[token])

    def tokens_to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "chars": self.chars}


class ByteTokenizer(Tokenizer):
    """The 256 bytes; text goes in and out as UTF-8."""

    kind = "bytes"
    size = 256

    def encode(self, text: str, unknown: str = "error") -> Ids:
        check_unknown(unknown)
        try:
            data = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            lone = Counter(_NO_BYTE.findall(text))
            if unknown == "error":
                raise InputError(describe_unknown(lone, "the text")) from None
            data = _NO_BYTE.sub("", text).encode("utf-8", "surrogateescape")
        return np.frombuffer(data, np.uint8).astype(np.int64)

    def decoder(self) -> Decoder:
        return _ByteDecoder(self)

    def token_text(self, token: int) -> str:
        char = chr(token)
        return escape(char) if token < 128 else f"\\x{token:02x}"

    def tokens_to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind}


class WordTokenizer(Tokenizer):
    """Words, numbers and punctuation; ``<EOS>`` is id 0 and ``<UNK>``, any other word, id 1."""

    kind = "words"
    end, unknown = 0, 1

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.size = len(self.words)
        if self.words[:2] != [EOS, UNK]:
            raise InputError(f"a vocabulary of words must start with {EOS} and {UNK}")
        self.ids = {word: i for i, word in enumerate(self.words)}
        if len(self.ids) != self.size or "" in self.ids:
            raise InputError("the words of a vocabulary must be different and not empty")
        if any("\ud800" <= c <= "\udfff" for word in self.words for c in word):
            raise InputError("a vocabulary of words cannot hold surrogates")

    def encode(self, text: str, unknown: str = "error") -> Ids:
        check_unknown(unknown)
        return np.array([self.ids.get(word, self.unknown) for word in split_words(text)], dtype=np.int64)

    def decoder(self) -> Decoder:
        return _WordDecoder(self)

    def token_text(self, token: int) -> str:
        return escape(self.words[token])

    def tokens_to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "words": self.words}


KINDS: dict[str, type[Tokenizer]] = {t.kind: t for t in (CharTokenizer, ByteTokenizer, WordTokenizer)}


def tokenizer_from_dict(mapping: Mapping[str, Any]) -> Tokenizer:
    """Restore a tokenizer from `Tokenizer.to_dict`. Raises `InputError` if the mapping is not a valid vocabulary."""
    content = dict(mapping) if isinstance(mapping, Mapping) else {}
    kind, keys = content.pop("kind", None), content.pop("ngrams", [])
    tokenizer: Tokenizer | None = None
    match kind, content:
        case "chars", {"chars": str(chars), **rest} if not rest:
            tokenizer = CharTokenizer(chars)
        case "bytes", {**rest} if not rest:
            tokenizer = ByteTokenizer()
        case "words", {"words": list(words), **rest} if not rest and all(isinstance(w, str) for w in words):
            tokenizer = WordTokenizer(words)
    if tokenizer is None or not isinstance(keys, list) or any(type(key) is not int or key >> 62 for key in keys):
        raise InputError(f"not a vocabulary of {', '.join(KINDS)}")
    return tokenizer.with_ngrams(NGrams(tokenizer.size, keys))


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """Return the code points (n,) of a text, including surrogates."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint32, copy=False)


class _CharDecoder(Decoder):
    def __init__(self, tokenizer: CharTokenizer) -> None:
        self._tokenizer = tokenizer

    def feed(self, ids: IdsLike) -> str:
        checked = self._tokenizer._check_ids(ids)
        # Sampling decodes one id at a time.
        if checked.size < _FEW:
            return "".join([self._tokenizer.chars[i] for i in checked.tolist()])
        codes = self._tokenizer._codes[checked]
        return codes.astype("<u4").tobytes().decode("utf-32-le")


class _ByteDecoder(Decoder):
    def __init__(self, tokenizer: ByteTokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, ids: IdsLike) -> str:
        return self._utf8.decode(self._tokenizer._check_ids(ids).astype(np.uint8).tobytes())

    def flush(self) -> str:
        return self._utf8.decode(b"", final=True)


class _WordDecoder(Decoder):
    def __init__(self, tokenizer: WordTokenizer) -> None:
        self._tokenizer = tokenizer
        self._detokeniser = Detokenizer()

    def feed(self, ids: IdsLike) -> str:
        words: Iterable[str] = (self._tokenizer.words[i] for i in self._tokenizer._check_ids(ids))
        return self._detokeniser.feed(words)
