"""Surprisal and recorded activations, against the textbook."""

import numpy as np
import pytest
from engine_cases import make_network
from random_cases import make_model

from fastrnn.cells import RECURRENT_CELLS
from fastrnn.data.text.corpus import corpus_from_text, read_corpus
from fastrnn.diagnostics import compute_activations, compute_surprisal, find_largest, head, token_texts
from fastrnn.diagnostics.units import STEPS
from fastrnn.errors import ConfigError
from fastrnn.inference.evaluation import evaluate
from fastrnn.reference import softmax

H = 5


def make_case(rng, cell="lstm", text="|one|two, three|" + "four and five " * 20):
    corpus = corpus_from_text(text, separator="|")
    return make_model(cell, 2, rng, H, corpus.tokenizer.size), corpus


def starts_of(corpus):
    starts = np.zeros((len(corpus), 1), np.uint8)
    starts[corpus.starts] = 1
    return starts


@pytest.mark.parametrize("cell", RECURRENT_CELLS)
def test_surprisal_is_minus_the_log_of_the_probability(cell, rng):
    model, corpus = make_case(rng, cell)
    assert len(corpus) > 2 * STEPS
    logits, _ = model.forward(corpus.ids[:, None].astype(int), None, starts_of(corpus))
    expected = -np.log(softmax(logits[:, 0])[np.arange(len(corpus) - 1), corpus.ids[1:]][: len(corpus) - 1])
    nats = compute_surprisal(make_network(model), corpus)
    assert np.isnan(nats[0])
    np.testing.assert_allclose(nats[1:], expected, rtol=1e-9)
    assert nats[1:].mean() == pytest.approx(evaluate(make_network(model), corpus).nats)


def test_first_of_each_file_has_no_surprisal(tmp_path, rng):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("abc" * 50 + name)
    corpus = read_corpus([str(tmp_path)])
    nats = compute_surprisal(make_network(make_model("gru", 1, rng, H, corpus.tokenizer.size)), corpus)
    assert np.flatnonzero(np.isnan(nats)).tolist() == corpus.breaks.tolist() == [0, 151]
    np.testing.assert_allclose(nats[1:150], nats[152:301])


@pytest.mark.parametrize("cell", RECURRENT_CELLS)
def test_activations_equal_the_textbook(cell, rng):
    model, corpus = make_case(rng, cell)
    found = compute_activations(make_network(model), corpus)
    assert found.shape == (2, len(corpus), H)
    states = model.zero_state(1)
    for t, token in enumerate(corpus.ids.astype(int)):
        _, states = model.forward(token.reshape(1, 1), states, starts_of(corpus)[t : t + 1])
        np.testing.assert_allclose(found[:, t], states["h"][:, 0], rtol=1e-9, atol=1e-12)


def test_largest_surprisals_come_first():
    nats = np.array([np.nan, 1.0, 5.0, 0.5, 5.0, 3.0])
    assert find_largest(nats, 3) == [2, 4, 5]
    assert find_largest(nats, 99) == [2, 4, 5, 1, 3]


def test_head_of_a_corpus_keeps_its_document_starts():
    corpus = corpus_from_text("ab|cd|ef", separator="|")
    part = head(corpus, 4)
    assert (token_texts(part), part.starts.tolist(), part.breaks.tolist()) == (list("ab|c"), [0, 2], [0])
    assert len(head(corpus, 100)) == 8
    with pytest.raises(ConfigError, match="length is 1"):
        head(corpus, 1)


def test_words_and_bytes_are_supported():
    assert token_texts(corpus_from_text("the é.\n", tokens="words", min_count=1)) == ["the", "é", ".", "\n"]
    assert token_texts(corpus_from_text("aé", tokens="bytes")) == ["a", "\ufffd", "\ufffd"]
