"""A sweep on many machines: Optuna's journal, a file on a disk that they share, hands out the trials.

Each machine runs the same command. Ranges are searched by what was found so far (Optuna's own way, a tree-structured
Parzen estimator); a grid is gone through. Optuna is imported here alone (extra ``sweep``).
"""

import math
import os
import platform
import warnings
from pathlib import Path
from typing import Any

from ..checkpoint.atomic import process_may_be_alive
from ..errors import BackendError, OutputError
from .space import Choice, Range, Space
from .trial import score
from .trial_store import Example, check_folder, run_path

try:
    import optuna
except ImportError:
    raise BackendError("a sweep with --journal needs optuna, which is missing; pip install 'fastrnn[sweep]'") from None

_FAILED = optuna.trial.TrialState.FAIL
_RUNNING = optuna.trial.TrialState.RUNNING


class OptunaTrialStore:
    """A `fastrnn.sweep.trial_store.TrialStore` that several machines write in.

    What a trial varies, which process has it, and its result are attributes of Optuna's study. A trial whose process
    died is taken up again by the next one on its machine.
    """

    def __init__(self, path: Path, folder: Path, space: Space) -> None:
        """Opens or begins the study of this folder in a journal. Raises `OutputError`."""
        check_folder(folder, space)
        self._folder, self._space = folder, space
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
            self._study = optuna.create_study(
                study_name=str(folder), storage=storage, sampler=_sampler(), load_if_exists=True
            )
        except OSError as error:
            raise OutputError(f"{path}: cannot use this journal: {error.strerror}") from None
        except ValueError as error:
            raise OutputError(f"{path}: not a journal of Optuna's ({error}); choose another") from None

    def next(self) -> tuple[int, dict[str, Any]] | None:
        for trial in self._study.get_trials(deepcopy=False, states=(_RUNNING,)):
            varied = self._known("settings", trial.number)
            if varied is not None and _abandoned(self._known("worker", trial.number)):
                self._know("worker", trial.number, _this_worker())
                return trial.number, varied
        if len(self._study.get_trials(deepcopy=False)) >= self._space.trials:
            return None
        trial = self._study.ask()
        if trial.number >= self._space.trials:  # others asked at the same time
            self._study.tell(trial, state=_FAILED)
            return None
        varied = self._settings(trial)
        self._know("worker", trial.number, _this_worker())
        self._know("settings", trial.number, varied)
        return trial.number, varied

    def keep(self, number: int, varied: dict[str, Any], result: dict[str, Any]) -> None:
        self._know("result", number, result)
        wrong, nats = score(result)
        if math.isinf(nats):
            self._study.tell(number, state=_FAILED)
        else:
            graded = not {"exact", "accuracy"}.isdisjoint(result.get("metrics") or {})
            self._study.tell(number, wrong + nats * 1e-6 if graded else nats)

    def records(self) -> list[Example]:
        found = []
        for number in range(self._space.trials):
            settings, result = self._known("settings", number), self._known("result", number)
            if settings is not None and result is not None:
                found.append({"number": number, "settings": settings, "run": run_path(self._folder, number), **result})
        return found

    def _know(self, what: str, number: int, value: Any) -> None:
        self._study.set_user_attr(f"{what} {number}", value)

    def _known(self, what: str, number: int) -> Any:
        return self._study.user_attrs.get(f"{what} {number}")

    def _settings(self, trial: Any) -> dict[str, Any]:
        if self._space.grid is not None:
            return self._space.settings(trial.number)
        return {name: _suggested(trial, name, value) for name, value in self._space.varied.items()}


def _sampler() -> Any:
    """What others are at counts as bad news for now, so that machines do not all try the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this option is marked experimental
        return optuna.samplers.TPESampler(constant_liar=True)


def _suggested(trial: Any, name: str, value: Choice | Range) -> Any:
    if isinstance(value, Choice):
        return trial.suggest_categorical(name, value.values)
    if value.whole:
        return trial.suggest_int(name, int(value.low), int(value.high), log=value.log)
    return trial.suggest_float(name, value.low, value.high, log=value.log)


def _this_worker() -> str:
    return f"{platform.node()}:{os.getpid()}"


def _abandoned(worker: str) -> bool:
    """Whether a process of this machine that had a trial is gone: never on Windows, see `process_may_be_alive`."""
    node, _, process = worker.rpartition(":")
    if node != platform.node() or not process.isdecimal() or int(process) == os.getpid():
        return False
    return not process_may_be_alive(int(process))
