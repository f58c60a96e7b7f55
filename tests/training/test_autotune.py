"""Automatic choice of model size and length, without a time limit unless stated."""

from typing import Any

import numpy as np
import pytest
from fakes import replace

from fastrnn.config import Config
from fastrnn.data.text.bptt import windows_per_epoch
from fastrnn.data.text.ngrams import NGrams, find_ngrams
from fastrnn.training import autotune, autotune_tasks, run_length, timing
from fastrnn.training.model_size import choose_size, multiply_adds
from fastrnn.training.time_budget import TimeBudget


def count_epochs(config: Config, tokens: int) -> float:
    """Epochs of a planned run; a few tokens of a text, which fill no window, are not read in each."""
    return config.steps / windows_per_epoch(tokens, config.batch, config.seq, config.streams)


@pytest.mark.parametrize(
    ("settings", "tokens", "size", "passes"),
    [
        ({}, 100_000, (1, 512), 12),
        ({}, 460_000, (2, 320), 7.3),
        ({}, 1_000_000, (2, 448), 7.7),
        ({}, 3_000_000, (2, 640), 9.4),
        ({}, 10_000_000, (2, 640), 12),
        ({"layers": 1}, 460_000, (1, 512), 7.9),
        ({"layers": 1}, 10_000_000, (1, 1024), 12),
    ],
)
def test_long_time_budget_does_not_overfit_the_text(settings, tokens, size, passes, monkeypatch):
    replace(monkeypatch, timing, "measure_speed", lambda *_, **__: timing.Speed(1e-3, 1e-4))
    made = autotune.plan(Config(**settings), tokens, tokens // 9, 65, TimeBudget(36_000.0))
    config = made.config
    assert (config.layers, config.hidden) == size
    assert count_epochs(config, tokens) == pytest.approx(passes, abs=0.1)
    assert made.most_steps == config.steps


@pytest.mark.parametrize(
    ("settings", "steps", "layers"),
    [
        ({}, 300, 1),
        ({}, 10_000, 2),
        ({"layers": 1}, 10_000, 1),
        ({"hidden": 512}, 10_000, 1),
        ({"cell": "lstm"}, 10_000, 1),  # learns as much with one
        ({"layers": 64}, 10_000, 64),  # more weights than a text should have, whatever the width
    ],
)
def test_large_models_have_two_layers_where_the_size_is_automatic(settings, steps, layers):
    made = autotune.plan(Config(steps=steps, **settings), 10_000_000, 1000, 65, TimeBudget(None))
    assert made.config.layers == layers


@pytest.mark.parametrize(
    ("settings", "seconds", "tokens", "size"),
    [
        ({}, 2, 11_000_000, (1, 64)),
        ({}, 8, 11_000_000, (1, 96)),
        ({}, 55, 11_000_000, (1, 128)),
        ({}, 170, 11_000_000, (1, 192)),
        ({}, 170, 2_500_000, (1, 256)),  # a smaller one would read the text more than 2.6 times
        ({}, 170, 1_000_000, (2, 192)),  # all would, so that n-grams are worth less
        ({"ngrams": 0}, 170, 11_000_000, (2, 192)),
        ({"cell": "lstm"}, 170, 11_000_000, (1, 320)),
        ({"layers": 2}, 170, 11_000_000, (2, 128)),
        ({}, 1800, 11_000_000, (2, 256)),
    ],
)
def test_models_with_ngrams_are_smaller_while_the_text_is_new(settings, seconds, tokens, size, monkeypatch):
    def measure(config: Config, vocab: int, *_: Any, ngrams: NGrams | None = None, **__: Any) -> timing.Speed:
        work = multiply_adds(config, vocab) + (80_000 if ngrams else 0)
        return timing.Speed(work * config.batch * config.seq / 1.2e10, 1e-6)

    replace(monkeypatch, timing, "measure_speed", measure)
    config = Config(batch=32, seq=64, cell="lstm-norm").replace(**settings)
    ngrams = NGrams(90, [0]) if config.ngrams is None and config.cell == "lstm-norm" else None
    chosen = choose_size(config, tokens, 90, TimeBudget(seconds), smaller_batch=False, ngrams=ngrams)
    assert (chosen.layers, chosen.hidden) == size


@pytest.mark.parametrize(("budget", "most"), [(10.0, 0.2), (3600.0, 0.6)])
def test_timing_of_steps_takes_little_of_the_time(budget, most, monkeypatch):
    timed: list[float] = []

    def measure(config: Config, vocab: int, most: float, *_: Any) -> timing.Speed:
        timed.append(most)
        return timing.Speed(1e-3, 1e-4)

    replace(monkeypatch, timing, "measure_speed", measure)
    autotune.plan(Config(hidden=8), 100_000, 1000, 65, TimeBudget(budget))
    assert timed == [pytest.approx(most, rel=0.1)]


def test_requested_epochs_are_kept(monkeypatch):
    replace(monkeypatch, timing, "measure_speed", lambda *_, **__: timing.Speed(1e-3, 1e-4))
    config = autotune.plan(Config(epochs=40, hidden=512), 1_000_000, 1000, 65, TimeBudget(None)).config
    assert count_epochs(config, 1_000_000) == pytest.approx(40, abs=0.1)


@pytest.mark.parametrize(("layers", "passes"), [(1, 12), (2, 10.2), (3, 7.9)])
def test_overfitting_limit_counts_all_layers(layers, passes, monkeypatch):
    replace(monkeypatch, timing, "measure_speed", lambda *_, **__: timing.Speed(1e-3, 1e-4))
    config = autotune.plan(Config(hidden=300, layers=layers), 780_000, 1000, 65, TimeBudget(36_000.0)).config
    assert count_epochs(config, 780_000) == pytest.approx(passes, abs=0.1)


@pytest.mark.parametrize(
    ("settings", "tokens", "seq"),
    [({}, 18, 17), ({"batch": 4}, 101, 25), ({}, 65, 64), ({}, 10_000, 64), ({"seq": 90}, 18, 90)],
)
def test_default_window_shrinks_for_a_tiny_text(settings, tokens, seq, monkeypatch):
    monkeypatch.setattr(timing, "measure_speed", lambda *_, **__: timing.Speed(1e-3, 1e-4))
    made = autotune.plan(Config(steps=3, hidden=8, **settings), tokens, 0, 65, TimeBudget(None))
    assert made.config.seq == seq
    assert any(line.startswith(f"seq {seq}:") for line in made.choices) == (seq not in (64, 90))


@pytest.mark.parametrize(
    ("settings", "rate"),
    [
        ({"hidden": 256, "epochs": 2}, 0.016),
        ({"hidden": 256, "epochs": 0.5}, 0.023),
        ({"hidden": 256, "epochs": 0.1}, 0.032),
        ({"hidden": 1024, "epochs": 2}, 0.008),
        ({"hidden": 64, "epochs": 2}, 0.023),
        ({"hidden": 256, "layers": 4, "epochs": 2}, 0.011),
        ({"hidden": 256, "cell": "lstm", "epochs": 0.1}, 0.024),
        ({"hidden": 256, "cell": "gru"}, 0.01),
        ({"hidden": 256, "cell": "rnn"}, 0.006),
        ({"hidden": 256, "optimizer": "sgd"}, 1.0),
        ({"hidden": 256, "lr": 0.5}, 0.5),
    ],
)
def test_learning_rate_follows_cell_size_depth_and_epochs(settings, rate):
    config = autotune.plan(Config(**{"epochs": 1, **settings}), 100_000, 1000, 65, TimeBudget(None)).config
    assert config.lr == pytest.approx(rate)


@pytest.mark.parametrize(
    ("settings", "tokens", "batch", "streams"),
    [
        ({}, 3_000_000, 32, 512),
        ({}, 1_000_000, 32, 480),  # 32 windows of each, at least
        ({}, 100_000, 16, 48),
        ({}, 20_000, 16, 16),
        ({"batch": 50, "seq": 20}, 3_000_000, 50, 800),
        ({"batch": 8, "streams": 8}, 3_000_000, 8, 8),
        ({"streams": 90}, 3_000_000, 30, 90),
        ({"streams": 7}, 3_000_000, 7, 7),
        ({"streams": 127}, 3_000_000, 1, 127),
    ],
)
def test_text_has_more_streams_than_a_step_reads(settings, tokens, batch, streams):
    made = autotune.plan(Config(steps=10, hidden=16, **settings), tokens, 1000, 65, TimeBudget(None))
    assert (made.config.batch, made.config.streams) == (batch, streams)
    is_reported = any(line.startswith(f"streams {streams}: read {batch} at a time") for line in made.choices)
    assert is_reported == (streams > batch and "streams" not in settings)


@pytest.mark.parametrize(
    ("settings", "slow_units", "reset_every"),
    [
        ({}, 0.1, 32),
        ({"cell": "lstm"}, 0.0, 0),
        ({"cell": "rnn"}, 0.0, 0),
        ({"cell": "gru", "slow_units": 0.2}, 0.2, 32),
        ({"slow_units": 0}, 0.0, 0),
        ({"reset_every": 0}, 0.1, 0),
        ({"cell": "lstm", "reset_every": 1}, 0.0, 1),
    ],
)
def test_states_are_reset_where_units_forget_slowly(settings, slow_units, reset_every):
    made = autotune.plan(Config(steps=10, hidden=16, **settings), 100_000, 1000, 65, TimeBudget(None))
    assert (made.config.slow_units, made.config.reset_every) == (slow_units, reset_every)
    reported = {name for name in ("slow_units", "reset_every") if any(line.startswith(name) for line in made.choices)}
    chosen = {"slow_units": slow_units, "reset_every": reset_every}
    assert reported == {name for name, value in chosen.items() if value and name not in settings}


@pytest.mark.parametrize(
    ("settings", "vocab_lr", "beta1", "out_bias"),
    [
        ({}, 4.0, 0.7, "unigram"),
        ({"cell": "gru", "steps": 4000}, 2.0, 0.7, "unigram"),
        ({"steps": 20_000}, 1.0, 0.7, "unigram"),
        ({"optimizer": "momentum"}, 1.0, 0.9, "unigram"),
        ({"lr": 0.01}, 1.0, 0.9, "zero"),  # as other programs understand it
        ({"vocab_lr": 1.5, "beta1": 0.95, "out_bias": "zero"}, 1.5, 0.95, "zero"),
        ({"lr": 0.01, "beta1": 0.95, "out_bias": "unigram"}, 1.0, 0.95, "unigram"),
    ],
)
def test_language_models_get_what_they_learn_fast_with(settings, vocab_lr, beta1, out_bias):
    config = Config(**{"steps": 10, "hidden": 16, **settings})
    planned = autotune.plan(config, 100_000, 1000, 65, TimeBudget(None)).config
    assert (planned.vocab_lr, planned.beta1, planned.out_bias) == (vocab_lr, beta1, out_bias)


@pytest.mark.parametrize(
    ("cell", "hidden", "epochs", "units", "weights"),
    [
        ("lstm", 512, 1, 0.0, 0.0),
        ("lstm", 512, 4, 0.24, 0.09),
        ("lstm", 512, 40, 0.5, 0.25),
        ("lstm", 128, 4, 0.06, 0.0),
        ("lstm", 256, 4, 0.12, 0.02),
        ("gru", 512, 40, 0.5, 0.25),
        ("rnn", 512, 40, 0.32, 0.0),
    ],
)
def test_dropout_rises_with_epochs_and_weights_per_token(cell, hidden, epochs, units, weights):
    config = Config(cell=cell, epochs=epochs, hidden=hidden)
    planned = autotune.plan(config, 1024 * 1024, 1000, 65, TimeBudget(None)).config
    assert planned.dropout == pytest.approx(units, abs=0.01)
    assert planned.weight_dropout == pytest.approx(weights, abs=0.01)


@pytest.mark.parametrize(
    ("hidden", "epochs", "units", "weights"), [(192, 8.2, 0.08, 0.02), (448, 5.5, 0.15, 0.06), (448, 12, 0.21, 0.1)]
)
def test_dropout_of_two_layers(hidden, epochs, units, weights):
    config = Config(epochs=epochs, layers=2, hidden=hidden)
    planned = autotune.plan(config, 1_000_000, 1000, 65, TimeBudget(None)).config
    assert planned.dropout == pytest.approx(units, abs=0.01)
    assert planned.weight_dropout == pytest.approx(weights, abs=0.01)


@pytest.mark.parametrize(
    ("settings", "decay"),
    [
        ({"cell": "lstm"}, 0.02),
        ({"cell": "lstm-norm"}, 0.3),  # its most: a run of 10 steps
        ({"cell": "gru"}, 0.0),
        ({"optimizer": "sgd"}, 0.0),
        ({"weight_decay": 0.1}, 0.1),
    ],
)
def test_weight_decay_is_that_of_the_cell(settings, decay):
    planned = autotune.plan(Config(steps=10, hidden=16, **settings), 100_000, 1000, 65, TimeBudget(None)).config
    assert planned.weight_decay == decay


@pytest.mark.parametrize(
    ("cell", "hidden", "epochs", "averages"),
    [
        ("lstm-norm", 512, 1, 0.3),
        ("lstm-norm", 512, 2, 1.8),
        ("lstm-norm", 128, 2, 0.45),
        ("lstm-norm", 512, 12, 4.5),
    ],
)
def test_weight_decay_of_a_normed_cell_rises_with_what_is_memorised(cell, hidden, epochs, averages):
    config = Config(cell=cell, epochs=epochs, hidden=hidden)
    planned = autotune.plan(config, 1024 * 1024, 1000, 65, TimeBudget(None)).config
    assert planned.weight_decay * planned.lr * planned.steps == pytest.approx(averages, rel=0.05)


@pytest.mark.parametrize(
    ("tokens", "steps", "hidden", "size"),
    [
        (1_000_000, 1_200, 256, (1, 256)),
        (1_000_000, 3_000, 384, (2, 192)),
        (1_000_000, 6_000, 512, (2, 320)),
        (100_000, 600, 128, (1, 128)),
        (100_000, 1_200, 256, (1, 256)),  # a smaller one would overfit
        (10_000_000, 6_000, 512, (2, 320)),
    ],
)
def test_size_follows_the_positions_that_each_weight_sees(tokens, steps, hidden, size):
    wide, chosen = (
        autotune.plan(Config(steps=steps, layers=layers), tokens, 1000, 65, TimeBudget(None)).config
        for layers in (1, None)
    )
    assert wide.hidden == hidden
    assert (chosen.layers, chosen.hidden) == size


@pytest.mark.parametrize(
    ("settings", "slow_units"),
    [({}, 0.0), ({"cell": "lstm-norm"}, 0.1), ({"cell": "lstm-norm", "slow_units": 0.5}, 0.5), ({"cell": "rnn"}, 0.0)],
)
def test_other_tasks_have_slow_units_where_the_cell_has(settings, slow_units):
    made, _ = autotune_tasks.complete_model(Config(task="classify", **settings), 100)
    assert made.slow_units == slow_units


@pytest.mark.parametrize(
    ("settings", "tokens", "ngrams"),
    [
        ({"steps": 4_880}, 10_000_000, 8_000),
        ({}, 1_000_000, 1_588),  # 2,500 weights for each step
        ({}, 100_000, 0),  # ten epochs
        ({"steps": 2_000}, 1_000_000, 593),  # 4.1 epochs
        ({"hidden": 128, "steps": 360}, 10_000_000, 1_757),  # a short run
        ({"ngrams": 300}, 100_000, 300),
        ({"ngrams": 0}, 1_000_000, 0),
        ({"tokens": "words"}, 1_000_000, 0),
        ({"cell": "lstm"}, 1_000_000, 0),
        ({"cell": "lstm", "ngrams": 300}, 1_000_000, 300),
    ],
    ids=str,
)
def test_ngrams_follow_the_text_and_the_run(settings, tokens, ngrams):
    config = Config(**{"hidden": 192, "steps": 488, "batch": 32, "streams": 32} | settings)
    asked = []

    def find(most):
        asked.append(most)
        return find_ngrams(np.random.default_rng(1).integers(0, 30, 40_000), 30, most)

    made = autotune.plan(config, tokens, 10_000, 30, TimeBudget(None), find)
    assert asked == [ngrams]
    assert made.config.ngrams == len(made.ngrams) == ngrams


def test_a_timed_run_is_planned_with_its_number_of_ngrams(monkeypatch):
    """Its evaluations are as rare as those of the trained model, and their checkpoints take as long to write."""
    config = Config(hidden=192, layers=1, batch=32, streams=512, eval_size=1000)
    of_others = 200_000

    def measure(config: Config, *_: Any) -> timing.Speed:
        typical = 2_000 * 4 * 192  # weights of the n-grams of a timed model
        return timing.Speed(0.05, 1e-6, 1e-6, of_others + typical)

    def find(most: int) -> NGrams:
        return find_ngrams(np.random.default_rng(1).integers(0, 30, 200_000), 30, most)

    replace(monkeypatch, timing, "measure_speed", measure)
    made = autotune.plan(config, 10_000_000, 10_000, 65, TimeBudget(100.0), find)
    config = made.config
    evaluations = -(-config.steps // config.eval_every)
    saving = (of_others + 4 * 192 * config.ngrams) * 16 / 2e8
    assert config.ngrams > 4_000
    assert evaluations < 10
    seconds = config.steps * 0.05 + evaluations * (saving + 1e-3)
    assert seconds == pytest.approx(100 * 0.97, rel=0.01)


def test_forced_epochs_do_not_advise_to_force_them():
    made = autotune.plan(Config(epochs=40, hidden=512), 1_000_000, 1000, 65, TimeBudget(None))
    assert any(line.startswith("steps ") for line in made.choices)
    assert not any("--epochs" in line for line in made.choices)


def test_models_with_many_ngrams_are_saved_less_often():
    """Writing their checkpoints takes long compared with training."""
    config = Config(hidden=128, layers=1, steps=360, batch=32, ngrams=0)
    assert run_length.default_eval_every(config, 10_000) == 36
    assert run_length.default_eval_every(config.replace(ngrams=1_757), 10_000) == 119
    assert run_length.default_eval_every(config.replace(ngrams=1_757, steps=36_000), 10_000) == 900
    assert run_length.default_eval_every(config.replace(steps=36_000), 10_000) == 900
