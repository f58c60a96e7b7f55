"""A sweep on this machine: some trials at a time, until none is left or a signal comes."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cpu.pool import default_threads
from ..training.signals import StopSignals
from .book import Book, Record, run_path
from .space import Space
from .trial import Running, score

_LOOK = 0.1  # seconds between two looks at the trials
_BUSY = "another process is training"  # in a trial's run folder: what a killed sweep has left at work


@dataclass(frozen=True)
class Outcome:
    """All trials that have ended, the best first, those that failed last; ``signal``: the one that stopped it."""

    trials: list[Record]
    signal: int | None

    @property
    def best(self) -> Record | None:
        """The best trial, if any came to something."""
        return self.trials[0] if self.trials and math.isfinite(score(self.trials[0])[1]) else None


def run(
    space: Space, book: Book, folder: Path, jobs: int, tell: Callable[[Record], None], begun: Callable[[int, Any], None]
) -> Outcome:
    """Run what is left, ``jobs`` at a time; each has its share of the processors.

    ``begun`` hears number and settings of a trial, ``tell`` its record. A signal lets those at work save; started
    again, the sweep goes on with them.
    """
    threads = max(1, default_threads() // jobs)
    at_work: list[Running] = []
    with StopSignals() as signals:
        while True:
            while len(at_work) < jobs and signals.stop is None and (found := book.next()):
                begun(*found)
                at_work.append(_start(space, folder, *found, threads))
            if not at_work:
                break
            if signals.stop is not None:
                for trial in at_work:
                    trial.stop()
                for trial in at_work:
                    _wait(trial, book, tell)
                break
            time.sleep(_LOOK)
            for trial in [trial for trial in at_work if trial.done()]:
                at_work.remove(trial)
                _wait(trial, book, tell)
    return Outcome(ranked(book.records()), signals.stop)


def ranked(records: list[Record]) -> list[Record]:
    """The best first."""
    return sorted(records, key=lambda record: (*score(record), record["number"]))


def _start(space: Space, folder: Path, number: int, varied: dict[str, Any], threads: int) -> Running:
    settings = {"threads": threads} | space.fixed | varied
    task = {"out": run_path(folder, number), "data": list(space.data), "settings": settings}
    return Running(number, varied, task)


def _wait(trial: Running, book: Book, tell: Callable[[Record], None]) -> None:
    """The end of a trial; one that a signal has stopped is not over, nor one that is at work elsewhere."""
    status, result = trial.result()
    if status >= 128 or status < 0 or _BUSY in result.get("error", ""):
        return
    book.keep(trial.number, trial.varied, result)
    tell({"number": trial.number, "settings": trial.varied, "run": trial.out, **result})
