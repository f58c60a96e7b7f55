"""The program: run one command; whatever ends it becomes an exit status and at most one line.

Nothing but the standard library is imported above the functions, so that an interrupt is answered from the start.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .interrupt import leave_at_once_on_signals
from .visible import visible_line

if TYPE_CHECKING:
    import click

INTERRUPTED = 130


def main() -> None:
    """The console script ``fastrnn``."""
    leave_at_once_on_signals()
    sys.exit(run(sys.argv[1:]))


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit status; an error is one line on standard error.

    With ``FASTRNN_DEBUG=1`` in the environment the traceback stands above that line.
    """
    try:
        _tolerate_any_character()
        status = _invoke(list(args))
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        return 0
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except Exception as error:
        return _report(error)
    return status


def _invoke(args: list[str]) -> int:
    import click

    from .group import program

    if "_FASTRNN_COMPLETE" in os.environ:
        click.Group.main(program, args, prog_name="fastrnn")
    try:
        with program.make_context("fastrnn", args) as context:
            program.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    return 0


def _report(error: Exception) -> int:
    import click

    from fastrnn.errors import FastRNNError

    if os.environ.get("FASTRNN_DEBUG", "0") not in ("", "0"):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, click.ClickException):
        return _report_usage(error)
    if isinstance(error, FastRNNError):
        _say(str(error))
        return error.exit_status
    if isinstance(error, OSError):
        _settle_output()
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
    if sys.stderr is not None:
        print(f"fastrnn: {visible_line(message)}", file=sys.stderr)


def _tolerate_any_character() -> None:
    """A terminal or pipe whose encoding lacks a character gets an escape in its place, never a traceback."""
    import io

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _settle_output() -> None:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _forget_output()


def _forget_output() -> None:
    """Point standard output nowhere: what is still buffered for a closed pipe or a full disk cannot be written."""
    try:
        descriptor = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
