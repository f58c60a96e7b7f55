"""``fastrnn train --dry-run``: choose the settings, time a few steps, print the plan, and keep nothing."""

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from fastrnn.training.callbacks import Callback, Result, StepEnd, TrainStart

from . import formatting
from .display import size
from .output import write_figures

_TIMED_STEPS = 3  # the first steps may still compile kernels


class _PlanIsReady(Exception):
    """Raised by the callback to end the run."""


class _DryRun(Callback):
    """Passes messages on to another callback, and ends the run after a few steps."""

    def __init__(self, display: Callback) -> None:
        self._display = display
        self.start: TrainStart | None = None
        self.step: StepEnd | None = None

    def message(self, text: str) -> None:
        self._display.message(text)

    def on_read(self, done: int, total: int | None) -> None:
        self._display.on_read(done, total)

    def on_train_start(self, start: TrainStart) -> None:
        self.start = start

    def on_step(self, step: StepEnd) -> None:
        self.step = step
        is_timed = step.chars_per_s > 0 and step.seconds_left == step.seconds_left  # not NaN
        if step.step == step.steps or (step.step >= _TIMED_STEPS and is_timed):
            raise _PlanIsReady


def show_plan(display: Callback, train: Callable[[Path, Callback], Result]) -> None:
    """Print the plan of a run.

    Args:
        display: Receives messages while the data is read.
        train: Starts the run in a given run folder with a given callback.
    """
    dry = _DryRun(display)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(_PlanIsReady):
        train(Path(folder) / "run", dry)
    assert dry.start is not None
    assert dry.step is not None
    write_figures(_rows(dry.start, dry.step))


def _rows(start: TrainStart, step: StepEnd) -> Iterator[tuple[str, str]]:
    config = start.config
    yield "model", f"{size(config)}, {formatting.plural(start.parameters, 'parameter')}"
    for line in start.data:
        yield "data", line
    for line in start.choices:
        yield "chosen", line
    if step.chars_per_s:
        unit = formatting.unit(config.task, config.tokens)
        yield "speed", f"{step.chars_per_s:,.0f} {unit}/s, measured on {formatting.plural(step.step, 'step')}"
        yield "time", f"about {formatting.duration(step.seconds_left)} for the steps that follow, with evaluations"
    if (megabytes := _peak_megabytes()) is not None:
        yield "memory", f"{megabytes:,.0f} MB, as used so far"


def _peak_megabytes() -> float | None:
    """Return the peak memory of this process; None on Windows, where the standard library does not report it."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)  # bytes on macOS, kilobytes elsewhere
