"""A time budget is kept when the machine's speed changes."""

import itertools

import pytest

from fastrnn.training import pace as pace_module
from fastrnn.training.pace import Pace


class FakeClock:
    def __init__(self, budget: float | None) -> None:
        self.budget, self.now = budget, 0.0

    def here(self) -> float:
        return self.budget - self.now

    def monotonic(self) -> float:
        return self.now


def followed(monkeypatch, seconds_a_step, budget=100.0, steps=100, most=150):
    """The planned number of steps after each ten, and when the run ended."""
    clock = FakeClock(budget)
    monkeypatch.setattr(pace_module, "time", clock)
    pace, plans, step = Pace(clock, most), [], 0
    for seconds in seconds_a_step:
        if step >= steps:
            break
        done = min(10, steps - step)
        clock.now += done * seconds
        step += done
        steps = pace.planned(step, steps)
        plans.append(steps)
    return plans, clock.now


def test_as_planned_nothing_changes(monkeypatch):
    plans, end = followed(monkeypatch, itertools.repeat(0.99))
    assert set(plans) == {100}
    assert end == pytest.approx(99)


def test_a_slower_machine_does_fewer_steps(monkeypatch):
    plans, end = followed(monkeypatch, itertools.chain([1.0] * 3, itertools.repeat(2.0)))
    assert plans[-1] < 70
    assert 90 < end < 104


def test_a_faster_machine_does_more_steps_up_to_the_most(monkeypatch):
    plans, _ = followed(monkeypatch, itertools.repeat(0.5))
    assert plans[-1] == 150
    plans, _ = followed(monkeypatch, itertools.repeat(0.5), most=0)
    assert set(plans) == {100}


def test_a_budget_that_is_over_ends_the_run(monkeypatch):
    plans, _ = followed(monkeypatch, itertools.chain([1.0] * 2, [20.0], itertools.repeat(1.0)))
    assert plans[-1] == 31


def test_without_a_budget_the_plan_stays(monkeypatch):
    clock = FakeClock(None)
    monkeypatch.setattr(pace_module, "time", clock)
    assert Pace(clock, 1000).planned(10, 100) == 100
