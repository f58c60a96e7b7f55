"""Vocabularies of the labelled tasks. Id 0 is the end symbol and the padding, id 1 any unknown symbol."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...errors import InputError, escape
from ..text.remarks import check_unknown, describe_unknown
from ..text.tokenizers import Decoder, Ids, IdsLike, Tokenizer
from ..text.words import EOS, UNK, Detokenizer, split_words

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
            raise InputError(f"symbols are {', '.join(UNITS)}, not {unit!r}")
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

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible mapping; the known symbols are one text: characters side by side, words as lines."""
        return {"unit": self.unit, "known": ("" if self.unit == "chars" else "\n").join(self.known)}


def symbol_vocab_from_dict(mapping: Any) -> SymbolVocab:
    """Restore a vocabulary from `SymbolVocab.to_dict`. Raises `InputError` if the mapping is invalid."""
    if not isinstance(mapping, Mapping) or set(mapping) != {"unit", "known"}:
        raise InputError("a table of symbols has a unit and what is known")
    unit = mapping["unit"]
    known = mapping["known"]
    if not isinstance(unit, str) or not isinstance(known, str) or any("\ud800" <= c <= "\udfff" for c in known):
        raise InputError("a table of symbols has texts without surrogates")
    return SymbolVocab(unit, known if unit == "chars" or not known else known.split("\n"))


def split_symbols(unit: str, text: Any) -> list[str]:
    """Split a text into characters or words (without sentence ends); tokens are already a list."""
    if unit == "words":
        return [word for word in split_words(text) if word != EOS]
    return list(text)


class _SymbolDecoder(Decoder):
    """Converts ids to text up to the first end symbol; an unknown symbol becomes U+FFFD."""

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
