"""Ctrl-C and SIGTERM end a command at once, also while a kernel is being compiled.

Python turns SIGINT into an exception, but only between two instructions of the main thread, which the compiler can
hold for seconds; and an exception inside one of its callbacks is lost. So a thread waits for the byte that the signal's
arrival itself writes. Training, which has something to save, sets its own handlers for as long as it runs.
"""

import _thread
import os
import signal
import sys
from types import FrameType

_WORDS = {signal.SIGINT: b"interrupted", signal.SIGTERM: b"terminated"}


def leave_at_once_on_signals() -> None:
    """From now on SIGINT and SIGTERM end the process with 130 and 143. What the parent ignores stays ignored."""
    heard = [number for number in _WORDS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    if sys.platform == "win32" or not heard:
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in heard:
        signal.signal(number, _ignore)
    _thread.start_new_thread(_watch, (reader,))


def _ignore(number: int, frame: FrameType | None) -> None:
    """The thread answers."""


def _watch(reader: int) -> None:
    while arrived := os.read(reader, 1):
        number = arrived[0]
        if number in _WORDS:
            try:
                os.write(2, b"fastrnn: " + _WORDS[signal.Signals(number)] + b"\n")
            finally:
                os._exit(128 + number)
