"""Validation on a part of the data during training, and exact evaluation of the best state at the end."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from fakes import replace

from fastrnn.checkpoint.checkpoint import load
from fastrnn.config import Config
from fastrnn.data.text.corpus import Corpus, corpus_from_text, split_corpus
from fastrnn.distributed.communicator import Communicator
from fastrnn.inference.evaluation import evaluate, never_stop
from fastrnn.inference.language_model import LanguageModel
from fastrnn.inference.load import load as load_model
from fastrnn.training import autotune, autotune_tasks, hyperparameters, run_length, timing
from fastrnn.training.api import resume, train
from fastrnn.training.callbacks import Callback, EvaluateEnd, StepEnd
from fastrnn.training.optimizers import Optimizer
from fastrnn.training.tasks.supervised import SupervisedTraining
from fastrnn.training.time_budget import FINAL_SHARE, StepPlanner, TimeBudget

TEXT = "".join(f"{n} bottles of beer, {n * 7 % 1000} on the wall. " for n in range(1200))
SMALL = Config(hidden=16, batch=4, seq=12, steps=30, lr=0.01, dropout=0.2, threads=1, eval_every=7, eval_size=500)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return corpus_from_text(TEXT)


def write_examples(folder: Path) -> str:
    path = folder / "colours.tsv"
    path.write_text("".join(f"{'warm' if n % 3 else 'cold'}\tword {n * n}\n" for n in range(300)), encoding="utf-8")
    return str(path)


def log_of(run: Path, event: str) -> list[dict]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def test_reported_loss_equals_eval_on_the_whole_validation_split(corpus, tmp_path):
    result = train(corpus, SMALL, tmp_path / "run")
    _, valid = split_corpus(corpus, SMALL.valid)
    assert valid is not None
    whole = LanguageModel.load(tmp_path / "run").evaluate(valid)
    assert result.valid_nats == pytest.approx(whole.nats, abs=1e-6)
    (final,) = log_of(tmp_path / "run", "final")
    assert (final["scored"], final["step"]) == (whole.chars, result.best_step)
    assert load(tmp_path / "run" / "best.safetensors").progress["valid_nats"] == result.valid_nats
    during = {line["step"]: line["valid_nats"] for line in log_of(tmp_path / "run", "evaluation")}
    assert result.best_step == min(during, key=during.__getitem__)
    assert during[result.best_step] != result.valid_nats
    assert load(tmp_path / "run" / "last.safetensors").progress["best_nats"] == during[result.best_step]


def test_reported_metrics_equal_eval_for_supervised_tasks(tmp_path):
    config = Config(task="classify", hidden=8, batch=8, steps=12, eval_every=5, eval_size=9, threads=1, valid=0.2)
    result = train([write_examples(tmp_path)], config, tmp_path / "run")
    model = load_model(tmp_path / "run")
    data = model.part(model.encode(model.read_examples([write_examples(tmp_path)])), "valid")
    figures = model.evaluate(data)
    (final,) = log_of(tmp_path / "run", "final")
    assert final["scored"] == figures["records"] == 60
    assert result.valid_nats == pytest.approx(figures["loss"], abs=1e-6)
    assert result.metrics == {"accuracy": figures["accuracy"]}
    assert load(tmp_path / "run" / "best.safetensors").progress["metrics"] == result.metrics


def test_last_state_is_that_of_training(corpus, tmp_path):
    """The best parameters, evaluated at the end, are no part of it; what goes on has the bits of a longer run."""
    train(corpus, SMALL.replace(schedule="constant", warmup=2), tmp_path / "parts")
    resume(tmp_path / "parts", {"steps": 45}, inputs=corpus)
    train(corpus, SMALL.replace(schedule="constant", warmup=2, steps=45), tmp_path / "whole")
    for name in ("last", "best"):
        one, other = (load(tmp_path / run / f"{name}.safetensors") for run in ("whole", "parts"))
        for key, array in one.parameters.items():
            np.testing.assert_array_equal(array, other.parameters[key])
    last = [load(tmp_path / run / "last.safetensors").progress for run in ("whole", "parts")]
    assert last[0]["valid_nats"] == last[1]["valid_nats"]


class StopInFinal(Callback):
    """Sends a signal while the evaluation after the last step runs."""

    def __init__(self, last: int) -> None:
        self.last, self.evaluations = last, 0
        self.done = False

    def on_step(self, step: StepEnd) -> None:
        self.done = step.step == self.last

    def on_evaluate_progress(self, share: float) -> None:
        if self.done and share == 0:
            self.evaluations += 1
            if self.evaluations == 2:
                signal.raise_signal(signal.SIGINT)


def test_signal_stops_the_final_evaluation_without_loss(corpus, tmp_path):
    result = train(corpus, SMALL, tmp_path / "run", callback=StopInFinal(30))
    assert (result.steps, result.signal) == (30, signal.SIGINT)
    assert log_of(tmp_path / "run", "final") == []
    again = resume(tmp_path / "run", inputs=corpus)
    assert [line["valid_nats"] for line in log_of(tmp_path / "run", "final")] == [again.valid_nats]


class CountReductions(Communicator):
    """Counts the collective calls."""

    reductions = 0

    def all_reduce_max(self, *numbers: float) -> tuple[float, ...]:
        self.reductions += 1
        return numbers


@pytest.mark.parametrize("stops", [False, True])
def test_stopped_rank_makes_the_collective_call_of_a_timed_evaluation(tmp_path, stops):
    """Otherwise its next collective call would be paired with this one of the other ranks."""
    config = Config(task="classify", hidden=8, batch=8, steps=3, eval_size=9, threads=1, valid=0.6)
    task = SupervisedTraining([write_examples(tmp_path)], config, None, Callback())
    config = task.plan(config, TimeBudget(None)).config
    evaluator = task.evaluator(task.model(config), config)
    task.group = CountReductions()
    found = evaluator.final(lambda share: stops, seconds=100.0)
    assert task.group.reductions == 1
    assert (found is None) == stops


class RemoveBest(Callback):
    """Removes the best state after the last validation."""

    def __init__(self, path: Path) -> None:
        self.path, self.said = path, []

    def message(self, text: str) -> None:
        self.said.append(text)

    def on_evaluate(self, evaluated: EvaluateEnd) -> None:
        if evaluated.step == 30:
            self.path.unlink()


def test_missing_best_state_keeps_the_training_figures(corpus, tmp_path):
    remove = RemoveBest(tmp_path / "run" / "best.safetensors")
    result = train(corpus, SMALL, tmp_path / "run", callback=remove)
    assert any("its loss is that of the last validation while training" in line for line in remove.said)
    assert result.valid_nats == min(line["valid_nats"] for line in log_of(tmp_path / "run", "evaluation"))


def test_exact_validation_is_not_repeated_at_the_end(corpus, tmp_path):
    train(corpus, SMALL.replace(eval_size=10**6, precision="float32"), tmp_path / "run")
    assert log_of(tmp_path / "run", "final") == []


def test_evaluation_beyond_the_time_budget_is_reported(corpus):
    _, valid = split_corpus(corpus, 0.9)
    assert valid is not None
    from fastrnn.nn.network import Network

    network = Network.from_config(SMALL, corpus.tokenizer.size)
    found, whole = evaluate(network, valid, never_stop, seconds=0.0), evaluate(network, valid)
    assert found is not None
    assert whole is not None
    assert (found.whole, whole.whole) == (False, True)
    assert 0 < found.chars < whole.chars == len(valid) - 1


@pytest.mark.parametrize("vocab", [4, 65, 5000, 50_000])
@pytest.mark.parametrize("budget", [5.0, 40.0, 180.0, 36_000.0])
@pytest.mark.parametrize("ratio", [0.1, 0.4, 2.0, 30.0])
def test_first_plan_gives_validation_a_twentieth_of_the_time(monkeypatch, vocab, budget, ratio):
    """Whatever an evaluated token costs beside a trained one."""

    def measured(config, vocab, *_, **__):
        recurrent = 4 * (2 * config.layers - 1) * config.hidden**2
        token = (2 * recurrent + 5 * config.hidden * vocab) * 1e-10
        return timing.Speed(token * config.batch * config.seq, ratio * token, ratio * token, config.hidden * vocab)

    replace(monkeypatch, timing, "measure_speed", measured)
    tokens, valid = 3_000_000, 300_000
    config = autotune.plan(Config(precision="float32"), tokens, valid, vocab, TimeBudget(budget)).config
    speed = measured(config, vocab)
    each = config.eval_size * (speed.whole if config.eval_size == valid else speed.part)
    during = -(-config.steps // config.eval_every) * each
    assert during <= 0.022 * budget or config.eval_size == 1
    final = min(FINAL_SHARE * budget, valid * speed.whole)
    saves = (config.steps // config.eval_every) * speed.parameters * 24 / 5e8
    assert config.steps * speed.step + during + final + saves <= max(budget, 2 * speed.step)


@pytest.mark.parametrize("seconds_per_example", [1e-5, 1e-3, 0.1])
@pytest.mark.parametrize("examples", [0, 30, 3000, 100_000])
def test_supervised_plan_gives_validation_a_twentieth_of_the_time(seconds_per_example, examples):
    config = Config(task="classify", hidden=8, batch=8)
    costs = autotune_tasks.Costs(0.01, seconds_per_example)
    found = autotune_tasks.length_within(config, 1000, examples, 6000, lambda: 60.0, lambda: costs)
    count = -(-found.steps // found.eval_every)
    during = count * (found.eval_size or 0) * costs.example
    assert during <= 0.05 * 60 or (count == 1 and found.eval_size == min(examples, 200))
    assert found.steps > 100


@pytest.mark.parametrize("vocab", [65, 8000, 30_000])
def test_short_time_gets_a_smaller_model_and_some_hundred_steps(monkeypatch, vocab):
    def measured(config, vocab, *_, **__):
        work = 4 * (2 * config.layers - 1) * config.hidden**2 + config.hidden * vocab
        return timing.Speed(work * config.batch * config.seq / 2e10, 1e-7, 1e-7)

    replace(monkeypatch, timing, "measure_speed", measured)
    short, long = (autotune.plan(Config(), 2_000_000, 1000, vocab, TimeBudget(s)) for s in (40.0, 4000.0))
    assert (short.config.layers, short.config.hidden) < (long.config.layers, long.config.hidden)
    assert short.config.steps >= 150
    assert not any("hardly trained" in line for line in long.choices)


def test_short_time_budget_reports_few_steps(monkeypatch):
    replace(monkeypatch, timing, "measure_speed", lambda *_, **__: timing.Speed(1.0, 1e-7, 1e-7))
    made = autotune.plan(Config(), 2_000_000, 1000, 65, TimeBudget(20.0))
    assert any("hardly trained" in line for line in made.choices)
    few = autotune.plan(Config(steps=20), 2_000_000, 1000, 65, TimeBudget(None))
    assert not any("hardly trained" in line for line in few.choices)  # that was asked for


def test_few_requested_steps_get_a_small_model_and_little_validation():
    config = autotune.plan(Config(steps=40), 2_000_000, 200_000, 8000, TimeBudget(None)).config
    assert config.hidden <= 128
    assert config.eval_size * 10 < 200_000
    assert run_length.final_size(config, 200_000, 40_000) < 200_000
    long = autotune.plan(Config(steps=40_000), 2_000_000, 200_000, 65, TimeBudget(None)).config
    assert (long.layers, long.hidden, long.eval_size) == (2, 320, 200_000)
    assert run_length.final_size(long, 200_000, 65) == 200_000


def test_dropout_and_weight_decay_follow_a_changed_plan(corpus, tmp_path, monkeypatch):
    """A machine that becomes faster makes more epochs, which memorise without dropout and are decayed too much."""
    replace(monkeypatch, StepPlanner, "due", lambda self: True)
    replace(monkeypatch, StepPlanner, "plan_steps", lambda self, step, steps, eval_every: 60)
    used, last_used = [], {}
    set_weight_decay = Optimizer.set_weight_decay
    replace(monkeypatch, Optimizer, "set_weight_decay", lambda self, decay: (
        set_weight_decay(self, decay), used.append(float(self._decay.max()))))  # fmt: skip
    small = Config(cell="lstm-norm", hidden=96, batch=32, seq=64, lr=0.5, threads=1, for_="30s")
    found = {}
    given = {
        "chosen": {}, "units": {"dropout": 0.0}, "weights": {"weight_dropout": 0.4}, "decay": {"weight_decay": 0.1}
    }  # fmt: skip
    for name, config in ((name, small.replace(**rates)) for name, rates in given.items()):
        train(corpus, config, tmp_path / name)
        found[name] = load(tmp_path / name / "last.safetensors").config
        last_used[name] = used[-1]
    train_text, _ = split_corpus(corpus, small.valid)
    assert {config.steps for config in found.values()} == {60}
    units, weights = hyperparameters.default_dropout(found["chosen"], len(train_text))
    decay = hyperparameters.default_weight_decay(found["chosen"], len(train_text))
    assert 0 < decay < 0.3
    assert units > 0
    assert weights > 0
    rates = {name: (config.dropout, config.weight_dropout, config.weight_decay) for name, config in found.items()}
    assert rates == {
        "chosen": (units, weights, decay), "units": (0.0, 0.0, decay), "weights": (units, 0.4, decay),
        "decay": (units, weights, 0.1),
    }  # fmt: skip
    (pace,) = log_of(tmp_path / "chosen", "pace")
    assert (pace["dropout"], pace["weight_dropout"], pace["weight_decay"]) == (units, weights, decay)
    assert last_used == pytest.approx({name: config.weight_decay for name, config in found.items()})
