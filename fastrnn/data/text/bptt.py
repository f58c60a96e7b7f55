"""Windows over a corpus, for truncated back-propagation through time (TBPTT) and for evaluation.

Letters: n tokens in the corpus, T time steps, S streams, B of them in a window. Arrays are time-major, (T, B).
"""

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import ConfigError
from .corpus import Corpus

Ids = npt.NDArray[np.int32]
Positions = npt.NDArray[np.int64]

_MAX_STREAMS = 64
_MAX_LOGITS = 1 << 24  # per window: 64 MB in float32
_STREAM_TOKENS = 4096  # shortest evaluation stream: below, its warm-up costs more than it gains
_PART_TOKENS = 256  # the same for a partial evaluation, where speed matters more than the last decimal
_WARM = 256  # unscored tokens fed before the region of a stream


@dataclass(frozen=True, eq=False)
class Window:
    """T steps of B streams.

    Attributes:
        x: Input ids, (T, B) int32.
        y: Target ids, (T, B) int32; -1 where nothing is scored.
        resets: (T, B) uint8, 1 where the state is zeroed before the step; None if it never is.
    """

    x: Ids
    y: Ids
    resets: npt.NDArray[np.uint8] | None

    @property
    def count(self) -> int:
        """Number of positions, T * B."""
        return self.x.size

    @property
    def scored_count(self) -> int:
        """Number of positions that contribute to the loss."""
        return int(np.count_nonzero(self.y >= 0))


class TBPTTStreams:
    """S contiguous streams over a corpus, for training with carried state; windows have B of them in turn.

    The corpus is treated as a ring of n tokens. Each epoch rotates it by an offset derived from the seed (0 in the
    first epoch). Stream s covers n//S consecutive positions, T at a time. No target wraps from the end of the corpus
    to its start, and the first token of a file is never a target.

    Window i has the streams of group g = i mod S/B, which are g, g + S/B, g + 2 S/B and so on. With S = B all windows
    have the same B streams, and so successive updates learn from text that is near; with more streams successive
    updates come from all over the text.

    Args:
        corpus: The training text.
        batch: Number of streams in a window, B.
        seq: Time steps per window, T.
        seed: Seed of the rotation of each epoch.
        batch_slice: Range lo, hi of the B streams in the windows, for one of several ranks; all by default.
        streams: Number of streams, S, a multiple of B; B by default.
        reset_every: Windows of a stream after which its state is reset; 0, the default: only where a document or an
            epoch starts.

    Raises:
        ConfigError: If n < S*T + 1.
    """

    def __init__(
        self,
        corpus: Corpus,
        batch: int,
        seq: int,
        seed: int,
        batch_slice: tuple[int, int] | None = None,
        streams: int | None = None,
        reset_every: int = 0,
    ) -> None:
        n = len(corpus.ids)
        streams = streams or batch
        least = streams * seq + 1
        if n < least:
            option = "batch" if streams == batch else "streams"
            raise ConfigError(
                f"the text has {n} tokens; {option} {streams} x seq {seq} needs at least {least}: "
                f"use a smaller --{option} or --seq"
            )
        self.corpus = corpus
        self.batch = batch
        self.seq = seq
        self.seed = seed
        self.reset_every = reset_every
        self.batch_slice = batch_slice or (0, batch)
        self.groups = streams // batch
        self.per_epoch = windows_per_epoch(n, batch, seq, streams)
        # (groups, B): the ring position of each stream
        self._first = np.arange(streams, dtype=np.int64).reshape(batch, self.groups).T * (n // streams)
        self._first = np.ascontiguousarray(self._first[:, slice(*self.batch_slice)])
        self._steps = np.arange(seq + 1, dtype=np.int64)[:, None]  # (T+1, 1): inputs and targets overlap
        self._starts = _extend_past_end(corpus.starts, n, seq)
        self._breaks = _extend_past_end(corpus.breaks, n, seq)

    def window(self, index: int) -> Window:
        """Return window ``index`` >= 0, a pure function of the index and of this object's arguments.

        The state carries from one window of a group to its next; it is reset where a document and where an epoch
        starts, and every ``reset_every`` windows, at different ones in the B streams of a window.
        """
        epoch, number = divmod(index, self.per_epoch)
        number, group = divmod(number, self.groups)
        n = len(self.corpus.ids)

        # first (B,): the ring position of each stream's first input; ids (T+1, B)
        first = (self._first[group] + (_epoch_offset(self.seed, epoch, n) + number * self.seq)) % n
        ids = np.take(self.corpus.ids, first + self._steps, mode="wrap").astype(np.int32)
        x = ids[:-1]
        y = ids[1:].copy()

        # The first token of a file does not follow from the text before it, so it is not scored.
        t, b = _find_in_streams(self._breaks, first + 1, self.seq)
        y[t, b] = -1

        resets = np.zeros(x.shape, np.uint8)
        resets[_find_in_streams(self._starts, first, self.seq)] = 1
        if number == 0:
            resets[0] = 1
        elif self.reset_every:
            resets[0, (np.arange(*self.batch_slice) + number) % self.reset_every == 0] = 1
        return Window(x, y, resets if resets.any() else None)  # without a mask the kernels have less to do


def windows_per_epoch(tokens: int, batch: int, seq: int, streams: int) -> int:
    """Return the number of windows in which ``streams`` streams of a text, ``batch`` at a time, read it once."""
    return tokens // streams // seq * (streams // batch)


class EvaluationLayout(NamedTuple):
    """Division of a text into streams; each scores at most ``region`` tokens after ``warm`` unscored ones."""

    streams: int
    region: int
    warm: int

    @property
    def steps(self) -> int:
        """Number of time steps of the longest stream."""
        return self.region + self.warm


def evaluation_layout(
    tokens: int, size: int | None = None, warm: int = _WARM, streams: int | None = None
) -> EvaluationLayout:
    """Return the layout for a text of ``tokens`` tokens, evaluated on about ``size`` of them (None: all).

    ``streams``: their number if all are evaluated; None for one that depends on the length.
    """
    if size is None or size >= tokens:
        if streams is None:
            streams = min(max(tokens // _STREAM_TOKENS, 1), _MAX_STREAMS)
        return EvaluationLayout(streams, -(-(tokens - 1) // streams), warm if streams > 1 else 0)

    # A part of the text: several regions spread over it represent it better than its beginning.
    streams = min(max(size // _PART_TOKENS, 1), _MAX_STREAMS)
    region = max(1, size // streams)
    return EvaluationLayout(streams, region, min(warm, region // 8))


def evaluation_seq(streams: int, vocab: int, seq: int = 128) -> int:
    """Return the time steps per evaluation window: ``seq``, or fewer if the logits (T, S, V) would be too large."""
    return min(seq, max(1, _MAX_LOGITS // (streams * vocab)))


def evaluation_windows(
    corpus: Corpus,
    *,
    seq: int = 128,
    warm: int = _WARM,
    rank: int = 0,
    ranks: int = 1,
    size: int | None = None,
    streams: int | None = None,
) -> Iterator[Window]:
    """Yield windows that score every position of a corpus exactly once, except the first tokens of files.

    The text is divided into 1 to 64 parallel streams, depending on its length only, with carried state. Every stream
    except the first is warmed up on the unscored tokens before its region; shorter streams end in unscored steps.

    Args:
        corpus: The text.
        seq: Upper bound of the time steps T per window. All windows have the same T.
        warm: Number of warm-up tokens per stream.
        rank: Rank of this process.
        ranks: Number of ranks; each gets a share of the streams, possibly none.
        size: If less than the length of the corpus, about this many tokens are scored: the first ones of each of up
            to 64 regions, so that all parts of the text are represented.
        streams: Number of streams without ``size``; None for the usual number.
    """
    n = len(corpus.ids)
    layout = evaluation_layout(n, size, warm, streams)
    streams = layout.streams

    # Stream s has the targets region[s] .. region[s+1] - 1. It reads inputs from first[s] and scores targets
    # region[s] .. last[s] - 1; the input of target i is i - 1.
    region = 1 + np.arange(streams + 1) * (n - 1) // streams
    first = np.maximum(region[:-1] - 1 - layout.warm, 0)
    last = np.minimum(region[1:], region[:-1] + layout.region)
    steps = int((last - 1 - first).max())
    seq = min(evaluation_seq(streams, corpus.tokenizer.size, seq), steps)

    shard = slice(streams * rank // ranks, streams * (rank + 1) // ranks)
    first, low, high = first[shard], region[:-1][shard], last[shard]
    if not first.size:
        return

    for start in range(0, steps, seq):
        at = first + start + np.arange(seq)[:, None]  # (T, S): positions of the inputs
        x = np.take(corpus.ids, at, mode="clip").astype(np.int32)
        y = np.take(corpus.ids, at + 1, mode="clip").astype(np.int32)
        y[(at + 1 < low) | (at + 1 >= high) | _is_in(at + 1, corpus.breaks)] = -1

        resets = _is_in(at, corpus.starts).astype(np.uint8)
        if start == 0:
            resets[0] = 1
        yield Window(x, y, resets if resets.any() else None)


@functools.lru_cache(maxsize=64)
def _epoch_offset(seed: int, epoch: int, n: int) -> int:
    """Return the rotation of the ring in an epoch, 0 .. n-1."""
    if epoch == 0:
        return 0
    # a hash, because a NumPy generator's stream may change between versions of NumPy
    return int.from_bytes(hashlib.blake2b(f"fastrnn {seed} {epoch}".encode(), digest_size=16).digest()) % n


def _extend_past_end(positions: Positions, n: int, seq: int) -> Positions:
    """Append to sorted ring positions (k,) those that a window reaches after the end of the ring, plus n."""
    return np.concatenate([positions, positions[positions <= seq] + n])


def _find_in_streams(positions: Positions, first: Positions, seq: int) -> tuple[Positions, Positions]:
    """Return the steps t and streams b with ``first[b] + t`` in sorted ``positions``, 0 <= t < seq."""
    # stream b contains positions[low[b] : low[b] + counts[b]]
    low = np.searchsorted(positions, first)
    counts = np.searchsorted(positions, first + seq) - low
    total = int(counts.sum())
    if total == 0:
        return counts[:0], counts[:0]

    # one row per hit: its stream b, and its rank among the hits of that stream
    b = np.repeat(np.arange(len(first)), counts)
    rank = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    return positions[low[b] + rank] - first[b], b


def _is_in(values: Positions, positions: Positions) -> npt.NDArray[np.bool_]:
    """Return a mask (T, S) of the values (T, S) that are in sorted ``positions`` (k,), k >= 1."""
    at = np.minimum(np.searchsorted(positions, values), len(positions) - 1)
    return np.equal(positions[at], values)
