"""What may change when a run goes on: its length, and how it is watched."""

from typing import Any

from ..config import Config
from ..errors import ConfigError
from . import auto
from .checkpoint import Checkpoint
from .material import Material

# What old weights and their vocabulary decide, for `train --init-from` too.
FIXED = ("task", "cell", "layers", "hidden", "bidirectional", "tokens", "precision")


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
    saved: Checkpoint, config: Config, length: dict[str, Any], material: Material, clock: auto.Clock
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
    return auto.with_steps(config, new, done, material.eval_every)


def _check_not_done(saved: Checkpoint, length: dict[str, Any], told: str | None = None) -> None:
    """Raises `ConfigError` for fewer steps than the run has had. ``told``: how the length was given."""
    done = int(saved.progress["step"])
    new = int(length.get("steps", max(done, 1)))
    if new < max(done, 1):
        raise ConfigError(f"{told or f'steps {new}'} is less than the {done} steps that are done; give more")
