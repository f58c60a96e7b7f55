"""Vocabularies of the labelled tasks, and the choice between words and characters for a classifier.

Id 0 is the end symbol and the padding, id 1 any unknown symbol.

Words classify best if a text has several of them and most also occur in other texts, as in sentences. Characters do
if the texts are names or single words, if most words are new, and in scripts without spaces.
"""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputError, escape
from ..text.remarks import check_unknown, describe_unknown
from ..text.tokenizers import EOS, UNK, Decoder, Detokenizer, Ids, IdsLike, Tokenizer, split_words

END, UNKNOWN = 0, 1
CHARS, WORDS = "chars", "words"
UNITS = (CHARS, WORDS, "tokens")
_RESERVED = 2  # END and UNKNOWN


class SymbolVocab(Tokenizer):
    """A vocabulary of characters, words of a text, or ready-made tokens (the word lists of tag).

    Attributes:
        unit: "chars", "words" or "tokens".
        known: The known symbols; ``known[i]`` has id ``i + 2``.
        size: Number of ids, the two reserved ones included.
        ids: Id of each known symbol.
    """

    kind = "symbols"

    def __init__(self, unit: str, known: Iterable[str] = ()) -> None:
        self.unit = unit
        self.known = tuple(known)
        self.size = _RESERVED + len(self.known)
        self.ids = {symbol: i for i, symbol in enumerate(self.known, _RESERVED)}

        if unit not in UNITS:
            raise InputError(f"the unit of symbols must be {', '.join(UNITS)}, not {unit!r}")
        if len(self.ids) != len(self.known) or "" in self.ids:
            raise InputError("the symbols of a vocabulary must be different and not empty")
        if unit == "chars" and any(len(symbol) != 1 for symbol in self.known):
            raise InputError("the characters of a vocabulary must be single ones")
        # `to_dict` stores words as lines.
        if unit != "chars" and any("\n" in symbol for symbol in self.known):
            raise InputError("the words of a vocabulary cannot hold line breaks")

    @classmethod
    def build(cls, unit: str, texts: Iterable[Any], min_count: int = 1) -> "SymbolVocab":
        """Collect the symbols that occur at least ``min_count`` times.

        Characters are sorted by code point, words by decreasing frequency, then alphabetically.
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(split_symbols(unit, text))

        kept = [symbol for symbol, n in counts.items() if n >= min_count]
        kept.sort(key=(lambda s: s) if unit == "chars" else (lambda s: (-counts[s], s)))
        return cls(unit, kept)

    def to_ids(self, text: Any) -> Ids:
        """Return the ids (n,) of a text, without an end symbol; an unknown symbol has id 1."""
        symbols = split_symbols(self.unit, text)
        return np.fromiter((self.ids.get(symbol, UNKNOWN) for symbol in symbols), np.int64, len(symbols))

    def encode(self, text: str, unknown: str = "error") -> Ids:
        check_unknown(unknown)
        ids = self.to_ids(text)
        if self.unit != "chars" or (ids != UNKNOWN).all():
            return ids
        if unknown == "error":
            missing = Counter(c for c in text if c not in self.ids)
            raise InputError(describe_unknown(missing, "the text", self.ids))
        known: Ids = ids[ids != UNKNOWN]
        return known

    def decoder(self) -> Decoder:
        return _SymbolDecoder(self)

    def token_text(self, token: int) -> str:
        return (EOS, UNK)[token] if token < _RESERVED else escape(self.known[token - _RESERVED])

    def start_ids(self, separator: str | None = None) -> Ids:
        """Return the end symbol, from which a decoder starts."""
        return np.zeros(1, np.int64)

    def tokens_to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible mapping; the known symbols are one text: characters side by side, words as lines."""
        return {"unit": self.unit, "known": ("" if self.unit == "chars" else "\n").join(self.known)}


def symbol_vocab_from_dict(mapping: Any) -> SymbolVocab:
    """Restore a vocabulary from `SymbolVocab.to_dict`. Raises `InputError` if the mapping is invalid."""
    if not isinstance(mapping, Mapping) or set(mapping) != {"unit", "known"}:
        raise InputError("a symbol vocabulary needs the keys unit and known")
    unit = mapping["unit"]
    known = mapping["known"]
    if not isinstance(unit, str) or not isinstance(known, str) or any("\ud800" <= c <= "\udfff" for c in known):
        raise InputError("the unit and the symbols of a vocabulary must be texts without surrogates")
    return SymbolVocab(unit, known if unit == "chars" or not known else known.split("\n"))


def split_symbols(unit: str, text: Any) -> list[str]:
    """Split a text into characters or words (without sentence ends); tokens are already a list."""
    if unit == "words":
        return [word for word in split_words(text) if word != EOS]
    return list(text)


class _SymbolDecoder(Decoder):
    """Decode ids up to the first end symbol; an unknown symbol becomes U+FFFD."""

    def __init__(self, symbols: SymbolVocab) -> None:
        self._symbols = symbols
        self._words = Detokenizer()
        self._ended = False

    def feed(self, ids: IdsLike) -> str:
        valid_ids = self._symbols._check_ids(ids).tolist()
        if self._ended:
            return ""
        if END in valid_ids:
            self._ended = True
            valid_ids = valid_ids[: valid_ids.index(END)]
        symbols = [self._symbols.known[i - _RESERVED] if i >= _RESERVED else "\ufffd" for i in valid_ids]
        return "".join(symbols) if self._symbols.unit == "chars" else self._words.feed(symbols)


# Bounds on the work: at most this many texts, and this many characters from the start of each.
_MAX_TEXTS = 4000
_MAX_CHARACTERS = 1000
_MIN_MEDIAN_WORDS = 4  # texts with fewer are names, titles or labels
# With fewer distinct words the texts are symbols under a rule, which takes more epochs to learn than words get.
_MIN_DISTINCT = 300
# Least share of the words in one half of the texts that also occur in the other half. In trials words were better at
# 0.74 (1,000 film reviews), characters at 0.62 (2,200 sentences in 20 languages: 84% against 79%).
_MIN_KNOWN_SHARE = 0.7
# Least share of words among all tokens; the rest are numbers, punctuation, single letters and ideographs.
_MIN_WORD_SHARE = 0.5


@dataclass(frozen=True)
class TokenUnit:
    """A choice of tokens.

    Attributes:
        tokens: "chars" or "words".
        reason: Reason for the choice, for the user.
    """

    tokens: str
    reason: str


def choose_token_unit(texts: Sequence[str]) -> TokenUnit:
    """Choose the tokens for these training texts: deterministically, and in at most one second."""
    tokens = [split_symbols(WORDS, text[:_MAX_CHARACTERS]) for text in _subsample(texts)]
    words = [[token for token in text if _is_word(token)] for text in tokens]
    total = sum(map(len, words))
    median_words = statistics.median(map(len, words)) if words else 0

    if total < _MIN_WORD_SHARE * sum(map(len, tokens)):
        return TokenUnit(CHARS, "most of the texts are not words of several letters")
    if median_words < _MIN_MEDIAN_WORDS:
        return TokenUnit(CHARS, f"the median text has {median_words:g} {'word' if median_words == 1 else 'words'}")

    distinct = len({word for text in words for word in text})
    if distinct < _MIN_DISTINCT:
        return TokenUnit(CHARS, f"the texts have {distinct:,} different words only")

    known = _known_share(words)
    reason = f"{median_words:g} words in the median text, and {known:.0%} of the words of a text are in others too"
    return TokenUnit(WORDS if known >= _MIN_KNOWN_SHARE else CHARS, reason)


def _subsample(texts: Sequence[str]) -> Sequence[str]:
    """Return at most `_MAX_TEXTS` texts, evenly spaced because files are often sorted by label."""
    return texts[:: -(-len(texts) // _MAX_TEXTS) or 1]


def _is_word(token: str) -> bool:
    return len(token) > 1 and any(map(str.isalpha, token))


def _known_share(words: Sequence[Sequence[str]]) -> float:
    """Return the share of the words in odd texts that also occur in even texts: an estimate for a new text."""
    seen = {word for text in words[::2] for word in text}
    new = [word for text in words[1::2] for word in text]
    return sum(word in seen for word in new) / max(1, len(new))
