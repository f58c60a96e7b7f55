"""SIGINT, SIGTERM and SIGBREAK (Windows): the first asks the training loop to save and stop, the
second ends the process at once.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import weakref
from types import FrameType, TracebackType
from typing import Any, TypeVar

Result = TypeVar("Result")
_SIGNALS: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGTERM)
if sys.platform == "win32":
    _SIGNALS += (signal.SIGBREAK,)  # Ctrl-Break, and how a sweep stops its trials
_SHOW_CURSOR = b"\x1b[?25h"
_contexts: "weakref.WeakSet[StopSignals]" = weakref.WeakSet()


class StopSignals:
    """A context in which the first signal sets `stop` to its number and the second ends the process with 128 + number.

    While `urgent` is true the first signal ends it already: for phases with nothing to save, such as compiling. Python
    runs signal handlers only between two bytecode instructions of the main thread, and compiled code can run for
    seconds without one; so a thread watches the wakeup descriptor, which is written when the signal arrives.

    A signal that the parent process ignores (``nohup``, a job in the background of a script) stays ignored. Outside
    the main thread, where Python allows no handlers, the context does nothing.
    """

    def __init__(self, urgent: bool = False, raises: bool = False) -> None:
        """``raises``: instead of ending the process, raise `KeyboardInterrupt` or `SystemExit`, as Python does."""
        self.stop: int | None = None
        self.urgent = urgent
        self._raises = raises
        self._handled: frozenset[int] = frozenset()
        self._handlers: dict[int, Any] = {}  # previous handler of each number in `_handled`
        self._wakeup = -1  # previous wakeup descriptor
        # While handlers are installed: the thread, the socket it reads and the one that signals are written to.
        self._watching: tuple[threading.Thread, socket.socket, socket.socket] | None = None
        _contexts.add(self)

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            self._install_handlers()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._handled or self._watching is None:
            return
        # Restore the descriptor first: the previous handlers may rely on theirs, and would miss a signal in between.
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handled = frozenset()
        watcher, reader, writer = self._watching
        self._watching = None
        writer.shutdown(socket.SHUT_WR)  # the watcher reads end of file, and returns
        watcher.join()
        writer.close()
        reader.close()

    def _install_handlers(self) -> None:
        self._handled = frozenset(n for n in _SIGNALS if signal.getsignal(n) not in (signal.SIG_IGN, None))
        if not self._handled:
            return
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        watcher = threading.Thread(target=self._watch, args=(reader,), name="stop-signals", daemon=True)
        watcher.start()
        self._watching = watcher, reader, writer
        self._wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, self._handle) for number in self._handled}

    def return_or_raise(self, result: Result) -> Result:
        """Return ``result``; or, with ``raises``, raise the exception of the signal that has arrived."""
        if self._raises and self.stop is not None:
            raise _exception(self.stop)
        return result

    def forget(self) -> None:
        """Remove the handlers in a child process after a fork: it has no watcher, and shares the descriptor."""
        if self._handled:
            with contextlib.suppress(ValueError):  # not the main thread
                signal.set_wakeup_fd(-1)
                for number, handler in self._handlers.items():
                    signal.signal(number, handler)
            self._handled = frozenset()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.stop is not None
        self.stop = number
        if self._raises and (again or self.urgent):
            raise _exception(number)

    def _watch(self, reader: socket.socket) -> None:
        count = 0
        while numbers := reader.recv(64):
            for number in numbers:
                count += number in self._handled
                if number in self._handled and not self._raises and (count > 1 or self.urgent):
                    _leave(number, "before training began" if self.urgent else "at once; the last saved state is whole")


def _exception(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


def _forget_all() -> None:
    for context in list(_contexts):
        context.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _leave(number: int, how: str) -> None:
    """End the process without cleaning up, except for the cursor, which a live display may have hidden."""
    with contextlib.suppress(OSError, ValueError):
        # Never block on a reader that has stopped; Windows selects sockets only.
        if sys.platform == "win32" or select.select([], [2], [], 0)[1]:
            line = f"fastrnn: stopped by {signal.Signals(number).name} {how}\n"
            os.write(2, (_SHOW_CURSOR if os.isatty(2) else b"") + line.encode())
    os._exit(128 + number)
