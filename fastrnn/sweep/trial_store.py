"""What a sweep's trials came to: a line of JSON for each in the folder of the sweep, so that it can go on."""

import json
import os
from pathlib import Path
from typing import Any, Protocol

from ..checkpoint.atomic import is_temporary, write_atomic
from ..checkpoint.lock import open_log
from ..errors import DivergedError, OutputError
from .space import Space

Example = dict[str, Any]  # number, settings, run, and what `trial.RESULT` names or error


class TrialStore(Protocol):
    """Hands out the trials that are left and keeps their results."""

    def next(self) -> tuple[int, dict[str, Any]] | None:
        """The number of a trial that is to be run, and what it varies; None when there is none."""

    def keep(self, number: int, varied: dict[str, Any], result: dict[str, Any]) -> None:
        """A trial has ended."""

    def records(self) -> list[Example]:
        """All that have ended."""


class FileTrialStore:
    """``sweep.json`` says of which settings the folder is, ``trials.jsonl`` has the results."""

    def __init__(self, folder: Path, space: Space) -> None:
        """Opens the sweep in a folder, or begins one; nobody else runs it from here on. Raises `OutputError`."""
        self._folder, self._space = folder, space
        self._path = folder / "trials.jsonl"
        check_folder(folder, space)
        try:
            self._lock = open_log(folder / "sweep.json")
        except BlockingIOError:
            raise OutputError(f"{folder}: another process runs this sweep; --journal lets many do it") from None
        # what failed is tried again, since its cause may be gone; but not what diverged
        self._records = [
            record
            for record in self._read()
            if "error" not in record or record.get("status") == DivergedError.exit_status
        ]
        self._left = [n for n in range(space.trials) if n not in {record["number"] for record in self._records}]

    def next(self) -> tuple[int, dict[str, Any]] | None:
        if not self._left:
            return None
        number = self._left.pop(0)
        return number, self._space.settings(number)

    def keep(self, number: int, varied: dict[str, Any], result: dict[str, Any]) -> None:
        record = {"number": number, "settings": varied, "run": run_path(self._folder, number), **result}
        self._records.append(record)
        write_atomic(self._path, "".join(json.dumps(line) + "\n" for line in self._records).encode())

    def records(self) -> list[Example]:
        return [record for record in self._records if record["number"] < self._space.trials]

    def _read(self) -> list[Example]:
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
            raise OutputError(f"{self._path}: damaged; remove it, and every run will be looked at again") from None
        return records


def run_path(folder: Path, number: int) -> str:
    """The run folder of a trial."""
    return str(folder / f"{number:04}")


def check_folder(folder: Path, space: Space) -> None:
    """Make the folder of a sweep, or see that it is one of these settings. Raises `OutputError`."""
    told = json.dumps(space.to_dict()) + "\n"
    path = folder / "sweep.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # looked at first: whoever begins the sweep at the same time writes sweep.json before anything else
        others = [name for name in os.listdir(folder) if not is_temporary(name)]
        if not path.exists():
            if others:
                raise OutputError(f"{folder}: this folder is in use, and not by a sweep; choose another --out")
            write_atomic(path, told.encode())
        same = path.read_text("utf-8") == told
    except FileExistsError:
        raise OutputError(f"{folder}: not a folder; choose another --out") from None
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(f"{folder}: cannot use this folder: {os.strerror(getattr(error, 'errno', 0) or 5)}") from None
    if not same:
        raise OutputError(f"{folder}: a sweep of other settings is here; choose another --out, or give its own again")
