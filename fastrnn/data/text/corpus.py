"""Corpus: an encoded text with its tokenizer and the positions where documents start; statistics of its tokens."""

import hashlib
import json
import lzma
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ...config_checks import MAX_STEPS
from ...errors import ConfigError, InputError, escape, nearest, quote
from ...plain import check_encoding, check_whole, to_plain
from .corpus_encoder import ENCODERS, CorpusEncoder
from .files import Paths, expand, normalize_inputs
from .remarks import (
    check_unknown,
    describe_chars,
    describe_unknown,
    invisible_remark,
    mixed_forms_remark,
    names_remark,
    separator_remark,
    vocabulary_remark,
)
from .sources import CHUNK, ReadingProgress, Source, attach_progress
from .tokenizers import UNK, CharTokenizer, Tokenizer

Positions = npt.NDArray[np.int64]

_COUNT_PIECE = 1 << 18  # tokens counted at a time
_MAX_PIECES = 64  # pieces counted, spread evenly over a long text
_LZMA_CONTEXT, _LZMA_SCORED = 1_000_000, 50_000  # tokens
_LZMA_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": lzma.PRESET_DEFAULT}]
_SEARCHED = 200_000  # tokens searched for frequent words
_WORDS = 0.2  # share of letters in words before a blank from which the text counts as separated into words
_WORD = re.compile(r"[^\W\d_]{2,20}(?= )")
_PAIR = re.compile(r"(?=([^\W_]{2}))")


@dataclass(frozen=True, eq=False)
class Corpus:
    """An encoded text of n tokens, n >= 2. Immutable.

    Attributes:
        ids: Token ids, (n,) unsigned: uint8 if V <= 256, else uint16 or uint32.
        starts: Sorted positions where a document starts and the state is reset; the first is 0.
        breaks: The starts that are first tokens of files, which are never predicted; the first is 0.
        tokenizer: The vocabulary.
        names: Names of the sources that are not empty.
        skipped: Characters left out because the vocabulary lacks them, with their counts.
        remarks: Warnings about the text, one sentence each.
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
        """Hash of ids, starts, breaks and vocabulary; computed on first access."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(
            json.dumps([self.tokenizer.tokens_to_dict(), len(self.starts), len(self.breaks)], sort_keys=True).encode()
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
    progress: ReadingProgress | None = None,
    encoding: str | None = None,
) -> Corpus:
    """Read and encode texts in one pass.

    Args:
        inputs: One or several files, folders, glob patterns, ``"-"`` (standard input) or names of corpora.
        tokens: Token unit of a new vocabulary: ``"chars"`` (default), ``"bytes"`` or ``"words"``.
        min_count: Words that occur less often become ``<UNK>`` in a new vocabulary of words. Default 2.
        separator: Text at which a new document starts; it is the first part of that document. Every file also
            starts a document. Default: files only.
        tokenizer: Existing vocabulary to use instead of a new one; it also determines the token unit.
        unknown: Treatment of characters that ``tokenizer`` lacks: ``"error"`` (default), or ``"skip"`` to omit them.
        progress: Called with the number of bytes read so far, and the total number or None if that is unknown.
        encoding: Encoding of files and standard input, by any of Python's names. Default: UTF-8.

    Returns:
        The encoded corpus.

    Raises:
        InputError: If an input cannot be read, has unknown characters, or has fewer than 2 tokens.
        ConfigError: If an option is invalid.
    """
    kind = _token_kind(tokens, tokenizer)
    left_out: list[str] = []
    encoding = check_encoding("encoding", encoding) if encoding is not None else None
    if encoding is not None and kind == "bytes":
        raise ConfigError("encoding is for tokens chars and words; tokens bytes reads every byte as it is")
    sources = expand(normalize_inputs(inputs), kind, left_out, encoding)
    if not sources:
        raise InputError("no text was given; name a file, a folder, - or a built-in corpus")
    if progress is not None:
        sources = attach_progress(sources, progress)
    corpus = _encode(
        sources, ENCODERS[kind](tokenizer is None), _EncodingOptions(min_count, separator, tokenizer, unknown)
    )
    remark = names_remark(left_out, "left out")
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
    """Encode a text in memory.

    Args:
        text: The text. With ``tokens="bytes"`` its UTF-8 encoding is used.
        tokens: See `read_corpus`, as for the following arguments.
        min_count: See `read_corpus`.
        separator: See `read_corpus`.
        tokenizer: See `read_corpus`.
        unknown: See `read_corpus`.
        name: Name of the text in messages.

    Returns:
        The encoded corpus.

    Raises:
        InputError: If the text has unknown characters or lone surrogates, or fewer than 2 tokens.
        ConfigError: If ``text`` is not a string or an option is invalid.
    """
    if not isinstance(text, str):
        raise ConfigError(f"text must be a text, not {quote(text)}; read_corpus takes the names of files")
    kind = _token_kind(tokens, tokenizer)
    errors = "surrogateescape" if kind == "bytes" else "strict"

    def chunks() -> Iterator[bytes]:
        for i in range(0, len(text), CHUNK):
            try:
                yield text[i : i + CHUNK].encode("utf-8", errors)
            except UnicodeEncodeError as error:
                at = i + error.start
                raise InputError(f"{name}: lone surrogate {escape(text[at])} at character {at}") from None

    return _encode(
        [Source(name, chunks)],
        ENCODERS[kind](tokenizer is None),
        _EncodingOptions(min_count, separator, tokenizer, unknown),
    )


def split_corpus(corpus: Corpus, valid: float) -> tuple[Corpus, Corpus | None]:
    """Split off the validation text: the first ``int((1 - valid) * n)`` tokens, and the rest or None if it has < 2."""
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
        corpus,
        ids=corpus.ids[cut:],
        starts=_shift_positions(corpus.starts, cut),
        breaks=_shift_positions(corpus.breaks, cut),
    )
    return head, tail


@dataclass(frozen=True)
class _EncodingOptions:
    min_count: int
    separator: str | None
    tokenizer: Tokenizer | None
    unknown: str


def _token_kind(tokens: str, tokenizer: Tokenizer | None) -> str:
    if tokenizer is not None and not isinstance(tokenizer, Tokenizer):
        raise ConfigError(f"tokenizer must be the tokenizer of a model or corpus, not {quote(tokenizer)}")
    kind = tokens if tokenizer is None else tokenizer.kind
    if not isinstance(kind, str) or kind not in ENCODERS:
        raise ConfigError(
            f"tokens {quote(kind)} is unknown{nearest(str(kind), ENCODERS)} (choices: {', '.join(ENCODERS)})"
        )
    return kind


def _encode(sources: Sequence[Source], encoder: CorpusEncoder, options: _EncodingOptions) -> Corpus:
    check_unknown(options.unknown)
    check_whole("min_count", options.min_count, 1, MAX_STEPS)
    if options.separator is not None:
        to_plain("separator", options.separator, str)

    what = escape(sources[0].name) if len(sources) == 1 else f"the {len(sources)} texts together"
    names, breaks = _read_sources(sources, encoder)
    _check_length(len(encoder.buffer), what)
    starts, separators = _document_starts(encoder, breaks, options.separator)

    # The whole text is encoded with provisional ids by now; `table` maps them to those of the vocabulary.
    tokenizer = options.tokenizer or encoder.vocabulary(options.min_count)
    remarks = [*_text_remarks(encoder, tokenizer, options, separators), _empty_remark(sources, names)]
    table = encoder.table(tokenizer)

    skipped = _count_unknown(encoder, table) if options.tokenizer else {}
    if skipped and options.unknown == "error":
        raise InputError(describe_unknown(skipped, what, getattr(tokenizer, "chars", "")))
    if skipped:
        starts, breaks = (encoder.buffer.positions_after_removal(table < 0, p) for p in (starts, breaks))
        encoder.buffer.remove(table < 0)
        _check_known(len(encoder.buffer), skipped, what)

    encoder.buffer.remap(np.maximum(table, 0), tokenizer.size)
    ids = encoder.buffer.finish()
    # Removed characters at the end of the text may leave positions beyond it, and equal ones.
    starts, breaks = (_sort_unique(p[p < len(ids)]) for p in (starts, breaks))
    return Corpus(ids, starts, breaks, tokenizer, names, skipped, tuple(r for r in remarks if r))


def _read_sources(sources: Sequence[Source], encoder: CorpusEncoder) -> tuple[tuple[str, ...], Positions]:
    """Encode all sources; return the names of those that are not empty, and the position where each starts."""
    names, breaks = [], []
    for source in sources:
        start = len(encoder.buffer)
        encoder.add(source.name, source.chunks())
        # An empty file starts no document: its start would be that of the next file.
        if len(encoder.buffer) > start:
            names.append(source.name)
            breaks.append(start)
    return tuple(names), np.array(breaks, np.int64)


def _document_starts(encoder: CorpusEncoder, breaks: Positions, separator: str | None) -> tuple[Positions, int]:
    """Return the starts of files and of separators, and the number of separators."""
    pattern = encoder.provisional(separator) if separator else None
    if pattern is None or not pattern.size:
        return breaks, 0
    # file by file, so that no separator spans two files
    bounds = pairwise([*breaks.tolist(), len(encoder.buffer)])
    found = [encoder.buffer.find(pattern, *bound) for bound in bounds]
    return _sort_unique(np.concatenate([breaks, *found])), sum(map(len, found))


def _text_remarks(
    encoder: CorpusEncoder, tokenizer: Tokenizer, options: _EncodingOptions, separators: int
) -> Iterator[str | None]:
    """Yield warnings about the texts, and about the vocabulary if it is a new one."""
    yield encoder.ends.remark(tokenizer.kind)
    yield invisible_remark(encoder.count_invisible())
    if options.separator:
        yield separator_remark(options.separator, separators, encoder.ends, tokenizer.kind)
    if options.tokenizer is not None:
        return
    if isinstance(tokenizer, CharTokenizer):
        yield mixed_forms_remark(tokenizer.chars)
    unknown = 0
    if tokenizer.unknown is not None:
        table = encoder.table(tokenizer)
        unknown = int(encoder.buffer.counts(len(table))[table == tokenizer.unknown].sum())
    yield vocabulary_remark(tokenizer.size, unknown, len(encoder.buffer), options.min_count)


def _empty_remark(sources: Sequence[Source], names: Sequence[str]) -> str | None:
    """Return a warning about sources without tokens."""
    full = set(names)
    return names_remark([source.name for source in sources if source.name not in full], "empty, so left out")


def check_predictable(corpus: Corpus) -> None:
    """Raise `InputError` if no token can be predicted: the first one of each file is not."""
    if len(corpus) <= len(corpus.breaks):
        raise InputError("no file of this text has a second token, so there is nothing to predict; give more text")


def _count_unknown(encoder: CorpusEncoder, table: npt.NDArray[np.int64]) -> dict[str, int]:
    """Return the tokens that the vocabulary lacks, with their counts."""
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
            f"{what}: the model knows {known} of its {total:,} characters: {describe_chars(skipped)} are unknown to "
            "it; use a text with known characters, or train a new model"
        )


def _shift_positions(positions: Positions, cut: int) -> Positions:
    """Return the positions >= ``cut`` relative to it, and 0."""
    return _sort_unique(np.concatenate([[0], positions[positions >= cut] - cut]))


def _sort_unique(positions: Positions) -> Positions:
    """Sort positions (n,) and remove duplicates."""
    # a stable sort is much faster than numpy.unique where they are nearly sorted
    ordered = np.sort(positions, kind="stable")
    return ordered[np.diff(ordered, prepend=-1) > 0]


def unigram_logprobs(corpus: Corpus) -> npt.NDArray[np.float64]:
    """Return the logarithm of each token's frequency (V,); add-one smoothing gives every token a positive one.

    Only pieces of a long text, spread evenly, are counted.
    """
    counts = _count_tokens(corpus, corpus.tokenizer.size) + 1.0
    logprobs: npt.NDArray[np.float64] = np.log(counts / counts.sum())
    return logprobs


def unigram_nats(train: Corpus, scored: Corpus | None = None) -> float:
    """Return the mean loss, in nats, of predicting the tokens of ``scored`` by their frequencies in ``train``.

    Without ``scored``: the entropy of these frequencies. See `unigram_logprobs`.
    """
    weights = _count_tokens(scored if scored is not None else train, train.tokenizer.size)
    return float(-(weights @ unigram_logprobs(train)) / weights.sum())


def lzma_nats(train: Corpus, scored: Corpus) -> float:
    """Return the nats per token that LZMA needs for the start of ``scored`` after the end of ``train``.

    It is the difference between the compressed sizes of both together and of ``train`` alone. At most `_LZMA_CONTEXT`
    and `_LZMA_SCORED` tokens are compressed, which takes about a second on two cores.
    """
    before = _to_bytes(train, train.ids[-_LZMA_CONTEXT:])
    after = _to_bytes(scored, scored.ids[:_LZMA_SCORED])

    def compressed_size(data: bytes) -> int:
        return len(lzma.compress(data, lzma.FORMAT_RAW, filters=_LZMA_FILTERS))  # raw: without headers and checksum

    texts = before, before + after
    try:
        with ThreadPoolExecutor(2) as pool:
            alone, both = pool.map(compressed_size, texts)
    except RuntimeError:  # the system starts no more threads
        alone, both = map(compressed_size, texts)
    return 8 * math.log(2) * (both - alone) / min(len(scored), _LZMA_SCORED)


def _to_bytes(corpus: Corpus, ids: npt.NDArray[Any]) -> bytes:
    is_bytes = corpus.tokenizer.kind == "bytes"
    return ids.astype(np.uint8).tobytes() if is_bytes else corpus.tokenizer.decode(ids).encode()


def frequent_start(corpus: Corpus) -> str:
    """Return the most frequent word with a blank after it, or two letters if the text does not separate words.

    The result is empty for a text without letters.
    """
    text = corpus.tokenizer.decode(corpus.ids[:_SEARCHED]).replace("\ufffd", " ").replace(UNK, " ")
    words: Counter[str] = Counter(_WORD.findall(text))
    letters = sum(map(str.isalpha, text))
    if words and sum(len(word) * n for word, n in words.items()) >= _WORDS * letters:
        return max(words, key=lambda word: (words[word], word)) + " "
    pairs: Counter[str] = Counter(_PAIR.findall(text))
    return max(pairs, key=lambda pair: (pairs[pair], pair)) if pairs else ""


def _count_tokens(corpus: Corpus, size: int) -> npt.NDArray[np.float64]:
    """Return the count of each token in the text, (V,)."""
    counts = np.zeros(size)
    # Every piece of a text of up to `_MAX_PIECES`, else as many at equal distances: frequencies need no more.
    step = _COUNT_PIECE * max(1, -(-len(corpus) // (_COUNT_PIECE * _MAX_PIECES)))
    for start in range(0, len(corpus), step):
        counts += np.bincount(corpus.ids[start : start + _COUNT_PIECE], minlength=size)
    return counts
