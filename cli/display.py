"""What is seen of a training run: a live display on a terminal, now and then a plain line elsewhere."""

import os
import sys
import time
from types import TracebackType
from typing import Self

from fastrnn.training.reporter import Evaluated, Reporter, Start, Step

from . import figures
from .output import note

PLAIN_EVERY = 5.0  # seconds between two plain lines


class Display(Reporter):
    """A reporter that may hold the terminal for a while: use it in a ``with`` statement. This one shows nothing."""

    samples = False  # whether a fresh sample is wanted with every validation

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the terminal back."""


class PlainDisplay(Display):
    """Plain lines on standard error: what was chosen, every validation, and a step every few seconds."""

    def __init__(self, every: float = PLAIN_EVERY) -> None:
        self._every = every
        self._next = 0.0

    def message(self, text: str) -> None:
        note(text)

    def started(self, start: Start) -> None:
        for line in summary(start):
            note(line)

    def step(self, step: Step) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._every
        line = f"step {step.step:,}/{step.steps:,}  epoch {step.epoch:.2f}  train {figures.loss(step.nats)}"
        if step.chars_per_s:  # not known before the second step
            line += f"  {step.chars_per_s:,.0f} chars/s  {figures.duration(step.seconds_left)} left"
        note(line)

    def evaluated(self, evaluated: Evaluated) -> None:
        best = "  best so far" if evaluated.best else ""
        note(
            f"step {evaluated.step:,}  train {figures.loss(evaluated.train_nats)}"
            f"  valid {figures.loss(evaluated.valid_nats)}{best}"
        )


def summary(start: Start) -> list[str]:
    """What begins: the model, the text, the length of the run, and what was chosen and why."""
    config = start.config
    return [
        f"run {start.run}" if start.run else "run kept in memory",
        f"model {config.cell}, {figures.plural(config.layers, 'layer')} of {config.hidden}, "
        f"{figures.plural(start.parameters, 'parameter')}",
        f"text {start.tokens:,} {config.tokens}, vocabulary of {start.vocab:,}",
        f"{figures.plural(start.steps, 'step')} of {config.batch} x {config.seq}, {start.per_epoch:,} an epoch",
        *start.choices,
    ]


def make_display(quiet: bool) -> Display:
    """The display that fits: none, live, or plain."""
    if quiet:
        return Display()
    if sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from .live import LiveDisplay

        return LiveDisplay()
    return PlainDisplay()
