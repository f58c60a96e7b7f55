"""Choice between words and characters as the tokens of a text classifier.

Words classify best if a text has several of them and most also occur in other texts, as in sentences. Characters do
if the texts are names or single words, if most words are new, and in scripts without spaces.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .symbol_vocab import CHARS, WORDS, split_symbols

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
