"""A run folder: ``config.toml``, ``log.jsonl``, ``best.safetensors``, ``last.safetensors``.

The two states of a run on disk, ``best`` and ``last``: they fit together, and a disk that fails is tried again.
"""

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import CheckpointError, OutputError
from .atomic import flush_folder, make_folder, remove_litter, write_atomic
from .lock import abandoned, claim

PARENT = "runs"


class RunFolder:
    """The places in a run folder. `create` makes a new one, `open` finds one to go on with.

    ``claimed``: the descriptor of the log of a new one, which holds its lock.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config_path = self.path / "config.toml"
        self.log_path = self.path / "log.jsonl"
        self.best = self.path / "best.safetensors"
        self.last = self.path / "last.safetensors"
        self.claimed: int | None = None

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> "RunFolder":
        """Makes the folder, with its parents, and claims it by its log. Of two that try at once, one succeeds.

        A start that was killed before it saved anything is cleared away. Raises `OutputError` when the folder holds a
        run already or cannot be made.
        """
        run = cls(path)
        with run._told():
            make_folder(run.path)
            run._check_free()
            run.claimed = claim(run.log_path)
            run._check_nothing_saved()
            remove_litter(run.path, alone=True)
            flush_folder(run.path)
        return run

    @classmethod
    def create_default(cls, now: datetime.datetime) -> "RunFolder":
        """A new folder named after the time; runs that start in the same second get ``-2``, ``-3`` and so on."""
        name = default_name(now)
        for path in (name, *(f"{name}-{n}" for n in range(2, 1000))):
            run = cls(path)
            if not run.path.exists():
                try:
                    return cls.create(path)
                except OutputError:
                    if not run._used():
                        raise
        raise OutputError(f"run folder {name} exists, and many after it; choose one with --out")

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "RunFolder":
        """The folder of a run to resume, cleared of what a killed process left. Raises `CheckpointError`."""
        run = cls(path)
        if not _exists(run.path):
            raise CheckpointError(f"{path}: no such run folder; give one to go on with")
        if not run.path.is_dir():
            raise CheckpointError(f"{path}: not a folder; --resume takes a run folder, --init-from a model file")
        if not _exists(run.last):
            raise CheckpointError(
                f"{path}: no {run.last.name} in this folder, so no run to go on with{_near(run.path)}"
            )
        remove_litter(run.path)
        return run

    def check_free(self) -> None:
        """Raises `OutputError` if a run is here already, or none can be: better said before a long preparation."""
        with self._told():
            self._check_free()
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                self.path.stat()  # raises for what can be no name
            nearest = next(place for place in (self.path, *self.path.absolute().parents) if os.path.lexists(place))
            if not nearest.is_dir():
                raise FileExistsError if nearest == self.path else NotADirectoryError(0, "Not a directory")
            if not os.access(nearest, os.W_OK | os.X_OK):
                raise PermissionError(0, "Permission denied")

    def _check_free(self) -> None:
        self._check_nothing_saved()
        known = _stat_succeeds(self.log_path)
        free = abandoned(self.log_path) if known else not _stat_succeeds(self.config_path)
        if not free:
            raise OutputError(self._exists())

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the system as `OutputError`."""
        try:
            yield
        except FileExistsError:
            raise OutputError(self._exists()) from None
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot make this run folder: {error.strerror}; choose another --out"
            ) from None
        except ValueError:
            raise OutputError(f"{os.fspath(self.path)!a}: not the name of a folder; choose another --out") from None

    def _check_nothing_saved(self) -> None:
        if _stat_succeeds(self.last) or _stat_succeeds(self.best):
            raise OutputError(self._exists())

    def _used(self) -> bool:
        return any(path.exists() for path in (self.config_path, self.log_path, self.best, self.last))

    def _exists(self) -> str:
        if not self._used():
            return f"{self.path}: a file of this name exists; choose another --out"
        if self.last.exists():
            return f"run folder {self.path} exists; choose another --out, or go on with --resume {self.path}"
        return f"run folder {self.path} exists, and nothing is saved in it yet; choose another --out"


def default_name(now: datetime.datetime) -> str:
    """Where a run goes that was given no ``--out``: ``runs/2026-01-31-235959``."""
    return os.path.join(PARENT, f"{now:%Y-%m-%d-%H%M%S}")


def model_path(path: str | os.PathLike[str]) -> Path:
    """The file that MODEL names: itself, or in a run folder the best model, else the last. Raises `CheckpointError`."""
    run = RunFolder(path)
    if not _exists(run.path):
        raise CheckpointError(f"{path}: no such model; give a run folder or a .safetensors file")
    if not run.path.is_dir():
        return run.path
    for model in (run.best, run.last):
        if _exists(model):
            return model
    raise CheckpointError(f"{path}: no {run.best.name} or {run.last.name} in this folder{_near(run.path)}")


def _exists(path: Path) -> bool:
    """Whether something has this name. Raises `CheckpointError` when the system does not let us see."""
    try:
        return _stat_succeeds(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read this: {error.strerror}") from None
    except ValueError:
        raise CheckpointError(f"{os.fspath(path)!a}: not the name of a file or folder") from None


def _stat_succeeds(path: Path) -> bool:
    """`Path.exists`, which from Python 3.14 on hides errors such as a lack of permission. Raises `OSError`."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _near(folder: Path) -> str:
    """Names the latest run right below a folder that is none itself: people give ``runs`` for a run in it."""
    try:
        runs = sorted(path for path in folder.iterdir() if RunFolder(path).last.exists())
    except OSError:
        return ""
    return f"; did you mean {runs[-1]}?" if runs else ""


class Saver:
    """Writes the states of a run. ``warn`` hears one line when the disk begins to fail, none while it goes on failing.

    A new best is written before the last state that tells of it, and until the disk takes it, last waits too: a kill
    or a failure between the two leaves a last state from which the best will be made again.
    """

    def __init__(self, folder: RunFolder, warn: Callable[[str], None]) -> None:
        self._folder, self._warn = folder, warn
        self._best: bytes | None = None  # not on disk yet
        self._failing = False

    def save(self, state: bytes, best: bool = False) -> bool:
        """Puts the bytes of a checkpoint on disk as the last state, and as the best one. False if that failed."""
        try:
            self._write(state, best)
        except OutputError as error:
            if not self._failing:
                self._warn(f"{error}; training goes on and will try again")
            self._failing = True
            return False
        self._failing = False
        return True

    def save_or_raise(self, state: bytes) -> None:
        """The same at the end of a run, where no later save makes up for it: tries twice, raises `OutputError`."""
        try:
            self._write(state)
        except OutputError:
            self._write(state)

    def _write(self, state: bytes, best: bool = False) -> None:
        if best:
            self._best = state
        if self._best is not None:
            write_atomic(self._folder.best, self._best)
            self._best = None
        write_atomic(self._folder.last, state)
