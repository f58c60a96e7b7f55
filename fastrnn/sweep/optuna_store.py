"""Trial store for several machines: an Optuna journal, a file on a disk that they share.

Every machine runs the same command. Grids are enumerated; ranges are sampled by Optuna's tree-structured Parzen
estimator (Bergstra et al. 2011) from the results so far. Only this module imports Optuna (extra ``sweep``).
"""

import math
import os
import platform
import warnings
from pathlib import Path
from typing import Any

from ..errors import BackendError, OutputError
from ..os_compat import process_may_be_alive
from .space import Choice, Range, Space
from .trial import score
from .trial_store import TrialRecord, check_folder, run_path

try:
    import optuna
except ImportError:
    raise BackendError("a sweep with --journal needs optuna; pip install 'fastrnn[sweep]'") from None

_FAILED = optuna.trial.TrialState.FAIL
_RUNNING = optuna.trial.TrialState.RUNNING


class OptunaTrialStore:
    """A `fastrnn.sweep.trial_store.TrialStore` shared by several machines.

    The settings of a trial, the process that runs it and its result are user attributes of the Optuna study. A trial
    whose process died is assigned to the next process on the same machine.
    """

    def __init__(self, path: Path, folder: Path, space: Space) -> None:
        """Open or create the study of this folder in a journal file. Raises `OutputError`."""
        check_folder(folder, space)
        self._folder, self._space = folder, space
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
            self._study = optuna.create_study(
                study_name=str(folder), storage=storage, sampler=_make_sampler(), load_if_exists=True
            )
        except OSError as error:
            raise OutputError(f"{path}: cannot use this journal: {error.strerror}") from None
        except ValueError as error:
            raise OutputError(f"{path}: not a journal of Optuna's ({error}); choose another") from None

    def next(self) -> tuple[int, dict[str, Any]] | None:
        for trial in self._study.get_trials(deepcopy=False, states=(_RUNNING,)):
            varied = self._get("settings", trial.number)
            if varied is not None and _is_dead(self._get("worker", trial.number)):
                self._set("worker", trial.number, _this_worker())
                return trial.number, varied

        if len(self._study.get_trials(deepcopy=False)) >= self._space.trials:
            return None
        trial = self._study.ask()
        if trial.number >= self._space.trials:  # other processes asked at the same time
            self._study.tell(trial, state=_FAILED)
            return None
        varied = self._suggest_settings(trial)
        self._set("worker", trial.number, _this_worker())
        self._set("settings", trial.number, varied)
        return trial.number, varied

    def save(self, number: int, varied: dict[str, Any], result: dict[str, Any]) -> None:
        self._set("result", number, result)
        errors, nats = score(result)
        if math.isinf(nats):
            self._study.tell(number, state=_FAILED)
        else:
            # Optuna minimizes one number: the loss only decides between equal error rates.
            has_accuracy = not {"exact", "accuracy"}.isdisjoint(result.get("metrics") or {})
            self._study.tell(number, errors + nats * 1e-6 if has_accuracy else nats)

    def records(self) -> list[TrialRecord]:
        found = []
        for number in range(self._space.trials):
            settings, result = self._get("settings", number), self._get("result", number)
            if settings is not None and result is not None:
                found.append({"number": number, "settings": settings, "run": run_path(self._folder, number), **result})
        return found

    def close(self) -> None:
        """Do nothing: the journal is locked only while it is written."""

    def _set(self, key: str, number: int, value: Any) -> None:
        self._study.set_user_attr(f"{key} {number}", value)

    def _get(self, key: str, number: int) -> Any:
        return self._study.user_attrs.get(f"{key} {number}")

    def _suggest_settings(self, trial: Any) -> dict[str, Any]:
        if self._space.grid_size is not None:
            return self._space.settings(trial.number)
        return {name: _suggest(trial, name, value) for name, value in self._space.varied.items()}


def _make_sampler() -> Any:
    # constant_liar gives running trials a bad score, so that machines do not all try the same settings.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna marks the option as experimental
        return optuna.samplers.TPESampler(constant_liar=True)


def _suggest(trial: Any, name: str, value: Choice | Range) -> Any:
    if isinstance(value, Choice):
        return trial.suggest_categorical(name, value.values)
    if value.is_integer:
        return trial.suggest_int(name, int(value.low), int(value.high), log=value.log)
    return trial.suggest_float(name, value.low, value.high, log=value.log)


def _this_worker() -> str:
    return f"{platform.node()}:{os.getpid()}"


def _is_dead(worker: str) -> bool:
    """Whether a worker process on this machine has ended."""
    node, _, process = worker.rpartition(":")
    if node != platform.node() or not process.isdecimal() or int(process) == os.getpid():
        return False
    return not process_may_be_alive(int(process))
