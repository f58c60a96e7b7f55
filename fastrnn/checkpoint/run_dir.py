"""Run folders: ``config.toml``, ``log.jsonl``, ``best.safetensors`` and ``last.safetensors``.

`RunFolder` creates and opens them; `Saver` keeps the two checkpoints consistent and retries failed writes. Only the
process that has locked the log file of a run folder may train in it; the operating system releases the lock when that
process ends, however it ends.
"""

import contextlib
import datetime
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import CheckpointError, OutputError
from ..os_compat import flush_folder, lock_file, quote_argument
from .atomic import make_folder, remove_stale_files, write_atomic

# O_BINARY: on Windows a line end would become two bytes, and lengths would be wrong.
_OPEN = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FLAGS = _OPEN | os.O_CREAT | os.O_APPEND
_START = b'{"event": "start"'
_LONGEST_START = 1 << 20  # bytes; a longer log is not one of a run that never began
PARENT = "runs"
BEST = "best.safetensors"


def open_log(path: str | os.PathLike[str]) -> int:
    """Open a log, creating it if it does not exist, and lock it where the file system has locks.

    Returns the descriptor. Raises `BlockingIOError` if another process holds the lock, `OSError`.
    """
    descriptor = os.open(path, _FLAGS, 0o666)
    try:
        lock_file(descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def create_log(path: str | os.PathLike[str]) -> int:
    """Create and lock the empty log of a new run. Of several concurrent calls one succeeds.

    An unlocked log that holds start events only was left by a killed start; it is emptied and
    reused. Any other existing log raises `FileExistsError`. Returns the descriptor.
    """
    try:
        descriptor = os.open(path, _FLAGS | os.O_EXCL, 0o666)
        created = True
    except FileExistsError:
        descriptor = os.open(path, _FLAGS, 0o666)
        created = False
    try:
        locked = lock_file(descriptor)
        if not created and not (locked and _has_only_starts(descriptor)):
            raise FileExistsError
        os.ftruncate(descriptor, 0)
    except BlockingIOError:
        os.close(descriptor)
        raise FileExistsError from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def is_abandoned(path: str | os.PathLike[str]) -> bool:
    """Whether `create_log` would reuse this log. Raises `OSError`."""
    descriptor = os.open(path, _OPEN)
    try:
        return lock_file(descriptor) and _has_only_starts(descriptor)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def read_at(descriptor: int, size: int, start: int) -> bytes:
    """Read at most ``size`` bytes of a file at offset ``start``. Raises `OSError`."""
    # os.pread does not exist on every system. Moving the offset does not affect writes: O_APPEND.
    os.lseek(descriptor, start, os.SEEK_SET)
    return os.read(descriptor, size)


def _has_only_starts(descriptor: int) -> bool:
    """Whether every line of a log is a start event; the last line may be incomplete."""
    data = read_at(descriptor, _LONGEST_START, 0)
    *lines, rest = data.split(b"\n")
    try:
        events = [json.loads(line)["event"] for line in lines]
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
    rest = rest.rstrip(b"\0")  # a power cut can leave zeros
    is_partial_start = _START.startswith(rest[: len(_START)])
    return is_partial_start and len(data) < _LONGEST_START and all(event == "start" for event in events)


class RunFolder:
    """The paths of a run folder. `create` makes a new folder, `open` one to resume.

    ``log_descriptor``: the descriptor of a new run's log, which holds the lock on the folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config_path = self.path / "config.toml"
        self.log_path = self.path / "log.jsonl"
        self.best = self.path / BEST
        self.last = self.path / "last.safetensors"
        self.log_descriptor: int | None = None

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> "RunFolder":
        """Create the folder with its parents and lock it. Of several concurrent calls one succeeds.

        A folder in which a start was killed before it saved anything is reused. Raises `OutputError`
        for a folder that holds a run or cannot be created.
        """
        run = cls(path)
        with run._convert_os_errors():
            make_folder(run.path)
            run._check_free()
            run.log_descriptor = create_log(run.log_path)
            try:
                # Checked again under the lock: another run may have saved a checkpoint in between.
                run._check_no_checkpoints()
                remove_stale_files(run.path, exclusive=True)
                flush_folder(run.path)
            except BaseException:
                os.close(run.log_descriptor)
                raise
        return run

    @classmethod
    def create_default(cls, now: datetime.datetime) -> "RunFolder":
        """Create a folder named after the time; runs of the same second get ``-2``, ``-3`` and so on."""
        name = default_name(now)
        for path in (name, *(f"{name}-{n}" for n in range(2, 1000))):
            run = cls(path)
            if not run.path.exists():
                try:
                    return cls.create(path)
                except OutputError:
                    # Another run of the same second took the name: try the next one.
                    if not run._has_run_files():
                        raise
        raise OutputError(f"run folder {name} and all its numbered variants exist; choose a folder with --out")

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "RunFolder":
        """Open a run to resume and remove stale temporary files. Raises `CheckpointError`."""
        run = cls(path)
        if not _exists(run.path):
            raise CheckpointError(f"{path}: no such run folder; give the folder of the run to resume")
        if not run.path.is_dir():
            raise CheckpointError(f"{path}: not a folder; --resume takes a run folder, --init-from a model file")
        if not _exists(run.last):
            raise CheckpointError(
                f"{path}: no {run.last.name} in this folder, so there is no run to resume{_suggest_run(run.path)}"
            )
        remove_stale_files(run.path)
        return run

    def check_free(self) -> None:
        """Raise `OutputError` if `create` would fail, to fail before a long preparation."""
        with self._convert_os_errors():
            self._check_free()
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                self.path.stat()  # raises for an invalid name
            # The folder will be created in its nearest existing parent.
            nearest = next(place for place in (self.path, *self.path.absolute().parents) if os.path.lexists(place))
            if not nearest.is_dir():
                raise FileExistsError if nearest == self.path else NotADirectoryError(0, "Not a directory")
            if not os.access(nearest, os.W_OK | os.X_OK):
                raise PermissionError(0, "Permission denied")

    def _check_free(self) -> None:
        self._check_no_checkpoints()
        # Without a log a configuration alone is enough to make it a run.
        has_log = _stat_succeeds(self.log_path)
        is_free = is_abandoned(self.log_path) if has_log else not _stat_succeeds(self.config_path)
        if not is_free:
            raise OutputError(self._exists())

    @contextlib.contextmanager
    def _convert_os_errors(self) -> Iterator[None]:
        """Convert errors of the operating system to `OutputError`."""
        try:
            yield
        except FileExistsError:
            if not os.path.lexists(self.path):  # Windows says so of a parent that is a file
                raise OutputError(
                    f"{self.path}: cannot make this run folder: Not a directory; choose another --out"
                ) from None
            raise OutputError(self._exists()) from None
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot make this run folder: {error.strerror}; choose another --out"
            ) from None
        except ValueError:
            raise OutputError(f"{os.fspath(self.path)!a}: not the name of a folder; choose another --out") from None

    def _check_no_checkpoints(self) -> None:
        if _stat_succeeds(self.last) or _stat_succeeds(self.best):
            raise OutputError(self._exists())

    def _has_run_files(self) -> bool:
        return any(path.exists() for path in (self.config_path, self.log_path, self.best, self.last))

    def _exists(self) -> str:
        if not self._has_run_files():
            return f"{self.path}: a file of this name exists; choose another --out"
        if self.last.exists():
            again = f"--resume {quote_argument(str(self.path))}"
            return f"run folder {self.path} exists; choose another --out, or continue it with {again}"
        return f"run folder {self.path} exists without a checkpoint yet; choose another --out"


def default_name(now: datetime.datetime) -> str:
    """Return the default run folder, ``runs/2026-01-31-235959``."""
    return os.path.join(PARENT, f"{now:%Y-%m-%d-%H%M%S}")


def model_path(path: str | os.PathLike[str]) -> Path:
    """Return the model file at a path: the file itself, or the best, else the last checkpoint of a run folder.

    Raises `CheckpointError`.
    """
    run = RunFolder(path)
    if not _exists(run.path):
        raise CheckpointError(f"{path}: no such model; give a run folder or a .safetensors file")
    if not run.path.is_dir():
        return run.path
    for model in (run.best, run.last):
        if _exists(model):
            return model
    raise CheckpointError(f"{path}: no {run.best.name} or {run.last.name} in this folder{_suggest_run(run.path)}")


def _exists(path: Path) -> bool:
    """Whether the path exists. Raises `CheckpointError` if that cannot be determined."""
    try:
        return _stat_succeeds(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read this: {error.strerror}") from None
    except ValueError:
        raise CheckpointError(f"{os.fspath(path)!a}: not the name of a file or folder") from None


def _stat_succeeds(path: Path) -> bool:
    """Whether the path exists. Raises `OSError`."""
    # Path.exists hides errors such as a lack of permission from Python 3.14 on.
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _suggest_run(folder: Path) -> str:
    """Suggest the latest run in a folder that is not a run itself: users give ``runs`` for a run in it."""
    try:
        runs = sorted(path for path in folder.iterdir() if RunFolder(path).last.exists())
    except OSError:
        return ""
    return f"; did you mean {runs[-1]}?" if runs else ""


class Saver:
    """Writes the checkpoints of a run. ``warn`` is called once for each series of failed writes.

    A new best checkpoint is written before the last checkpoint that refers to it, and the last one is
    not written until the best one is on disk. A kill or failure between the two leaves a last
    checkpoint from which training produces the best one again.
    """

    def __init__(self, folder: RunFolder, warn: Callable[[str], None]) -> None:
        self._folder, self._warn = folder, warn
        self._best: bytes | None = None  # to be written
        self._failing = False

    def save(self, last: bytes, best: bytes | None = None) -> bool:
        """Write the last checkpoint and, if there is a new one, the best one. False on failure."""
        try:
            self._write(last, best)
        except OutputError as error:
            if not self._failing:
                self._warn(f"{error}; training continues and will retry")
            self._failing = True
            return False
        self._failing = False
        return True

    def save_or_raise(self, last: bytes) -> None:
        """Write the final checkpoint of a run; tries twice, because no later save follows. Raises `OutputError`."""
        try:
            self._write(last)
        # The cause may be gone: a disk that was full for a moment, a network share that was away.
        except OutputError:
            self._write(last)

    def _write(self, last: bytes, best: bytes | None = None) -> None:
        # The order matters: see the class. After a failure the best checkpoint stays pending.
        if best is not None:
            self._best = best
        if self._best is not None:
            write_atomic(self._folder.best, self._best)
            self._best = None
        write_atomic(self._folder.last, last)
