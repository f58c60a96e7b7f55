"""A time budget is kept while the machine's speed changes: the number of steps follows what the last ones took."""

import time

from .auto import Clock

_SHARE = 0.98  # of the time that is left; the end of a run takes the rest
_BAND = (0.95, 1.1)  # steps that fit over steps that are planned: within it the plan stays


class Pace:
    """``most``: steps that a faster machine may take more of, at the most; the planned steps if that is fewer."""

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock, self._most = clock, most
        self._step, self._since = 0, time.monotonic()
        self._seconds: float | None = None  # a step takes, its share of evaluations included

    def planned(self, step: int, steps: int) -> int:
        """The number of steps that ends the run in time, asked after ``step`` of ``steps``; mostly ``steps`` itself."""
        now = time.monotonic()
        if step <= self._step:
            return steps
        latest = (now - self._since) / (step - self._step)
        self._seconds = latest if self._seconds is None else (self._seconds + latest) / 2
        self._step, self._since = step, now
        left = steps - step
        if left <= 0 or self._clock.budget is None:
            return steps
        fitting = int(max(0.0, self._clock.here()) * _SHARE / self._seconds)
        if _BAND[0] <= fitting / left <= _BAND[1]:
            return steps
        return max(step + 1, min(step + fitting, max(steps, self._most)))


class Rate:
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
