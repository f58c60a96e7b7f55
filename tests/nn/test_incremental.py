"""Incremental decoding, with units or streams divided among threads."""

import numpy as np
import pytest
from engine_cases import make_network
from fakes import replace
from random_cases import make_model, make_state

import fastrnn.nn.incremental
from fastrnn.cells import CELLS, RECURRENT_CELLS
from fastrnn.data.text.ngrams import find_ngrams
from fastrnn.kernels.cpu.target import Target
from fastrnn.nn.incremental import AdaptiveDecoder, IncrementalDecoder
from fastrnn.nn.matmul_mode import threads_per_layer
from fastrnn.nn.network import Stepper

VOCAB = 9


def generate_tokens(seed, cell, hidden, threads, make_decoder, mode="exact"):
    """Return the tokens that two streams sample after a prompt, and their final states."""
    rng = np.random.default_rng(seed)
    network = make_network(make_model(cell, 2, rng, hidden, VOCAB), np.float32, threads=threads)
    network = network.with_shared_parameters(mode)
    decoder = make_decoder(network, network.parameters["out.bias"])
    state = {name: array.astype(np.float32) for name, array in make_state(cell, rng, 2, 2, hidden).items()}
    decoder.set_state(state, 3)
    given = rng.integers(0, VOCAB, (5, 2)).astype(np.int32)
    decoder.generate(np.zeros((5, 2)), (1.0, 0, 1.0, 0.0), given, 5)
    drawn = [np.zeros((n, 2), np.int32) for n in (7, 4, 12, 9)]
    for tokens in drawn:  # an odd number of steps, and an even one
        decoder.generate(rng.random(tokens.shape), (1.0, 0, 0.9, 0.0), tokens)
    return np.concatenate(drawn), decoder.get_state()


@pytest.mark.parametrize(("threads", "parts"), [(2, 2), (4, 3)])
@pytest.mark.parametrize("hidden", [48, 71])
@pytest.mark.parametrize("mode", ["exact", "rounded"])
@pytest.mark.parametrize("cell", RECURRENT_CELLS)
def test_dividing_units_among_threads_gives_the_same_bits(cell, mode, hidden, threads, parts):
    """With 71 units the last thread's part is not a multiple of the vector size."""
    if CELLS[cell].is_normed:
        hidden *= 4  # whole blocks of 64 units, whose sums the threads exchange
    alone, state = generate_tokens(7, cell, hidden, 1, IncrementalDecoder, mode)
    shared, reached = generate_tokens(7, cell, hidden, threads, lambda *of: IncrementalDecoder(*of, parts), mode)
    np.testing.assert_array_equal(shared, alone)
    for name, array in state.items():
        np.testing.assert_array_equal(reached[name], array)


@pytest.mark.parametrize(("threads", "parts"), [(1, 1), (3, 3)])
@pytest.mark.parametrize("cell", ["gru", "lstm", "lstm-norm"])
def test_ngrams_are_read_while_sampling(cell, threads, parts):
    """Greedy tokens are those of a `Stepper`, whose logits come from `NGramEmbedding.lookup`."""
    rng = np.random.default_rng(3)
    ngrams = find_ngrams(rng.choice(VOCAB, 4000), VOCAB, 100)
    hidden = 192 if CELLS[cell].is_normed else 48
    model = make_model(cell, 2, rng, hidden, VOCAB, ngrams)
    network = make_network(model, np.float32, threads=threads, ngrams=ngrams)
    given = rng.integers(0, VOCAB, (6, 2)).astype(np.int32)

    decoder = IncrementalDecoder(network, network.parameters["out.bias"], parts)
    decoder.set_state(network.initial_state(2), given[0])
    decoder.generate(np.zeros((5, 2)), (0.0, 0, 1.0, 0.0), given[1:].copy(), 5)
    tokens = np.zeros((40, 2), np.int32)
    decoder.generate(np.zeros((20, 2)), (0.0, 0, 1.0, 0.0), tokens[:20])
    other = IncrementalDecoder(network, network.parameters["out.bias"])
    other.continue_from(decoder)
    other.generate(np.zeros((20, 2)), (0.0, 0, 1.0, 0.0), tokens[20:])

    stepper, state = Stepper(network), network.initial_state(2)
    logits = stepper.logits(given, state)
    for row in tokens:
        np.testing.assert_array_equal(row, logits.argmax(axis=1))
        reached = {name: array.copy() for name, array in state.items()}
        logits = stepper.logits(np.ascontiguousarray(row[None]), state)
    for name, array in other.get_state().items():
        np.testing.assert_allclose(array, reached[name], rtol=0, atol=1e-5)


class Clock:
    """A clock for `AdaptiveDecoder`: a call takes so many seconds, in turn."""

    def __init__(self, *durations):
        self.times = [0.0]
        for seconds in durations:
            self.times += [self.times[-1], self.times[-1] + seconds]
        self.times = iter(self.times[1:])

    def perf_counter(self):
        return next(self.times)


@pytest.fixture
def adaptive(monkeypatch):
    """Make `AdaptiveDecoder`, whose calls take so many seconds; the numbers of threads that they use are kept."""
    used: list[int] = []
    generate = IncrementalDecoder.generate

    def record(self, *arguments):
        used.append(len(self._layers))
        generate(self, *arguments)

    def make(*durations):
        replace(monkeypatch, fastrnn.nn.incremental, "threads_per_layer", lambda *_: 2)
        monkeypatch.setattr(fastrnn.nn.incremental, "time", Clock(*durations))
        monkeypatch.setattr(fastrnn.nn.incremental, "_FIRST_TRY", 2)
        monkeypatch.setattr(fastrnn.nn.incremental, "_TRIED", 0.5)
        monkeypatch.setattr(IncrementalDecoder, "generate", record)
        return lambda network, bias: AdaptiveDecoder(network, 2, bias)

    return make, used


@pytest.mark.parametrize("cell", RECURRENT_CELLS)
def test_changing_the_division_gives_the_same_bits(cell, adaptive):
    hidden = 192 if CELLS[cell].is_normed else 48
    alone, state = generate_tokens(7, cell, hidden, 1, IncrementalDecoder)
    make, used = adaptive
    # Five calls of 5, 7, 4, 12 and 9 tokens. The second to fourth try the other division for half of them, in two parts
    # of which the second counts; the third gives up after the first part. Sharing takes 100 seconds a token at last.
    found, reached = generate_tokens(7, cell, hidden, 2, make(50, 30, 2, 4, 9, 300, 900, 30, 60, 90))
    assert used == [1, 2, 2, 2, 1, 2, 1, 1, 1, 1]
    np.testing.assert_array_equal(found, alone)
    for name, array in state.items():
        np.testing.assert_array_equal(reached[name], array)


def test_units_of_wide_layers_are_divided_for_few_streams():
    class Kernels:
        BARRIER = True
        TARGET = Target("AVX-512 and AMX", 64, 6, 4, True, True)

    assert [threads_per_layer(Kernels, hidden, 1, 4) for hidden in (128, 256, 384, 512, 4096)] == [1, 1, 3, 4, 4]
    assert threads_per_layer(Kernels, 512, 16, 2) == 1
    assert threads_per_layer(Kernels, 512, 15, 2) == 2
    assert threads_per_layer(Kernels, 512, 1, 1) == 1
    Kernels.TARGET = Target("AVX2", 32, 6, 2)
    widths = (8, 64, 128, 192, 256, 384, 512)
    assert [threads_per_layer(Kernels, hidden, 1, 4) for hidden in widths] == [1, 1, 2, 3, 4, 3, 4]
    assert threads_per_layer(Kernels, 256, 3, 4) == 4
    assert threads_per_layer(Kernels, 256, 4, 4) == 1
    Kernels.BARRIER = False
    assert threads_per_layer(Kernels, 512, 1, 2) == 1
