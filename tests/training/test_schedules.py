"""Learning-rate schedules: their values at the corners, and between."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.config import SCHEDULES as NAMES
from fastrnn.errors import CheckpointError
from fastrnn.training.optimizers import SCHEDULES, Plateau

steps = st.integers(1, 1000)


def test_every_schedule_but_plateau_is_in_the_table() -> None:
    assert {*SCHEDULES, "plateau"} == set(NAMES)


@given(steps=steps, warmup=st.integers(0, 1200), final=st.floats(0, 1), name=st.sampled_from(sorted(SCHEDULES)))
def test_factors_rise_then_fall_within_0_and_1(steps: int, warmup: int, final: float, name: str) -> None:
    factors = [SCHEDULES[name](step, steps, warmup, final) for step in range(steps)]
    assert all(0 <= factor <= 1 for factor in factors)
    rise, fall = factors[:warmup], factors[warmup:]
    assert rise == [pytest.approx((step + 1) / warmup) for step in range(len(rise))]
    assert fall == sorted(fall, reverse=True)
    if len(fall) > 1:
        assert fall[0] == 1
        assert fall[-1] == pytest.approx(1 if name == "constant" else final)


def test_known_values() -> None:
    assert [SCHEDULES["linear"](step, 5, 0, 0.2) for step in range(5)] == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])
    quarter = 0.1 + 0.9 * 0.5 * (1 + math.sqrt(0.5))
    values = [SCHEDULES["cosine"](step, 7, 2, 0.1) for step in (0, 1, 2, 3, 4, 6)]
    assert values == pytest.approx([0.5, 1, 1, quarter, 0.55, 0.1])


@pytest.mark.parametrize("name", SCHEDULES)
def test_steps_after_the_last_keep_its_factor(name: str) -> None:
    schedule = SCHEDULES[name]
    assert schedule(50, 10, 2, 0.3) == schedule(9, 10, 2, 0.3)


def test_plateau_halves_after_patience_evaluations_without_improvement() -> None:
    plateau = Plateau(patience=2, final=0.2)
    losses = [3.0, 2.0, 2.0, 2.1, 1.9, float("nan"), 1.9, 5.0, 5.0, 5.0, 5.0]
    halved = [plateau.observe(loss) for loss in losses]
    assert halved == [False, False, False, True, False, False, True, False, True, False, False]
    assert (plateau.factor, plateau.best) == (0.2, 1.9)


@given(st.lists(st.floats(0, 10), max_size=20), st.integers(0, 20))
def test_plateau_resumes_its_state(losses: list[float], cut: int) -> None:
    whole, first = Plateau(2, 0.01), Plateau(2, 0.01)
    expected = [whole.observe(loss) for loss in losses]
    found = [first.observe(loss) for loss in losses[:cut]]
    second = Plateau.from_dict(json.loads(json.dumps(first.to_dict())))
    assert found + [second.observe(loss) for loss in losses[cut:]] == expected
    assert second == whole


@pytest.mark.parametrize(
    "changes",
    [
        *({"patience": 0}, {"patience": "1"}, {"patience": True}, {"waited": -1}, {"waited": 0.5}, {"factor": 2}),
        *({"factor": None}, {"best": "x"}, {"best": math.nan}, {"best": []}, {"final": -1}, {"extra": 1}),
    ],
)
def test_damaged_plateau_is_refused(changes) -> None:
    with pytest.raises(CheckpointError, match="plateau schedule"):
        Plateau.from_dict(Plateau(2, 0.1).to_dict() | changes)
