"""Entry point of ``fastrnn``: run one command, and turn errors and signals into an exit status and one line.

Only the standard library is imported at module level, so that signal handlers are installed as early as possible.

Ctrl-C and SIGTERM exit at once, even while a kernel is being compiled. Python raises KeyboardInterrupt only between
two bytecode instructions of the main thread. The compiler can block that thread for seconds, and loses exceptions
raised inside its callbacks. A second thread therefore waits for the byte that `signal.set_wakeup_fd` writes on
arrival. Training must save its state and installs its own handlers while it runs.
"""

import _thread
import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TextIO

from .output import ProgressLine, escape_controls, escape_line

if TYPE_CHECKING:
    import click

_WORDS = {signal.SIGINT: b"interrupted", signal.SIGTERM: b"terminated"}
if sys.platform == "win32":
    _WORDS[signal.SIGBREAK] = b"interrupted"
INTERRUPTED = 130
GRACE = 2.0  # seconds


def exit_on_signals() -> None:
    """Make SIGINT and SIGTERM exit with status 130 and 143, and SIGBREAK of Windows with 149.

    Signals ignored by the parent stay ignored.
    """
    handled = [number for number in _WORDS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    if not handled:
        return
    reader, writer = os.pipe()
    if sys.platform != "win32":  # Python asks for it on POSIX only, and 3.11 cannot do it on Windows
        os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in handled:
        # Python writes the byte from its own handler only, not from the system's default one.
        signal.signal(number, _ignore)
    _thread.start_new_thread(_watch, (reader,))


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing: the watching thread handles the signal."""


def _watch(reader: int) -> None:
    while arrived := os.read(reader, 1):
        number = arrived[0]
        if number in _WORDS:
            try:
                os.write(
                    2, (b"\n" if ProgressLine.is_shown else b"") + b"fastrnn: " + _WORDS[signal.Signals(number)] + b"\n"
                )
            finally:
                # `sys.exit` would end this thread alone.
                os._exit(128 + number)


def main() -> None:
    """Run the console script ``fastrnn``."""
    started = time.monotonic()
    _open_missing_descriptors()
    exit_on_signals()
    status = run(sys.argv[1:], started)
    _flush_or_discard(sys.stderr)
    if status and _rank() is not None:
        _exit_without_finalize(status)
    sys.exit(status)


def run(args: Sequence[str], started: float | None = None) -> int:
    """Run one command line and return its exit status; print an error as one line on standard error.

    ``started``: `time.monotonic` at program start, the origin of a time budget (default: now). With
    ``FASTRNN_DEBUG=1`` in the environment the traceback precedes the error line.
    """
    started = time.monotonic() if started is None else started
    status = 0
    try:
        _escape_unencodable()
        import click

        from .group import program

        if "_FASTRNN_COMPLETE" in os.environ:
            click.Group.main(program, list(args), prog_name="fastrnn")
        try:
            with program.make_context("fastrnn", list(args), obj=started) as context:
                program.invoke(context)
        except click.exceptions.Exit as end:
            status = end.exit_code
        # Flushed here, where a full disk or a closed pipe can still become one line and an exit status.
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        _print_message("interrupted")
        return INTERRUPTED
    except Exception as error:
        if _is_closed_pipe(error):
            _redirect_to_null(sys.stdout)
            return status
        _wait_for_rank0()
        return _report(error)
    return status


def _is_closed_pipe(error: Exception) -> bool:
    """Whether the reader of the output has gone, which is not an error; Windows reports EINVAL."""
    if isinstance(error, BrokenPipeError):
        return True
    return sys.platform == "win32" and isinstance(error, OSError) and (error.errno, error.filename) == (22, None)


def _rank() -> int | None:
    """Return this process's MPI rank, or None for a single process."""
    from fastrnn.distributed import launcher_rank

    rank, size = launcher_rank()
    return rank if size > 1 else None


def _wait_for_rank0() -> None:
    """Delay other ranks. If every rank fails the same way, only rank 0 reports it and the launcher ends the others."""
    if _rank():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # end silently when the launcher terminates this rank
        time.sleep(GRACE)


def _exit_without_finalize(status: int) -> NoReturn:
    """Exit without MPI_Finalize, which would deadlock; the launcher terminates the other ranks."""
    _wait_for_rank0()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, AttributeError, ValueError):
            stream.flush()
    os._exit(status)


def _report(error: Exception) -> int:
    import click

    from fastrnn.errors import FastRNNError

    # Before the line of the error, which stays the last one.
    if os.environ.get("FASTRNN_DEBUG", "0") not in ("", "0"):
        import traceback

        _print("".join(traceback.format_exception(error)))
    if isinstance(error, click.ClickException):
        return _report_usage(error)
    if isinstance(error, FastRNNError):
        _print_message(str(error))
        return error.exit_status
    if isinstance(error, OSError):
        _flush_or_discard(sys.stdout)
        where = f"{error.filename}: " if error.filename is not None else ""
        _print_message(f"{where}{error.strerror or error}")
    elif isinstance(error, MemoryError):
        _print_message(f"not enough memory; use a smaller text, --hidden, --batch or --seq ({error})")
    else:
        from .documentation import describe_documentation

        _print_message(
            f"internal error: {type(error).__name__}: {error} (FASTRNN_DEBUG=1 shows where; please report it with the "
            f"output of fastrnn info --system; {describe_documentation()})"
        )
    return 1


def _report_usage(error: "click.ClickException") -> int:
    import click

    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    context = error.ctx if isinstance(error, click.UsageError) else None
    more = f" (see {context.command_path} --help)" if context else ""
    _print_message(" ".join(error.format_message().split()) + more)
    return error.exit_code


def _print_message(message: str) -> None:
    from fastrnn.errors import MESSAGE, shorten

    _print(f"fastrnn: {escape_line(shorten(message, MESSAGE))}\n")


def _print(text: str) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # standard error is closed: the exit status still reports the error
            print(escape_controls(text), end="", file=sys.stderr)


def _open_missing_descriptors() -> None:
    """Open those of descriptors 0, 1 and 2 that the parent closed.

    Otherwise a file of the run would get that number, and messages would be written into it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _escape_unencodable() -> None:
    """Escape characters that the encoding of a terminal or pipe lacks, instead of raising.

    Files and pipes of Windows get UTF-8 and plain line ends as elsewhere, unless the user has chosen
    an encoding: otherwise a text that is sampled into a file could not be trained on again.
    """
    import io

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
            if sys.platform == "win32" and not stream.isatty() and "PYTHONIOENCODING" not in os.environ:
                stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


def _flush_or_discard(stream: TextIO | None) -> None:
    """Flush the stream, or discard its buffer: Python would retry at exit and return status 120."""
    try:
        if stream is not None:
            stream.flush()
    except OSError:
        _redirect_to_null(stream)


def _redirect_to_null(stream: TextIO | None) -> None:
    """Redirect the stream to the null device: its buffer cannot be written to a closed pipe or full disk."""
    if stream is None:
        return
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
