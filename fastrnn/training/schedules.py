"""Learning-rate schedules: the factor in [0, 1] that multiplies the peak learning rate at each step."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import CheckpointError

Schedule = Callable[[int, int, int, float], float]


def constant(step: int, steps: int, warmup: int, final: float) -> float:
    """Keep 1 after the warm-up."""
    return _ramp(step, warmup)


def linear(step: int, steps: int, warmup: int, final: float) -> float:
    """Fall on a straight line from 1 after the warm-up to `final` at the last step."""
    return _ramp(step, warmup) * (1 - (1 - final) * _decay_progress(step, steps, warmup))


def cosine(step: int, steps: int, warmup: int, final: float) -> float:
    """Fall on half a cosine from 1 after the warm-up to `final` at the last step (Loshchilov & Hutter, 2017)."""
    return _ramp(step, warmup) * (
        final + (1 - final) * 0.5 * (1 + math.cos(math.pi * _decay_progress(step, steps, warmup)))
    )


# name -> f(step, steps, warmup, final): step counts from 0 to steps - 1; warmup is in steps; final is the last factor.
# "plateau" depends on the validation loss, not on the step: `constant` gives its warm-up, `Plateau` its factor.
SCHEDULES: dict[str, Schedule] = {"constant": constant, "linear": linear, "cosine": cosine}


@dataclasses.dataclass
class Plateau:
    """Halves the factor after `patience` evaluations in a row without a lower loss; never under `final`."""

    patience: int
    final: float
    factor: float = 1.0
    best: float | None = None
    waited: int = 0

    def observe(self, nats: float) -> bool:
        """Record a validation loss; return whether the factor was reduced. NaN is no improvement."""
        if nats < (math.inf if self.best is None else self.best):
            self.best, self.waited = nats, 0
            return False
        self.waited += 1
        if self.waited < self.patience:
            return False
        before, self.waited = self.factor, 0
        self.factor = min(self.factor, max(self.final, self.factor / 2))
        return self.factor < before

    def to_dict(self) -> dict[str, Any]:
        """Convert to a mapping for JSON, stored in the progress of a checkpoint."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> "Plateau":
        """The reverse of `to_dict`. Raises `CheckpointError` for anything else."""
        try:
            plateau = cls(**mapping)
            whole = type(plateau.patience) is int and type(plateau.waited) is int
            best = 0.0 if plateau.best is None else plateau.best
            is_valid = whole and plateau.patience >= 1 and plateau.waited >= 0 and math.isfinite(best)
            is_valid = is_valid and 0 <= plateau.final <= 1 and 0 <= plateau.factor <= 1
        except TypeError:
            is_valid = False
        if not is_valid:
            raise CheckpointError("the plateau schedule in this checkpoint is damaged; use another copy")
        return plateau


def _ramp(step: int, warmup: int) -> float:
    """Return the factor of the warm-up: 1/warmup, 2/warmup, ... 1."""
    return min(1.0, (step + 1) / warmup) if warmup > 0 else 1.0


def _decay_progress(step: int, steps: int, warmup: int) -> float:
    """Return the share of steps done between the end of the warm-up and the last step, from 0 to 1."""
    last = steps - 1
    return min(1.0, max(0, step - warmup) / (last - warmup)) if last > warmup else 0.0
