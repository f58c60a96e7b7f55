"""A sweep on this machine: some trials at a time, until none is left or a signal comes."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..kernels.cpu.thread_pool import default_threads
from ..training.signals import StopSignals
from .space import Space
from .trial import TrialProcess, score
from .trial_store import Example, TrialStore, run_path

_LOOK = 0.1  # seconds between two looks at the trials
_AGAIN = 2.0  # seconds after which a trial that another process is at is tried again
_BUSY = "another process is training"  # in a trial's run folder: what a killed sweep has left at work


@dataclass(frozen=True)
class SweepResult:
    """All trials that have ended, the best first, those that failed last; ``signal``: the one that stopped it."""

    trials: list[Example]
    signal: int | None

    @property
    def best(self) -> Example | None:
        """The best trial, if any came to something."""
        return self.trials[0] if self.trials and math.isfinite(score(self.trials[0])[1]) else None


class SweepCallback(Protocol):
    """Hears what a sweep does."""

    def begun(self, number: int, varied: dict[str, Any]) -> None:
        """A trial begins."""

    def waits(self, number: int) -> None:
        """Another process, which a killed sweep has left, is still at this trial; its result will be taken."""

    def tell(self, record: Example) -> None:
        """A trial has ended."""


def run(space: Space, book: TrialStore, folder: Path, jobs: int, listener: SweepCallback) -> SweepResult:
    """Run what is left, ``jobs`` at a time; each has its share of the processors.

    A signal lets those at work save; started again, the sweep goes on with them.
    """
    threads = max(1, default_threads() // jobs)
    at_work: list[TrialProcess] = []
    elsewhere: dict[int, tuple[float, dict[str, Any]]] = {}  # trials that others are at: when to look, what they vary
    told: set[int] = set()
    with StopSignals() as signals:
        while True:
            while len(at_work) < jobs and signals.stop is None and (found := book.next()):
                listener.begun(*found)
                at_work.append(_start(space, folder, *found, threads))
            for number, (when, varied) in list(elsewhere.items()):
                if len(at_work) < jobs and time.monotonic() >= when:
                    del elsewhere[number]
                    at_work.append(_start(space, folder, number, varied, threads))
            if signals.stop is not None:
                for trial in at_work:
                    trial.stop()
                for trial in at_work:
                    _wait(trial, book, listener)
                break
            if not at_work and not elsewhere:
                break
            time.sleep(_LOOK)
            for trial in [trial for trial in at_work if trial.done()]:
                at_work.remove(trial)
                if _wait(trial, book, listener):
                    if trial.number not in told:
                        listener.waits(trial.number)
                        told.add(trial.number)
                    elsewhere[trial.number] = time.monotonic() + _AGAIN, trial.varied
    return SweepResult(ranked(book.records()), signals.stop)


def ranked(records: list[Example]) -> list[Example]:
    """The best first."""
    return sorted(records, key=lambda record: (*score(record), record["number"]))


def _start(space: Space, folder: Path, number: int, varied: dict[str, Any], threads: int) -> TrialProcess:
    settings = {"threads": threads} | space.fixed | varied
    task = {"out": run_path(folder, number), "data": list(space.data), "settings": settings}
    return TrialProcess(number, varied, task)


def _wait(trial: TrialProcess, book: TrialStore, listener: SweepCallback) -> bool:
    """The end of a trial; whether it is at work elsewhere. One that a signal has stopped is not over."""
    status, result = trial.result()
    if status >= 128 or status < 0:
        return False
    if _BUSY in result.get("error", ""):
        return True
    book.keep(trial.number, trial.varied, result)
    listener.tell({"number": trial.number, "settings": trial.varied, "run": trial.out, **result})
    return False
