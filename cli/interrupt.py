"""Immediate exit on Ctrl-C and SIGTERM, even while a kernel is being compiled.

Python raises KeyboardInterrupt only between two bytecode instructions of the main thread. The compiler can block that
thread for seconds, and loses exceptions raised inside its callbacks. A second thread therefore waits for the byte that
`signal.set_wakeup_fd` writes on arrival. Training must save its state and installs its own handlers while it runs.
"""

import _thread
import os
import signal
import sys
from types import FrameType

_WORDS = {signal.SIGINT: b"interrupted", signal.SIGTERM: b"terminated"}


def exit_on_signals() -> None:
    """Make SIGINT and SIGTERM exit with status 130 and 143. Signals ignored by the parent stay ignored."""
    handled = [number for number in _WORDS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    if sys.platform == "win32" or not handled:
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in handled:
        signal.signal(number, _ignore)
    _thread.start_new_thread(_watch, (reader,))


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing: the watching thread handles the signal."""


def _watch(reader: int) -> None:
    while arrived := os.read(reader, 1):
        number = arrived[0]
        if number in _WORDS:
            try:
                os.write(2, b"fastrnn: " + _WORDS[signal.Signals(number)] + b"\n")
            finally:
                os._exit(128 + number)
