"""Changes that `resume` allows: the length of a run, and settings that do not affect the model."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..checkpoint.checkpoint import Checkpoint
from ..config import Config, check_names, convert_fields
from ..data.text.files import is_missing
from ..errors import ConfigError, InputError, quote
from ..os_compat import quote_argument
from .tasks import TrainingTask
from .time_budget import StepDefaults, TimeBudget

# Settings that weights and vocabulary fix, for `train --init-from` too.
FIXED = ("task", "cell", "layers", "hidden", "bidirectional", "tokens", "precision")


def check_changes(changes: Any) -> dict[str, Any]:
    """Convert changes to the types of the settings. Raises `ConfigError` for unknown names and impossible values."""
    if changes is None:
        return {}
    if not isinstance(changes, Mapping):
        raise ConfigError(f"changes must be a dict of settings, not {quote(changes)}")
    check_names(changes)
    return convert_fields(changes)


def check_data_is_here(inputs: Sequence[str], run: Path) -> None:
    """Raise `InputError` if data of a run is missing, for example since its name is relative to another folder."""
    for name in filter(is_missing, inputs):
        raise InputError(
            f"{quote(name)}: this run's data is not here (looked for in {quote(os.getcwd())}); go to the folder "
            f"where it was started, or name the data: fastrnn train DATA --resume {quote_argument(str(run))}"
        )


def check_files_are_here(config: Config) -> None:
    """Raise `InputError` if another file that the configuration names is missing."""
    for field in ("valid_file", "labels"):
        name = getattr(config, field)
        if name is not None and is_missing(name):
            raise InputError(
                f"{quote(name)}: this run's {field} is not here (looked for in {quote(os.getcwd())}); go to the "
                "folder where it was started"
            )


def apply_changes(saved: Checkpoint, changes: dict[str, Any]) -> tuple[Config, dict[str, Any]]:
    """Return the saved configuration with the changes, and separately the new length of the run.

    Raises `ConfigError` for changes that are not allowed.
    """
    allowed = {"steps", "epochs", "for_", "threads", "eval_every", "save_every", "patience", "device"}
    for name in changes:
        if name not in allowed and changes[name] != getattr(saved.config, name):
            raise ConfigError(f"{name} cannot be changed with --resume; {_suggest_alternative(name)}")
    length = {name: changes[name] for name in ("steps", "epochs", "for_") if changes.get(name) is not None}
    if len(length) > 1:
        raise ConfigError("give one of --steps, --epochs and --for")
    saved.config.replace(**{"steps": None, **length})  # for its checks: raises as for a new run
    _check_not_done(saved, length)
    kept = {name: value for name, value in changes.items() if name in allowed and name not in ("steps", *length)}
    return saved.config.replace(**kept), length


def _suggest_alternative(name: str) -> str:
    """Suggest another way: existing weights can be trained with another rate, but not with another size."""
    kept = (*FIXED, "columns", "missing", "horizon", "min_count")
    return "train a new run without --resume" if name in kept else "start a new run with --init-from"


def extend(saved: Checkpoint, config: Config, length: dict[str, Any], task: TrainingTask, budget: TimeBudget) -> Config:
    """Return the configuration with the new length; ``eval_every`` follows it, unless the user set it.

    ``budget``: the time, if the length is a time. Raises `ConfigError` for fewer steps than are done.
    """
    if not length:
        return config
    ((name, value),) = length.items()
    done = int(saved.progress["step"])
    if name == "steps":
        new = int(value)
    elif name == "epochs":
        new = task.steps_of_epochs(config, float(value))
    else:
        new = done + task.steps_within(config, budget.left)
    _check_not_done(saved, {"steps": new}, f"{name} {value}")
    return StepDefaults(task.default_eval_every).with_steps(config, new, done)


def _check_not_done(saved: Checkpoint, length: dict[str, Any], given: str | None = None) -> None:
    """Raise `ConfigError` for fewer steps than are done. ``given``: the length as the user gave it."""
    done = int(saved.progress["step"])
    new = int(length.get("steps", max(done, 1)))
    if new < max(done, 1):
        raise ConfigError(f"{given or f'steps {new}'} is less than the {done} steps that are done; give more")
