"""Tables of symbols for the labelled tasks: id 0 ends (and pads), id 1 is any unknown symbol, then the known ones."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...errors import InputError
from ..text.decoding import check_unknown, readable, unknown_message
from ..text.tokenizers import Decoder, Ids, IdsLike, Tokenizer
from ..text.words import EOS, UNK, Detokenizer, split_words

END, UNKNOWN = 0, 1
CHARS, WORDS = "chars", "words"
UNITS = (CHARS, WORDS, "tokens")
_RESERVED = 2


class SymbolVocab(Tokenizer):
    """A vocabulary of characters, words of a text, or ready-made tokens (the words of `tag`, which come as a list).

    ``known``: the symbols from id 2 on.
    """

    kind = "symbols"

    def __init__(self, unit: str, known: Iterable[str] = ()) -> None:
        self.unit, self.known = unit, tuple(known)
        self.size = _RESERVED + len(self.known)
        self.ids = {symbol: i for i, symbol in enumerate(self.known, _RESERVED)}
        if unit not in UNITS:
            raise InputError(f"symbols are {', '.join(UNITS)}, not {unit!r}")
        if len(self.ids) != len(self.known) or "" in self.ids:
            raise InputError("the symbols of a vocabulary must be different and not empty")
        if unit == "chars" and any(len(symbol) != 1 for symbol in self.known):
            raise InputError("the characters of a vocabulary must be single ones")
        if unit != "chars" and any("\n" in symbol for symbol in self.known):
            raise InputError("the words of a vocabulary cannot hold line breaks")

    @classmethod
    def build(cls, unit: str, texts: Iterable[Any], min_count: int = 1) -> "SymbolVocab":
        """What stands ``min_count`` times in the texts: characters in order, or words, the frequent first."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(split(unit, text))
        kept = [symbol for symbol, n in counts.items() if n >= min_count]
        kept.sort(key=(lambda s: s) if unit == "chars" else (lambda s: (-counts[s], s)))
        return cls(unit, kept)

    def ids_of(self, text: Any) -> Ids:
        """Ids (n,) of a text, without an end symbol; what is not known is id 1."""
        pieces = split(self.unit, text)
        return np.fromiter((self.ids.get(piece, UNKNOWN) for piece in pieces), np.int64, len(pieces))

    def encode(self, text: str, unknown: str = "error") -> Ids:
        check_unknown(unknown)
        ids = self.ids_of(text)
        if self.unit != "chars" or (ids != UNKNOWN).all():
            return ids
        if unknown == "error":
            missing = Counter(c for c in text if c not in self.ids)
            raise InputError(unknown_message(missing, "the text", self.ids))
        known: Ids = ids[ids != UNKNOWN]
        return known

    def decoder(self) -> Decoder:
        return _SymbolDecoder(self)

    def token_text(self, token: int) -> str:
        return (EOS, UNK)[token] if token < _RESERVED else readable(self.known[token - _RESERVED])

    def start_ids(self, separator: str | None = None) -> Ids:
        """A decoder starts from the end symbol."""
        return np.zeros(1, np.int64)

    def to_mapping(self) -> dict[str, Any]:
        """The known symbols as one text: characters side by side, words a line each."""
        return {"unit": self.unit, "known": ("" if self.unit == "chars" else "\n").join(self.known)}


def symbol_vocab_from_mapping(mapping: Any) -> SymbolVocab:
    """The reverse of `SymbolVocab.to_mapping`. Raises `InputError` if the mapping is not sound."""
    if not isinstance(mapping, Mapping) or set(mapping) != {"unit", "known"}:
        raise InputError("a table of symbols has a unit and what is known")
    unit, known = mapping["unit"], mapping["known"]
    if not isinstance(unit, str) or not isinstance(known, str) or any("\ud800" <= c <= "\udfff" for c in known):
        raise InputError("a table of symbols has texts without surrogates")
    return SymbolVocab(unit, known if unit == "chars" or not known else known.split("\n"))


def split(unit: str, text: Any) -> list[str]:
    """The symbols of a text: characters, or words (sentence ends are not kept). Tokens come as a list."""
    if unit == "words":
        return [word for word in split_words(text) if word != EOS]
    return list(text)


class _SymbolDecoder(Decoder):
    """Ids to text up to the first end symbol; an unknown symbol is shown as U+FFFD."""

    def __init__(self, symbols: SymbolVocab) -> None:
        self._symbols = symbols
        self._words = Detokenizer()
        self._ended = False

    def feed(self, ids: IdsLike) -> str:
        found = self._symbols._checked(ids).tolist()
        if self._ended:
            return ""
        if END in found:
            self._ended = True
            found = found[: found.index(END)]
        pieces = [self._symbols.known[i - _RESERVED] if i >= _RESERVED else "\ufffd" for i in found]
        return "".join(pieces) if self._symbols.unit == "chars" else self._words.feed(pieces)
