"""The program: run one command; whatever ends it becomes an exit status and at most one line.

Nothing but the standard library is imported above the functions, so that an interrupt is answered from the start.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn, TextIO

from .interrupt import leave_at_once_on_signals
from .sanitize import visible, visible_line

if TYPE_CHECKING:
    import click

INTERRUPTED = 130
GRACE = 2.0  # seconds


def main() -> None:
    """The console script ``fastrnn``."""
    started = time.monotonic()
    _occupy_standard_descriptors()
    leave_at_once_on_signals()
    status = run(sys.argv[1:], started)
    _settle(sys.stderr)
    if status and _rank() is not None:
        _leave_the_others(status)
    sys.exit(status)


def run(args: Sequence[str], started: float | None = None) -> int:
    """Run one command line and return its exit status; an error is one line on standard error.

    ``started``: by `time.monotonic` when the program began, from which a time budget counts; now, if not given.
    With ``FASTRNN_DEBUG=1`` in the environment the traceback stands above that line.
    """
    status = 0
    try:
        _tolerate_any_character()
        status = _invoke(list(args), time.monotonic() if started is None else started)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _forget(sys.stdout)
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except Exception as error:
        _let_the_first_speak()
        return _report(error)
    return status


def _invoke(args: list[str], started: float) -> int:
    import click

    from .group import program

    if "_FASTRNN_COMPLETE" in os.environ:
        click.Group.main(program, args, prog_name="fastrnn")
    try:
        with program.make_context("fastrnn", args, obj=started) as context:
            program.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    return 0


def _rank() -> int | None:
    """This process's number among those that were started together, or None if it is alone."""
    from fastrnn.distributed.environment import launcher_rank

    rank, size = launcher_rank()
    return rank if size > 1 else None


def _let_the_first_speak() -> None:
    """What all processes meet the first one tells; it ends, and the launcher the others with it, while these wait."""
    if _rank():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # no word of the launcher's call either
        time.sleep(GRACE)


def _leave_the_others(status: int) -> NoReturn:
    """Out without a farewell to MPI, which would wait for processes that wait for this one: the launcher ends them."""
    _let_the_first_speak()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, AttributeError, ValueError):
            stream.flush()
    os._exit(status)


def _report(error: Exception) -> int:
    import click

    from fastrnn.errors import FastRNNError

    if os.environ.get("FASTRNN_DEBUG", "0") not in ("", "0"):
        import traceback

        _print("".join(traceback.format_exception(error)))
    if isinstance(error, click.ClickException):
        return _report_usage(error)
    if isinstance(error, FastRNNError):
        _say(str(error))
        return error.exit_status
    if isinstance(error, OSError):
        _settle(sys.stdout)
        where = f"{error.filename}: " if error.filename is not None else ""
        _say(f"{where}{error.strerror or error}")
    elif isinstance(error, MemoryError):
        _say(f"not enough memory; use a smaller text, --hidden, --batch or --seq ({error})")
    else:
        _say(f"internal error: {type(error).__name__}: {error} (FASTRNN_DEBUG=1 shows where; please report it)")
    return 1


def _report_usage(error: "click.ClickException") -> int:
    import click

    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    context = error.ctx if isinstance(error, click.UsageError) else None
    more = f" (see {context.command_path} --help)" if context else ""
    _say(" ".join(error.format_message().split()) + more)
    return error.exit_code


def _say(message: str) -> None:
    from fastrnn.message import MESSAGE, shorten

    _print(f"fastrnn: {visible_line(shorten(message, MESSAGE))}\n")


def _print(text: str) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # nobody reads it: the status still tells
            print(visible(text), end="", file=sys.stderr)


def _occupy_standard_descriptors() -> None:
    """Opens those of 0, 1 and 2 that the parent closed: else a file of a run gets that number, and messages with it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _tolerate_any_character() -> None:
    """A terminal or pipe whose encoding lacks a character gets an escape in its place, never a traceback."""
    import io

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _settle(stream: TextIO | None) -> None:
    """Writes what is buffered, or gives it up; else Python would try again at its end, and leave with 120."""
    try:
        if stream is not None:
            stream.flush()
    except OSError:
        _forget(stream)


def _forget(stream: TextIO | None) -> None:
    """Point the stream nowhere: what is still buffered for a closed pipe or a full disk cannot be written."""
    if stream is None:
        return
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
