"""Guarantee: NaN never reaches a file.

    python tests/faults/inject_nan.py               # 23 places, two tasks, once, often and always; about two minutes

NaN or infinity is put into a running training: a weight, its gradient, a moment, a carried state, a loss, the learning
rate. Training must recover and end with 0, or give up with 4 and one line. After every save and at the end,
all numbers in both checkpoints and in their progress must be finite.
"""

import argparse
import dataclasses
import json
import math
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from children import ended, fastrnn, forked, label_run, litter, states, text_run, warm

from fastrnn.checkpoint import atomic, run_dir
from fastrnn.checkpoint.checkpoint import from_bytes
from fastrnn.training.loop import Loop
from fastrnn.training.optimizers import Optimizer
from fastrnn.training.trainer import Trainer

STEPS = 30
NAN, INF = math.nan, math.inf
Damage = Callable[[Any], None]


def _weight(index: int, value: float) -> Damage:
    return lambda trainer: _put(trainer.model.parameters.flat, index, value)


def _moment(name: str, index: int, value: float) -> Damage:
    return lambda trainer: _put(trainer.optimizer.moments[name], index, value)


def _gradient(index: int, value: float) -> Damage:
    return lambda trainer: _put(trainer.model.gradients.flat, index, value)


def _carried(name: str, value: float) -> Damage:
    return lambda trainer: [state[name].fill(value) for state in trainer.states if name in state]


def _put(array: Any, index: int, value: float) -> None:
    array[index] = value


# Where -> what puts it there, and when: before a step, between its gradient and its update, after it, or in a result.
PLACES: dict[str, tuple[str, Any]] = {
    "first weight": ("before", _weight(0, NAN)),
    "a weight, infinite": ("before", _weight(7, INF)),
    "last weight": ("before", _weight(-1, NAN)),
    "all weights": ("before", lambda trainer: trainer.model.parameters.flat.fill(NAN)),
    "first weight after the step": ("after", _weight(0, NAN)),
    "middle weight after the step": ("after", _weight(500, -INF)),
    "last weight after the step": ("after", _weight(-1, NAN)),
    "first gradient": ("between", _gradient(0, NAN)),
    "a gradient, infinite": ("between", _gradient(99, INF)),
    "last gradient": ("between", _gradient(-1, NAN)),
    "mean of gradients": ("after", _moment("m", 3, NAN)),
    "mean of squares": ("after", _moment("v", 3, INF)),
    "mean of squares below 0": ("after", _moment("v", 5, -1.0)),
    "last mean of gradients": ("before", _moment("m", -1, -INF)),
    "carried h": ("before", _carried("h", NAN)),
    "carried c": ("before", _carried("c", INF)),
    "carried c after the step": ("after", _carried("c", NAN)),
    "loss": ("loss", NAN),
    "loss, infinite": ("loss", INF),
    "norm": ("norm", NAN),
    "rate": ("rate", NAN),
    "validation loss": ("evaluation", NAN),
    "validation loss, infinite": ("evaluation", INF),
}


def infect(when: str, damage: Any, times: int, first: int) -> None:
    """In a child: from this step on, so many times."""
    left = [times]
    step, norm, rate, run = Trainer.step, Optimizer.gradient_norm, Trainer.learning_rate, Loop.run

    def due(steps: int) -> bool:
        left[0] -= steps >= first
        return steps >= first and left[0] >= 0

    def stepped(trainer: Trainer) -> tuple[float, float]:
        now = when in ("before", "between", "loss", "after") and due(trainer.progress.step)
        if now and when == "before":
            damage(trainer)
        learn = trainer.model.train_step_gradients

        def learnt(*arguments: Any) -> float:
            nats = learn(*arguments)
            if when == "between":
                damage(trainer)
            return damage if when == "loss" else nats

        if now:
            trainer.model.train_step_gradients = learnt
        found = step(trainer)
        trainer.model.train_step_gradients = learn
        if now and when == "after":
            damage(trainer)
        return found

    def normed(optimizer: Optimizer) -> float:
        return damage if when == "norm" and due(optimizer.updates) else norm(optimizer)

    def rated(trainer: Trainer) -> float:
        return damage if when == "rate" and due(trainer.progress.step) else rate(trainer)

    def running(loop: Loop, *arguments: Any) -> Any:
        evaluator = loop.evaluator
        assert evaluator is not None

        def evaluated(watch: Callable[[float], bool]) -> Any:
            found = evaluator.during(watch)
            bad = found is not None and when == "evaluation" and due(loop.trainer.progress.step)
            return type(found)(found.chars, damage, found.metrics) if found is not None and bad else found

        loop.evaluator = dataclasses.replace(evaluator, during=evaluated)
        return run(loop, *arguments)

    Trainer.step, Optimizer.gradient_norm = stepped, normed  # type: ignore[method-assign]
    Trainer.learning_rate, Loop.run = rated, running  # type: ignore[method-assign]


def watch_files() -> None:
    """In a child: every checkpoint is looked at when it is written; exit status 77 if there is anything bad in it."""

    def write(path: Path, data: bytes) -> None:
        found = from_bytes(data)  # refuses NaN
        text = json.dumps(found.progress)
        assert "NaN" not in text, text
        assert "Infinity" not in text, text
        assert all(np.isfinite(array).all() for array in found.parameters.values())
        atomic.write_atomic(path, data)

    run_dir.write_atomic = write  # type: ignore[assignment]


def injected(amounts: tuple[int, ...] = (1, 2, 7, 10**6), places: Any = PLACES) -> str:
    """Every place, so many times each, for a language model and a classifier."""
    counts = Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm(folder)
        for make in (text_run, label_run):
            for place, (when, damage) in places.items():
                for times in amounts:
                    for first, every in ((9, 1), (9, 1000), (STEPS - 1, 1000)):
                        counts[_one(folder, make, when, damage, times, first, every, place)] += 1
    return f"{len(places)} places, {sum(counts.values())} runs: {dict(counts)}; 0 files with NaN or infinity"


def _one(folder: Path, make: Any, when: str, damage: Any, times: int, first: int, save_every: int, place: str) -> str:
    out, errors = folder / f"{make.__name__}-{place}-{times}-{first}-{save_every}", folder / "errors"
    errors.unlink(missing_ok=True)

    def call() -> int:
        infect(when, damage, times, first)
        watch_files()
        return fastrnn(
            "train", *make(folder, STEPS), "--threads", 1, "--save-every", save_every, "--out", out, "--quiet"
        )

    status, said = ended(forked(call, errors)), errors.read_text()
    assert status in (0, 4), (place, times, status, said[-2000:])
    if status == 4:
        assert said.startswith("fastrnn: training diverged"), said
        assert len(said.splitlines()) == 1, said
    last, _ = states(out)
    assert last is not None
    assert status == 4 or last.progress["step"] == STEPS
    assert not litter(out)
    assert status == 0 or times > 1, (place, "gave up at once", said)
    return "recovered" if status == 0 else "gave up with 4"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--often", type=int, nargs="+", default=[1, 2, 7, 10**6], help="how many times, one run each")
    print(injected(tuple(parser.parse_args().often)))
