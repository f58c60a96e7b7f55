"""Automatic choice of settings of a supervised task, from the number of examples, the budget and the speed."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ..cells import CELLS
from ..config import Config
from ..task_specs import TASK_SPECS, TrainingDefaults
from .hyperparameters import USUAL, scale_rate
from .run_length import has_few_steps, too_few
from .time_budget import FINAL_SHARE, TimeBudget, default_warmup

HIDDEN = 128
BATCH = 32
_LEAST_STEPS = 600  # of a run whose length is chosen here, even with little data
_VALIDATIONS = 60  # the most in a run
_PATIENCE = 15  # validations without improvement
_PLANNED_SHARE = 0.95  # of the time left, for steps and validations
_SAVING = 0.05  # seconds to write the checkpoints of a validation
_VALIDATION_SHARE = 0.02  # of the time left, for the validations during training
_LEAST_EXAMPLES = 200  # every validation has at least this many examples, if there are so many
_VALIDATED = 5000  # most examples of a validation during training
_DECODED = 300  # the same where predictions are decoded token by token
_FINALLY = 10  # the validation at the end has at most this many times more
_RATES = {"adamw": 2e-3, "rmsprop": 1e-3, "adagrad": 1e-2, "momentum": 0.1, "sgd": 0.5}


def complete_model(config: Config, examples: int) -> tuple[Config, list[str]]:
    """Choose sizes, learning rate and dropout for ``examples`` training examples; also returns lines on the choices."""
    chosen: dict[str, Any] = {"batch": min(BATCH, examples), "precision": "float32", "hidden": HIDDEN}
    chosen |= {"dropout": defaults(config).dropout, "weight_dropout": 0.0, "weight_decay": 0.0}
    chosen |= USUAL | {"slow_units": CELLS[config.cell].slow_units}
    chosen = {name: value for name, value in chosen.items() if getattr(config, name) is None}
    words = [f"{name} {value}" for name, value in chosen.items() if name in ("hidden", "batch", "dropout")]
    config = config.replace(**chosen, for_=None)
    if config.lr is None:
        config = config.replace(lr=scale_rate(_RATES[config.optimizer], config, HIDDEN))
        words.append(f"lr {config.lr:g}")
    return config, [", ".join(words)] if words else []


def defaults(config: Config) -> TrainingDefaults:
    """Return the defaults of a task."""
    spec = TASK_SPECS[config.task]
    found = spec.word_defaults if config.tokens == "words" and spec.word_defaults else spec.defaults
    assert found is not None
    return found


class Costs(NamedTuple):
    """Seconds of a training step, and of evaluating one example."""

    step: float
    example: float


def complete_length(
    config: Config, per_epoch: int, examples: int, budget: TimeBudget, measure: Callable[[], Costs]
) -> tuple[Config, list[str]]:
    """Choose steps, warm-up, validations and patience; also returns lines on the choices.

    ``examples``: number of validation examples.
    """
    words = []
    if config.steps is None and config.epochs is not None:
        config = config.replace(steps=steps_of_epochs(per_epoch, config.epochs), epochs=None)
    elif config.steps is None:
        most = defaults(config)
        wanted = max(_LEAST_STEPS, min(most.steps, steps_of_epochs(per_epoch, most.epochs)))
        found = length_within(config, per_epoch, examples, wanted, budget.left, measure)
        config = config.replace(steps=found.steps, eval_size=found.eval_size, eval_every=found.eval_every)
        why = ", what the time allows" if found.steps < wanted else "; more hardly help (--epochs forces them)"
        words.append(f"steps {found.steps}: {found.steps / per_epoch:.1f} epochs{why}")
        if found.steps < wanted and has_few_steps(found.steps):
            words.append(too_few(found.steps))
        if config.patience is None:
            config = config.replace(patience=_PATIENCE)
            words.append(f"patience {_PATIENCE} validations")
    assert config.steps is not None
    if config.warmup is None:
        config = config.replace(warmup=default_warmup(config.steps))
    if config.eval_every is None:
        config = config.replace(eval_every=default_eval_every(config, per_epoch))
    if config.eval_size is None and examples:
        config = config.replace(eval_size=default_size(config, examples))
    return config, words


def steps_of_epochs(per_epoch: int, epochs: float) -> int:
    """Return the number of steps of ``epochs`` passes."""
    return max(1, math.ceil(epochs * per_epoch))


class Length(NamedTuple):
    """Steps of a run, examples of a validation (None without validation data), and steps between validations."""

    steps: int
    eval_size: int | None
    eval_every: int


def length_within(
    config: Config,
    per_epoch: int,
    examples: int,
    wanted: int,
    seconds_left: Callable[[], float],
    measure: Callable[[], Costs],
) -> Length:
    """Measure the costs; return at most ``wanted`` steps that fit into the time left, validations included."""
    costs = measure()
    if math.isinf(left := seconds_left()):
        every = config.eval_every or default_eval_every(config.replace(steps=wanted), per_epoch)
        return Length(wanted, config.eval_size or (default_size(config, examples) if examples else None), every)
    left = max(0.0, left)
    # A first guess without validations; their number and size follow from it, and then the steps that are left.
    steps = max(1, min(wanted, int(left * _PLANNED_SHARE / costs.step)))
    size, every = _validations(config, per_epoch, examples, steps, _VALIDATION_SHARE * left, costs.example)
    most = left * _PLANNED_SHARE - min(left * FINAL_SHARE, examples * costs.example)
    validation = (size or 0) * costs.example + _SAVING
    last = min(every, max(1, int((most - validation) / costs.step)))  # steps before the first validation
    steps = min(wanted, max(last, int(most / (costs.step + validation / every))))
    return Length(steps, size, every)


def _validations(
    config: Config, per_epoch: int, examples: int, steps: int, seconds: float, seconds_per_example: float
) -> tuple[int | None, int]:
    """Return the examples of a validation and the steps between two, so that all take ``seconds`` together.

    Reduces the examples first, then the number of validations.
    """
    every = config.eval_every or default_eval_every(config.replace(steps=steps), per_epoch)
    if not examples:
        return None, every
    most = config.eval_size or default_size(config, examples)
    least = min(most, config.eval_size or _LEAST_EXAMPLES)
    size = max(least, min(most, int(seconds * every / steps / seconds_per_example)))
    if config.eval_every is None:
        count = max(1, int(seconds / (size * seconds_per_example)))
        every = max(every, math.ceil(steps / count))
    return size, every


def default_size(config: Config, examples: int) -> int:
    """Return the examples of a validation during training, without a time budget."""
    return min(examples, _validation_limit(config))


def final_size(config: Config, examples: int) -> int:
    """Return the examples of the validation at the end."""
    return min(examples, _FINALLY * _validation_limit(config))


def _validation_limit(config: Config) -> int:
    return _DECODED if TASK_SPECS[config.task].decodes_to_validate else _VALIDATED


def default_eval_every(config: Config, per_epoch: int) -> int:
    """Return the default steps between validations: an epoch, or more where epochs are short."""
    assert config.steps is not None
    return max(1, min(config.steps, max(per_epoch, math.ceil(config.steps / _VALIDATIONS))))
