"""The two states of a run on disk, ``best`` and ``last``: they fit together, and a disk that fails is tried again."""

from collections.abc import Callable

from ..errors import OutputError
from .atomic import write_atomic
from .runfolder import RunFolder


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
