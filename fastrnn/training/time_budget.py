"""Keeping a time budget while the speed of the machine changes.

The length of a run is planned from measured times; `StepPlanner` adjusts the number of steps to the time per step, and
`StepDefaults` the settings that depend on it.
"""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from ..config import Config
from ..distributed.communicator import SINGLE_PROCESS, Communicator

FINAL_SHARE = 0.015  # for the exact evaluation on the whole validation text at the end
_REPLANNED_SHARE = 0.99  # of the time left, for steps; the last save takes the rest
_BAND = (0.97, 1.05)  # steps that fit / steps planned: within it the plan stays
_MEMORY = 0.15  # of the budget: time constant of the averaged step time
_PAUSE = 0.02  # of the budget, between two changes of the plan; shorter near the end
_FEW = 3  # steps before the first change
_ALL_VALIDATION_SHARE = 0.05  # of the budget, for all evaluations together


class TimeBudget:
    """The time budget of a run in seconds (None: unlimited), shared by all processes of a group.

    ``started``: start of the budget, by `time.monotonic`; now by default.
    """

    def __init__(
        self, seconds: float | None, group: Communicator = SINGLE_PROCESS, started: float | None = None
    ) -> None:
        self.seconds, self.group = seconds, group
        self._started = time.monotonic() if started is None else started

    def left(self) -> float:
        """Return the seconds left (collective): those of the process that started first."""
        return -self.group.all_reduce_max(-self.seconds_left_here())[0]

    def ensure_half(self) -> float:
        """Extend the budget so that half of it is left (collective). Returns the seconds spent before."""
        if self.seconds is None:
            return 0.0
        left = self.left()
        self._started += max(0.0, self.seconds / 2 - left)
        return self.seconds - left

    def seconds_left_here(self) -> float:
        """Return the seconds left for this process."""
        return math.inf if self.seconds is None else self.seconds - (time.monotonic() - self._started)


def default_warmup(steps: int) -> int:
    """Return the default number of warm-up steps."""
    return min(100, steps // 10)


class StepDefaults(NamedTuple):
    """The settings that follow the number of steps when it changes: those that the user left open.

    Args:
        eval_every: Returns the default of ``eval_every`` for a configuration; None: it stays.
        warmup: Whether the warm-up follows.
        regularization: Returns a configuration with the dropout and weight decay for its number of steps; None: they
            stay.
    """

    eval_every: Callable[[Config], int] | None = None
    warmup: bool = True
    regularization: Callable[[Config], Config] | None = None

    def with_steps(self, config: Config, steps: int, done: int) -> Config:
        """Change the number of steps after ``done`` of them, and what follows; settings that are not defaults stay."""
        assert config.steps is not None
        changed = config.replace(steps=steps)
        if self.eval_every is not None and config.eval_every == self.eval_every(config):
            changed = changed.replace(eval_every=self.eval_every(changed))
        if self.warmup and config.warmup == default_warmup(config.steps) and done < config.warmup:
            changed = changed.replace(warmup=default_warmup(steps))
        return changed if self.regularization is None else self.regularization(changed)


class StepPlanner:
    """Plans the number of steps of a run again and again, from the time that steps and evaluations take.

    Args:
        budget: The time budget.
        max_steps: The number of steps is raised to at most this many.
        final: Whether an exact evaluation on the whole validation data follows the last step; time is reserved for it.
        defaults: The settings that follow the number of steps. Default: the warm-up.
    """

    def __init__(
        self,
        budget: TimeBudget,
        max_steps: int,
        final: bool = True,
        defaults: StepDefaults | None = None,
    ) -> None:
        self._budget, self._max_steps = budget, max_steps
        self.defaults = defaults or StepDefaults()
        seconds = budget.seconds or math.inf
        self._memory, self._pause = _MEMORY * seconds, _PAUSE * seconds
        self._reserve = FINAL_SHARE * seconds if final and seconds < math.inf else 0.0
        self._closing = 0.0  # seconds reserved for work of the caller after the run
        self._steps = self._seconds = 0.0  # number and seconds of the last steps, exponentially decayed
        self._count = 0  # of all steps
        self._evaluation: float | None = None  # seconds of the last evaluation
        self._all_evaluations = 0.0  # seconds of all evaluations
        self._since = self._changed = time.monotonic()

    @property
    def has_budget(self) -> bool:
        """Whether there is a time budget to keep."""
        return self._budget.seconds is not None

    def start(self) -> None:
        """Start timing the first step now, so that compilation does not count."""
        self._since = self._changed = time.monotonic()

    def record_step(self) -> None:
        """Record the end of a step; its time includes saves and everything else since the previous event."""
        now = time.monotonic()
        taken, self._since = now - self._since, now
        decay = math.exp(-taken / self._memory) if self._memory else 0.0
        self._steps, self._seconds = self._steps * decay + 1, self._seconds * decay + taken
        self._count += 1

    def record_evaluation(self, completed: bool = True) -> None:
        """Record the end of an evaluation; its time includes its save. One that was not completed is not counted."""
        now = time.monotonic()
        if completed:
            self._evaluation = now - self._since
            self._all_evaluations += self._evaluation
        self._since = now

    def reserve(self, seconds: float) -> None:
        """Reserve time for work of the caller after the run, such as printing a sample."""
        self._closing = seconds

    def due(self) -> bool:
        """Whether it is time to call `plan_steps`."""
        if self._budget.seconds is None or (self._count < _FEW and self._left() > 0):
            return False
        return time.monotonic() - self._changed >= min(self._pause, 0.2 * max(0.0, self._left()))

    def plan_steps(self, step: int, steps: int, eval_every: int) -> int:
        """Return the number of steps that ends the run in time, asked after ``step`` of ``steps`` planned ones."""
        left = steps - step
        if left <= 0 or self._budget.seconds is None or not self._steps:
            return steps
        each = self._seconds / self._steps
        evaluation = self._evaluation or 0.0
        seconds = self._left() * _REPLANNED_SHARE - evaluation  # an evaluation follows the last step
        fitting = int(max(0.0, seconds) / (each + evaluation / eval_every))
        if _BAND[0] <= fitting / left <= _BAND[1] or (steps >= self._max_steps and fitting > left):
            return steps
        self._changed = time.monotonic()
        return min(step + fitting, max(steps, self._max_steps))

    def final_seconds(self) -> float:
        """Return the seconds that the exact evaluation at the end may take."""
        if self._budget.seconds is None:
            return math.inf
        left = self._budget.seconds_left_here() - self._closing
        unused = min(_ALL_VALIDATION_SHARE * self._budget.seconds - self._all_evaluations, left)
        return max(self._reserve, unused)

    def _left(self) -> float:
        """Seconds left for steps and their evaluations."""
        return self._budget.seconds_left_here() - self._reserve - self._closing
