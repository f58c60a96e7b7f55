"""The likeliest sequence of a decoder that starts from a given state: greedy, and beam search.

Letters: B rows, S decoder steps, k beam, V the decoder's vocabulary. Id 0 starts and ends every sequence.
"""

from typing import Any

import numpy as np

from ..data.examples.symbol_vocab import END, UNKNOWN
from ..nn.network import Network, State
from .sampling import Sampler, SamplingParams

Array = np.ndarray[Any, Any]


def greedy(sampler: Sampler, state: State, length: int) -> Array:
    """The likeliest next token again and again, (S, B) int32, S <= length; what follows a row's end means nothing."""
    rows = state["h"].shape[1]
    start = np.zeros(1, np.int64)
    blocks, ended = [np.empty((0, rows), np.int32)], np.zeros(rows, bool)
    for tokens in sampler.tokens(rows, length, start, SamplingParams(greedy=True), 0, state):
        blocks.append(tokens)
        ended |= (tokens == END).any(axis=0)
        if ended.all():
            break
    return np.concatenate(blocks)


def beam_search(decoder: Network, state: State, length: int, beam: int) -> Array:
    """The likeliest of the ``beam`` sequences kept at each step, (S, B) int32, S <= length.

    A sequence's score is the sum of its tokens' log-probabilities, its end included (Graves 2012, without a
    correction for length). Unknown symbols are never written.
    """
    rows = state["h"].shape[1]
    network = decoder.with_shared_parameters("exact")
    state = {name: np.repeat(array, beam, axis=1) for name, array in state.items()}
    scores = np.full((rows, beam), -np.inf)
    scores[:, 0] = 0  # all beams of a row start alike: one is enough
    tokens, last = np.empty((0, rows, beam), np.int32), np.zeros((rows, beam), np.int32)
    ended = np.zeros((rows, beam), bool)
    for _ in range(length):
        logits = network.step_logits(np.ascontiguousarray(last.reshape(1, -1)), state)
        logits[:, UNKNOWN] = -np.inf
        parents, last, scores = _best(_log_softmax(logits).reshape(rows, beam, -1), scores, ended)
        at = np.arange(rows)[:, None] * beam + parents
        state = {name: np.ascontiguousarray(array[:, at.reshape(-1)]) for name, array in state.items()}
        tokens = np.concatenate([np.take_along_axis(tokens, parents[None], axis=2), last[None]])
        ended = np.take_along_axis(ended, parents, axis=1) | (last == END)
        if ended[:, 0].all():  # scores only fall: nothing can overtake the best once it has ended
            break
    return np.ascontiguousarray(tokens[:, :, 0])


def log_probabilities(decoder: Network, state: State, ids: Array, most: Array) -> Array:
    """The log-probability (B,) float64, in nats, of each column of ids (S, B), its end included where there is one.

    Of column b only the first ``most[b]`` ids count, and nothing after the first end.
    """
    ends = ids == END
    scored = (np.cumsum(ends, axis=0) - ends == 0) & (np.arange(len(ids))[:, None] < most)
    x = np.full_like(ids, END)
    x[1:] = ids[:-1]
    last = {name: array.copy() for name, array in state.items()}
    losses = decoder.with_shared_parameters("exact").loss(x, np.where(scored, ids, -1).astype(np.int32), None, last)
    found: Array = -losses.sum(axis=0, dtype=np.float64)
    return found


def likelier(decoder: Network, state: State, ids: Array, others: Array, most: Array) -> Array:
    """Of the sequences ids (S, B) and others (S', B) the likelier in each column; see `log_probabilities`.

    A beam may lose the greedy sequence on its way and end with a less likely one: they are compared whole.
    """
    length = max(len(ids), len(others))
    one, other = (np.pad(a, ((0, length - len(a)), (0, 0)), constant_values=END) for a in (ids, others))
    better = log_probabilities(decoder, state, other, most) > log_probabilities(decoder, state, one, most)
    return np.ascontiguousarray(np.where(better, other, one))


def _best(logprobs: Array, scores: Array, ended: Array) -> tuple[Array, Array, Array]:
    """The k best continuations of each row, best first: the beams they come from, their last tokens, their scores.

    logprobs (B, k, V), scores (B, k). An ended sequence goes on with the end token at no cost.
    """
    rows, beam, vocab = logprobs.shape
    logprobs = np.where(ended[:, :, None], -np.inf, logprobs)
    logprobs[:, :, END] = np.where(ended, 0.0, logprobs[:, :, END])
    totals = (scores[:, :, None] + logprobs).reshape(rows, beam * vocab)
    order = np.argsort(-totals, axis=1, kind="stable")[:, :beam]
    return order // vocab, (order % vocab).astype(np.int32), np.take_along_axis(totals, order, axis=1)


def _log_softmax(logits: Array) -> Array:
    """In float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
