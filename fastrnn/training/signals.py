"""SIGINT and SIGTERM: the first asks the training loop to save and stop, the second leaves at once."""

import contextlib
import os
import select
import signal
import socket
import threading
import weakref
from types import FrameType, TracebackType
from typing import Any, TypeVar

Result = TypeVar("Result")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = b"\x1b[?25h"
_contexts: "weakref.WeakSet[StopSignals]" = weakref.WeakSet()


class StopSignals:
    """A context in which the first signal sets `stop` to its number and the second ends the process with 128 + number.

    While `urgent` is true the first already ends it: for times that have nothing to save, such as compiling. Python
    runs its own handlers only between two instructions of the main thread, which compiled code can hold for seconds;
    so a thread watches the descriptor to which the signal's arrival itself is written.

    A signal that the parent process ignores (``nohup``, a job in the background of a script) stays ignored. Outside
    the main thread, where Python allows no handlers, the context does nothing.
    """

    def __init__(self, urgent: bool = False, raises: bool = False) -> None:
        """``raises``: never end the process; where it would end, raise what Python does for these signals."""
        self.stop: int | None = None
        self.urgent = urgent
        self._raises = raises
        self._heard: frozenset[int] = frozenset()
        _contexts.add(self)

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            self._listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._heard:
            return
        # The descriptor goes first: the handlers before ours may rely on theirs, and not hear of a signal between.
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._heard = frozenset()
        self._writer.shutdown(socket.SHUT_WR)  # the watcher reads the end, and returns
        self._watcher.join()
        self._writer.close()
        self._reader.close()

    def _listen(self) -> None:
        self._heard = frozenset(n for n in _SIGNALS if signal.getsignal(n) not in (signal.SIG_IGN, None))
        if not self._heard:
            return
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._watcher = threading.Thread(target=self._watch, name="stop-signals", daemon=True)
        self._watcher.start()
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._handlers: dict[int, Any] = {number: signal.signal(number, self._note) for number in self._heard}

    def finished(self, result: Result) -> Result:
        """The result of what was stopped; or, if wanted, `KeyboardInterrupt` or `SystemExit` in its place."""
        if self._raises and self.stop is not None:
            raise _exception(self.stop)
        return result

    def forget(self) -> None:
        """In a child process after a fork: no thread watches here, and the descriptor is the parent's as well."""
        if self._heard:
            with contextlib.suppress(ValueError):  # not the main thread
                signal.set_wakeup_fd(-1)
                for number, handler in self._handlers.items():
                    signal.signal(number, handler)
            self._heard = frozenset()

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = self.stop is not None
        self.stop = number
        if self._raises and (again or self.urgent):
            raise _exception(number)

    def _watch(self) -> None:
        count = 0
        while numbers := self._reader.recv(64):
            for number in numbers:
                count += number in self._heard
                if number in self._heard and not self._raises and (count > 1 or self.urgent):
                    _leave(number, "before training began" if self.urgent else "at once; the last saved state is whole")


def _exception(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


def _forget_all() -> None:
    for context in list(_contexts):
        context.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _leave(number: int, how: str) -> None:
    """Ends the process without cleaning up, but for the cursor that a live display may have hidden."""
    with contextlib.suppress(OSError, ValueError):
        if select.select([], [2], [], 0)[1]:  # a reader that has stopped must not keep us
            line = f"fastrnn: stopped by {signal.Signals(number).name} {how}\n"
            os.write(2, (_SHOW_CURSOR if os.isatty(2) else b"") + line.encode())
    os._exit(128 + number)
