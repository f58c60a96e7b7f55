"""A pytest plug-in that lets fastrnn run as on Windows: ``PYTHONPATH=tests pytest -p windows_like``.

The modules of fastrnn and of its command line see `os`, `signal`, `select`, `sys`, `subprocess` and `ctypes` without
what Windows lacks, and cannot import `fcntl`, `resource` and others. Some things are as they are on Windows:

- `os.kill` sends Ctrl-C and Ctrl-Break only; every other number, 0 too, would end the process and is an error here
- a file that this process has open cannot be replaced or deleted, and a folder cannot be opened
- `msvcrt.locking` locks a file for one descriptor
- `select.select` takes sockets only
- `Popen.terminate` ends a process without a signal that it could handle

Python's library, its packages and the tests keep the real modules. So do the modules of `_UNCHANGED`: they choose what
is compiled, and other kernels would have to be compiled for nothing.
"""

import builtins
import errno
import importlib.abc
import importlib.machinery
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PACKAGES = ("fastrnn", "fastrnn_cli")
_UNCHANGED = ("fastrnn.kernels.cpu.target", "fastrnn.kernels.cpu.barrier")
_MISSING_MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty")
# fmt: off
_MISSING_OS = [
    "O_CLOEXEC", "O_DIRECTORY", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "WNOHANG", "chown", "chroot", "fork", "forkpty",
    "getegid", "geteuid", "getgid", "getpgid", "getpgrp", "getpriority", "getuid", "killpg", "mkfifo", "mknod", "nice",
    "openpty", "posix_fadvise", "posix_fallocate", "posix_spawn", "pread", "preadv", "pwrite", "pwritev",
    "register_at_fork", "sched_getaffinity", "sched_setaffinity", "sched_yield", "sendfile", "set_blocking", "setpgid",
    "setsid", "statvfs", "sync", "sysconf", "uname", "wait", "wait3", "wait4", "waitid",
]
_MISSING_SIGNALS = [
    "SIGALRM", "SIGBUS", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGTSTP",
    "SIGUSR1", "SIGUSR2", "SIGWINCH", "alarm", "pause", "pthread_kill", "pthread_sigmask", "setitimer", "siginterrupt",
    "sigpending", "sigwait", "sigwaitinfo",
]
# fmt: on

# Ctrl-Break arrives as a signal that Linux has and Windows lacks.
_SIGBREAK, _CTRL_C_EVENT, _CTRL_BREAK_EVENT = signal.SIGUSR1, 1000, 1001
_O_BINARY = 1 << 30


class _Module(types.ModuleType):
    """A module that passes on to another one, without some names and with some replaced."""

    def __init__(self, real: types.ModuleType, missing: Sequence[str] = (), **replaced: Any) -> None:
        super().__init__(real.__name__)
        vars(self).update(replaced)
        self._real, self._missing = real, frozenset(missing)

    def __getattr__(self, name: str) -> Any:
        if name in self._missing:
            raise AttributeError(f"Windows has no {self._real.__name__}.{name}")
        return getattr(self._real, name)


def _is_open(path: Any) -> bool:
    """Whether this process has a file open."""
    real = os.path.realpath(path)
    return any(os.path.realpath(f"/proc/self/fd/{number}") == real for number in os.listdir("/proc/self/fd"))


def _refuse_if_open(*paths: Any) -> None:
    for path in paths:
        if _is_open(path):
            raise PermissionError(errno.EACCES, "Access is denied", os.fspath(path))


def _replace(source: Any, target: Any) -> None:
    _refuse_if_open(source, target)
    os.replace(source, target)


def _unlink(path: Any) -> None:
    _refuse_if_open(path)
    os.unlink(path)


def _kill(process: int, number: int) -> None:
    if number not in (_CTRL_C_EVENT, _CTRL_BREAK_EVENT):
        raise AssertionError(f"on Windows os.kill({process}, {number}) ends the process")
    os.kill(process, signal.SIGINT if number == _CTRL_C_EVENT else _SIGBREAK)


def _open(path: Any, flags: int, mode: int = 0o777) -> int:
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
    return os.open(path, flags & ~_O_BINARY, mode)


def _select(read: Any, write: Any, *rest: Any) -> Any:
    if not all(isinstance(item, socket.socket) for item in (*read, *write)):
        raise OSError(errno.ENOTSOCK, "An operation was attempted on something that is not a socket")
    return select.select(read, write, *rest)


def _locking(descriptor: int, mode: int, size: int) -> None:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None


class _Popen(subprocess.Popen):  # type: ignore[type-arg]
    """A child process on the same platform; only Ctrl-Break asks it to stop."""

    def __init__(self, args: Sequence[str], creationflags: int = 0, **options: Any) -> None:
        if args[:2] == [sys.executable, "-m"]:
            args = [*args[:2], __name__, *args[2:]]
        options["start_new_session"] = bool(creationflags)  # the process group of Windows
        super().__init__(args, **options)

    def send_signal(self, number: int) -> None:
        super().send_signal(_SIGBREAK if number == _CTRL_BREAK_EVENT else number)

    def terminate(self) -> None:
        self.kill()


class _Kernel32:
    """`kernel32`: which processes are alive, and the cores."""

    def __init__(self, name: str, use_last_error: bool = False) -> None:
        self.OpenProcess: Any = lambda access, inherit, process: self._open(process)

    def _open(self, process: int) -> int | None:
        return process if Path(f"/proc/{process}").exists() else None

    def WaitForSingleObject(self, handle: Any, wait: int) -> int:
        return 0x102

    def CloseHandle(self, handle: Any) -> int:
        return 1

    def GetLogicalProcessorInformationEx(self, relationship: int, buffer: Any, size: Any) -> int:
        """Describe as many cores as there are, all alike."""
        record = bytes(4) + (48).to_bytes(4, "little") + bytes(40)
        records = record * (os.cpu_count() or 1)
        is_large_enough = size._obj.value >= len(records)
        size._obj.value = len(records)
        if is_large_enough:
            buffer[: len(records)] = records
        return int(is_large_enough)


def _make_modules() -> Mapping[str, types.ModuleType]:
    import ctypes

    msvcrt = types.ModuleType("msvcrt")
    vars(msvcrt).update(locking=_locking, LK_NBLCK=2, LK_UNLCK=0)
    return {
        "ctypes": _Module(ctypes, WinDLL=_Kernel32, get_last_error=lambda: 87),
        "msvcrt": msvcrt,
        "os": _Module(
            os, _MISSING_OS, name="nt", O_BINARY=_O_BINARY, kill=_kill, open=_open, replace=_replace, rename=_replace,
            unlink=_unlink, remove=_unlink,
        ),
        "select": _Module(select, ("poll", "epoll", "kqueue"), select=_select),
        "signal": _Module(
            signal, _MISSING_SIGNALS, SIGBREAK=_SIGBREAK, CTRL_C_EVENT=_CTRL_C_EVENT,
            CTRL_BREAK_EVENT=_CTRL_BREAK_EVENT,
        ),
        "subprocess": _Module(subprocess, Popen=_Popen, CREATE_NEW_PROCESS_GROUP=0x200),
        "sys": _Module(sys, platform="win32"),
    }  # fmt: skip


_modules = _make_modules()


def _import(
    name: str, globals: Any = None, locals: Any = None, fromlist: Sequence[str] | None = (), level: int = 0
) -> types.ModuleType:
    root = name.partition(".")[0]
    if level == 0 and root in _MISSING_MODULES:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    if level == 0 and root in _modules and not (fromlist and "." in name):
        return _modules[root]
    return builtins.__import__(name, globals, locals, fromlist or (), level)


_builtins = {**vars(builtins), "__import__": _import}


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of fastrnn as usual, and gives them the imports of `_import`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in _PACKAGES or name in _UNCHANGED:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next((found for finder in others if (found := finder.find_spec(name, path, target))), None)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                vars(module)["__builtins__"] = _builtins
                load(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _install() -> None:
    """Change the platform for all modules of fastrnn that are imported from now on."""
    if any(name.partition(".")[0] in _PACKAGES for name in sys.modules):
        raise RuntimeError("fastrnn is imported already; give -p windows_like")
    sys.meta_path.insert(0, _Finder())


_install()

if __name__ == "__main__":
    # A child process: python -m windows_like MODULE
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
