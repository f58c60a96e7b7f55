"""`ProgressLine`: the default callback of `fastrnn.train` in a terminal or notebook."""

import contextlib
import math
import sys
import time

from .callbacks import Callback, EvaluateEnd, Result, StepEnd, TrainStart

_INTERVAL = 0.25  # seconds between two redraws


class ProgressLine(Callback):
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
    """Return a `ProgressLine` where somebody watches: standard error is a terminal, or IPython runs. Else no output."""
    ipython = sys.modules.get("IPython")
    is_notebook = ipython is not None and ipython.get_ipython() is not None
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return ProgressLine() if is_notebook or is_terminal else Callback()
