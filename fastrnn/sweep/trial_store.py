"""Stores that hand out the trials of a sweep and keep their results, so that a sweep can be resumed."""

import json
import os
from pathlib import Path
from typing import Any, Protocol

from ..checkpoint.atomic import is_temporary, write_atomic
from ..checkpoint.run_dir import open_log
from ..errors import DivergedError, OutputError
from .space import Space

TrialRecord = dict[str, Any]
"""A finished trial: ``number``, ``settings``, ``run``, and the fields of `trial.RESULT` or ``error``."""


class TrialStore(Protocol):
    """Assigns trials to this process and stores their results."""

    def next(self) -> tuple[int, dict[str, Any]] | None:
        """Return the number and the varied settings of the next trial to run; None if none is left."""

    def save(self, number: int, varied: dict[str, Any], result: dict[str, Any]) -> None:
        """Store the result of a finished trial."""

    def records(self) -> list[TrialRecord]:
        """Return all finished trials."""

    def close(self) -> None:
        """Release what the store holds; only `records` may be called afterwards."""


class FileTrialStore:
    """Trials of a single process: ``sweep.json`` holds the sweep's settings, ``trials.jsonl`` the results."""

    def __init__(self, folder: Path, space: Space) -> None:
        """Open or create the sweep in a folder, and lock it until `close`. Raises `OutputError`."""
        self._folder, self._space = folder, space
        self._path = folder / "trials.jsonl"
        check_folder(folder, space)
        try:
            self._lock: int | None = open_log(folder / "sweep.json")
        except BlockingIOError:
            raise OutputError(
                f"{folder}: another process runs this sweep; use --journal to run it in several processes"
            ) from None

        # Failed trials run again, because the cause may be gone; a diverged one would diverge again.
        try:
            self._records = [
                record
                for record in self._read()
                if "error" not in record or record.get("status") == DivergedError.exit_status
            ]
        except BaseException:
            self.close()
            raise
        finished = {record["number"] for record in self._records}
        self._pending = [n for n in range(space.trials) if n not in finished]

    def next(self) -> tuple[int, dict[str, Any]] | None:
        if not self._pending:
            return None
        number = self._pending.pop(0)
        return number, self._space.settings(number)

    def save(self, number: int, varied: dict[str, Any], result: dict[str, Any]) -> None:
        record = {"number": number, "settings": varied, "run": run_path(self._folder, number), **result}
        self._records.append(record)
        write_atomic(self._path, "".join(json.dumps(line) + "\n" for line in self._records).encode())

    def records(self) -> list[TrialRecord]:
        # The file may hold more trials than this call's --trials asks for.
        return [record for record in self._records if record["number"] < self._space.trials]

    def close(self) -> None:
        if self._lock is not None:
            lock, self._lock = self._lock, None
            os.close(lock)

    def _read(self) -> list[TrialRecord]:
        try:
            lines = self._path.read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise OutputError(f"{self._path}: cannot read these results: {error.strerror}") from None
        try:
            records = [json.loads(line) for line in lines]
            if not all(
                isinstance(record["number"], int) and isinstance(record["settings"], dict) for record in records
            ):
                raise ValueError
        except (ValueError, LookupError, TypeError):
            raise OutputError(
                f"{self._path}: damaged; remove it, and the results are collected again from the run folders"
            ) from None
        return records


def run_path(folder: Path, number: int) -> str:
    """Return the run folder of a trial."""
    return str(folder / f"{number:04}")


def check_folder(folder: Path, space: Space) -> None:
    """Create the folder of a sweep, or check that it holds a sweep of the same settings. Raises `OutputError`."""
    settings = json.dumps(space.to_dict()) + "\n"
    path = folder / "sweep.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Listed before the test below: a process that starts the same sweep now writes sweep.json before other files.
        others = [name for name in os.listdir(folder) if not is_temporary(name)]
        if not path.exists():
            if others:
                raise OutputError(f"{folder}: this folder is in use, and not by a sweep; choose another --out")
            write_atomic(path, settings.encode())
        is_same = path.read_text("utf-8") == settings
    except FileExistsError:
        raise OutputError(f"{folder}: not a folder; choose another --out") from None
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(f"{folder}: cannot use this folder: {os.strerror(getattr(error, 'errno', 0) or 5)}") from None
    if not is_same:
        raise OutputError(
            f"{folder}: a sweep of other settings is here; choose another --out, or restore the settings of that sweep"
        )
