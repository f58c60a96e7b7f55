"""Truncated BPTT and evaluation windows, against the corpus itself."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastrnn.data.text import bptt
from fastrnn.data.text.bptt import TBPTTStreams, Window, evaluation_windows
from fastrnn.data.text.corpus import Corpus
from fastrnn.data.text.tokenizers import ByteTokenizer
from fastrnn.errors import ConfigError


def make_corpus(n: int, starts: list[int] | None = None, breaks: list[int] | None = None) -> Corpus:
    """A corpus in which every id is its own position, so that a window tells where it was taken."""
    breaks = sorted({0, *(breaks or [])})
    starts = sorted({*(starts or []), *breaks})
    return Corpus(np.arange(n, dtype=np.uint16), np.array(starts), np.array(breaks), ByteTokenizer())


class Case(NamedTuple):
    """The arguments of `TBPTTStreams`."""

    corpus: Corpus
    batch: int
    seq: int
    seed: int
    batch_slice: None
    streams: int
    reset_every: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A corpus with documents, a batch, a length of windows, a seed, streams, and windows between resets."""
    batch, seq, groups = draw(st.integers(1, 5)), draw(st.integers(1, 6)), draw(st.integers(1, 3))
    streams = groups * batch
    n = draw(st.integers(streams * seq + 1, streams * seq * 4 + 9))
    places = st.lists(st.integers(0, n - 1), max_size=6)
    corpus, seed, reset_every = make_corpus(n, draw(places), draw(places)), draw(st.integers(0, 99)), st.integers(0, 4)
    return Case(corpus, batch, seq, seed, None, streams, draw(reset_every))


def started(window: Window) -> NDArray[np.bool_]:
    return np.zeros(window.x.shape, bool) if window.resets is None else window.resets.astype(bool)


@given(case=cases())
def test_every_epoch_covers_its_positions_once(case: Case) -> None:
    corpus, batch, seq, count = case.corpus, case.batch, case.seq, case.streams
    streams = TBPTTStreams(*case)
    n = len(corpus)

    assert streams.per_epoch == n // count // seq * (count // batch)
    for epoch in range(3):
        seen = [streams.window(epoch * streams.per_epoch + i).x for i in range(streams.per_epoch)]
        positions = np.concatenate(seen).ravel()
        assert len(set(positions.tolist())) == len(positions) == n // count // seq * seq * count


@given(case=cases())
def test_stream_continues_in_the_next_window(case: Case) -> None:
    corpus, count = case.corpus, case.streams
    streams = TBPTTStreams(*case)
    n, groups = len(corpus), streams.groups
    by_group = [
        np.concatenate([streams.window(i).x for i in range(group, streams.per_epoch, groups)])
        for group in range(groups)
    ]
    x = np.stack(by_group, axis=2).reshape(len(by_group[0]), count)  # in the order of the text

    np.testing.assert_array_equal(x[1:], (x[:-1] + 1) % n)
    np.testing.assert_array_equal(np.diff(x[0]) % n, n // count % n)
    assert x[0, 0] == 0


@given(case=cases(), index=st.integers(0, 30))
def test_targets_are_the_next_tokens_but_for_breaks(case: Case, index: int) -> None:
    corpus, batch, seq = case.corpus, case.batch, case.seq
    window = TBPTTStreams(*case).window(index)
    following = (window.x + 1) % len(corpus)

    np.testing.assert_array_equal(window.y, np.where(np.isin(following, corpus.breaks), -1, following))
    assert window.x.shape == window.y.shape == (seq, batch)
    assert window.x.dtype == window.y.dtype == np.int32
    assert window.x.flags.c_contiguous
    assert window.y.flags.c_contiguous


@given(case=cases(), index=st.integers(0, 30))
def test_state_is_reset_at_documents_and_epochs_and_every_few_windows(case: Case, index: int) -> None:
    corpus = case.corpus
    streams = TBPTTStreams(*case)
    window = streams.window(index)
    expected = np.isin(window.x, corpus.starts)
    if index % streams.per_epoch < streams.groups:
        expected[0] = True
    elif case.reset_every:
        number = index % streams.per_epoch // streams.groups
        expected[0, [(row + number) % case.reset_every == 0 for row in range(case.batch)]] = True

    np.testing.assert_array_equal(started(window), expected)
    assert (window.resets is None) == (not expected.any())


@given(case=cases(), index=st.integers(0, 30))
def test_window_is_a_pure_function_of_its_index(case: Case, index: int) -> None:
    once, again = TBPTTStreams(*case), TBPTTStreams(*case)
    again.window(3)
    again.window(0)

    np.testing.assert_array_equal(once.window(index).x, again.window(index).x)
    np.testing.assert_array_equal(once.window(index).y, again.window(index).y)


def test_each_stream_is_reset_at_its_own_window() -> None:
    streams = TBPTTStreams(make_corpus(4000), 4, 5, 1, streams=8, reset_every=4)
    in_first_windows = [np.flatnonzero(started(streams.window(i))[0]).tolist() for i in range(0, 16, 2)]

    assert in_first_windows == [[0, 1, 2, 3], [3], [2], [1], [0], [3], [2], [1]]
    for index in range(10):
        part = TBPTTStreams(make_corpus(4000), 4, 5, 1, (1, 3), 8, 4).window(index)
        np.testing.assert_array_equal(started(part), started(streams.window(index))[:, 1:3])


def test_epochs_are_rotated_by_the_seed() -> None:
    corpus = make_corpus(5000)
    first = {seed: [int(TBPTTStreams(corpus, 2, 50, seed).window(50 * e).x[0, 0]) for e in range(4)] for seed in (1, 2)}

    assert first[1][0] == first[2][0] == 0
    assert len({*first[1], *first[2]}) == 7


def test_epoch_offsets_never_change() -> None:
    assert [bptt._epoch_offset(1, epoch, 1_000_000) for epoch in range(3)] == [0, 523420, 451937]


def test_windows_share_no_memory() -> None:
    window = TBPTTStreams(make_corpus(100), 3, 5, 1).window(1)

    assert not np.shares_memory(window.x, window.y)


@pytest.mark.parametrize(("n", "batch", "seq"), [(100, 10, 10), (2, 2, 1), (50, 1, 50)])
def test_text_too_short_for_one_window_is_an_error(n: int, batch: int, seq: int) -> None:
    with pytest.raises(ConfigError) as caught:
        TBPTTStreams(make_corpus(n), batch, seq, 1)

    assert str(caught.value) == (
        f"the text has {n} tokens; batch {batch} x seq {seq} needs at least {batch * seq + 1}: "
        "use a smaller --batch or --seq"
    )
    assert TBPTTStreams(make_corpus(batch * seq + 1), batch, seq, 1).per_epoch == 1


def test_text_too_short_for_its_streams_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"streams 6 x seq 5 needs at least 31: use a smaller --streams or --seq"):
        TBPTTStreams(make_corpus(30), 2, 5, 1, streams=6)


def check_evaluation(corpus: Corpus, seq: int, warm: int) -> list[Window]:
    """Every position but breaks is scored once, after its true past of at least ``warm`` tokens or a start."""
    made = list(evaluation_windows(corpus, seq=seq, warm=warm))
    x, y, starts = (np.concatenate(a) for a in zip(*((w.x, w.y, started(w)) for w in made), strict=True))
    scored = np.sort(y[y >= 0])
    np.testing.assert_array_equal(scored, np.setdiff1d(np.arange(len(corpus)), corpus.breaks))
    np.testing.assert_array_equal(y[y >= 0], x[y >= 0] + 1)
    assert starts[0].all()
    for b in range(x.shape[1]):
        used = slice(0, int(np.flatnonzero(y[:, b] >= 0)[-1]) + 1) if (y[:, b] >= 0).any() else slice(0, 1)
        np.testing.assert_array_equal(np.diff(x[used, b]), 1)
        np.testing.assert_array_equal(starts[used, b][1:], np.isin(x[used, b], corpus.starts)[1:])
    return made


@given(case=cases(), warm=st.integers(0, 20))
def test_evaluation_of_a_short_text_scores_each_position_once(case: Case, warm: int) -> None:
    corpus, seq = case.corpus, case.seq
    made = check_evaluation(corpus, seq, warm)

    assert {w.x.shape for w in made} == {(min(seq, len(corpus) - 1), 1)}


@pytest.mark.parametrize(("n", "warm"), [(60, 0), (61, 3), (99, 5), (100, 200), (600, 7)])
def test_evaluation_in_streams_scores_each_position_once(n: int, warm: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bptt, "_STREAM_TOKENS", 20)
    monkeypatch.setattr(bptt, "_MAX_STREAMS", 6)

    made = check_evaluation(make_corpus(n, [7, 33], [21, 40]), 8, warm)

    assert made[0].x.shape == (8, min(n // 20, 6))


def test_streams_of_an_evaluation_are_warmed_up_before_their_own_region() -> None:
    made = list(evaluation_windows(make_corpus(3 * 4096)))
    y = np.concatenate([w.y for w in made])

    assert [int(np.flatnonzero(y[:, s] >= 0)[0]) for s in range(3)] == [0, 256, 256]


@pytest.mark.parametrize(("n", "streams"), [(2, 1), (8191, 1), (8192, 2), (40_000, 9), (65_000, 15)])
def test_number_of_evaluation_streams_depends_on_the_length_alone(n: int, streams: int) -> None:
    assert next(evaluation_windows(make_corpus(n))).x.shape[1] == streams


@pytest.mark.parametrize("size", [1, 100, 1000, 5000, 20_000, 39_999])
def test_partial_evaluation_samples_the_whole_text(size: int) -> None:
    n = 40_000
    made = list(evaluation_windows(make_corpus(n, [], []), size=size))
    x, y = (np.concatenate(a) for a in zip(*((w.x, w.y) for w in made), strict=True))
    scored = np.sort(y[y >= 0])
    assert size * 0.95 - 64 <= scored.size <= size
    assert np.unique(scored).size == scored.size
    np.testing.assert_array_equal(y[y >= 0], x[y >= 0] + 1)  # make_corpus counts up
    streams = max(1, min(64, size // 256))
    assert len(np.unique(np.minimum((scored - 1) * streams // (n - 1), streams - 1))) == streams
    for s in range(1, streams):
        assert np.flatnonzero(y[:, s] >= 0)[0] == min(256, size // streams // 8)


def test_partial_evaluation_of_the_full_size_is_the_whole_text() -> None:
    corpus = make_corpus(9000)
    for whole, part in zip(evaluation_windows(corpus), evaluation_windows(corpus, size=9000), strict=True):
        np.testing.assert_array_equal(whole.y, part.y)


def test_text_of_two_tokens_can_be_evaluated() -> None:
    (window,) = evaluation_windows(make_corpus(2))

    np.testing.assert_array_equal(window.x, [[0]])
    np.testing.assert_array_equal(window.y, [[1]])
    np.testing.assert_array_equal(window.resets, [[1]])


@pytest.mark.parametrize(("n", "streams"), [(4096, 1), (8191, 1), (8192, 2), (64 * 4096, 64), (80 * 4096, 64)])
def test_evaluation_takes_as_many_streams_as_the_length_allows(n: int, streams: int) -> None:
    corpus = Corpus(np.zeros(n, np.uint16), np.array([0]), np.array([0]), ByteTokenizer())
    first = next(evaluation_windows(corpus))
    assert first.x.shape == (128, streams)
    assert first.count == 128 * streams


@given(case=cases())
def test_every_evaluation_window_scores_something(case: Case) -> None:
    corpus, seq, warm = case.corpus, case.seq, case.seed
    found = list(evaluation_windows(make_corpus(len(corpus)), seq=seq, warm=warm))
    assert all(window.scored_count for window in found)
    assert sum(window.scored_count for window in found) == len(corpus) - 1


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_ranks_share_the_streams_of_an_evaluation(ranks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bptt, "_STREAM_TOKENS", 50)
    corpus = make_corpus(280, [9, 100, 200], [150])
    whole = list(evaluation_windows(corpus, seq=16, warm=8))
    parts = [list(evaluation_windows(corpus, seq=16, warm=8, rank=r, ranks=ranks)) for r in range(ranks)]
    for i, window in enumerate(whole):
        shared = [part[i] for part in parts if part]
        np.testing.assert_array_equal(np.concatenate([w.x for w in shared], axis=1), window.x)
        np.testing.assert_array_equal(np.concatenate([w.y for w in shared], axis=1), window.y)
        np.testing.assert_array_equal(np.concatenate([started(w) for w in shared], axis=1), started(window))


@given(case=cases())
def test_resets_are_0_or_1(case: Case) -> None:
    streams = TBPTTStreams(*case)
    found = [streams.window(i) for i in range(streams.per_epoch)] + list(evaluation_windows(case[0], seq=4, warm=2))
    for window in found:
        assert window.resets is None or set(np.unique(window.resets)) <= {0, 1}


def test_first_token_of_a_vocabulary_counts_like_any_other() -> None:
    x = np.zeros((2, 2), np.int32)
    assert Window(x, np.array([[0, -1], [3, 0]], np.int32), None).scored_count == 3


def test_windows_of_an_evaluation_end_with_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bptt, "_STREAM_TOKENS", 20)
    made = list(evaluation_windows(make_corpus(200), seq=7, warm=5))
    assert made[-1].scored_count
    assert len(made) == 4  # the longest stream: 5 tokens of warm-up and 20 of its own


@pytest.mark.parametrize(("most", "seq"), [(256 * 2 * 3, 3), (256 * 2 * 3 - 1, 2), (1, 1), (1 << 26, 8)])
def test_windows_of_a_large_vocabulary_are_short(most: int, seq: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The logits of a window, V = 256 of each of 2 streams, are to take no more memory than that."""
    monkeypatch.setattr(bptt, "_STREAM_TOKENS", 20)
    monkeypatch.setattr(bptt, "_MAX_LOGITS", most)
    found = list(evaluation_windows(make_corpus(50), seq=8, warm=5))
    assert {window.x.shape for window in found} == {(seq, 2)}
    assert sum(window.scored_count for window in found) == 49
