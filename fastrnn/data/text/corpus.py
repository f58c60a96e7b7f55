"""A text as ids, with its vocabulary and the places where documents start."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ...config import nearest
from ...errors import ConfigError, InputError
from ...message import quoted
from ...plain import check_whole, to_plain
from .corpus_encoder import ENCODERS, CorpusEncoder
from .decoding import check_unknown, describe, readable, unknown_message
from .files import Paths, expand, names_of
from .remarks import names_remark, separator_remark, two_forms_remark, unseen_remark, vocabulary_remark
from .sources import CHUNK, Progress, Source, watched
from .tokenizers import CharTokenizer, Tokenizer

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Corpus:
    """An encoded text of n tokens, n >= 2. Immutable.

    ``ids`` (n,) unsigned, one byte each where V <= 256, else two or four. ``starts``: sorted positions at which a
    document starts and the state is reset, 0 among them. ``breaks``: those starts which no token before can
    predict, the first tokens of files; 0 among them. ``skipped``: characters left out, and how often they stood.
    ``remarks``: what is odd about the text, in sentences.
    """

    ids: npt.NDArray[Any]
    starts: Positions
    breaks: Positions
    tokenizer: Tokenizer
    names: tuple[str, ...] = ()
    skipped: dict[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of ids, starts, breaks and vocabulary, computed when first asked for."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(
            json.dumps([self.tokenizer.to_mapping(), len(self.starts), len(self.breaks)], sort_keys=True).encode()
        )
        for part in (self.starts, self.breaks, self.ids):
            digest.update(np.ascontiguousarray(part, part.dtype.newbyteorder("<")).data)
        return digest.hexdigest()


def read_corpus(
    inputs: Paths,
    *,
    tokens: str = "chars",
    min_count: int = 2,
    separator: str | None = None,
    tokenizer: Tokenizer | None = None,
    unknown: str = "error",
    progress: Progress | None = None,
) -> Corpus:
    """Read and encode files, folders, globs, ``-`` or built-in corpora, in one pass.

    With ``tokenizer`` its vocabulary (and kind) is kept; characters it lacks raise `InputError`, or are left out with
    ``unknown="skip"``. A document starts at each file and at each ``separator``, which is its first part.
    ``progress``: called with the bytes read so far and, where it is known, with how many there are.
    Raises `InputError` for inputs that cannot be read or hold fewer than 2 tokens.
    """
    kind = _kind(tokens, tokenizer)
    left_out: list[str] = []
    sources = expand(names_of(inputs), kind, left_out)
    if not sources:
        raise InputError("no text was given; name a file, a folder, - or a built-in corpus")
    if progress is not None:
        sources = watched(sources, progress)
    corpus = _encode(sources, ENCODERS[kind](), _Choices(min_count, separator, tokenizer, unknown))
    remark = names_remark(left_out, "left out of the folder")
    return replace(corpus, remarks=(remark, *corpus.remarks)) if remark else corpus


def corpus_from_text(
    text: str,
    *,
    tokens: str = "chars",
    min_count: int = 2,
    separator: str | None = None,
    tokenizer: Tokenizer | None = None,
    unknown: str = "error",
    name: str = "the text",
) -> Corpus:
    """Encode a text in memory, as `read_corpus` does a file. ``bytes``: its UTF-8."""
    if not isinstance(text, str):
        raise ConfigError(f"text must be a text, not {quoted(text)}; read_corpus takes the names of files")
    kind = _kind(tokens, tokenizer)
    errors = "surrogateescape" if kind == "bytes" else "strict"

    def chunks() -> Iterator[bytes]:
        for i in range(0, len(text), CHUNK):
            try:
                yield text[i : i + CHUNK].encode("utf-8", errors)
            except UnicodeEncodeError as error:
                at = i + error.start
                raise InputError(f"{name}: lone surrogate {readable(text[at])} at character {at}") from None

    return _encode([Source(name, chunks)], ENCODERS[kind](), _Choices(min_count, separator, tokenizer, unknown))


def split_corpus(corpus: Corpus, valid: float) -> tuple[Corpus, Corpus | None]:
    """The first ``int((1 - valid) * n)`` tokens, and the tail to validate on; no tail if it has fewer than 2."""
    n = len(corpus.ids)
    cut = int((1 - valid) * n)
    if n - cut < 2:
        return corpus, None
    head = replace(
        corpus,
        ids=corpus.ids[:cut],
        starts=corpus.starts[corpus.starts < cut],
        breaks=corpus.breaks[corpus.breaks < cut],
    )
    tail = replace(
        corpus, ids=corpus.ids[cut:], starts=_rebased(corpus.starts, cut), breaks=_rebased(corpus.breaks, cut)
    )
    return head, tail


@dataclass(frozen=True)
class _Choices:
    min_count: int
    separator: str | None
    tokenizer: Tokenizer | None
    unknown: str


def _kind(tokens: str, tokenizer: Tokenizer | None) -> str:
    if tokenizer is not None and not isinstance(tokenizer, Tokenizer):
        raise ConfigError(f"tokenizer must be that of a model or corpus, not {quoted(tokenizer)}")
    kind = tokens if tokenizer is None else tokenizer.kind
    if not isinstance(kind, str) or kind not in ENCODERS:
        raise ConfigError(
            f"tokens {quoted(kind)} is unknown{nearest(str(kind), ENCODERS)} (choices: {', '.join(ENCODERS)})"
        )
    return kind


def _encode(sources: Sequence[Source], encoder: CorpusEncoder, choices: _Choices) -> Corpus:
    check_unknown(choices.unknown)
    check_whole("min_count", choices.min_count, 1)
    if choices.separator is not None:
        to_plain("separator", choices.separator, str)
    what = readable(sources[0].name) if len(sources) == 1 else f"the {len(sources)} texts together"
    names, breaks = _read(sources, encoder)
    _check_length(len(encoder.buffer), what)
    starts, separators = _document_starts(encoder, breaks, choices.separator)
    tokenizer = choices.tokenizer or encoder.vocabulary(choices.min_count)
    remarks = [*_text_remarks(encoder, tokenizer, choices, separators), _empty_remark(sources, names)]
    table = encoder.table(tokenizer)
    skipped = _unknown(encoder, table) if choices.tokenizer else {}
    if skipped and choices.unknown == "error":
        raise InputError(unknown_message(skipped, what, getattr(tokenizer, "chars", "")))
    if skipped:
        starts, breaks = (encoder.buffer.kept_before(table < 0, p) for p in (starts, breaks))
        encoder.buffer.remove(table < 0)
        _check_known(len(encoder.buffer), skipped, what)
    encoder.buffer.remap(np.maximum(table, 0), tokenizer.size)
    ids = encoder.buffer.finish()
    starts, breaks = (_distinct(p[p < len(ids)]) for p in (starts, breaks))
    return Corpus(ids, starts, breaks, tokenizer, names, skipped, tuple(r for r in remarks if r))


def _read(sources: Sequence[Source], encoder: CorpusEncoder) -> tuple[tuple[str, ...], Positions]:
    """Feed every source to the encoder: the names of those that are not empty, and where each starts."""
    names, breaks = [], []
    for source in sources:
        start = len(encoder.buffer)
        encoder.add(source.name, source.chunks())
        if len(encoder.buffer) > start:
            names.append(source.name)
            breaks.append(start)
    return tuple(names), np.array(breaks, np.int64)


def _document_starts(encoder: CorpusEncoder, breaks: Positions, separator: str | None) -> tuple[Positions, int]:
    """The starts of files and of every separator in them, and how many separators there are; none runs from one file
    into the next."""
    pattern = encoder.provisional(separator) if separator else None
    if pattern is None or not pattern.size:
        return breaks, 0
    bounds = pairwise([*breaks.tolist(), len(encoder.buffer)])
    found = [encoder.buffer.find(pattern, *bound) for bound in bounds]
    return _distinct(np.concatenate([breaks, *found])), sum(map(len, found))


def _text_remarks(
    encoder: CorpusEncoder, tokenizer: Tokenizer, choices: _Choices, separators: int
) -> Iterator[str | None]:
    """What is odd about the texts; the vocabulary is remarked on where it is made of them."""
    yield encoder.ends.remark(tokenizer.kind)
    yield unseen_remark(encoder.unseen())
    if choices.separator:
        yield separator_remark(choices.separator, separators, encoder.ends, tokenizer.kind)
    if choices.tokenizer is not None:
        return
    if isinstance(tokenizer, CharTokenizer):
        yield two_forms_remark(tokenizer.chars)
    unknown = 0
    if tokenizer.unknown is not None:
        table = encoder.table(tokenizer)
        unknown = int(encoder.buffer.counts(len(table))[table == tokenizer.unknown].sum())
    yield vocabulary_remark(tokenizer.size, unknown, len(encoder.buffer), choices.min_count)


def _empty_remark(sources: Sequence[Source], names: Sequence[str]) -> str | None:
    """A sentence about the sources without a token."""
    full = set(names)
    return names_remark([source.name for source in sources if source.name not in full], "empty, so left out")


def _unknown(encoder: CorpusEncoder, table: npt.NDArray[np.int64]) -> dict[str, int]:
    """The tokens that a given vocabulary lacks, and how often each stands in the text."""
    if (table >= 0).all():
        return {}
    counts = encoder.buffer.counts(len(table))
    return {encoder.token(i): int(counts[i]) for i in np.flatnonzero((table < 0) & (counts > 0)).tolist()}


def _check_length(n: int, what: str) -> None:
    if n < 2:
        raise InputError(f"{what}: {('empty', 'only one token')[n]}; give a text of at least 2 tokens")


def _check_known(n: int, skipped: dict[str, int], what: str) -> None:
    if n < 2:
        total = n + sum(skipped.values())
        known = "none" if n == 0 else "only one"
        raise InputError(
            f"{what}: the model knows {known} of its {total:,} characters: {describe(skipped)} are unknown to it; use "
            "a text in characters that it knows, or train a new model"
        )


def _rebased(positions: Positions, cut: int) -> Positions:
    """Positions from ``cut`` on, counted from there, with 0 among them."""
    return _distinct(np.concatenate([[0], positions[positions >= cut] - cut]))


def _distinct(positions: Positions) -> Positions:
    """Positions (n,) sorted, each once. `numpy.unique` does the same, but slowly where they are nearly sorted."""
    ordered = np.sort(positions, kind="stable")
    return ordered[np.diff(ordered, prepend=-1) > 0]
