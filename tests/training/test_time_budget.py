"""A time budget is kept when the machine's speed changes."""

import itertools

import pytest

from fastrnn.config import Config
from fastrnn.training import time_budget
from fastrnn.training.run_length import default_eval_every
from fastrnn.training.time_budget import StepDefaults, StepPlanner, TimeBudget, default_warmup


class FakeClock:
    def __init__(self, seconds: float | None) -> None:
        self.seconds, self.now = seconds, 0.0

    def seconds_left_here(self) -> float:
        assert self.seconds is not None
        return self.seconds - self.now

    def monotonic(self) -> float:
        return self.now


def followed(monkeypatch, seconds_a_step, budget=100.0, steps=98, most=150, evaluation=0.0):
    """The planned number of steps after each step, and when the run ended."""
    clock = FakeClock(budget)
    monkeypatch.setattr(time_budget, "time", clock)
    pace, plans = StepPlanner(clock, most, final=False), []
    pace.start()
    for step, seconds in enumerate(seconds_a_step, 1):
        if step > steps:
            break
        clock.now += seconds
        pace.record_step()
        if step % 10 == 0 or step == steps:
            clock.now += evaluation
            pace.record_evaluation()
        if pace.due():
            steps = pace.plan_steps(step, steps, 10)
        plans.append(steps)
    return plans, clock.now


def test_plan_is_unchanged_at_the_planned_speed(monkeypatch):
    plans, end = followed(monkeypatch, itertools.repeat(1.0), budget=99.0)
    assert set(plans) == {98}
    assert end == pytest.approx(98)


@pytest.mark.parametrize("slower", [1.3, 2.0, 5.0])
@pytest.mark.parametrize("since", [0, 30, 80])
def test_slower_machine_does_fewer_steps_in_time(monkeypatch, slower, since):
    plans, end = followed(monkeypatch, itertools.chain([1.0] * since, itertools.repeat(slower)))
    assert plans[-1] < 98
    assert 94 < end < 101


def test_half_of_a_budget_is_kept_for_training(monkeypatch):
    clock = FakeClock(20.0)
    monkeypatch.setattr(time_budget, "time", clock)
    for spent, left in ((3.0, 17.0), (10.0, 10.0), (62.0, 10.0)):
        clock.now = 0.0
        budget = TimeBudget(20.0)
        clock.now = spent
        assert budget.ensure_half() == spent
        assert budget.left() == left
    assert TimeBudget(None).ensure_half() == 0


def test_evaluation_that_was_not_completed_is_not_counted(monkeypatch):
    """After a roll-back nothing was evaluated; its short time says nothing about the next evaluation."""
    clock = FakeClock(100.0)
    monkeypatch.setattr(time_budget, "time", clock)
    plans = []
    for completed in ((True,), (True, False)):
        clock.now = 0.0
        pace = StepPlanner(clock, 1000, final=False)
        pace.start()
        for _ in range(10):
            clock.now += 1.0
            pace.record_step()
        for done in completed:
            clock.now += 5.0 if done else 0.0
            pace.record_evaluation(done)
        plans.append(pace.plan_steps(10, 500, 10))
    assert plans[0] == plans[1]


def test_slow_evaluations_reduce_the_steps(monkeypatch):
    _, end = followed(monkeypatch, itertools.repeat(1.0), evaluation=5.0)
    assert 92 < end < 101


def test_varying_speed_ends_in_time(monkeypatch):
    for length in (1, 3, 10):
        seconds = itertools.cycle([0.7] * length + [1.6] * length)
        _, end = followed(monkeypatch, seconds, steps=100, most=1000)
        assert 94 < end < 102


def test_faster_machine_does_more_steps_up_to_the_limit(monkeypatch):
    plans, _ = followed(monkeypatch, itertools.repeat(0.5))
    assert plans[-1] == 150
    plans, _ = followed(monkeypatch, itertools.repeat(0.5), most=0)
    assert set(plans) == {98}


def test_exhausted_budget_ends_the_run(monkeypatch):
    plans, _ = followed(monkeypatch, itertools.chain([0.1] * 5, [200.0], itertools.repeat(1.0)))
    assert plans[-1] == 6


def test_time_reserved_for_the_end_is_not_used_for_steps(monkeypatch):
    clock = FakeClock(100.0)
    monkeypatch.setattr(time_budget, "time", clock)
    plans = []
    for final in (False, True):
        pace, clock.now = StepPlanner(clock, 1000, final=final), 0.0
        pace.start()
        for _ in range(5):
            clock.now += 1.0
            pace.record_step()
        plans.append(pace.plan_steps(5, 500, 100))
    assert plans[1] == plans[0] - 2


def test_time_reserved_by_the_caller_is_used_neither_for_steps_nor_for_the_final_evaluation(monkeypatch):
    clock = FakeClock(100.0)
    monkeypatch.setattr(time_budget, "time", clock)
    plans, finals = [], []
    for seconds in (0.0, 3.0):
        pace, clock.now = StepPlanner(clock, 1000), 0.0
        pace.start()
        for _ in range(5):
            clock.now += 1.0
            pace.record_step()
        pace.reserve(seconds)
        plans.append(pace.plan_steps(5, 500, 100))
        clock.now = 95.5
        finals.append(pace.final_seconds())
    assert plans[1] == plans[0] - 3
    assert finals == [4.5, 1.5]


def test_plan_is_unchanged_without_a_budget(monkeypatch):
    clock = FakeClock(None)
    monkeypatch.setattr(time_budget, "time", clock)
    pace = StepPlanner(clock, 1000)
    pace.record_step()
    assert not pace.due()
    assert pace.plan_steps(10, 100, 10) == 100


def test_warm_up_and_evaluations_follow_the_plan():
    every = lambda config: default_eval_every(config, 1000)  # noqa: E731
    config = Config(steps=627, batch=4, seq=8, warmup=default_warmup(627), eval_size=100)
    config = config.replace(eval_every=every(config))
    shorter = StepDefaults(every).with_steps(config, 120, 30)
    assert (config.warmup, shorter.steps, shorter.warmup) == (62, 120, 12)
    assert (config.eval_every, shorter.eval_every) == (63, 12)


def test_explicit_or_finished_settings_do_not_follow_the_plan():
    every = lambda config: default_eval_every(config, 1000)  # noqa: E731
    by_hand = Config(steps=627, batch=4, seq=8, warmup=50, eval_size=100, eval_every=7)
    assert StepDefaults(every).with_steps(by_hand, 120, 30) == by_hand.replace(steps=120)
    over = by_hand.replace(warmup=default_warmup(627))
    assert StepDefaults(every).with_steps(over, 120, 62).warmup == 62
    assert StepDefaults(every, warmup=False).with_steps(over, 120, 30).warmup == 62  # given, and the default by chance
