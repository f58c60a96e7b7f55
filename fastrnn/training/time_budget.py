"""A time budget is kept while the machine's speed changes: the number of steps follows what the last ones took."""

import math
import time

from .autotune import FINAL_SHARE, TimeBudget

_SHARE = 0.99  # of the time that is left; the end of a run takes the rest
_BAND = (0.97, 1.05)  # steps that fit over steps that are planned: within it the plan stays
_MEMORY = 0.15  # of the budget: the time over which the speed of the last steps is averaged
_PAUSE = 0.02  # of the budget, between two changes of the plan, but for the last ones
_FEW = 3  # steps before the first change
_VALIDATION = 0.05  # of the budget, for all evaluations together


class StepPlanner:
    """``most``: steps that a faster machine may take more of, at the most; the planned steps if that is fewer.

    ``final``: whether an exact evaluation of the whole validation data follows the last step.
    """

    def __init__(self, clock: TimeBudget, most: int, final: bool = True) -> None:
        self._clock, self._most = clock, most
        budget = clock.budget or math.inf
        self._memory, self._pause = _MEMORY * budget, _PAUSE * budget
        self._reserve = FINAL_SHARE * budget if final and budget < math.inf else 0.0
        self._steps, self._seconds, self._count = 0.0, 0.0, 0  # of the last steps, decayed; of all
        self._evaluation: float | None = None  # seconds of the last one
        self._validated = 0.0  # seconds of all of them
        self._since = self._changed = time.monotonic()

    @property
    def budgeted(self) -> bool:
        """Whether there is a time budget to keep."""
        return self._clock.budget is not None

    def start(self) -> None:
        """The next step begins now: what came before is no part of it."""
        self._since = self._changed = time.monotonic()

    def stepped(self) -> None:
        """A step is done, saves and all that came between included."""
        now = time.monotonic()
        taken, self._since = now - self._since, now
        decay = math.exp(-taken / self._memory) if self._memory else 0.0
        self._steps, self._seconds = self._steps * decay + 1, self._seconds * decay + taken
        self._count += 1

    def evaluated(self) -> None:
        """An evaluation is done, its save included."""
        now = time.monotonic()
        self._evaluation, self._since = now - self._since, now
        self._validated += self._evaluation

    def due(self) -> bool:
        """Whether the plan should be looked at."""
        if self._clock.budget is None or (self._count < _FEW and self._left() > 0):
            return False
        return time.monotonic() - self._changed >= min(self._pause, 0.2 * max(0.0, self._left()))

    def planned(self, step: int, steps: int, eval_every: int) -> int:
        """The number of steps that ends the run in time, asked after ``step`` of ``steps``; mostly ``steps`` itself."""
        left = steps - step
        if left <= 0 or self._clock.budget is None or not self._steps:
            return steps
        each, evaluation = self._seconds / self._steps, self._evaluation or 0.0
        seconds = self._left() * _SHARE - evaluation  # the last step is evaluated
        fitting = int(max(0.0, seconds) / (each + evaluation / eval_every))
        if _BAND[0] <= fitting / left <= _BAND[1] or (steps >= self._most and fitting > left):
            return steps
        self._changed = time.monotonic()
        return min(step + fitting, max(steps, self._most))

    def final_seconds(self) -> float:
        """What the exact evaluation at the end may take."""
        if self._clock.budget is None:
            return math.inf
        unused = min(_VALIDATION * self._clock.budget - self._validated, self._clock.here())
        return max(self._reserve, unused)

    def _left(self) -> float:
        """Seconds for steps and their evaluations."""
        return self._clock.here() - self._reserve


class Throughput:
    """Positions a second, of the last steps and of all of them; and the time that a step takes."""

    def __init__(self) -> None:
        self.per_second, self.step_seconds, self._chars, self._seconds = 0.0, 0.0, 0, 0.0

    def add(self, chars: int, seconds: float) -> None:
        """One more step."""
        self._chars += chars
        self._seconds += seconds
        now, old = chars / max(seconds, 1e-9), 0.95 if self.per_second else 0.0
        self.per_second = old * self.per_second + (1 - old) * now
        self.step_seconds = old * self.step_seconds + (1 - old) * seconds

    @property
    def overall(self) -> float:
        return self._chars / self._seconds if self._seconds else 0.0
