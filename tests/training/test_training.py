"""Whole runs on a small text: they learn, stop on request, and resume bit-for-bit."""

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import plain_kernels
import pytest
from fakes import replace

import fastrnn
from fastrnn.cells import RECURRENT_CELLS
from fastrnn.checkpoint.checkpoint import load
from fastrnn.config import OPTIMIZERS, SCHEDULES, Config
from fastrnn.data.text.bptt import TBPTTStreams
from fastrnn.data.text.corpus import Corpus, corpus_from_text
from fastrnn.diagnostics import untrained_network
from fastrnn.errors import CheckpointError, ConfigError, DivergedError, OutputError
from fastrnn.nn.network import Network
from fastrnn.training import api, autotune, timing
from fastrnn.training.api import resume, train
from fastrnn.training.callbacks import Callback, EvaluateEnd, Result, StepEnd, TrainStart
from fastrnn.training.loop import Loop
from fastrnn.training.tasks import language_model
from fastrnn.training.time_budget import StepPlanner
from fastrnn.training.trainer import Trainer

TEXT = "the cat sat on the mat. the dog ate the cat that sat. " * 60
SMALL = Config(hidden=16, batch=4, seq=12, steps=30, lr=0.01, dropout=0.0, threads=1, eval_every=7, valid=0.1)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return corpus_from_text(TEXT)


class StopAt(Callback):
    """Sends a signal to this process when a step is done, as a user would."""

    def __init__(self, at: int, number: int = signal.SIGINT) -> None:
        self.at, self.number = at, number

    def on_step(self, step: StepEnd) -> None:
        if step.step == self.at:
            signal.raise_signal(self.number)


def parameters(run: Path, name: str = "last") -> dict[str, np.ndarray]:
    return load(run / f"{name}.safetensors").parameters


def assert_same_bits(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_output_bias_is_the_frequency_of_tokens(tmp_path):
    """The letter that the training part lacks counts as seen once, all others once more than they were."""
    corpus = corpus_from_text("a" * 299 + "b" * 699 + "c" * 100)
    for bias in ("unigram", "zero"):
        settings = SMALL.replace(steps=1, lr=1e-9, valid=100 / 1098, out_bias=bias, init="orthogonal")
        train(corpus, settings, tmp_path / bias)
    given, zero = (parameters(tmp_path / bias) for bias in ("unigram", "zero"))
    odds = np.exp(given.pop("out.bias").astype(float))
    np.testing.assert_allclose(odds / odds.sum(), np.array([300, 700, 1]) / 1001, rtol=1e-5)
    np.testing.assert_allclose(zero.pop("out.bias"), 0, atol=1e-8)
    for name, array in zero.items():
        np.testing.assert_allclose(given[name], array, atol=1e-7, err_msg=name)


@pytest.mark.parametrize(("cell", "share", "slow"), [("lstm-norm", None, 1), ("lstm-norm", 0.25, 4), ("lstm", None, 0)])
def test_slow_units_of_a_new_run_and_of_an_untrained_network(corpus, tmp_path, cell, share, slow):
    config = SMALL.replace(cell=cell, slow_units=share, steps=1, lr=1e-9)
    train(corpus, config, tmp_path / "run")
    expected = np.ones(16)
    expected[:slow] = np.log(np.geomspace(4, 128, slow))
    name = "rnn.bias_l0" if cell == "lstm-norm" else "rnn.bias_ih_l0"
    for made in (parameters(tmp_path / "run"), untrained_network(config).parameters):
        np.testing.assert_allclose(made[name].reshape(4, 16)[1], expected, atol=1e-6)


def test_training_learns_and_leaves_a_run_folder(corpus, tmp_path):
    result = train(corpus, SMALL.replace(steps=200, eval_every=50), tmp_path / "run")
    assert result.stopped == "done"
    assert result.steps == 200
    assert result.chars == 200 * 4 * 12
    assert result.valid_nats is not None
    assert result.valid_nats < 1.0 < np.log(corpus.tokenizer.size)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"config.toml", "log.jsonl", "best.safetensors", "last.safetensors"}
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "evaluation"] == [50, 100, 150, 200]
    assert lines[-1]["event"] == "end"


@pytest.mark.parametrize(("stop", "streams"), [(1, 4), (6, 4), (7, 4), (8, 4), (20, 4), (29, 4), (1, 12), (20, 12)])
def test_stopped_run_resumes_to_the_same_bits(corpus, tmp_path, stop, streams):
    config = SMALL.replace(dropout=0.3, weight_dropout=0.2, streams=streams, reset_every=2)
    train(corpus, config, tmp_path / "whole")
    stopped = train(corpus, config, tmp_path / "parts", callback=StopAt(stop))
    assert (stopped.stopped, stopped.steps, stopped.signal) == ("signal", stop, signal.SIGINT)
    finished = resume(tmp_path / "parts", inputs=corpus)
    assert (finished.stopped, finished.steps) == ("done", 30)
    for name in ("last", "best"):
        assert_same_bits(parameters(tmp_path / "parts", name), parameters(tmp_path / "whole", name))
    whole, parts = (load(tmp_path / run / "last.safetensors") for run in ("whole", "parts"))
    assert_same_bits(whole.optimizer, parts.optimizer)
    assert_same_bits(whole.state, parts.state)
    assert {**whole.progress, "seconds": 0} == {**parts.progress, "seconds": 0}


def test_streams_carry_their_own_states(corpus, tmp_path):
    """Two groups of two streams, trained with almost no learning rate: the state of four streams read at once."""
    config = SMALL.replace(lr=1e-9, seq=6, batch=2, steps=10, init="orthogonal", dropout=0.0)
    train(corpus, config.replace(streams=4), tmp_path / "in turn")
    train(corpus, config.replace(streams=4, batch=4, steps=5), tmp_path / "at once")
    turn, once = (load(tmp_path / run / "last.safetensors").state for run in ("in turn", "at once"))
    for name in once:
        np.testing.assert_allclose(turn[name], once[name], atol=1e-5, err_msg=name)


def test_state_does_not_carry_where_it_is_reset_every_window(corpus, tmp_path):
    """With almost no learning rate, the last state is that of the last window alone."""
    config = SMALL.replace(lr=1e-9, streams=8, reset_every=1, init="orthogonal", dropout=0.0, valid=0.0)
    train(corpus, config, tmp_path / "run")
    trained = load(tmp_path / "run" / "last.safetensors")
    windows = TBPTTStreams(corpus, 4, 12, config.seed, streams=8)
    network = Network.from_config(trained.config, trained.tokenizer.size)
    network.parameters.assign(trained.parameters)
    for group, index in enumerate((28, 29)):
        window, state = windows.window(index), network.initial_state(4)
        network.loss(window.x, window.y, None, state)
        for name in state:
            np.testing.assert_allclose(trained.state[name][:, group::2], state[name], atol=1e-4, err_msg=name)


def test_any_number_of_threads_gives_the_same_bits(corpus, tmp_path):
    for threads in (1, 2, 3):
        train(
            corpus, SMALL.replace(threads=threads, layers=2, dropout=0.2, weight_dropout=0.2), tmp_path / str(threads)
        )
    for threads in (2, 3):
        assert_same_bits(parameters(tmp_path / "1"), parameters(tmp_path / str(threads)))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_learns(corpus, tmp_path, optimizer):
    config = SMALL.replace(optimizer=optimizer, lr=None, steps=60, eval_every=60)
    result = train(corpus, config, tmp_path / "run")
    assert result.valid_nats < result.unigram_nats - 0.25  # it starts there: `out_bias` is unigram


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_resumes_exactly(corpus, tmp_path, schedule):
    config = SMALL.replace(schedule=schedule, warmup=5, eval_every=2)
    train(corpus, config, tmp_path / "whole")
    train(corpus, config, tmp_path / "parts", callback=StopAt(13))
    resume(tmp_path / "parts", inputs=corpus)
    assert_same_bits(parameters(tmp_path / "whole"), parameters(tmp_path / "parts"))


@pytest.mark.parametrize("cell", RECURRENT_CELLS)
def test_every_cell_learns(corpus, tmp_path, cell):
    result = train(corpus, SMALL.replace(cell=cell, lr=None, steps=60, eval_every=60), tmp_path / "run")
    assert result.valid_nats < result.unigram_nats - 0.25


def test_resume_extends_a_run(corpus, tmp_path):
    train(corpus, SMALL, tmp_path / "run")
    result = resume(tmp_path / "run", {"steps": 40}, inputs=corpus)
    assert result.steps == 40
    assert load(tmp_path / "run" / "last.safetensors").config.steps == 40


def test_resume_with_the_same_epochs_has_the_same_steps(corpus, tmp_path):
    """Else a run that was stopped, and is resumed with the same --epochs, would not end with the same bits."""
    for epochs in (0.3, 1):
        run = tmp_path / str(epochs)
        done = train(corpus, SMALL.replace(steps=None, epochs=epochs), run)
        assert resume(run, {"epochs": epochs}, inputs=corpus).steps == done.steps


def test_resume_with_a_time_counts_from_the_resume(corpus, tmp_path, monkeypatch):
    """Less than it had is no error: the time counts from now on."""
    done = train(corpus, SMALL, tmp_path / "run")
    replace(monkeypatch, timing, "measure_speed", lambda *_, **__: timing.Speed(1e-3, 1e-6, 1e-6))
    path = tmp_path / "run" / "last.safetensors"
    replace(monkeypatch, Loop, "_seconds", lambda loop: 3600.0)
    resume(tmp_path / "run", {"steps": 31}, inputs=corpus)
    assert load(path).progress["seconds"] == 3600.0
    resumed = resume(tmp_path / "run", {"for_": "1s"}, inputs=corpus)
    assert resumed.steps > done.steps + 10
    assert load(path).config.steps == resumed.steps


class Starts(Callback):
    """Keeps what a run tells when it starts, and its messages."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)

    def on_train_start(self, start: TrainStart) -> None:
        self.said += start.choices


def test_resume_with_a_short_time_reports_fewer_steps(corpus, tmp_path, monkeypatch):
    replace(monkeypatch, timing, "measure_speed", lambda *_, **__: timing.Speed(1e-3, 1e-6, 1e-6))
    train(corpus, SMALL.replace(steps=10**6), tmp_path / "run", callback=StopAt(20))
    starts = Starts()
    resume(tmp_path / "run", {"for_": "1s"}, inputs=corpus, callback=starts)
    assert any(line.startswith("for 1s: about ") for line in starts.said)
    assert "fewer than the 1,000,000 planned before; resume without --for to complete those" in starts.said


def test_extended_run_validates_like_a_new_run_of_its_length(corpus, tmp_path):
    for name, chosen in (("auto", None), ("by_hand", 7)):
        run = tmp_path / name
        train(corpus, SMALL.replace(eval_every=chosen), run)
        resume(run, {"steps": 300}, inputs=corpus)
        whole = train(corpus, SMALL.replace(eval_every=chosen, steps=300), tmp_path / "new" / name)
        expected = load(Path(whole.run) / "last.safetensors").config
        assert load(run / "last.safetensors").config.eval_every == expected.eval_every


def test_first_state_is_saved_before_the_first_step(corpus, tmp_path, monkeypatch):
    def killed(self: Trainer) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        replace(patch, Trainer, "step", killed)
        with pytest.raises(KeyboardInterrupt):
            train(corpus, SMALL, tmp_path / "run")
    resume(tmp_path / "run", inputs=corpus)
    train(corpus, SMALL, tmp_path / "whole")
    assert_same_bits(parameters(tmp_path / "run"), parameters(tmp_path / "whole"))


def test_resume_refuses_another_text_and_other_sizes(corpus, tmp_path):
    train(corpus, SMALL, tmp_path / "run")
    with pytest.raises(ConfigError, match="differs from the one this run was trained on"):
        resume(tmp_path / "run", inputs=corpus_from_text(TEXT + "more"))
    for changes, advice in (({"hidden": 32}, "train a new run without --resume"), ({"lr": 0.5}, "with --init-from")):
        with pytest.raises(ConfigError, match=f"{next(iter(changes))} cannot be changed with --resume; .*{advice}$"):
            resume(tmp_path / "run", changes, inputs=corpus)
    with pytest.raises(ConfigError, match="less than the 30 steps"):
        resume(tmp_path / "run", {"steps": 10}, inputs=corpus)


class Listen(Callback):
    """Keeps the messages."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


def test_init_from_keeps_weights_vocabulary_and_sizes(corpus, tmp_path):
    train(corpus, SMALL, tmp_path / "old")
    other = tmp_path / "other.txt"
    other.write_text("the cat & the dog sat. " * 50)
    listen = Listen()
    config = Config(steps=1, lr=1e-9, batch=2, seq=8, dropout=0.0, threads=1)
    train([str(other)], config, tmp_path / "new", init_from=tmp_path / "old", callback=listen)
    old, new = load(tmp_path / "old" / "best.safetensors"), load(tmp_path / "new" / "last.safetensors")
    assert new.tokenizer == old.tokenizer
    assert any("&" in message for message in listen.messages)
    for name, array in old.parameters.items():
        np.testing.assert_allclose(new.parameters[name], array, atol=1e-7)


def test_init_from_reports_the_share_of_unknown_words(tmp_path):
    for name, text in (("old", TEXT), ("new", TEXT.replace("dog", "cow"))):
        (tmp_path / name).write_text(text)
    listen, words = Listen(), SMALL.replace(tokens="words", steps=1, seq=4)
    train([str(tmp_path / "old")], words, tmp_path / "a", callback=listen)
    assert not any("unknown" in message for message in listen.messages)
    train([str(tmp_path / "new")], words, tmp_path / "b", init_from=tmp_path / "a", callback=listen)
    assert any("60 of " in message and "<UNK>" in message for message in listen.messages)


def test_unknown_characters_of_a_validation_file_are_reported(corpus, tmp_path):
    (tmp_path / "valid.txt").write_text("the cat § sat. §")
    listen = Listen()
    train(corpus, SMALL.replace(steps=1, valid_file=str(tmp_path / "valid.txt")), tmp_path / "run", callback=listen)
    assert any("valid.txt" in message and "'§' (2 times)" in message for message in listen.messages)


def test_best_checkpoint_holds_the_model_only(corpus, tmp_path):
    train(corpus, SMALL, tmp_path / "run")
    best, last = (load(tmp_path / "run" / f"{name}.safetensors") for name in ("best", "last"))
    assert (best.optimizer, best.state, best.resumable) == ({}, {}, False)
    assert last.resumable
    assert best.parameters.keys() == last.parameters.keys()
    assert fastrnn.load(tmp_path / "run").sample(5, seed=1)

    # A copy of the best model in place of the last checkpoint is refused, with the alternative.
    (tmp_path / "run" / "last.safetensors").write_bytes((tmp_path / "run" / "best.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="holds a model only; start a new run with --init-from"):
        resume(tmp_path / "run", {"steps": 100})


def test_patience_ends_a_run_that_no_longer_improves(corpus, tmp_path):
    config = SMALL.replace(steps=500, eval_every=1, patience=3, lr=1e-9)
    result = train(corpus, config, tmp_path / "run")
    assert result.stopped == "patience"
    assert result.steps < 500


class Poison(Callback):
    """Puts a NaN into the weights that the trainer holds, after chosen steps."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.messages, self.rates = list[str](), list[float]()

    def message(self, text: str) -> None:
        self.messages.append(text)

    def on_step(self, step: StepEnd) -> None:
        self.rates.append(step.chars_per_s)

    def attach(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from fastrnn.nn.network import Network

        real = Network.train_step_gradients

        def poisoned(network: Network, *args: object, **kwargs: object) -> float:
            nats = real(network, *args, **kwargs)
            if self.times > 0:
                self.times -= 1
                network.gradients.flat[3] = np.nan
            return nats

        replace(monkeypatch, Network, "train_step_gradients", poisoned)


@pytest.mark.parametrize(("times", "scale", "returns"), [(2, 1.0, 0), (3, 0.5, 1), (6, 0.25, 2)])
def test_nan_steps_are_skipped_then_rolled_back_with_half_the_rate(
    corpus, tmp_path, monkeypatch, times, scale, returns
):
    poison = Poison(times)
    poison.attach(monkeypatch)
    result = train(corpus, SMALL, tmp_path / "run", callback=poison)
    progress = load(tmp_path / "run" / "last.safetensors").progress
    assert result.stopped == "done"
    assert (progress["lr_scale"], progress["returns"]) == (scale, returns)
    assert all(np.isfinite(array).all() for array in parameters(tmp_path / "run").values())

    # Every rollback is reported, and the steps it undoes do not make the speed negative.
    assert len([text for text in poison.messages if text.endswith("learning rate halved")]) == returns
    assert len([text for text in poison.messages if text.endswith("not finite; skipped")]) == times - returns
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["rollbacks"] for line in lines if line["event"] == "rollback"] == list(range(1, returns + 1))
    assert min(poison.rates) >= 0
    assert result.chars_per_s > 0


def test_repeated_nan_raises_diverged_error(corpus, tmp_path, monkeypatch):
    Poison(10**6).attach(monkeypatch)
    with pytest.raises(DivergedError, match="smaller --lr") as caught:
        train(corpus, SMALL, tmp_path / "run")
    assert caught.value.exit_status == 4
    assert [path.name for path in (tmp_path / "run").glob("*.safetensors")] == ["last.safetensors"]
    assert load(tmp_path / "run" / "last.safetensors").progress["step"] == 0  # finite, or it would not load
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert (lines[-1]["event"], lines[-1]["stopped"]) == ("end", "diverged")


class Break(Callback):
    """Puts a NaN into a weight after a step, where no loss or gradient tells of it before the next save."""

    def __init__(self, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
        real = Trainer.step
        self.left, self.messages = 1, list[str]()

        def step(trainer: Trainer) -> tuple[float, float]:
            found = real(trainer)
            if trainer.progress.step == at and self.left:
                self.left -= 1
                trainer.model.parameters.flat[-1] = np.nan
            return found

        replace(monkeypatch, Trainer, "step", step)

    def message(self, text: str) -> None:
        self.messages.append(text)


@pytest.mark.parametrize("at", [1, 7, 10, 30])
@pytest.mark.parametrize("save_every", [1, None])
def test_nan_weights_are_never_saved(corpus, tmp_path, monkeypatch, at, save_every):
    broken = Break(at, monkeypatch)
    result = train(corpus, SMALL.replace(save_every=save_every), tmp_path / "run", callback=broken)
    assert (result.stopped, result.steps) == ("done", 30)
    if save_every or at % 7 == 0 or at == 30:
        assert any("the weights became NaN" in message for message in broken.messages)
    progress = load(tmp_path / "run" / "last.safetensors").progress
    assert (progress["step"], progress["returns"], progress["lr_scale"]) == (30, 1, 0.5)
    assert np.isfinite(result.valid_nats)


def test_signal_after_the_last_step_is_reported(corpus, tmp_path):
    class Late(Callback):
        def on_train_end(self, result: Result) -> None:
            signal.raise_signal(signal.SIGTERM)

    result = train(corpus, SMALL, tmp_path / "run", callback=Late())
    assert (result.stopped, result.steps, result.signal) == ("done", 30, signal.SIGTERM)


@plain_kernels.compiled_only
@pytest.mark.parametrize("samples", [False, True])
def test_nothing_is_compiled_after_the_first_step(corpus, tmp_path, samples):
    """Compiling takes seconds, in which a signal must be able to end the process: nothing is lost before step one."""
    from numba.core import event

    class Watch(Callback):
        def __init__(self) -> None:
            self.samples, self.recorder = samples, event.RecordingListener()

        def on_step(self, step: StepEnd) -> None:
            if step.step == 1:
                event.register("numba:compile", self.recorder)

    watch = Watch()
    try:
        train(
            corpus,
            SMALL.replace(hidden=17, layers=2, precision="float64", cell="gru"),
            tmp_path / "run",
            callback=watch,
        )
    finally:
        event.unregister("numba:compile", watch.recorder)
    assert [each.data["dispatcher"].py_func.__name__ for _, each in watch.recorder.buffer] == []


def test_time_budget_fixes_the_number_of_steps(corpus, tmp_path):
    config = Config(hidden=16, batch=4, seq=12, threads=1, for_="2s")
    result = train(corpus, config, tmp_path / "run")
    kept = load(tmp_path / "run" / "last.safetensors").config
    assert kept.for_ is None
    assert kept.steps == result.steps > 1


def test_settings_left_open_follow_the_steps_and_given_ones_stay(corpus, tmp_path, monkeypatch):
    started: list[TrainStart] = []

    class Watch(Callback):
        def on_train_start(self, start: TrainStart) -> None:
            started.append(start)

    replace(monkeypatch, StepPlanner, "due", lambda self: True)
    replace(monkeypatch, StepPlanner, "plan_steps", lambda self, step, steps, eval_every: 40)
    config = SMALL.replace(steps=None, for_="60s", eval_every=None, dropout=None)
    names = ("eval_every", "warmup", "dropout")

    train(corpus, config, tmp_path / "open", callback=Watch())
    kept = load(tmp_path / "open" / "last.safetensors").config
    planned = {name: getattr(started[0].config, name) for name in names}
    assert kept.steps == 40 < started[0].config.steps
    assert all(getattr(kept, name) < planned[name] for name in names)

    # given, and the defaults of the plan by chance
    train(corpus, config.replace(**planned), tmp_path / "given", callback=Watch())
    kept = load(tmp_path / "given" / "last.safetensors").config
    assert kept.steps == 40 < started[1].config.steps
    assert planned == {name: getattr(kept, name) for name in names}


def test_what_follows_the_last_step_is_part_of_a_time_budget(corpus, tmp_path, monkeypatch):
    calls: list[str] = []
    reserved: list[float] = []

    def record(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def recorded(*args: Any, **more: Any) -> Any:
            calls.append(name)
            return original(*args, **more)

        replace(monkeypatch, owner, name, recorded)

    class Complete(Callback):
        samples = compares = True

    record(language_model, "lzma_nats")
    record(autotune, "plan")
    monkeypatch.setattr(api, "_SHORTEST_COMPARED", 1.0)
    replace(monkeypatch, StepPlanner, "reserve", lambda self, seconds: reserved.append(seconds))
    timed = train(corpus, SMALL.replace(steps=None, for_="2s"), tmp_path / "timed", callback=Complete())
    assert calls == ["lzma_nats", "plan"]  # planned with the time that is left, and computed once
    assert timed.xz_nats is not None
    assert all(seconds > 0 for seconds in reserved)
    assert reserved
    calls.clear()
    more = resume(tmp_path / "timed", {"for_": "1s"}, corpus, callback=Complete())
    assert calls == ["lzma_nats"]
    assert more.xz_nats == timed.xz_nats
    calls.clear()
    train(corpus, SMALL.replace(steps=2), tmp_path / "steps", callback=Complete())
    assert calls == ["plan", "lzma_nats"]
    calls.clear()
    monkeypatch.setattr(api, "_SHORTEST_COMPARED", 1.5)
    short = train(corpus, SMALL.replace(steps=None, for_="1s"), tmp_path / "short", callback=Complete())
    assert calls == ["plan"]
    assert short.xz_nats is None


def test_run_folder_that_holds_a_run_is_refused(corpus, tmp_path):
    train(corpus, SMALL.replace(steps=1), tmp_path / "run")
    with pytest.raises(OutputError, match="--resume"):
        train(corpus, SMALL, tmp_path / "run")


def test_callback_receives_every_event(corpus, tmp_path):
    events: list[object] = []

    class All(Callback):
        samples = True

        def on_step(self, step: StepEnd) -> None:
            events.append(step)

        def on_evaluate(self, evaluated: EvaluateEnd) -> None:
            events.append(evaluated)

        def on_train_end(self, result: Result) -> None:
            events.append(result)

    train(corpus, SMALL, tmp_path / "run", callback=All())
    steps = [event.step for event in events if isinstance(event, StepEnd)]
    samples = [event.sample for event in events if isinstance(event, EvaluateEnd)]
    assert steps == list(range(1, 31))
    assert len(samples) == 5
    assert all(samples)
    assert isinstance(events[-1], Result)


@pytest.mark.parametrize("method", ["on_step", "on_evaluate"])
def test_callback_stops_the_run(corpus, tmp_path, method):
    """The step of the first evaluation, 6, is the one at which either method asks to stop."""
    seen: list[int] = []

    def stop(self: Callback, event: StepEnd | EvaluateEnd) -> bool:
        seen.append(event.step)
        return event.step >= 6

    callback = type("Stop", (Callback,), {method: stop})()
    config = SMALL.replace(eval_every=6)
    result = train(corpus, config, tmp_path / "run", callback=callback)
    assert (result.stopped, result.steps, result.signal) == ("callback", 6, None)
    assert seen[-1] == 6

    # The stopped run resumes bit-for-bit.
    resumed = resume(tmp_path / "run", inputs=corpus)
    train(corpus, config, tmp_path / "whole")
    assert resumed.stopped == "done"
    stopped_then_resumed = load(tmp_path / "run" / "last.safetensors").parameters
    whole = load(tmp_path / "whole" / "last.safetensors").parameters
    assert all(np.array_equal(stopped_then_resumed[name], whole[name]) for name in whole)
