"""Run the trials of a sweep on this machine, several at a time, until none is left or a signal arrives."""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..kernels.cpu.thread_pool import default_threads
from ..training.signals import StopSignals
from .space import Space
from .trial import TrialProcess, score
from .trial_store import TrialRecord, TrialStore, run_path

_POLL_SECONDS = 0.1  # between two polls of the running trials
_RETRY_SECONDS = 2.0  # before a trial whose run folder another process has locked is started again
# Part of the error of a trial whose run folder is locked: a killed sweep leaves its trials running.
_LOCKED = "another process is training"


@dataclass(frozen=True)
class SweepResult:
    """Result of a sweep.

    Attributes:
        trials: The finished trials, best first, failed ones last.
        signal: Number of the signal that stopped the sweep, or None.
    """

    trials: list[TrialRecord]
    signal: int | None

    @property
    def best(self) -> TrialRecord | None:
        """The best trial; None if no trial succeeded."""
        return self.trials[0] if self.trials and math.isfinite(score(self.trials[0])[1]) else None


class SweepCallback(Protocol):
    """Receives the progress of a sweep."""

    def on_trial_start(self, number: int, varied: dict[str, Any]) -> None:
        """Called when a trial starts."""

    def on_trial_locked(self, number: int) -> None:
        """Called once for a trial that a process of an earlier, killed sweep still runs; its result will be used."""

    def on_trial_end(self, record: TrialRecord) -> None:
        """Called when a trial has finished or failed."""


def run(space: Space, store: TrialStore, folder: Path, jobs: int, callback: SweepCallback) -> SweepResult:
    """Run the remaining trials, ``jobs`` at a time; each gets an equal share of the CPUs.

    On a signal the running trials save their state and stop; the next call resumes them. ``store`` is closed at the
    end, also after an error, so that the same process can run the sweep again.
    """
    # More threads than CPUs would slow all trials down.
    threads = max(1, default_threads() // jobs)
    running: list[TrialProcess] = []
    locked: dict[int, tuple[float, dict[str, Any]]] = {}  # number -> (time of the next attempt, varied settings)
    reported: set[int] = set()

    with contextlib.closing(store), StopSignals() as signals, _stop_on_error(running):
        while True:
            while len(running) < jobs and signals.stop is None and (assigned := store.next()):
                callback.on_trial_start(*assigned)
                running.append(_start_trial(space, folder, *assigned, threads))
            for number, (when, varied) in list(locked.items()):
                if len(running) < jobs and time.monotonic() >= when:
                    del locked[number]
                    running.append(_start_trial(space, folder, number, varied, threads))

            if signals.stop is not None:
                for trial in running:
                    trial.stop()
                for trial in running:
                    _collect_result(trial, store, callback)
                break
            # Locked trials will end in the other process: wait for them.
            if not running and not locked:
                break

            time.sleep(_POLL_SECONDS)
            for trial in [trial for trial in running if trial.has_ended()]:
                running.remove(trial)
                if _collect_result(trial, store, callback):
                    continue
                if trial.number not in reported:
                    callback.on_trial_locked(trial.number)
                    reported.add(trial.number)
                locked[trial.number] = time.monotonic() + _RETRY_SECONDS, trial.varied
    return SweepResult(sort_by_score(store.records()), signals.stop)


@contextlib.contextmanager
def _stop_on_error(running: list[TrialProcess]) -> Iterator[None]:
    """After an error stop the running trials: they would keep their run folders locked."""
    try:
        yield
    except BaseException:
        for trial in running:
            trial.stop()
        for trial in running:
            trial.wait()
        raise


def sort_by_score(records: list[TrialRecord]) -> list[TrialRecord]:
    """Return the trials, best first."""
    return sorted(records, key=lambda record: (*score(record), record["number"]))


def _start_trial(space: Space, folder: Path, number: int, varied: dict[str, Any], threads: int) -> TrialProcess:
    settings = {"threads": threads} | space.fixed | varied
    return TrialProcess(
        number, varied, {"out": run_path(folder, number), "data": list(space.data), "settings": settings}
    )


def _collect_result(trial: TrialProcess, store: TrialStore, callback: SweepCallback) -> bool:
    """Wait for a trial and store its result; return False if its run folder is locked by another process.

    The result of a trial that a signal stopped is not stored: the trial is not finished.
    """
    status, result = trial.result()
    if status >= 128 or status < 0:
        return True
    if _LOCKED in result.get("error", ""):
        return False
    store.save(trial.number, trial.varied, result)
    callback.on_trial_end({"number": trial.number, "settings": trial.varied, "run": trial.out, **result})
    return True
