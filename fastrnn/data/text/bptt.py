"""Windows over a corpus: truncated back-propagation through time in parallel streams, and exact evaluation.

Letters: n tokens in the corpus, T time steps, B streams. Arrays are time-major, (T, B).
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

_MOST_STREAMS = 64
_MOST_LOGITS = 1 << 24  # of a window: 64 MB in float32
_STREAM_TOKENS = 4096  # an evaluation stream is worth its warm-up from this length on
_PART_TOKENS = 256  # the same where a part of the text is evaluated: speed matters more than the last decimal
_WARM = 256  # tokens before the region of a stream, fed and not scored


@dataclass(frozen=True, eq=False)
class Window:
    """T steps of B streams.

    ``x`` (T, B) int32: the ids fed. ``y`` (T, B) int32: the ids to predict, -1 where nothing is scored. ``starts``
    (T, B) uint8: 1 where the state is zeroed before the step; nothing if that is nowhere.
    """

    x: Ids
    y: Ids
    starts: npt.NDArray[np.uint8] | None

    @property
    def count(self) -> int:
        """Positions: T * B."""
        return self.x.size

    @property
    def scored(self) -> int:
        """Positions whose prediction counts."""
        return int(np.count_nonzero(self.y >= 0))


class TBPTTStreams:
    """B contiguous streams over a corpus, for training with carried state.

    The corpus is a ring of n tokens, turned in each epoch by an offset drawn from the seed (0 in the first); stream b
    covers n//B consecutive positions of it, T at a time. No target wraps from the end to the start, nor is the first
    token of a file predicted from the file before. `window` has no state: any index can be asked for at any time.
    ``part``: the only streams lo..hi of the B that windows are to have. Raises `ConfigError` if n < B*T + 1.
    """

    def __init__(self, corpus: Corpus, batch: int, seq: int, seed: int, part: tuple[int, int] | None = None) -> None:
        n, least = len(corpus.ids), batch * seq + 1
        if n < least:
            raise ConfigError(
                f"the text has {n} tokens; batch {batch} x seq {seq} needs at least {least}: "
                "use a smaller --batch or --seq"
            )
        self.corpus, self.batch, self.seq, self.seed = corpus, batch, seq, seed
        self.part = part or (0, batch)
        self.per_epoch = n // batch // seq
        self._first = np.arange(*self.part, dtype=np.int64) * (n // batch)
        self._steps = np.arange(seq + 1, dtype=np.int64)[:, None]
        self._starts = _unrolled(corpus.starts, n, seq)
        self._breaks = _unrolled(corpus.breaks, n, seq)

    def window(self, index: int) -> Window:
        """Window ``index`` >= 0, a pure function of corpus, batch, seq, seed and index.

        The state carries from one window to the next; ``starts`` zeroes it at documents and at each epoch's start.
        """
        epoch, number = divmod(index, self.per_epoch)
        n = len(self.corpus.ids)
        first = (self._first + (_offset(self.seed, epoch, n) + number * self.seq)) % n
        both = np.take(self.corpus.ids, first + self._steps, mode="wrap").astype(np.int32)
        x, y = both[:-1], both[1:].copy()
        t, b = _hits(self._breaks, first + 1, self.seq)
        y[t, b] = -1
        t, b = _hits(self._starts, first, self.seq)
        if not t.size and number:
            return Window(x, y, None)
        starts = np.zeros(x.shape, np.uint8)
        starts[t, b] = 1
        if number == 0:
            starts[0] = 1
        return Window(x, y, starts)


class EvaluationLayout(NamedTuple):
    """How a text, or a part of it, is cut into streams: each scores at most ``region`` tokens after ``warm`` others."""

    streams: int
    region: int
    warm: int

    @property
    def steps(self) -> int:
        """Time steps of the longest stream."""
        return self.region + self.warm


def evaluation_layout(tokens: int, size: int | None = None, warm: int = _WARM) -> EvaluationLayout:
    """For a text of so many tokens, evaluated whole or, if ``size`` is less, on about so many of them."""
    if size is None or size >= tokens:
        streams = min(max(tokens // _STREAM_TOKENS, 1), _MOST_STREAMS)
        return EvaluationLayout(streams, -(-(tokens - 1) // streams), warm if streams > 1 else 0)
    streams = min(max(size // _PART_TOKENS, 1), _MOST_STREAMS)
    region = max(1, size // streams)
    return EvaluationLayout(streams, region, min(warm, region // 8))


def evaluation_seq(streams: int, vocab: int, seq: int = 128) -> int:
    """The most time steps of an evaluation window: fewer for a very large vocabulary."""
    return min(seq, max(1, _MOST_LOGITS // (streams * vocab)))


def evaluation_windows(
    corpus: Corpus, *, seq: int = 128, warm: int = _WARM, rank: int = 0, ranks: int = 1, size: int | None = None
) -> Iterator[Window]:
    """Windows that score every position of a corpus exactly once, but for the first tokens of files.

    The text is cut into 1 to 64 streams, by its length alone, that run side by side, the state carried. Each stream
    but the first is warmed up on the ``warm`` tokens before its region, unscored; shorter streams end in steps that
    are not scored. All windows have the same T, at most ``seq``, and less for a very large vocabulary. Of several
    ``ranks`` each gets its share of the streams, which may be none.

    With a ``size`` of fewer tokens than the corpus has, about so many are scored: the first ones of each of up to 64
    regions, so that all parts of the text count.
    """
    n = len(corpus.ids)
    layout = evaluation_layout(n, size, warm)
    streams = layout.streams
    region = 1 + np.arange(streams + 1) * (n - 1) // streams  # the targets of stream s: region[s] .. region[s+1] - 1
    first = np.maximum(region[:-1] - 1 - layout.warm, 0)
    last = np.minimum(region[1:], region[:-1] + layout.region)
    steps = int((last - 1 - first).max())
    seq = min(evaluation_seq(streams, corpus.tokenizer.size, seq), steps)
    mine = slice(streams * rank // ranks, streams * (rank + 1) // ranks)
    first, low, high = first[mine], region[:-1][mine], last[mine]
    if not first.size:
        return
    for start in range(0, steps, seq):
        at = first + start + np.arange(seq)[:, None]
        y = np.take(corpus.ids, at + 1, mode="clip").astype(np.int32)
        y[(at + 1 < low) | (at + 1 >= high) | _among(at + 1, corpus.breaks)] = -1
        starts = _among(at, corpus.starts).astype(np.uint8)
        if start == 0:
            starts[0] = 1
        x = np.take(corpus.ids, at, mode="clip").astype(np.int32)
        yield Window(x, y, starts if starts.any() else None)


@functools.lru_cache(maxsize=64)
def _offset(seed: int, epoch: int, n: int) -> int:
    """Where the ring of an epoch starts. A hash and not a generator: the same for all versions of NumPy."""
    if epoch == 0:
        return 0
    return int.from_bytes(hashlib.blake2b(f"fastrnn {seed} {epoch}".encode(), digest_size=16).digest()) % n


def _unrolled(positions: Positions, n: int, seq: int) -> Positions:
    """Sorted ring positions (k,), those that a window can meet after the end of the ring repeated there."""
    return np.concatenate([positions, positions[positions <= seq] + n])


def _hits(positions: Positions, first: Positions, seq: int) -> tuple[Positions, Positions]:
    """Steps t and streams b with ``first[b] + t`` in sorted ``positions``, 0 <= t < seq."""
    low = np.searchsorted(positions, first)
    counts = np.searchsorted(positions, first + seq) - low
    total = int(counts.sum())
    if total == 0:
        return counts[:0], counts[:0]
    b = np.repeat(np.arange(len(first)), counts)
    rank = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    return positions[low[b] + rank] - first[b], b


def _among(wanted: Positions, positions: Positions) -> npt.NDArray[np.bool_]:
    """Which of the wanted (T, S) are among sorted ``positions`` (k,), k >= 1."""
    at = np.minimum(np.searchsorted(positions, wanted), len(positions) - 1)
    return np.equal(positions[at], wanted)
