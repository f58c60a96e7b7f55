"""Runs of the supervised tasks: they resume bit-for-bit, keep their schema, and validate their files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_samples import sealed, take_apart
from fakes import replace
from test_training import StopAt, assert_same_bits, parameters

import fastrnn
from fastrnn.checkpoint.checkpoint import from_bytes, load, to_bytes
from fastrnn.config import Config
from fastrnn.errors import CheckpointError, ConfigError, InputError
from fastrnn.training.api import resume, train
from fastrnn.training.callbacks import Callback, EvaluateEnd

SMALL = Config(hidden=8, batch=8, steps=12, lr=0.01, dropout=0.3, threads=1, eval_every=5)
RNG = np.random.default_rng(0)
WORDS = ["".join(RNG.choice(list("abcd"), RNG.integers(1, 6))) for _ in range(60)]
DATA = {
    "tag": ("x.txt", "".join(f"{w}\t{'AB'[len(w) > 2]}\n" + "\n" * (i % 4 == 3) for i, w in enumerate(WORDS))),
    "classify": ("x.tsv", "".join(f"{'ab'[w[0] > 'b']}\t{w}\n" for w in WORDS)),
    "generate": ("x.tsv", "".join(f"{'ab'[w[0] > 'b']}\t{w}\n" for w in WORDS)),
    "translate": ("x.tsv", "".join(f"{w}\t{w[::-1]}\n" for w in WORDS)),
    "forecast": ("x.csv", "v\n" + "".join(f"{np.sin(i / 3):.4f}\n" for i in range(90))),
    "regress": ("x.csv", "a,b\n" + "".join(f"{i},{i * i % 7}\n" for i in range(60))),
}
SETTINGS: dict[str, dict[str, Any]] = {"forecast": {"seq": 10, "horizon": 2}, "regress": {"columns": "b"}}


def config(task: str, **changes: Any) -> Config:
    return SMALL.replace(task=task, **SETTINGS.get(task, {}), **changes)


def data(task: str, folder: Path) -> list[str]:
    name, text = DATA[task]
    (folder / name).write_text(text)
    return [str(folder / name)]


@pytest.mark.parametrize("task", DATA)
def test_stopped_run_resumes_to_the_same_bits(tmp_path, task):
    files, settings = data(task, tmp_path), config(task, layers=2)
    train(files, settings, tmp_path / "whole")
    assert train(files, settings, tmp_path / "parts", callback=StopAt(7)).stopped == "signal"
    assert resume(tmp_path / "parts").stopped == "done"
    whole, parts = (load(tmp_path / run / "last.safetensors") for run in ("whole", "parts"))
    assert_same_bits(whole.parameters, parts.parameters)
    assert_same_bits(whole.optimizer, parts.optimizer)
    assert {**whole.progress, "seconds": 0} == {**parts.progress, "seconds": 0}
    assert (whole.state, whole.resumable) == ({}, True)


@pytest.mark.parametrize("task", DATA)
def test_any_number_of_threads_gives_the_same_bits(tmp_path, task):
    files = data(task, tmp_path)
    for threads in (1, 3):
        train(files, config(task, threads=threads), tmp_path / str(threads))
    assert_same_bits(parameters(tmp_path / "1"), parameters(tmp_path / "3"))


class Listen(Callback):
    """Keeps the validations."""

    def __init__(self) -> None:
        self.heard: list[EvaluateEnd] = []

    def on_evaluate(self, evaluated: EvaluateEnd) -> None:
        self.heard.append(evaluated)


def test_metrics_of_the_best_state_are_reported_and_logged(tmp_path):
    listen = Listen()
    result = train(data("classify", tmp_path), config("classify"), tmp_path / "run", callback=listen)
    assert [list(evaluated.metrics) for evaluated in listen.heard] == [["accuracy"]] * 3
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    logged = {line["step"]: line for line in lines if line["event"] == "evaluation"}
    best = min(logged.values(), key=lambda line: (-line["accuracy"], line["valid_nats"]))
    assert (result.best_step, result.metrics) == (best["step"], {"accuracy": best["accuracy"]})
    assert load(tmp_path / "run" / "best.safetensors").progress["metrics"] == result.metrics


@pytest.mark.parametrize(
    ("said_then", "best", "step"),
    [
        ([(0.5, 0.1), (0.75, 0.9), (0.75, 0.8), (0.5, 0.05)], (0.75, 0.8), 9),
        ([(0.754, 0.9), (0.746, 0.7), (0.753, 0.8), (0.74, 0.1)], (0.746, 0.7), 6),
        ([(0.015, 3.0), (0.013, 0.5), (0.012, 0.4), (0.03, 2.0)], (0.03, 2.0), 12),
    ],
)
def test_best_state_has_the_highest_rounded_accuracy_then_the_lowest_loss(tmp_path, monkeypatch, said_then, best, step):
    from fastrnn.inference.evaluation import Evaluation
    from fastrnn.training.tasks import supervised

    compiling = (0.9, 0.01)
    told = iter([compiling, *said_then])

    def said(*_: Any, **__: Any) -> Evaluation:
        accuracy, nats = next(told)
        return Evaluation(10, nats, {"accuracy": accuracy})

    replace(monkeypatch, supervised, "evaluate_examples", said)
    result = train(data("classify", tmp_path), config("classify", eval_every=3), tmp_path / "run")
    assert (result.best_step, result.valid_nats, result.metrics) == (step, best[1], {"accuracy": best[0]})


@pytest.mark.parametrize(("task", "has_bits"), [("forecast", False), ("regress", False), ("translate", True)])
def test_regression_has_no_bits(tmp_path, task, has_bits):
    result = train(data(task, tmp_path), config(task, steps=2), tmp_path / "run")
    assert result.valid_nats is not None
    assert (result.valid_bits is not None) == has_bits
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert all((line["valid_bits"] is not None) == has_bits for line in lines if line["event"] == "evaluation")


def test_resume_extends_by_epochs_and_by_time(tmp_path):
    done = train(data("classify", tmp_path), config("classify"), tmp_path / "run")
    assert resume(tmp_path / "run", {"epochs": 5.0}).steps == 5 * (54 // 8)
    assert resume(tmp_path / "run", {"for_": f"{done.seconds + 5}s"}).steps > 30


def test_resume_refuses_other_examples(tmp_path):
    files = data("classify", tmp_path)
    train(files, config("classify"), tmp_path / "run")
    Path(files[0]).write_text(DATA["classify"][1].replace("a", "b", 1))
    with pytest.raises(ConfigError, match="the data differs from the one this run was trained on"):
        resume(tmp_path / "run")


def test_init_from_keeps_vocabulary_and_task(tmp_path):
    train(data("classify", tmp_path), config("classify"), tmp_path / "old")
    other = tmp_path / "other.tsv"
    other.write_text("a\tzzz\nb\tdcd\n" * 6)
    train([str(other)], Config(steps=1, threads=1), tmp_path / "new", init_from=tmp_path / "old")
    old, new = load(tmp_path / "old" / "best.safetensors"), load(tmp_path / "new" / "last.safetensors")
    assert (new.tokenizer, new.config.task) == (old.tokenizer, "classify")
    other.write_text("c\tab\na\tcd\n" * 6)
    with pytest.raises(InputError, match=r"other.tsv:1: label 'c' is unknown"):
        train([str(other)], Config(steps=1, threads=1), tmp_path / "no", init_from=tmp_path / "old")
    with pytest.raises(ConfigError, match="task is tag, but the model to start from has classify"):
        train([str(other)], Config(task="tag"), tmp_path / "no", init_from=tmp_path / "old")


def test_separate_validation_file_is_used(tmp_path):
    files = data("classify", tmp_path)
    (tmp_path / "valid.tsv").write_text("a\tabab\nb\tdcdc\nb\tzzzz\n")
    result = train(files, config("classify", valid_file=str(tmp_path / "valid.tsv")), tmp_path / "run")
    assert result.metrics["accuracy"] in (0, 1 / 3, 2 / 3, 1)
    result = train(files, config("classify", valid=0.0), tmp_path / "none")
    assert (result.valid_nats, result.metrics) == (None, {})


@pytest.mark.parametrize("task", DATA)
def test_unset_options_are_chosen_and_saved(tmp_path, task):
    files = data(task, tmp_path)
    result = train(files, config(task, hidden=None, batch=None, lr=None, dropout=None, eval_every=None), tmp_path / "r")
    kept = load(Path(result.run) / "last.safetensors").config
    assert None not in (kept.hidden, kept.batch, kept.lr, kept.dropout, kept.eval_every, kept.precision)


def test_time_budget_and_patience_end_a_run(tmp_path):
    files = data("classify", tmp_path)
    limited = train(files, config("classify", steps=None, for_="1s"), tmp_path / "time")
    assert 1 < limited.steps < 6000
    stopped = train(files, config("classify", steps=1000, eval_every=1, patience=3, lr=1e-9), tmp_path / "patience")
    assert (stopped.stopped, stopped.steps < 1000) == ("patience", True)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("written")
    train(data("tag", folder), config("tag", steps=2), folder / "run")
    return (folder / "run" / "last.safetensors").read_bytes()


def test_loaded_checkpoint_saves_to_the_same_bytes(written):
    assert to_bytes(from_bytes(written)) == written


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": "A"}, "has shape"),
        ({"labels": "A\nA"}, "must be different"),
        ({"task": "classify"}, "wrong tables|missing|not part"),
        ({"labels": 5}, "damaged"),
        ({"more": 1}, "a vocabulary with"),
        ({"kind": "chars"}, "not the vocabulary"),
        ({"characters": {"unit": "chars", "known": "aa"}}, "must be different"),
        (
            {"characters": {"unit": "chars", "known": "".join(map(chr, range(256, 5000)))}},
            "its tensors allow",
        ),
        ({"tokens": {"unit": "tokens", "known": "\n".join(map(str, range(5000)))}}, "its tensors allow"),
    ],
)
def test_schema_that_does_not_match_the_tensors_is_refused(written, changes, message):
    header, body = take_apart(written)
    vocabulary = json.loads(header["__metadata__"]["tokenizer"]) | changes
    header["__metadata__"]["tokenizer"] = json.dumps(vocabulary)
    with pytest.raises(CheckpointError, match=message) as caught:
        from_bytes(sealed(header, body), "x")
    assert "\n" not in str(caught.value)


def test_schema_with_more_values_than_its_tensors_is_refused(written):
    header, body = take_apart(written)
    vocabulary = json.loads(header["__metadata__"]["tokenizer"]) | {"labels": list(range(100_000))}
    header["__metadata__"]["tokenizer"] = json.dumps(vocabulary)
    with pytest.raises(CheckpointError, match="its tokenizer is damaged"):
        from_bytes(sealed(header, body))


def test_files_without_a_task_are_language_models(tmp_path):
    (tmp_path / "text.txt").write_text("the cat sat. " * 100)
    train([str(tmp_path / "text.txt")], SMALL.replace(seq=8), tmp_path / "run")
    header, body = take_apart((tmp_path / "run" / "last.safetensors").read_bytes())
    config = json.loads(header["__metadata__"]["config"])
    assert "metrics" not in json.loads(header["__metadata__"]["progress"])
    header["__metadata__"]["config"] = json.dumps(
        {k: v for k, v in config.items() if k not in ("task", "bidirectional")}
    )
    (tmp_path / "run" / "last.safetensors").write_bytes(sealed(header, body))
    assert load(tmp_path / "run" / "last.safetensors").config.task == "language-model"
    assert resume(tmp_path / "run", {"steps": 15}).steps == 15


def test_load_gives_a_model_that_predicts(tmp_path):
    train(data("classify", tmp_path), config("classify"), tmp_path / "run")
    model = fastrnn.load(tmp_path / "run" / "last.safetensors")
    examples = model.read_examples([str(tmp_path / "x.tsv")])
    found = [prediction.value for prediction in model.predict(examples)]
    assert len(found) == len(examples.items) > 0
    assert set(found) <= {"a", "b"}
