"""A trained language model: sampling, scoring, completing and stepping agree with the textbook."""

import itertools
import math
import pickle
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fakes import replace

import fastrnn
from fastrnn.data.examples.batching import StreamedItems
from fastrnn.data.text import bptt
from fastrnn.data.text.corpus import corpus_from_text, read_corpus
from fastrnn.diagnostics import compute_surprisal
from fastrnn.errors import ConfigError, InputError
from fastrnn.inference.language_model import LanguageModel
from fastrnn.inference.sampling import StopText
from fastrnn.nn.network import Network
from fastrnn.reference import Reference
from fastrnn.training.callbacks import Callback

TEXT = "the apple and pear salad.\nthe cat was full; the cats were full.\n" * 40


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "run"
    config = fastrnn.Config(hidden=24, layers=2, batch=4, seq=16, steps=80, lr=0.02, dropout=0.0, threads=2)
    fastrnn.train(corpus_from_text(TEXT), config, out)
    return out


@pytest.fixture(scope="module")
def model(run: Path) -> LanguageModel:
    return fastrnn.load(run)


def test_result_has_the_unigram_loss_and_a_beginning(tmp_path):
    told = []

    class Watch(Callback):
        def message(self, text):
            told.append(text)

        def on_train_start(self, start):
            told.extend(start.data)

    config = fastrnn.Config(hidden=8, batch=4, seq=16, steps=2, threads=1, document_separator="###")
    result = fastrnn.train(corpus_from_text(TEXT, separator="###"), config, tmp_path / "run", callback=Watch())
    assert result.start == "the "
    assert 2.0 < result.unigram_nats < math.log(18)
    n = len(TEXT)
    cut = int(0.9 * n)
    assert f"text {n:,} chars ({cut:,} to train on, {n - cut:,} to validate on), vocabulary of 18, 1 document" in told
    assert any("the document separator '###' does not occur in the text" in line for line in told)


def reference(model: LanguageModel) -> Reference:
    parameters = {name: array.astype(np.float64) for name, array in model.network.parameters.items()}
    ngrams = model.tokenizer.ngrams
    return Reference(model.shape, parameters, ngrams=[ngrams.tokens(n) for n in range(len(ngrams))])


def test_evaluation_agrees_with_the_textbook_over_one_long_stream(model):
    text = TEXT[:700] + "full salad cat"
    measured = model.evaluate(corpus_from_text(text, tokenizer=model.tokenizer))
    ids = model.tokenizer.encode(text)[:, None]
    expected = reference(model).loss(ids[:-1], ids[1:])
    assert measured.chars == len(text) - 1
    assert measured.nats == pytest.approx(expected, rel=1e-5)
    assert measured.perplexity == pytest.approx(math.exp(expected), rel=1e-4)


def test_dynamic_evaluation_learns_and_leaves_the_model_as_it_is(model):
    corpus = corpus_from_text("a dull hat fell on the apple.\n" * 20, tokenizer=model.tokenizer, unknown="skip")
    model.reset()
    for char in "the":
        model.step(char)
    before = model.network.parameters.flat.tobytes()
    static = model.evaluate(corpus)
    found = model.evaluate_dynamic(corpus, lr=0.01)
    assert found.chars == static.chars
    assert found.nats < static.nats - 0.1
    assert model.evaluate_dynamic(corpus, lr=0.01) == pickle.loads(pickle.dumps(model)).evaluate_dynamic(
        corpus, lr=0.01
    )
    assert model.evaluate_dynamic(corpus, lr=0).nats == pytest.approx(static.nats, rel=1e-6)

    assert model.network.parameters.flat.tobytes() == before
    assert model.evaluate(corpus) == static
    expected = model.step(" ")
    model.reset()
    assert [model.step(char) for char in "the "][-1].tobytes() == expected.tobytes()


def test_scores_add_up_to_the_probability_of_a_sentence(model):
    lines = ["the apple and pear salad.", "the cat", "were", ""]
    for line, score in zip(lines, model.score(lines), strict=True):
        model.reset()
        logprob, fed = 0.0, "\n"
        for char in line:
            logprob += math.log(model.step(fed)[model.tokenizer.encode(char)[0]])
            fed = char
        assert score.text == line
        assert score.chars == len(line)
        assert score.logprob == pytest.approx(logprob, abs=1e-4)


def test_long_line_is_scored_separately_with_the_same_bits(model, monkeypatch):
    lines = ["the cat", "the cats were full. " * 1200, "", "apple", "the pear and"]
    sizes, together = [], LanguageModel._sum_batch_losses

    def watched(self, network, sequences):
        sizes.append(sorted(map(len, sequences)))
        return together(self, network, sequences)

    replace(monkeypatch, LanguageModel, "_sum_batch_losses", watched)
    scores = list(model.score(lines))

    assert [score.text for score in scores] == lines
    assert sizes == [[0, 5, 7, 12], [24_000]]
    assert [score.logprob for score in scores] == [next(model.score([line])).logprob for line in lines]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("the cat", "one text where a list is needed; give a list of texts"),
        (b"the cat", "one text where a list is needed"),
        (7, "a value of type int where a list is needed"),
        (["the cat", 7], "line 2: a value of type int where a text is needed"),
        ([None], "line 1: a value of type NoneType where a text is needed"),
    ],
)
def test_score_accepts_a_list_of_texts(model, lines, words):
    with pytest.raises(InputError, match=words):
        list(model.score(lines))


def test_scores_before_an_unknown_character_are_given(model):
    scores = model.score(["the cat", "the apple", "☃", "the cat"])
    assert [next(scores).text for _ in range(2)] == ["the cat", "the apple"]
    with pytest.raises(InputError, match="line 3"):
        next(scores)


def test_logits_of_a_large_vocabulary_are_computed_in_parts_with_the_same_bits(model, monkeypatch):
    lines = ["the cat", "the cats were full", "apple and pear salad" * 9]
    expected = [score.logprob for score in model.score(lines)]
    sizes, loss = [], Network.loss

    def watched(self, x, *more):
        sizes.append(x.size)
        return loss(self, x, *more)

    replace(monkeypatch, Network, "loss", watched)
    monkeypatch.setattr(bptt, "_MAX_LOGITS", 15 * model.tokenizer.size)
    assert [score.logprob for score in model.score(lines)] == expected
    assert max(sizes) == 15  # positions, five for each line


def test_line_is_scored_before_the_next_one_arrives(model):
    is_scored = threading.Event()
    in_time = []

    def arriving() -> Iterator[str]:
        yield "the cat"
        in_time.append(is_scored.wait(60))
        yield "the cats were full"

    scores = model.score(StreamedItems(arriving()))
    assert next(scores).text == "the cat"
    is_scored.set()
    assert next(scores).logprob == next(model.score(["the cats were full"])).logprob
    assert in_time == [True]


def test_files_of_one_token_cannot_be_evaluated(model, tmp_path):
    for name in "ab":
        (tmp_path / name).write_text("t")
    corpus = read_corpus([str(tmp_path / name) for name in "ab"], tokenizer=model.tokenizer)
    for evaluate in (model.evaluate, model.evaluate_dynamic, partial(compute_surprisal, model.network)):
        with pytest.raises(InputError, match="nothing to predict; give more text"):
            evaluate(corpus)


def test_representation_names_cell_and_sizes(model):
    assert repr(model) == "LanguageModel(lstm-norm, layers=2, hidden=24, vocabulary of 18 chars)"


def test_score_refuses_a_single_text_at_the_call(model):
    with pytest.raises(InputError):
        model.score("the cat")


def test_log_probabilities_of_completions_do_not_underflow(model):
    short, long = model.completions("the app", 3, length=4), model.completions("the app", 3, length=400)
    assert [p for _, p in model.complete("the app", 3, length=4)] == pytest.approx([math.exp(v) for _, v in short])
    assert long[0][1] < min(value for _, value in short)
    assert len({value for _, value in long}) == 3
    assert all(math.isfinite(value) for _, value in long)


def test_empty_line_has_probability_one(model):
    (score,) = model.score([""])
    assert (score.chars, str(score.logprob), str(score.bits_per_char)) == (0, "0.0", "0.0")


def test_probabilities_of_all_strings_of_a_length_sum_to_one(model):
    chars = model.tokenizer.chars
    pairs = ["".join(pair) for pair in itertools.product(chars, repeat=2)]
    assert sum(math.exp(score.logprob) for score in model.score(pairs)) == pytest.approx(1, abs=1e-4)


def test_step_equals_the_textbook_and_carries_the_state(model):
    model.reset()
    textbook = reference(model)
    for char in "the cat":
        logits = textbook.step(int(model.tokenizer.encode(char)[0]))
        expected = np.exp(logits - logits.max())
        np.testing.assert_allclose(model.step(char), expected / expected.sum(), atol=1e-5)
    with pytest.raises(InputError, match="one token"):
        model.step("at")
    with pytest.raises(InputError, match="ids run from 0"):
        model.step(99)


def test_other_calls_leave_the_state_of_step_alone(model):
    def after_cat(between):
        model.reset()
        for char in "the c":
            model.step(char)
        between()
        return model.step("a")

    undisturbed = after_cat(lambda: None)
    calls = (
        lambda: model.complete("a full apple ", 3, length=4),
        lambda: list(model.score(["the apple"])),
        lambda: model.sample(20, seed=1),
    )
    for between in calls:
        np.testing.assert_array_equal(after_cat(between), undisturbed)


def test_completions_are_the_most_likely_next_tokens(model):
    model.reset()
    for char in "the app":
        probabilities = model.step(char)
    completions = model.complete("the app", 3)
    best = np.argsort(-probabilities)[:3]
    assert [text for text, _ in completions] == [model.tokenizer.token_text(int(i)) for i in best]
    assert [p for _, p in completions] == pytest.approx(probabilities[best], abs=1e-6)
    assert model.complete("the app", 2, length=4)[0][0] == "le a"


def test_long_completions_are_greedy_and_independent_of_their_number(model):
    text = "the cat " * 40  # fed in several calls
    many = dict(model.completions(text, 6, length=5))
    assert model.completions(text, 1, length=5)[0][1] == pytest.approx(many[model.completions(text, 1, length=5)[0][0]])
    for continuation, logprob in many.items():
        model.reset()
        for char in text:
            after = model.step(char)
        expected = 0.0
        for n, char in enumerate(continuation):
            token = int(model.tokenizer.encode(char)[0])
            assert n == 0 or token == after.argmax()
            expected += math.log(after[token])
            after = model.step(char)
        assert logprob == pytest.approx(expected, abs=1e-4)


def test_completions_skip_unknown_characters_when_asked(model):
    with pytest.raises(InputError, match="--unknown skip"):
        model.complete("the ☃app")
    assert model.complete("the ☃app", unknown="skip") == model.complete("the app")
    with pytest.raises(ConfigError, match="at least 1"):
        model.complete("the app", 0)


def test_same_seed_gives_the_same_text_and_another_seed_another(model):
    assert model.sample(80, seed=3) == model.sample(80, seed=3) != model.sample(80, seed=4)


def test_sample_does_not_depend_on_the_number_of_samples(model):
    def texts(count: int) -> list[str]:
        return ["".join(parts) for parts in zip(*model.sample_stream(count, 60, seed=5), strict=True)]

    seven = texts(7)
    assert texts(1) == seven[:1]
    assert texts(3) == seven[:3]
    assert len(set(seven)) == 7


def test_sample_has_the_exact_length_without_the_prompt(model):
    assert len(model.sample(37, prime="the ")) == 37
    assert model.sample(0) == ""


def test_low_temperature_is_greedy(model):
    assert model.sample(60, temperature=1e-4, seed=9) == model.sample(60, greedy=True) == model.sample(60, top_k=1)


def test_prompt_continues_like_sampled_text(model):
    whole = model.sample(50, greedy=True, prime="the ")
    assert model.sample(30, greedy=True, prime="the " + whole[:20]) == whole[20:]


def test_rounded_weights_hardly_change_samples(run):
    """Greedy texts of exact and rounded weights agree in nearly every place, each place judged after the same text."""
    exact, rounded = fastrnn.load(run, exact=True), fastrnn.load(run)
    text = exact.sample(200, prime="the ", temperature=0.5, seed=1)
    places = range(0, 200, 4)
    same = [exact.sample(1, prime=text[: n + 1], greedy=True) == rounded.sample(1, prime=text[: n + 1], greedy=True)
            for n in places]  # fmt: skip
    assert sum(same) >= 0.9 * len(same)


def test_sampling_stops_at_the_stop_text(model):
    text = model.sample(400, prime="the ", stop="the c", seed=1, temperature=0.5)
    assert "the c" not in text
    assert (text + "the c") in model.sample(400, prime="the ", seed=1, temperature=0.5)


@pytest.mark.parametrize("pieces", [["abST", "OPcd"], ["abS", "T", "O", "P"], ["abSTOP"], ["a", "bSTO", "Pq"]])
def test_stop_text_is_found_across_chunks(pieces):
    stop = StopText("STOP")
    assert "".join(stop.feed(piece) for piece in pieces) + stop.flush() == "ab"
    assert stop.done


def test_prefix_of_a_stop_text_is_emitted():
    stop = StopText("aab")
    assert "".join(map(stop.feed, "aaaaxaa")) + stop.flush() == "aaaaxaa"
    assert not stop.done


def test_unknown_characters_in_a_prompt_are_listed_or_skipped(model):
    with pytest.raises(InputError, match="Q"):
        model.sample(10, prime="the Q")
    assert model.sample(10, prime="the Q", unknown="skip", seed=2) == model.sample(10, prime="the ", seed=2)


@pytest.mark.parametrize(
    ("setting", "value"), [("temperature", 0), ("temperature", -1), ("temperature", math.nan), ("top_k", -1),
                           ("top_p", 0), ("top_p", 1.1), ("min_p", 1), ("min_p", -0.1)]
)  # fmt: skip
def test_invalid_sampling_params_are_refused(model, setting, value):
    with pytest.raises(ConfigError, match=setting):
        model.sample(10, **{setting: value})


@pytest.mark.parametrize(("setting", "value"), [("seed", -1), ("count", 0), ("length", -1)])
def test_invalid_amounts_are_refused_before_sampling(model, setting, value):
    with pytest.raises(ConfigError, match=f"{setting} is {value}"):
        model.sample_stream(**{setting: value})


def test_words_and_bytes_and_documents_work_end_to_end(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT + "§ é ü\n")
    for tokens in ("words", "bytes"):
        config = fastrnn.Config(
            hidden=16, batch=2, seq=8, steps=20, tokens=tokens, min_count=1, document_separator="\n"
        )
        fastrnn.train([str(path)], config, tmp_path / tokens)
        loaded = fastrnn.load(tmp_path / tokens)
        assert isinstance(loaded.sample(40, seed=1), str)
        corpus = read_corpus([str(path)], separator="\n", tokenizer=loaded.tokenizer)
        assert 0 < loaded.evaluate(corpus).nats < 10
        assert all(score.logprob < 0 for score in loaded.score(["the cat was full", "salad"]))


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    config = fastrnn.Config(hidden=16, batch=4, seq=8, steps=60, lr=0.02, tokens="words", min_count=1, threads=1)
    out = tmp_path_factory.mktemp("words") / "run"
    fastrnn.train(corpus_from_text(TEXT, tokens="words", min_count=1), config, out)
    return fastrnn.load(out)


def test_sentence_of_words_is_scored_with_its_end(words):
    lines = ["the cat was full", "the gnu", "", "the cat\n"]
    for line, score in zip(lines, words.score(lines), strict=True):
        words.reset()
        logprob, after = 0.0, words.step(0)
        for token in [*words.tokenizer.encode(line.strip()), 0]:
            logprob += math.log(after[token])
            after = words.step(int(token))
        assert score.chars == len(line.split()) + 1
        assert score.unknown == ("gnu" in line)
        assert score.logprob == pytest.approx(logprob, abs=1e-4)


def test_word_completion_ends_with_its_sentence(words):
    found = [text for text, _ in words.complete("the cat was", n=8, length=12)]
    assert all("\n" not in text for text in found)
    assert all("<EOS>" not in text[: -len("<EOS>")] for text in found)
    assert "<EOS>" in found
    assert any(text.endswith(" <EOS>") for text in found)
    shown = dict(words.complete("\nthe cat was", n=words.tokenizer.size, length=12))
    assert shown["<EOS>"] == pytest.approx(math.exp(next(words.score(["the cat was"])).logprob)
                                           / math.exp(_prefix(words, "the cat was")), rel=1e-3)  # fmt: skip


def _prefix(words, text):
    words.reset()
    after, total = words.step(0), 0.0
    for token in words.tokenizer.encode(text):
        total += math.log(after[token])
        after = words.step(int(token))
    return total


def test_error_names_the_line_that_cannot_be_scored(run):
    model = fastrnn.load(run)
    lines = ["t"] * 70 + ["t\N{SNOWMAN}"]
    with pytest.raises(InputError, match=r"^line 71: the text has characters that the model does not know"):
        list(model.score(lines))
