"""Whether texts that are to be classified are better cut into words or into characters.

Words classify best where a text has several of them and most are known from other texts, as in sentences. Characters
do where the texts are names or single words, where most words are new, and in writing without blanks.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .symbol_vocab import CHARS, WORDS, split

_TEXTS, _CHARACTERS = 4000, 1000  # looked at: so many texts at most, and the beginning of each
_WORDS_EACH = 4  # in half of the texts; fewer are names, titles or labels
_DIFFERENT = 300  # words; fewer are symbols in a rule, which is learnt with more epochs than words get
# Of the words in half of the texts stand in the other half too. In trials words were right more often at 0.74 (1,000
# film reviews), characters at 0.62 (2,200 sentences in 20 languages: 84% against 79%).
_KNOWN = 0.7
_SHARE = 0.5  # of all tokens are words, not numbers, signs, single letters or ideographs


@dataclass(frozen=True)
class Unit:
    """``tokens``: "chars" or "words"; ``reason``: in words, for the user."""

    tokens: str
    reason: str


def choose_unit(texts: Sequence[str]) -> Unit:
    """The unit for these training texts: the same for the same texts in the same order, in a second at most."""
    tokens = [split(WORDS, text[:_CHARACTERS]) for text in _spread(texts)]
    words = [[token for token in text if _is_word(token)] for text in tokens]
    total = sum(map(len, words))
    each = statistics.median(map(len, words)) if words else 0

    if total < _SHARE * sum(map(len, tokens)):
        return Unit(CHARS, "most of the texts are not words of several letters")
    if each < _WORDS_EACH:
        return Unit(CHARS, f"the median text has {each:g} {'word' if each == 1 else 'words'}")

    different, known = len({word for text in words for word in text}), _known(words)
    if different < _DIFFERENT:
        return Unit(CHARS, f"the texts have {different:,} different words only")
    reason = f"{each:g} words in the median text, and {known:.0%} of the words of a text are in others too"
    return Unit(WORDS if known >= _KNOWN else CHARS, reason)


def _spread(texts: Sequence[str]) -> Sequence[str]:
    """At most `_TEXTS` of the texts, evenly spaced: files often hold one label after the other."""
    return texts[:: -(-len(texts) // _TEXTS) or 1]


def _is_word(token: str) -> bool:
    return len(token) > 1 and any(map(str.isalpha, token))


def _known(words: Sequence[Sequence[str]]) -> float:
    """Of the words in every second text, the share that stands in the texts between: what a new text would have."""
    seen = {word for text in words[::2] for word in text}
    new = [word for text in words[1::2] for word in text]
    return sum(word in seen for word in new) / max(1, len(new))
