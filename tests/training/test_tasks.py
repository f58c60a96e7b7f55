"""Every task on small generated data: train, evaluate, use. Ordered from one-to-one to many-to-many."""

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastrnn
from fastrnn.errors import ConfigError, InputError
from fastrnn.inference.predictors import TaskModel

BASE = fastrnn.Config(hidden=32, batch=16, lr=0.01, dropout=0.0, threads=1, seed=2)


def train_model(lines: list[str] | Path, name: str, folder: Path, **settings: Any) -> TaskModel:
    """Train a model on a file with these lines."""
    path = lines
    if isinstance(lines, list):
        path = folder / name
        path.write_text("".join(line + "\n" for line in lines))
    run = fastrnn.train([str(path)], BASE.replace(**settings), folder / "run")
    assert run.valid_nats is not None
    model = fastrnn.load(folder / "run")
    assert isinstance(model, TaskModel)
    return model


def words(rng: np.random.Generator, letters: str, count: int, longest: int = 5) -> list[str]:
    return ["".join(rng.choice(list(letters), rng.integers(1, longest + 1))) for _ in range(count)]


def bits(rng: np.random.Generator, count: int, width: int) -> np.ndarray[Any, Any]:
    return rng.integers(0, 2, (count, width))


def test_one_to_one_learns_a_bit_and_its_complement(rng, tmp_path):
    """Problem 1 of the lectures."""
    x = bits(rng, 100, 1)
    rows = [f"{b},{1 - b}" for (b,) in x]
    model = train_model(["x,y", *rows], "bits.csv", tmp_path, task="regress", columns="y", cell="dense", epochs=60)
    assert model.evaluate(model.read_examples([str(tmp_path / "bits.csv")]))["accuracy"] == 1.0


def test_one_to_one_learns_ten_bits_at_once(rng, tmp_path):
    """Problem 2: unseen rows of ten bits, complemented by a network without recurrence."""
    x = bits(rng, 300, 10)
    header = ",".join([f"x{i}" for i in range(10)] + [f"y{i}" for i in range(10)])
    rows = [",".join(map(str, [*row, *(1 - row)])) for row in x]
    model = train_model([header, *rows], "bits.csv", tmp_path, task="regress", columns="y*", cell="dense", epochs=60)
    data = model.part(model.encode(model.read_examples([str(tmp_path / "bits.csv")])), "valid")
    assert model.evaluate(data)["exact"] == 1.0


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> tuple[TaskModel, Path]:
    """Problem 4 at lengths 1 to 10, padded with -1: a bit is reversed if it equals the output before it."""
    folder, rng = tmp_path_factory.mktemp("synced"), np.random.default_rng(3)
    save_problem_4(folder / "bits.npz", rng, rng.integers(1, 11, 400))
    return train_model(folder / "bits.npz", "", folder, task="regress", epochs=40, batch=32), folder


def save_problem_4(path: Path, rng: np.random.Generator, lengths: Any) -> None:
    x = np.full((len(lengths), max(lengths), 1), np.nan, np.float32)
    y = np.full((len(lengths), max(lengths), 1), -1, np.float32)
    for i, length in enumerate(lengths):
        before = 0
        for t, bit in enumerate(rng.integers(0, 2, length)):
            before = 1 - bit if bit == before else bit
            x[i, t], y[i, t] = bit, before
    np.savez(path, x=x, y=y)


def test_synced_many_to_many_generalises_to_unseen_lengths(synced):
    model, folder = synced
    save_problem_4(folder / "long.npz", np.random.default_rng(4), [50] * 20)
    assert model.evaluate(model.read_examples([str(folder / "long.npz")]))["exact"] == 1.0


def test_single_steps_agree_with_the_whole_sequence(synced):
    model, folder = synced
    examples = model.read_examples([str(folder / "bits.npz")])
    for prediction in list(model.predict(examples))[:5]:
        model.reset()
        steps = [model.step(x) for x in prediction.example.x]
        np.testing.assert_allclose(steps, prediction.probability, atol=1e-6)


def test_single_steps_pack_the_weights_once(synced):
    model, _ = synced
    model.reset()
    expected = [model.step(x) for x in [1, 0, 1]]
    model.reset()
    found = [model.step(1)]
    # Later changes of a matrix do not count any more
    weights = model.model.parameters["rnn.weight_hh_l0"]
    before = weights.copy()
    weights[:] = 0
    found += [model.step(x) for x in [0, 1]]
    weights[:] = before
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("cell", ["gru", "gru-simplified", "rnn", "rnn-relu", "lstm-norm", "dense"])
def test_single_steps_of_deep_stacks_agree_for_every_cell(rng, tmp_path, cell):
    save_problem_4(tmp_path / "bits.npz", rng, [7, 3, 9, 1])
    model = train_model(tmp_path / "bits.npz", "", tmp_path, task="regress", cell=cell, layers=2, steps=2, valid=0.25)
    for prediction in model.predict(model.read_examples([str(tmp_path / "bits.npz")])):
        model.reset()
        np.testing.assert_allclose([model.step(x) for x in prediction.example.x], prediction.probability, atol=1e-6)


def test_words_of_one_character_are_tagged_and_stepped(rng, tmp_path):
    """Problem 3, each bit complemented; there are no letters to read."""
    lines = [line for _ in range(60) for line in [*(f"{b} {1 - b}" for b in rng.integers(0, 2, 4)), ""]]
    model = train_model(lines, "bits.txt", tmp_path, task="tag", epochs=20)
    assert model.progress["metrics"]["accuracy"] == 1.0
    assert [model.step(b).argmax() for b in "0110"] == [1, 0, 0, 1]


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> tuple[TaskModel, Path]:
    """Words that end in ``s`` after ``the`` are nouns, else verbs: letters and neighbours both count."""
    folder, rng = tmp_path_factory.mktemp("tags"), np.random.default_rng(5)
    lines = []
    for _ in range(200):
        before = ""
        for word in words(rng, "abcd", int(rng.integers(1, 5))):
            word = word + "s" if rng.random() < 0.5 else word
            tag = "X" if not word.endswith("s") else "NOUN" if before == "the" else "VERB"
            if rng.random() < 0.5:
                lines.append("the\tDET")
                tag = "NOUN" if word.endswith("s") else "X"
            before = word
            lines.append(f"{word}\t{tag}")
        lines.append("")
    return train_model(lines, "tags.txt", folder, task="tag", epochs=12), folder


def test_unseen_words_are_tagged_by_their_letters(tagger):
    model, folder = tagger
    assert model.progress["metrics"]["accuracy"] > 0.97
    (folder / "new.txt").write_text("the\ndcbabcds\nabababds\n")
    (prediction,) = model.predict(model.read_examples([str(folder / "new.txt")], needs_targets=False))
    assert prediction.value == ["DET", "NOUN", "VERB"]
    assert min(prediction.probability) > 0.5


def test_tags_of_single_steps_agree_with_the_sentence(tagger):
    model, folder = tagger
    for prediction in list(model.predict(model.read_examples([str(folder / "tags.txt")])))[:5]:
        model.reset()
        steps = [model.step(word) for word in prediction.example.x]
        np.testing.assert_allclose(steps, prediction.probabilities, atol=1e-5)


def test_bidirectional_tagger_uses_the_following_words(rng, tmp_path):
    """The tag of a word is the word after it: no model that reads only forward can predict it."""
    lines = []
    for _ in range(150):
        sentence = rng.choice(["a", "bb"], int(rng.integers(2, 6)))
        lines += [f"{w}\t{n}" for w, n in zip(sentence, [*sentence[1:], "end"], strict=True)] + [""]
    model = train_model(lines, "tags.txt", tmp_path, task="tag", bidirectional=True, layers=2, epochs=15)
    assert model.progress["metrics"]["accuracy"] == 1.0
    with pytest.raises(ConfigError, match="needs the whole sequence"):
        model.step("a")


def test_many_to_one_classifies_texts(rng, tmp_path):
    """Which of two letters came first, with others in between: memory is needed."""
    lines = [f"{first}\t{first}{middle}" for first in "ab" for middle in words(rng, "abc", 100)]
    model = train_model(lines, "first.tsv", tmp_path, task="classify", epochs=15)
    assert model.progress["metrics"]["accuracy"] == 1.0
    figures = model.evaluate(model.read_examples([str(tmp_path / "first.tsv")]))
    assert figures["confusion"] == [[100, 0], [0, 100]]
    assert figures["labels"]["a"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "count": 100}


def test_many_to_one_classifies_dense_sequences(rng, tmp_path):
    """As MNIST in rows: which of three bumps runs through noise."""
    y = rng.integers(0, 3, 240)
    x = rng.normal(0, 0.3, (240, 8, 8)) + np.eye(3)[y][:, None, :].repeat(8, 1) @ np.eye(3, 8)
    np.savez(tmp_path / "x.npz", x=x.astype(np.float32), y=y)
    model = train_model(tmp_path / "x.npz", "", tmp_path, task="classify", bidirectional=True, epochs=8)
    assert model.progress["metrics"]["accuracy"] == 1.0


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> TaskModel:
    """Vowels for one label, consonants for the other."""
    folder, rng = tmp_path_factory.mktemp("writer"), np.random.default_rng(6)
    lines = [f"{label}\t{w}" for label, of in (("soft", "aeiou"), ("hard", "bcdfg")) for w in words(rng, of, 150)]
    return train_model(lines, "names.tsv", folder, task="generate", epochs=12)


def test_one_to_many_generates_from_a_label(writer):
    for label, letters in (("soft", "aeiou"), ("hard", "bcdfg")):
        texts = writer.generate(label, count=40, length=20, seed=1)
        written = "".join(texts)
        assert sum(c in letters for c in written) > 0.95 * len(written)
        assert 1 < len(written) / 40 < 6
        assert texts == writer.generate(label, count=40, length=20, seed=1)
        assert writer.generate(label, count=3, length=20, seed=1) == texts[:3]
    assert writer.generate("soft", prime="b", greedy=True)[0] != writer.generate("soft", greedy=True)[0]


def test_invalid_condition_is_rejected(writer):
    with pytest.raises(InputError, match="the model knows hard, soft"):
        writer.generate("sof")
    with pytest.raises(ConfigError, match="use --given"):
        writer.generate(None)
    with pytest.raises(InputError, match="from a label"):
        writer.generate([1.0])


def test_one_to_many_generates_from_numbers(rng, tmp_path):
    lines = [
        f'{{"given": [{v[0]:.2f}, {v[1]:.2f}], "text": "{"ab"[int(v[0] > v[1])] * 4}"}}' for v in rng.random((200, 2))
    ]
    model = train_model(lines, "given.jsonl", tmp_path, task="generate", epochs=10)
    assert model.generate([0.9, 0.1], greedy=True) == ["bbbb"]
    assert model.generate([0.1, 0.9], greedy=True) == ["aaaa"]


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> tuple[TaskModel, Path]:
    """Words and the same words reversed."""
    folder, rng = tmp_path_factory.mktemp("reverse"), np.random.default_rng(7)
    lines = sorted({f"{w}\t{w[::-1]}" for w in words(rng, "abcd", 900, longest=4)})
    model = train_model(lines, "pairs.tsv", folder, task="translate", bidirectional=True, hidden=48, epochs=60)
    return model, folder


def test_many_to_many_translates_unseen_words(translator):
    model, _ = translator
    assert model.progress["metrics"]["exact"] > 0.9
    assert list(model.translate(["abcd", "dca"])) == ["dcba", "acd"]


def test_beam_of_one_is_greedy_and_a_wider_beam_is_more_likely(translator):
    from fastrnn.inference.decoding import beam_search, decode_batch

    model, folder = translator
    batch = model.encode(model.read_examples([str(folder / "pairs.tsv")])).batch(np.arange(40))
    target, start = model.tokenizer, model.model.encode(batch)
    texts = {}
    for name, ids in (
        ("greedy", decode_batch(model.model, target, batch)),
        ("one", beam_search(model.model.decoder, start, 60, 1)),
        ("four", beam_search(model.model.decoder, start, 60, 4)),
    ):
        texts[name] = [target.decode(column) for column in ids.T]
    assert texts["one"] == texts["greedy"]
    scores = {name: sum(logprob(model, batch, found)) for name, found in texts.items()}
    assert scores["four"] >= scores["one"] - 1e-3


def logprob(model: TaskModel, batch: Any, texts: list[str]) -> list[float]:
    """Return the log-probability of each text as the target of its example, end symbol included."""
    from fastrnn.data.examples.example import Example, ExampleSet, Location

    items = [
        Example(x, y, Location("", n)) for n, (x, y) in enumerate(zip(sources(model, batch), texts, strict=True), 1)
    ]
    data = model.encode(ExampleSet("translate", items))
    return [-model.model.losses(data.batch(np.array([i])))[0] for i in range(len(items))]


def sources(model: TaskModel, batch: Any) -> list[str]:
    return [model.vocabulary.tokens.decode(column[-n:]) for column, n in zip(batch.x.T, batch.lengths, strict=True)]


def test_forecast_of_a_wave_is_free_running(tmp_path):
    """Two waves; the error is below a tenth of persistence, and the wave continues far beyond the horizon."""
    t = np.arange(500)
    rows = [f"{5 + 2 * math.sin(i / 4):.5f},{math.cos(i / 6):.5f}" for i in t]
    model = train_model(["a,b", *rows], "wave.csv", tmp_path, task="forecast", horizon=4, seq=40, epochs=30)
    examples = model.read_examples([str(tmp_path / "wave.csv")])
    figures = model.evaluate(model.part(model.encode(examples), "valid"))
    assert figures["mae"] < figures["persistence"]["mae"] / 10
    (ahead,) = model.forecast(examples, 30)
    expected = np.stack([5 + 2 * np.sin(np.arange(500, 530) / 4), np.cos(np.arange(500, 530) / 6)], axis=1)
    assert ahead.shape == (30, 2)
    assert np.abs(ahead - expected).mean() < 0.25
    np.testing.assert_allclose(model.forecast(examples, 3)[0], ahead[:3])
    with pytest.raises(ConfigError, match="at least 1"):
        model.forecast(examples, 0)


def test_regression_predicts_in_the_units_of_the_data(rng, tmp_path):
    x = rng.uniform(-1, 1, (400, 2))
    rows = [f"{a:.4f},{b:.4f},{1000 + 300 * a * b:.4f}" for a, b in x]
    model = train_model(
        ["a,b,y", *rows], "xy.csv", tmp_path, task="regress", columns="y", cell="dense", layers=2, epochs=60
    )
    metrics = model.progress["metrics"]
    assert metrics["mae"] < 15
    assert metrics["mse"] >= metrics["mae"] ** 2
    (prediction,) = list(model.predict(model.read_examples([str(tmp_path / "xy.csv")])))[:1]
    assert abs(prediction.value[0, 0] - prediction.example.y[0, 0]) < 100


def test_predictions_keep_the_order_of_the_inputs(tagger):
    model, folder = tagger
    examples = model.read_examples([str(folder / "tags.txt")])
    predictions = list(model.predict(examples))
    assert [prediction.example for prediction in predictions] == examples.items
    alone = [next(model.predict([example])) for example in examples.items[:20]]
    assert [prediction.value for prediction in alone] == [prediction.value for prediction in predictions[:20]]


@pytest.mark.parametrize(("name", "message"), [("predict", "makes no predictions"), ("translate", "not for translate")])
def test_method_of_another_task_is_rejected(writer, name, message):
    with pytest.raises(ConfigError, match=message):
        list(getattr(writer, name)(["x"]))


def test_load_returns_the_class_of_the_task(writer, tagger):
    _, folder = tagger
    with pytest.raises(ConfigError, match="a model for tag, not a language model"):
        fastrnn.LanguageModel.load(folder / "run")
    assert isinstance(fastrnn.load(folder / "run"), fastrnn.TaskModel)
    for loaded in (fastrnn.load(folder / "run"), fastrnn.TaskModel.load(folder / "run")):
        assert type(loaded) is type(pickle.loads(pickle.dumps(loaded))) is fastrnn.TaggingModel
    with pytest.raises(ConfigError, match=r"a model for tag; load it with fastrnn\.load"):
        fastrnn.ClassificationModel.load(folder / "run")
