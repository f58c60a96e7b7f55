"""What a user leaves open for a labelled task is chosen here, from the number of records, the budget and the speed."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..cells import CELLS
from ..config import Config
from ..distributed.communicator import SINGLE_PROCESS, Communicator
from .autotune import TimeBudget, hardly_trained, too_few, usual_warmup
from .optimizers import Optimizer

HIDDEN = 128
BATCH = 32
_LEAST_STEPS = 600  # of a run whose length is chosen, however little data there is


@dataclasses.dataclass(frozen=True)
class Usual:
    """``dropout``; ``steps`` after which more hardly helped in trials, and in how many ``epochs`` at most."""

    dropout: float
    steps: int
    epochs: float


# From trials with the lectures' examples and public data (see the README): what learns a rule wants many steps and no
# dropout; what learns words from a few thousand sentences knows them by heart after a few epochs.
_USUAL = {
    "tag": Usual(0.4, 2000, 30),
    "classify": Usual(0.4, 6000, 25),
    "generate": Usual(0.1, 12000, 20),
    "translate": Usual(0.1, 15000, 60),
    "forecast": Usual(0.1, 3000, 60),
    "regress": Usual(0.0, 6000, 200),
}
_WORDS = Usual(0.6, 6000, 4)  # classify texts by their words
_VALIDATIONS = 60  # the most in a run
_PATIENCE = 15  # validations without improvement
_SHARE = 0.95  # of the time that is left, for steps and validations
_SAVING = 0.05  # seconds to write the checkpoints of a validation
_VALIDATION = 0.02  # of the time that is left, for the validations while training
_FINAL = 0.015  # the same for the validation of all records at the end
_LEAST_RECORDS = 200  # that every validation has, if there are so many
_VALIDATED = 5000  # records, the most of a validation while training
_DECODED = 300  # the same where answers have to be written out (translate)
_FINALLY = 10  # times as many, at the most, are validated at the end
_RATES = {"adamw": 2e-3, "rmsprop": 1e-3, "adagrad": 1e-2, "momentum": 0.1, "sgd": 0.5}


def complete_model(config: Config, records: int) -> tuple[Config, list[str]]:
    """Sizes, rate and dropout filled in, for so many training records; and in words what was chosen."""
    chosen: dict[str, Any] = {"batch": min(BATCH, records), "precision": "float32", "hidden": HIDDEN}
    chosen["dropout"] = usual(config).dropout
    chosen = {name: value for name, value in chosen.items() if getattr(config, name) is None}
    words = [f"{name} {value}" for name, value in chosen.items() if name in ("hidden", "batch", "dropout")]
    config = config.replace(**chosen, for_=None)
    if config.lr is None:
        config = config.replace(lr=_learning_rate(config))
        words.append(f"lr {config.lr:g}")
    return config, [", ".join(words)] if words else []


def usual(config: Config) -> Usual:
    """What suits a task's data."""
    return _WORDS if config.task == "classify" and config.tokens == "words" else _USUAL[config.task]


class Costs(NamedTuple):
    """Seconds of a training step, and of the validation of a record."""

    step: float
    record: float


def complete_length(
    config: Config, per_epoch: int, records: int, clock: TimeBudget, measure: Callable[[], Costs]
) -> tuple[Config, list[str]]:
    """Steps, warm-up, validations and patience filled in. ``records``: those to validate on."""
    words = []
    if config.steps is None and config.epochs is not None:
        config = config.replace(steps=steps_of_epochs(per_epoch, config.epochs), epochs=None)
    elif config.steps is None:
        most = usual(config)
        wanted = max(_LEAST_STEPS, min(most.steps, steps_of_epochs(per_epoch, most.epochs)))
        found = length_within(config, per_epoch, records, wanted, clock.left, measure)
        config = config.replace(steps=found.steps, eval_size=found.eval_size, eval_every=found.eval_every)
        why = ", what the time allows" if found.steps < wanted else "; more hardly help (--epochs forces them)"
        words.append(f"steps {found.steps}: {found.steps / per_epoch:.1f} epochs{why}")
        if found.steps < wanted and hardly_trained(found.steps):
            words.append(too_few(found.steps))
        if config.patience is None:
            config = config.replace(patience=_PATIENCE)
            words.append(f"patience {_PATIENCE} validations")
    assert config.steps is not None
    if config.warmup is None:
        config = config.replace(warmup=usual_warmup(config.steps))
    if config.eval_every is None:
        config = config.replace(eval_every=eval_every(config, per_epoch))
    if config.eval_size is None and records:
        config = config.replace(eval_size=usual_size(config, records))
    return config, words


def steps_of_epochs(per_epoch: int, epochs: float) -> int:
    """Steps in so many passes."""
    return max(1, math.ceil(epochs * per_epoch))


class Length(NamedTuple):
    """Steps of a run, records of a validation (None: there are none), and steps between validations."""

    steps: int
    eval_size: int | None
    eval_every: int


def length_within(
    config: Config,
    per_epoch: int,
    records: int,
    wanted: int,
    seconds_left: Callable[[], float],
    measure: Callable[[], Costs],
) -> Length:
    """At most ``wanted`` steps that fit, validations included, into the time that is left when a few were measured."""
    costs = measure()
    if math.isinf(left := seconds_left()):
        every = config.eval_every or eval_every(config.replace(steps=wanted), per_epoch)
        return Length(wanted, config.eval_size or (usual_size(config, records) if records else None), every)
    left = max(0.0, left)
    steps = max(1, min(wanted, int(left * _SHARE / costs.step)))
    size, every = _validations(config, per_epoch, records, steps, _VALIDATION * left, costs.record)
    most = left * _SHARE - min(left * _FINAL, records * costs.record)
    validation = (size or 0) * costs.record + _SAVING
    last = min(every, max(1, int((most - validation) / costs.step)))  # steps before the first validation
    steps = min(wanted, max(last, int(most / (costs.step + validation / every))))
    return Length(steps, size, every)


def _validations(
    config: Config, per_epoch: int, records: int, steps: int, seconds: float, record: float
) -> tuple[int | None, int]:
    """Records of a validation and steps between two, so that all together take so many seconds: fewer records first,
    then fewer validations."""
    every = config.eval_every or eval_every(config.replace(steps=steps), per_epoch)
    if not records:
        return None, every
    most = config.eval_size or usual_size(config, records)
    least = min(most, config.eval_size or _LEAST_RECORDS)
    size = max(least, min(most, int(seconds * every / steps / record)))
    if config.eval_every is None:
        count = max(1, int(seconds / (size * record)))
        every = max(every, math.ceil(steps / count))
    return size, every


def usual_size(config: Config, records: int) -> int:
    """Records of a validation while training, where the time does not matter."""
    return min(records, _DECODED if config.task == "translate" else _VALIDATED)


def final_size(config: Config, records: int) -> int:
    """Records of the validation at the end."""
    return min(records, _FINALLY * (_DECODED if config.task == "translate" else _VALIDATED))


def eval_every(config: Config, per_epoch: int) -> int:
    """After each pass, or after more where passes are short."""
    assert config.steps is not None
    return max(1, min(config.steps, max(per_epoch, math.ceil(config.steps / _VALIDATIONS))))


def median_seconds(
    model: Any, config: Config, windows: Any, group: Communicator = SINGLE_PROCESS, most: float = 0.6
) -> float:
    """A training step of this model on the run's first windows, after one that compiles. Changes its parameters.

    In a group all measure together, and the slowest counts.
    """
    optimizer = Optimizer(model, config)
    lo, hi = windows.part
    state, keep = model.initial_state(hi - lo), 1 - (config.dropout or 0.0)
    model.parameters.flat[...] = np.random.default_rng(0).uniform(-0.05, 0.05, model.parameters.flat.size)
    times: list[float] = []
    end = math.inf
    while len(times) < 4 or (len(times) < 30 and group.all_reduce_max(time.monotonic() < end)[0]):
        start = time.perf_counter()
        window = windows.window(len(times))
        nats = model.train_step_gradients(window, state, keep, 0)
        group.all_reduce_gradients(model.gradients.flat, nats, window)
        optimizer.step(1e-9, optimizer.gradient_norm())
        times.append(time.perf_counter() - start)
        if len(times) == 1:
            end = time.monotonic() + most
    return group.all_reduce_max(float(np.median(times[1:])))[0]


def _learning_rate(config: Config) -> float:
    assert config.hidden is not None
    base = _RATES[config.optimizer] * CELLS[config.cell].learning_rate_factor
    return base * min(1.0, math.sqrt(HIDDEN / config.hidden)) / math.sqrt(config.layers)
