"""Live training display. Only this module and `terminal_plots` import rich."""

import contextlib
import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fastrnn.training.callbacks import EvaluateEnd, Planned, StepEnd, TrainStart

from . import formatting
from .display import Display, plan_line, summary
from .output import escape_controls, escape_line

FRAMES_PER_SECOND = 8.0
SAMPLE_LINES = 6
BAR, GAP = 20, 2  # width of the progress bar, and of the space between parts of its line


class LiveDisplay(Display):
    """Step, epoch, losses, speed, time left, a sparkline of the loss and the latest sample, redrawn in place.

    It redraws inside callbacks instead of a thread of its own, to take no time from the kernels.
    """

    samples = True

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self._live = Live(console=self.console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._next = 0.0
        self._reading, self._first_read = "", False
        self._curve = formatting.Sparkline()
        self._step: StepEnd | None = None
        self._evaluated: EvaluateEnd | None = None
        self._best: EvaluateEnd | None = None
        self._first = 0  # number of steps of the first plan
        self._plan: Planned | None = None
        self._validated: float | None = None  # completed fraction of the running validation
        self._task, self._unit = "language-model", "chars"

    def __enter__(self) -> Self:
        self._live.start()
        # A second Ctrl-C may end the process without clean-up, so never hide the cursor.
        self.console.show_cursor(True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._validated = None
        with contextlib.suppress(OSError):
            self._draw()
            self._live.stop()
            self.console.print()

    def on_read(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        # Delay the first line, so that small texts do not flicker.
        self._next = now + (1 / FRAMES_PER_SECOND if self._first_read else 1.0)
        if self._first_read:
            self._reading = formatting.reading_progress(done, total)
            self._draw()
        self._first_read = True

    def _clear_reading_line(self) -> None:
        """Remove the reading progress line."""
        if self._reading:
            self._reading = ""
            self._draw()
        self._next = 0.0

    def message(self, text: str) -> None:
        self._clear_reading_line()
        self._print(Text(escape_line(text), style="yellow"))

    def on_train_start(self, start: TrainStart) -> None:
        self._clear_reading_line()
        self._task = start.config.task
        self._unit = formatting.unit(self._task, start.config.tokens)
        self._first = start.config.steps or 0
        for line in summary(start):
            word, _, rest = escape_line(line).partition(" ")
            self._print(Text.assemble((word, "bold"), " ", rest))

    def on_step(self, step: StepEnd) -> None:
        self._step, self._validated = step, None
        self._curve.add(step.nats)
        self._draw_sometimes()

    def on_plan_change(self, planned: Planned) -> None:
        self._plan = planned
        self._draw_sometimes()

    def on_evaluate_progress(self, share: float) -> None:
        self._validated = share
        self._draw_sometimes()

    def on_evaluate(self, evaluated: EvaluateEnd) -> None:
        self._evaluated, self._validated = evaluated, None
        if evaluated.best:
            self._best = evaluated
        self._draw()

    def _print(self, text: Text) -> None:
        with contextlib.suppress(OSError):  # a closed terminal must not end the run
            self.console.print(text)

    def _draw_sometimes(self) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 1 / FRAMES_PER_SECOND
            self._draw()

    def _draw(self) -> None:
        with contextlib.suppress(OSError):
            self._live.update(self._render(), refresh=True)

    def _render(self) -> Group:
        lines: list[Text | Table] = [Text(self._reading)] if self._reading else []
        if self._step is not None:
            lines += [_progress_line(self._step, self._unit, self.console.width), self._train_line(self._step)]
        if self._plan is not None and self._plan.steps != self._first:
            lines.append(Text(plan_line(self._plan, self._first), style="yellow"))
        if self._validated is not None:
            lines.append(Text.assemble(("valid", "bold"), f"  validating: {self._validated:.0%}"))
        if self._evaluated is not None:
            lines += [self._valid_line(self._evaluated), *_sample_lines(self._evaluated.sample)]
        return Group(*lines)

    def _train_line(self, step: StepEnd) -> Text:
        # A terminal that is not Unicode could not show block characters.
        unicode = (self.console.encoding or "").lower().startswith("utf")
        room = max(self.console.width - 40, 8)
        curve = self._curve.text(min(room, 40), formatting.BARS if unicode else formatting.ASCII_BARS)
        return Text.assemble(("train", "bold"), f"  {formatting.loss(step.nats, self._task)}  ", (curve, "cyan"))

    def _valid_line(self, evaluated: EvaluateEnd) -> Text:
        best = f"  best at step {self._best.step:,}" if self._best is not None else ""
        loss, at = formatting.loss(evaluated.valid_nats, self._task), f"  (step {evaluated.step:,})"
        metrics = f"  {formatting.metrics(evaluated.metrics)}" if evaluated.metrics else ""
        return Text.assemble(("valid", "bold"), f"  {loss}{metrics}", (best, "green"), at)


def _progress_line(step: StepEnd, unit: str, width: int) -> Table:
    """Lay out the progress line; a narrow terminal drops the bar first, then the epoch, then the speed."""
    parts = {
        "step": Text.assemble(("step ", "bold"), f"{step.step:,}/{step.steps:,}"),
        "bar": Text(" " * BAR),
        "epoch": Text(f"epoch {step.epoch:.2f}"),
        "speed": Text(f"{step.chars_per_s:,.0f} {unit}/s"),
        "left": Text(f"{formatting.duration(step.seconds_left)} left"),
    }
    # The least informative part goes first.
    for name in ("bar", "epoch", "speed", "left"):
        if sum(len(part) + GAP for part in parts.values()) <= width + GAP:
            break
        del parts[name]
    row = Table.grid(padding=(0, GAP))
    bar = ProgressBar(total=max(step.steps, 1), completed=step.step, width=BAR)
    row.add_row(*(bar if name == "bar" else part for name, part in parts.items()))
    return row


def _sample_lines(sample: str) -> list[Text]:
    if not sample:
        return []
    lines = escape_controls(sample).expandtabs(4).splitlines()[:SAMPLE_LINES]
    return [Text("sample", style="bold")] + [Text("  " + line, style="dim", no_wrap=True) for line in lines]
