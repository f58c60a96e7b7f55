"""Greedy and beam search, compared with every possible sequence."""

import itertools

import numpy as np
import pytest
from task_cases import B, make_batch, make_task

from fastrnn.data.examples.symbol_vocab import END, UNKNOWN, SymbolVocab
from fastrnn.inference.decoding import beam_search, decode_batch, greedy_search, log_probabilities, max_target_lengths
from fastrnn.inference.sampling import Sampler
from fastrnn.nn.network import Stepper

LENGTH = 4


def make_case(rng, cell="lstm"):
    """A translator of sharp opinions, and the first states of its decoder for a batch."""
    model, batch = make_task("translate", rng, cell), make_batch("translate", rng)
    model.parameters.flat[...] *= 3
    model.parameters["out.bias"][UNKNOWN] = -1e6  # unknown symbols are not searched
    return model, model.encode(batch)


def rows_of(state, rows):
    return {name: np.ascontiguousarray(array[:, rows]) for name, array in state.items()}


def until_end(ids):
    """The tokens of each row before its end."""
    return [list(itertools.takewhile(lambda token: token != END, column)) for column in ids.T.tolist()]


def log_probability(model, state, tokens):
    """Of one row's tokens, by `Network.loss`."""
    x = np.array([[0], *([t] for t in tokens[:-1])], np.int32)
    y = np.array([[t] for t in tokens], np.int32)
    last = {name: array.copy() for name, array in state.items()}
    return -float(model.decoder.with_shared_parameters("exact").loss(x, y, None, last).sum())


def likeliest(model, state, vocab):
    """Of all the sequences that end within LENGTH tokens, or are LENGTH tokens long without an end."""
    found = []
    for n in range(LENGTH + 1):
        for body in itertools.product(range(2, vocab), repeat=n):
            tokens = [*body, 0] if n < LENGTH else [*body]
            found.append((log_probability(model, state, tokens), list(body)))
    return max(found)[1]


def make_sampler(model):
    return Sampler(model.decoder, SymbolVocab("chars", "abcdef"), rounded=False, end=END)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_beam_of_one_equals_greedy_search(cell, rng):
    model, state = make_case(rng, cell)
    found = until_end(greedy_search(make_sampler(model), state, 12))
    assert until_end(beam_search(model.decoder, state, 12, 1)) == found
    for b in range(B):
        tokens, last = [0], rows_of(state, [b])
        stepper = Stepper(model.decoder, "exact")
        while len(tokens) <= 12 and (len(tokens) == 1 or tokens[-1]):
            tokens.append(int(stepper.logits(np.array([[tokens[-1]]], np.int32), last).argmax()))
        assert found[b] == [token for token in tokens if token]


def test_wide_beam_finds_the_most_likely_sequence(rng):
    model, state = make_case(rng)
    vocab = model.spec.target_tokens
    found = until_end(beam_search(model.decoder, state, LENGTH, vocab**LENGTH // 8))
    for b in range(2):
        assert found[b] == likeliest(model, rows_of(state, [b]), vocab)


def test_wider_beam_is_never_worse_and_sometimes_better(rng):
    better = 0
    for _ in range(6):
        model, state = make_case(rng)
        narrow, wide = (until_end(beam_search(model.decoder, state, 8, beam)) for beam in (1, 30))
        for b in range(B):
            one, more = (log_probability(model, rows_of(state, [b]), [*f[b], 0][:8]) for f in (narrow, wide))
            assert more >= one - 1e-9
            better += more > one + 1e-9
    assert better


def test_beam_search_is_never_less_likely_than_greedy_search(rng):
    target, lost, found = SymbolVocab("chars", "abcdef"), 0, 0
    for case in range(40):
        model, batch = make_task("translate", rng), make_batch("translate", rng)
        model.parameters.flat[...] *= 3
        start, most = model.encode(batch), max_target_lengths(batch)
        plain = log_probabilities(model.decoder, start, decode_batch(model, target, batch), most)
        beam = 2 + case % 2
        with_beam = log_probabilities(model.decoder, start, decode_batch(model, target, batch, beam), most)
        alone = beam_search(model.decoder, start, int(most.max()), beam)
        alone[np.arange(len(alone))[:, None] >= most] = END
        assert (with_beam >= plain).all()
        lost += (log_probabilities(model.decoder, start, alone, most) < plain - 1e-6).any()
        found += (with_beam > plain + 1e-6).any()
    assert lost
    assert found


def test_log_probabilities_stop_at_the_end_symbol_and_at_the_limit(rng):
    model, state = make_case(rng)
    ids = np.array([[3, 0, 2, 5], [4, 6, 7, 5], [0, 2, 3, 5], [5, 5, 4, 0]], np.int32)
    most = np.array([9, 9, 2, 3])
    alone = [[3, 4, 0], [0], [2, 7], [5, 5, 5]]
    expected = [log_probability(model, rows_of(state, [b]), tokens) for b, tokens in enumerate(alone)]
    before = {name: array.copy() for name, array in state.items()}
    np.testing.assert_allclose(log_probabilities(model.decoder, state, ids, most), expected, rtol=1e-9)
    for name, array in state.items():
        np.testing.assert_array_equal(array, before[name])


def test_rows_do_not_depend_on_each_other(rng):
    model, state = make_case(rng)
    whole = until_end(beam_search(model.decoder, state, 9, 3))
    for b in range(B):
        assert until_end(beam_search(model.decoder, rows_of(state, [b]), 9, 3)) == [whole[b]]


def test_search_leaves_the_states_unchanged(rng):
    model, state = make_case(rng)
    before = {name: array.copy() for name, array in state.items()}
    greedy_search(make_sampler(model), state, 5)
    beam_search(model.decoder, state, 5, 3)
    for name, array in state.items():
        np.testing.assert_array_equal(array, before[name])
