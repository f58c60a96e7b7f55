"""Displays of a training run: live on a terminal, periodic plain lines elsewhere; and the plan of ``--dry-run``."""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from fastrnn.config import Config
from fastrnn.training.callbacks import Callback, EvaluateEnd, Planned, Result, StepEnd, TrainStart

from . import formatting
from .output import note, write_figures

PLAIN_EVERY = 5.0  # seconds between plain lines
PLAN_TOLERANCE = (0.8, 1.25)  # new steps / last printed steps: print the plan outside this range
_TIMED_STEPS = 3  # the first steps may still compile kernels


class Display(Callback):
    """Callback and context manager that may own the terminal. This base class prints nothing."""

    samples = False  # whether each evaluation should include a generated sample

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release the terminal."""


class PlainDisplay(Display):
    """Plain lines on standard error: chosen settings, every validation, and a step every few seconds."""

    samples = True  # for the log; they are not printed

    def __init__(self, every: float = PLAIN_EVERY) -> None:
        self._every = every
        self._next = 0.0
        self._reading: float | None = None  # time of the next line about reading
        self._planned = 0  # number of steps, as last printed
        self._task, self._unit = "language-model", "chars"

    def message(self, text: str) -> None:
        note(text)

    def on_read(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        # Small texts are read before the first line is due, and print none.
        if self._reading is None:
            self._reading = now + self._every
        elif now >= self._reading:
            self._reading = now + self._every
            note(formatting.reading_progress(done, total))

    def on_train_start(self, start: TrainStart) -> None:
        self._task = start.config.task
        self._unit = formatting.unit(self._task, start.config.tokens)
        self._planned = start.config.steps or 0
        for line in summary(start):
            note(line)

    def on_step(self, step: StepEnd) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._every
        loss = formatting.loss(step.nats, self._task)
        line = f"step {step.step:,}/{step.steps:,}  epoch {step.epoch:.2f}  train {loss}"
        if step.chars_per_s:  # unknown before the second step
            speed = f"{step.chars_per_s:,.0f} {self._unit}/s"
            line += f"  {speed}  {formatting.duration(step.seconds_left)} left"
        note(line)

    def on_plan_change(self, planned: Planned) -> None:
        """Print large changes only; the step lines show the current plan."""
        if not PLAN_TOLERANCE[0] <= planned.steps / max(self._planned, 1) <= PLAN_TOLERANCE[1]:
            note(plan_line(planned, self._planned))
            self._planned = planned.steps

    def on_evaluate(self, evaluated: EvaluateEnd) -> None:
        train, valid = (formatting.loss(nats, self._task) for nats in (evaluated.train_nats, evaluated.valid_nats))
        metrics = f"  {formatting.metrics(evaluated.metrics)}" if evaluated.metrics else ""
        best = "  best so far" if evaluated.best else ""
        note(f"step {evaluated.step:,}  train {train}  valid {valid}{metrics}{best}")


def plan_line(planned: Planned, old: int) -> str:
    """Message for a number of steps adjusted to the measured speed."""
    change = "slower" if planned.steps < old else "faster"
    return f"the machine is {change} than measured: {planned.steps:,} steps, not {old:,}, to end in time"


def summary(start: TrainStart) -> list[str]:
    """Lines that describe a starting run: folder, model, data, and automatic choices with reasons."""
    return [
        f"run {start.run}" if start.run else "run kept in memory",
        f"model {size(start.config)}, {formatting.plural(start.parameters, 'parameter')}",
        *start.data,
        *start.choices,
    ]


def size(config: Config) -> str:
    """Describe the architecture, e.g. ``bidirectional lstm, 2 layers of 128``."""
    both = "bidirectional " if config.bidirectional else ""
    assert config.layers is not None
    return f"{both}{config.cell}, {formatting.plural(config.layers, 'layer')} of {config.hidden}"


def make_display(quiet: bool) -> Display:
    """Choose a display: none with ``quiet``, live on a terminal, plain otherwise."""
    if quiet:
        return Display()
    # TERM=dumb: editors and log viewers that cannot move the cursor.
    if sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from .rich_progress import LiveDisplay

        return LiveDisplay()
    return PlainDisplay()


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
