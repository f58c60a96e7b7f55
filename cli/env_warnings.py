"""Warnings about environment variables, printed to standard error before a command runs."""

import dataclasses
import logging
import os
from collections.abc import Callable, Iterator, Mapping

from fastrnn.config import Config, key_of, nearest
from fastrnn.distributed.environment import launcher_rank

_PREFIX = "FASTRNN_"
_OTHER_VARIABLES = ("CONFIG", "DATA", "DEBUG", "KERNELS", "MIRROR")


def warn_about_environment(environment: Mapping[str, str] | None = None) -> None:
    """Print warnings and forward the library's log to standard error, on rank 0 only."""
    from .output import note

    first = not launcher_rank()[0]
    _show_log(note if first else lambda line: None)
    if first:
        for line in environment_warnings(os.environ if environment is None else environment):
            note(line)


def environment_warnings(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each ``FASTRNN_*`` variable that is not recognized."""
    known = {*(key_of(field.name).upper() for field in dataclasses.fields(Config)), *_OTHER_VARIABLES}
    for name in sorted(environment):
        word = name.removeprefix(_PREFIX)
        if word != name and word not in known:
            hint = nearest(word, known).replace("did you mean ", f"did you mean {_PREFIX}")
            yield f"{name} is not a fastrnn variable{hint}"


class _Lines(logging.Handler):
    """Log handler that passes each message to a function."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write(record.getMessage())


def _show_log(write: Callable[[str], None]) -> None:
    """Forward the library's log, e.g. the warning that compiled kernels cannot be cached."""
    logging.getLogger("fastrnn").handlers = [_Lines(write)]
