"""What may change when a run goes on: its length, and how it is watched."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..checkpoint.checkpoint import Checkpoint
from ..config import Config, check_names, convert_fields
from ..data.text.files import is_missing
from ..errors import ConfigError, InputError
from ..message import quoted
from . import autotune
from .tasks.base import Task

# What old weights and their vocabulary decide, for `train --init-from` too.
FIXED = ("task", "cell", "layers", "hidden", "bidirectional", "tokens", "precision")


def check_changes(changes: Any) -> dict[str, Any]:
    """Changes with the types that the settings have. Raises `ConfigError` for unknown names and impossible values."""
    if changes is None:
        return {}
    if not isinstance(changes, Mapping):
        raise ConfigError(f"changes must be a dict of settings, not {quoted(changes)}")
    check_names(changes)
    return convert_fields(changes)


def check_data_is_here(inputs: Sequence[str], run: Path) -> None:
    """Raises `InputError` when data of a run is no longer where the run found it: names may be relative."""
    for name in filter(is_missing, inputs):
        raise InputError(
            f"{quoted(name)}: this run's data is not here (looked for in {quoted(os.getcwd())}); go to the folder "
            f"where it was started, or name the data: fastrnn train DATA --resume {shlex.quote(str(run))}"
        )


def check_files_are_here(config: Config) -> None:
    """The same of the other files that a configuration names."""
    for field in ("valid_file", "labels"):
        name = getattr(config, field)
        if name is not None and is_missing(name):
            raise InputError(
                f"{quoted(name)}: this run's {field} is not here (looked for in {quoted(os.getcwd())}); go to the "
                "folder where it was started"
            )


def changed(saved: Checkpoint, changes: dict[str, Any]) -> tuple[Config, dict[str, Any]]:
    """The saved configuration with what may change, and apart from it the new length of the run.

    Raises `ConfigError` for other changes.
    """
    allowed = {"steps", "epochs", "for_", "threads", "eval_every", "save_every", "patience", "device"}
    for name in changes:
        if name not in allowed and changes[name] != getattr(saved.config, name):
            raise ConfigError(f"{name} cannot change when a run goes on; {_anew(name)}")
    length = {name: changes[name] for name in ("steps", "epochs", "for_") if changes.get(name) is not None}
    if len(length) > 1:
        raise ConfigError("give one of --steps, --epochs and --for")
    saved.config.replace(**{"steps": None, **length})  # raises what a new run would
    _check_not_done(saved, length)
    kept = {name: value for name, value in changes.items() if name in allowed and name not in ("steps", *length)}
    return saved.config.replace(**kept), length


def _anew(name: str) -> str:
    """What to do instead: old weights bear another rate, but not another size."""
    kept = (*FIXED, "columns", "missing", "horizon", "min_count")
    return "train a new run without --resume" if name in kept else "start anew with --init-from"


def extended(
    saved: Checkpoint, config: Config, length: dict[str, Any], material: Task, clock: autotune.TimeBudget
) -> Config:
    """The configuration with the new length; how often to validate follows it, if it was not chosen by hand.

    ``clock``: counts the time that is given, if the length is one. Raises `ConfigError` for less than is done.
    """
    if not length:
        return config
    ((name, value),) = length.items()
    done = int(saved.progress["step"])
    if name == "steps":
        new = int(value)
    elif name == "epochs":
        new = material.steps_of_epochs(config, float(value))
    else:
        new = done + material.steps_within(config, clock.left)
    _check_not_done(saved, {"steps": new}, f"{name} {value}")
    return autotune.with_steps(config, new, done, material.eval_every)


def _check_not_done(saved: Checkpoint, length: dict[str, Any], told: str | None = None) -> None:
    """Raises `ConfigError` for fewer steps than the run has had. ``told``: how the length was given."""
    done = int(saved.progress["step"])
    new = int(length.get("steps", max(done, 1)))
    if new < max(done, 1):
        raise ConfigError(f"{told or f'steps {new}'} is less than the {done} steps that are done; give more")
