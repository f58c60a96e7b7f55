"""Output: results to standard output, messages to standard error; control characters escaped for a terminal."""

import contextlib
import json
import math
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_LINE_SEPARATORS = (0x2028, 0x2029)

# Unicode has pictures for C0 controls and DEL (U+2400..), but not for C1, bidirectional controls and separators.
_TABLE: dict[int, str] = {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)}
_TABLE[0x7F] = "\u2421"
_TABLE.update({code: f"<U+{code:04X}>" for code in (*range(0x80, 0xA0), *_BIDI, *_LINE_SEPARATORS)})
_TABLE.update({code: f"<U+{code:04X}>" for code in range(0xD800, 0xE000)})
_LINE_TABLE = _TABLE | {0x09: "\u2409", 0x0A: "\u240a"}
# Spaces that look like U+0020, and invisible characters.
_UNSEEN = (0xA0, 0xAD, 0x1680, *range(0x2000, 0x200E), 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF)
_NAME_TABLE = _LINE_TABLE | {code: f"<U+{code:04X}>" for code in _UNSEEN}


def write(text: str, raw: bool = False) -> None:
    """Write text to standard output and flush; on a terminal escape control characters unless ``raw``.

    `click.echo` is not used because it strips escape sequences from output to files.
    """
    if sys.stdout is None:
        return
    sys.stdout.write(text if raw or not on_terminal() else escape_controls(text))
    sys.stdout.flush()


def on_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def write_json(values: Mapping[str, Any]) -> None:
    """Write one JSON object on one line; numbers that are not finite become ``null``."""
    write(to_json(values) + "\n", raw=True)


def to_json(values: Mapping[str, Any]) -> str:
    """Serialize to one line of ASCII, independent of the reader's encoding."""
    return json.dumps(_finite(values), allow_nan=False)


def check_output(path: str | None) -> None:
    """Raise `OutputError` if no file of this name can be written: before the work whose result it takes.

    None and ``-`` are standard output.
    """
    if path is not None and path != "-":
        from fastrnn.checkpoint.atomic import check_target

        check_target(path)


def save(path: str, data: bytes, what: str = "") -> None:
    """Write a file atomically and say so, with ``what`` is in it; ``-`` is standard output. Raises `OutputError`."""
    if path == "-":
        write(data.decode())
        return
    from fastrnn.checkpoint.atomic import write_atomic

    write_atomic(path, data)
    note(f"wrote {path}" + (f" ({what})" if what else ""))


def write_figures(rows: Iterable[tuple[str, str]]) -> None:
    """Write names and values in two columns, one pair per line."""
    shown = [(name, escape_line(value)) for name, value in rows]
    width = max((len(name) for name, _ in shown), default=0)
    write("".join(f"{name:<{width}}  {value}\n" for name, value in shown))


def note(message: str) -> None:
    """Write one line to standard error; a closed pipe is not an error."""
    if sys.stderr is None:
        return
    # Messages are optional: a reader of standard error that has gone must not end a run.
    with contextlib.suppress(OSError):
        print(escape_line(message), file=sys.stderr, flush=True)


class ProgressLine:
    """Progress line on standard error, redrawn in place. Prints nothing for short work or without a terminal."""

    is_shown = False  # of any instance: the line of a signal must not be appended to it

    def __init__(self) -> None:
        self._next = time.monotonic() + 1
        self._width = 0

    def __enter__(self) -> "ProgressLine":
        return self

    def show(self, text: Callable[[], str]) -> None:
        """Show the result of ``text``, if it is time."""
        now = time.monotonic()
        if now >= self._next and sys.stderr is not None and sys.stderr.isatty():
            self._next = now + 0.25
            self._write(text())

    def __exit__(self, *_: object) -> None:
        if self._width:
            self._write("")

    def _write(self, text: str) -> None:
        """Overwrite the previous text."""
        with contextlib.suppress(OSError):
            sys.stderr.write("\r" + text.ljust(self._width) + ("" if text else "\r"))
            sys.stderr.flush()
        self._width = len(text)
        ProgressLine.is_shown = bool(text)


def note_terminal_input() -> None:
    """Tell a user whose terminal is read as input, so that the program does not seem to hang."""
    if sys.stdin is not None and sys.stdin.isatty():
        key = "Ctrl-Z and Enter end" if os.name == "nt" else "Ctrl-D ends"
        note(f"reading from the terminal; {key} the input")


def has_piped_input() -> bool:
    """Whether standard input is a pipe or a file with something in it (on Windows always false)."""
    if sys.platform == "win32":
        return False
    try:
        import fcntl
        import termios

        number = sys.stdin.fileno()
        kind = os.fstat(number)
        if stat.S_ISREG(kind.st_mode):
            return os.lseek(number, 0, os.SEEK_CUR) < kind.st_size
        waiting = bytearray(4)
        return stat.S_ISFIFO(kind.st_mode) and fcntl.ioctl(number, termios.FIONREAD, waiting) == 0 and any(waiting)
    except (ImportError, OSError, ValueError, AttributeError):  # closed or replaced streams
        return False


def program_name() -> str:
    """Return how this program is called, for commands that a user can paste."""
    if shutil.which("fastrnn") is not None:
        return "fastrnn"
    from fastrnn.os_compat import quote_argument

    script = sys.argv[0]
    return quote_argument(script) if os.path.basename(script).startswith("fastrnn") else "python -m fastrnn"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if hasattr(value, "item"):  # a NumPy number
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def escape_controls(text: str) -> str:
    """Replace characters that move the cursor, colour or reorder text; \\n and \\t stay."""
    return text.translate(_TABLE)


def escape_line(text: str) -> str:
    """Like `escape_controls`, but on one line: also replace \\n and \\t."""
    return text.translate(_LINE_TABLE)


def escape_name(name: str) -> str:
    """Like `escape_line`, for names that must be distinguishable: also replace unusual spaces."""
    return name.translate(_NAME_TABLE)
