"""Callbacks of a training run, the events they receive, and the result of a run.

`TrainingLine` is the default callback of `fastrnn.train` in a terminal or notebook.
"""

import contextlib
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..config import Config

_INTERVAL = 0.25  # seconds between two redraws


@dataclass(frozen=True)
class TrainStart:
    """A run starts.

    Attributes:
        run: The run folder.
        parameters: Number of parameters of the model.
        data: Descriptions of the data and of the length of the run, one line each.
        config: The complete configuration.
        choices: The settings that were chosen automatically and why, one line each.
    """

    run: str
    parameters: int
    data: tuple[str, ...]
    config: Config
    choices: tuple[str, ...]


@dataclass(frozen=True)
class StepEnd:
    """A training step has ended.

    Attributes:
        step: Steps so far, from 1.
        steps: Steps of the whole run.
        epoch: Passes over the training data so far.
        nats: Training loss in nats, smoothed; NaN before the first finite one.
        lr: Learning rate of this step.
        chars_per_s: Training positions per second; 0 until a step without compilation is timed.
        seconds_left: Estimated seconds to the last step; NaN while unknown.
        grad_norm: Norm of the gradient before clipping.
    """

    step: int
    steps: int
    epoch: float
    nats: float
    lr: float
    chars_per_s: float
    seconds_left: float
    grad_norm: float


@dataclass(frozen=True)
class Planned:
    """After ``step`` the number of steps changed to ``steps``, to keep the time budget."""

    step: int
    steps: int


@dataclass(frozen=True)
class EvaluateEnd:
    """An evaluation has ended.

    Attributes:
        step: Steps so far.
        train_nats: Mean training loss in nats since the evaluation before; NaN if there was no finite one.
        valid_nats: Mean validation loss in nats; None without validation data.
        valid_bits: The same in bits; None for forecast and regress.
        best: Whether this is the best state so far.
        sample: A short sample of the model; empty unless `Callback.samples` is true.
        metrics: Metrics of the task by name.
    """

    step: int
    train_nats: float
    valid_nats: float | None
    valid_bits: float | None
    best: bool
    sample: str
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """Result of a training run.

    Attributes:
        run: The run folder.
        steps: Steps done.
        chars: Training positions processed, counted in ``tokens``.
        seconds: Wall-clock seconds of all sessions of the run.
        chars_per_s: Training positions per second.
        train_nats: Mean training loss in nats before the last evaluation.
        valid_nats: Validation loss in nats of the best state; None without validation data.
        valid_bits: The same in bits; None for forecast and regress, whose loss is half a squared error.
        best_step: Step of the best state.
        stopped: Why the run ended: "done", "patience", "callback" or "signal".
        signal: Number of the signal, if one stopped the run.
        task: The task.
        tokens: Token unit: "chars", "bytes" or "words".
        metrics: Metrics of the best state (see `fastrnn.inference.metrics`).
        inputs: Names of the data.
        encoding: Encoding of the data; None is UTF-8.
        split: Whether part of the data was held out for validation.
        unigram_nats: Language models only: loss of predicting by token frequencies alone, on the data that
            ``valid_nats`` was measured on.
        start: Language models only: a frequent beginning of the text.
        xz_nats: Language models of characters or bytes: loss of the compressor xz on the start of the validation text,
            given the training text. None unless `Callback.compares` is true, or within a time budget below 30 s.
    """

    run: str
    steps: int
    chars: int
    seconds: float
    chars_per_s: float
    train_nats: float
    valid_nats: float | None
    valid_bits: float | None
    best_step: int
    stopped: str
    signal: int | None = None
    task: str = "language-model"
    tokens: str = "chars"
    metrics: Mapping[str, float] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    encoding: str | None = None
    split: bool = True
    unigram_nats: float | None = None
    start: str = ""
    xz_nats: float | None = None


class Callback:
    """Base class of callbacks; every method does nothing.

    In a group of processes only the callback of rank 0 is called. `on_step` and `on_evaluate` can stop the run: when
    one of them returns True, the state is saved, the best state is evaluated, and ``Result.stopped`` is "callback".
    An exception raised by a callback ends training where it is and reaches the caller.

    Attributes:
        samples: Whether to generate a sample with every evaluation.
        compares: Whether to compute `Result.xz_nats`, which takes a second or two; not within a time budget of less
            than 30 s.
    """

    samples = False
    compares = False

    def message(self, text: str) -> None:
        """Called with a remark or a warning, one line, at any time."""

    def on_read(self, done: int, total: int | None) -> None:
        """Called while the data is read: ``done`` bytes of ``total``, which is None where it is unknown."""

    def on_train_start(self, start: TrainStart) -> None:
        """Called once before the first step, when data, model and plan are complete."""

    def on_step(self, step: StepEnd) -> bool | None:
        """Called after every training step. Return True to stop the run."""

    def on_plan_change(self, planned: Planned) -> None:
        """Called when the number of steps has changed to keep the time budget."""

    def on_evaluate_progress(self, share: float) -> None:
        """Called during an evaluation with the share that is done, from 0 to 1."""

    def on_evaluate(self, evaluated: EvaluateEnd) -> bool | None:
        """Called after every evaluation and its save. Return True to stop the run."""

    def on_train_end(self, result: Result) -> None:
        """Called once when the run has ended and its last state is saved."""


class TrainingLine(Callback):
    """Shows a run in one line of standard error, redrawn in place: step, losses, speed and time left.

    It uses a carriage return only, which terminals and notebooks understand, so that an exception leaves nothing to
    clean up.
    """

    def __init__(self) -> None:
        self._next = 0.0
        self._width = 0
        self._valid = ""

    def message(self, text: str) -> None:
        self._write(text, ends=True)

    def on_train_start(self, start: TrainStart) -> None:
        config = start.config
        self._write(f"{start.run}: {config.cell}, {config.layers} x {config.hidden}, {config.steps:,} steps", ends=True)

    def on_step(self, step: StepEnd) -> None:
        now = time.monotonic()
        if now < self._next and step.step < step.steps:
            return
        self._next = now + _INTERVAL
        line = f"step {step.step:,}/{step.steps:,}  train {step.nats:.4f}{self._valid}"
        if step.chars_per_s and not math.isnan(step.seconds_left):
            line += f"  {step.chars_per_s:,.0f}/s  {step.seconds_left:,.0f} s left"
        self._write(line)

    def on_evaluate(self, evaluated: EvaluateEnd) -> None:
        if evaluated.valid_nats is not None:
            self._valid = f"  valid {evaluated.valid_nats:.4f}"

    def on_train_end(self, result: Result) -> None:
        valid = "" if result.valid_nats is None else f"  valid {result.valid_nats:.4f} at step {result.best_step:,}"
        self._write(
            f"{result.steps:,} steps in {result.seconds:,.0f} s  train {result.train_nats:.4f}{valid}", ends=True
        )

    def _write(self, line: str, ends: bool = False) -> None:
        """Overwrite the line; ``ends`` starts a new one."""
        with contextlib.suppress(OSError, AttributeError):  # standard error is closed or missing
            sys.stderr.write("\r" + line.ljust(self._width) + ("\n" if ends else ""))
            sys.stderr.flush()
        self._width = 0 if ends else len(line)


def default_callback() -> Callback:
    """Return a `TrainingLine` where somebody watches: standard error is a terminal, or IPython runs. Else no output."""
    ipython = sys.modules.get("IPython")
    is_notebook = ipython is not None and ipython.get_ipython() is not None
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return TrainingLine() if is_notebook or is_terminal else Callback()
