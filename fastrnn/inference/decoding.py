"""Greedy and beam search: the most likely output sequence of a decoder with a given initial state.

Letters: B rows, S decoder steps, k beam, V the decoder's vocabulary. Id 0 starts and ends every sequence.
"""

from typing import Any

import numpy as np

from ..data.examples.dataset import Batch
from ..data.examples.symbol_vocab import END, UNKNOWN, SymbolVocab
from ..nn.matmul_mode import EXACT
from ..nn.network import Network, State, Stepper
from .sampling import Sampler, SamplingParams

Array = np.ndarray[Any, Any]


def greedy_search(sampler: Sampler, state: State, length: int) -> Array:
    """Decode greedily: ids (S, B) int32, S <= length. Ids after a row's end are undefined."""
    rows = state["h"].shape[1]
    start = np.zeros(1, np.int64)
    blocks = [np.empty((0, rows), np.int32)]
    ended = np.zeros(rows, bool)

    for tokens in sampler.tokens(rows, length, start, SamplingParams(greedy=True), 0, state):
        blocks.append(tokens)
        ended |= (tokens == END).any(axis=0)
        if ended.all():
            break
    return np.concatenate(blocks)


def beam_search(decoder: Network, state: State, length: int, beam: int) -> Array:
    """Decode with a beam of ``beam`` sequences: ids (S, B) int32, S <= length, the best of each row.

    A sequence's score is the sum of its tokens' log-probabilities, its end included (Graves 2012, without a
    correction for length). Unknown symbols are never generated.
    """
    rows = state["h"].shape[1]
    stepper = Stepper(decoder, EXACT)
    # The k beams of a row are adjacent: row b, beam j is column b * k + j of the state.
    state = {name: np.repeat(array, beam, axis=1) for name, array in state.items()}
    scores = np.full((rows, beam), -np.inf)
    scores[:, 0] = 0  # all beams of a row start alike: one is enough
    tokens = np.empty((0, rows, beam), np.int32)
    last = np.zeros((rows, beam), np.int32)
    ended = np.zeros((rows, beam), bool)

    for _ in range(length):
        logits = stepper.logits(np.ascontiguousarray(last.reshape(1, -1)), state)
        logits[:, UNKNOWN] = -np.inf
        parents, last, scores = _extend_beams(_log_softmax(logits).reshape(rows, beam, -1), scores, ended)

        # Each new beam continues its parent: states, tokens and ends are reordered alike.
        columns = (np.arange(rows)[:, None] * beam + parents).reshape(-1)
        state = {name: np.ascontiguousarray(array[:, columns]) for name, array in state.items()}
        tokens = np.concatenate([np.take_along_axis(tokens, parents[None], axis=2), last[None]])
        ended = np.take_along_axis(ended, parents, axis=1) | (last == END)
        if ended[:, 0].all():  # scores only fall: nothing can overtake the best once it has ended
            break
    return np.ascontiguousarray(tokens[:, :, 0])


def log_probabilities(decoder: Network, state: State, ids: Array, max_lengths: Array) -> Array:
    """The log-probability (B,) float64, in nats, of each column of ids (S, B), the first end included.

    Of column b at most the first ``max_lengths[b]`` ids are scored, and none after the first end.
    """
    ends = ids == END
    scored = (np.cumsum(ends, axis=0) - ends == 0) & (np.arange(len(ids))[:, None] < max_lengths)

    # The inputs are the ids, shifted by one step: END starts a sequence.
    x = np.full_like(ids, END)
    x[1:] = ids[:-1]
    final_state = {name: array.copy() for name, array in state.items()}
    targets = np.where(scored, ids, -1).astype(np.int32)
    losses = decoder.with_shared_parameters(EXACT).loss(x, targets, None, final_state)
    result: Array = -losses.sum(axis=0, dtype=np.float64)
    return result


def select_likelier(decoder: Network, state: State, ids: Array, others: Array, max_lengths: Array) -> Array:
    """The likelier of ids (S, B) and others (S', B) in each column; see `log_probabilities`.

    Needed because a beam may drop the greedy sequence on its way and end with a less likely one.
    """
    length = max(len(ids), len(others))
    ids, others = (np.pad(a, ((0, length - len(a)), (0, 0)), constant_values=END) for a in (ids, others))
    is_better = log_probabilities(decoder, state, others, max_lengths) > log_probabilities(
        decoder, state, ids, max_lengths
    )
    return np.ascontiguousarray(np.where(is_better, others, ids))


def _extend_beams(logprobs: Array, scores: Array, ended: Array) -> tuple[Array, Array, Array]:
    """The k best continuations of each row, best first: parent beams, last tokens and scores, each (B, k).

    logprobs (B, k, V), scores (B, k). An ended sequence is extended by the end token at no cost.
    """
    rows, beam, vocab = logprobs.shape
    logprobs = np.where(ended[:, :, None], -np.inf, logprobs)
    logprobs[:, :, END] = np.where(ended, 0.0, logprobs[:, :, END])
    totals = (scores[:, :, None] + logprobs).reshape(rows, beam * vocab)
    # Stable: of equal scores the earlier beam and the smaller id come first.
    order = np.argsort(-totals, axis=1, kind="stable")[:, :beam]
    return order // vocab, (order % vocab).astype(np.int32), np.take_along_axis(totals, order, axis=1)


def _log_softmax(logits: Array) -> Array:
    """Log-softmax over the last axis, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def decode_batch(model: Any, target: SymbolVocab, batch: Batch, beam: int = 1) -> Array:
    """The ids (S, B) of a batch's translations, each of at most `max_target_lengths` symbols.

    With a beam the likelier of its result and the greedy one.
    """
    start = model.encode(batch)
    max_lengths = max_target_lengths(batch)
    # Not rounded: the beam search is exact, and the two are compared below.
    sampler = Sampler(model.decoder, target, rounded=False, end=END)
    ids = _truncate(greedy_search(sampler, start, int(max_lengths.max())), max_lengths)
    if beam == 1:
        return ids
    found = _truncate(beam_search(model.decoder, start, int(max_lengths.max()), beam), max_lengths)
    return select_likelier(model.decoder, start, found, ids, max_lengths)


def max_target_lengths(batch: Batch) -> Array:
    """The most symbols (B,) of a batch's translations: twice the length of the source plus 50."""
    max_lengths: Array = 2 * batch.lengths + 50
    return max_lengths


def _truncate(ids: Array, max_lengths: Array) -> Array:
    ids[np.arange(len(ids))[:, None] >= max_lengths] = END
    return ids
