"""Locks, processes, durable writes and quoting on Windows and macOS, with fakes of what only they have."""

import errno
import os
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import replace

from fastrnn import os_compat
from fastrnn.kernels.cpu import cpu_count, target
from fastrnn.os_compat import (
    flush_file,
    flush_folder,
    lock_file,
    process_may_be_alive,
    quote_argument,
    read_sysctl,
    replace_file,
)


def pretend(monkeypatch: pytest.MonkeyPatch, system: str, **modules: Any) -> None:
    """Let `os_compat` believe that it runs on this system, with these modules."""
    monkeypatch.setattr(os_compat, "sys", SimpleNamespace(platform=system))
    for name, module in modules.items():
        monkeypatch.setattr(os_compat, name, module)


class Msvcrt:
    """`msvcrt` with a lock on bytes of a file that any other descriptor of it meets."""

    LK_NBLCK = 2

    def __init__(self, code: int) -> None:
        self.code = code
        self.locked: dict[tuple[int, int], int] = {}

    def locking(self, descriptor: int, mode: int, size: int) -> None:
        assert (mode, size) == (self.LK_NBLCK, 1)
        place = os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR)
        if self.locked.setdefault(place, descriptor) != descriptor:
            raise OSError(self.code, "Permission denied")


@pytest.mark.parametrize("code", [errno.EACCES, 0], ids=["Windows", "Wine"])
def test_windows_lock_is_held_by_one_descriptor_and_leaves_the_text_readable(tmp_path, monkeypatch, code: int) -> None:
    fake = Msvcrt(code)
    pretend(monkeypatch, "win32", msvcrt=fake, fcntl=None)
    (tmp_path / "log").write_bytes(b"x" * 100)
    first, second = (os.open(tmp_path / "log", os.O_RDWR) for _ in range(2))
    try:
        assert lock_file(first)
        with pytest.raises(BlockingIOError):
            lock_file(second)
        # Windows forbids others to read a locked byte, and C libraries cut offsets to 31 bits
        assert all(1 << 30 < offset < 1 << 31 for _, offset in fake.locked)
        assert os.read(first, 3) == b"xxx"
    finally:
        os.close(first)
        os.close(second)


@pytest.mark.parametrize("system", ["linux", "win32"])
def test_file_system_without_locks_is_no_error(tmp_path, monkeypatch, system: str) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    pretend(
        monkeypatch,
        system,
        fcntl=SimpleNamespace(flock=fail, LOCK_EX=2, LOCK_NB=4),
        msvcrt=SimpleNamespace(locking=fail, LK_NBLCK=2),
    )
    descriptor = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    try:
        assert not lock_file(descriptor)
    finally:
        os.close(descriptor)


class Kernel32:
    """The functions of Windows that tell whether a process runs: 5 runs, 6 has ended, 7 belongs to another user."""

    def __init__(self, opened: list[int]) -> None:
        self.opened = opened
        self.OpenProcess = SimpleNamespace(restype=None)
        kernel = self

        class OpenProcess:
            restype: Any = None

            def __call__(self, access: int, inherit: bool, process: int) -> int | None:
                kernel.opened.append(process)
                return {5: 50, 6: 60}.get(process)

        self.OpenProcess: Any = OpenProcess()

    def WaitForSingleObject(self, handle: Any, wait: int) -> int:
        return 0x102 if handle.value == 50 else 0

    def CloseHandle(self, handle: Any) -> None:
        self.opened.pop()


@pytest.mark.parametrize(("process", "expected"), [(5, True), (6, False), (7, True), (8, False), (1 << 40, False)])
def test_no_signal_asks_whether_a_process_lives_on_windows(monkeypatch, process: int, expected: bool) -> None:
    import ctypes

    opened: list[int] = []
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a signal was sent, which would stop the process"))
    monkeypatch.setattr(ctypes, "WinDLL", lambda name, use_last_error: Kernel32(opened), raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: 5 if process == 7 else 87, raising=False)
    pretend(monkeypatch, "win32")
    assert process_may_be_alive(process) == expected
    assert opened == ([process] if process in (7, 8) else [])  # every handle was closed


@pytest.mark.skipif(os.name != "posix", reason="signal 0 is for POSIX")
@pytest.mark.parametrize(
    ("raised", "expected"), [(ProcessLookupError, False), (PermissionError, True), (OverflowError, False)]
)
def test_signal_0_asks_whether_a_process_lives_elsewhere(monkeypatch, raised: type, expected: bool) -> None:
    assert process_may_be_alive(os.getpid())

    def kill(process: int, number: int) -> None:
        assert number == 0
        raise raised

    monkeypatch.setattr(os, "kill", kill)
    assert process_may_be_alive(4) == expected


class BusyOs:
    """`os`, but a file cannot be replaced for some tries, because a reader has it open."""

    def __init__(self, busy: int) -> None:
        self.busy = busy

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def replace(self, source: Any, target: Any) -> None:
        if self.busy:
            self.busy -= 1
            raise PermissionError(errno.EACCES, "Access is denied")
        os.replace(source, target)


@pytest.mark.parametrize(("busy", "system"), [(0, "win32"), (3, "win32"), (10**6, "win32"), (1, "linux")])
def test_replacing_waits_for_readers_on_windows(tmp_path, monkeypatch, busy: int, system: str) -> None:
    waits: list[float] = []
    pretend(monkeypatch, system, os=BusyOs(busy), time=SimpleNamespace(sleep=waits.append))
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    if busy > 3 or (system == "linux" and busy):
        with pytest.raises(PermissionError):
            replace_file(tmp_path / "new", tmp_path / "old")
        assert (tmp_path / "old").read_text() == "old"
    else:
        replace_file(tmp_path / "new", tmp_path / "old")
        assert (tmp_path / "old").read_text() == "new"
    assert sum(waits) < 60
    assert len(waits) == busy if busy <= 3 and system == "win32" else len(waits) in (0, os_compat._REPLACE_TRIES)


@pytest.mark.parametrize(
    ("code", "calls"),
    [(0, ["full"]), (errno.ENOTSUP, ["full", "fsync"]), (errno.EIO, ["full"])],
)
def test_flush_reaches_the_disk_on_macos(monkeypatch, tmp_path, code: int, calls: list[str]) -> None:
    done: list[str] = []

    def request(descriptor: int, number: int) -> None:
        assert number == 51
        done.append("full")
        if code:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append("fsync"))
    pretend(monkeypatch, "darwin", fcntl=SimpleNamespace(fcntl=request, F_FULLFSYNC=51))
    descriptor = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    try:
        if code == errno.EIO:
            with pytest.raises(OSError, match=os.strerror(errno.EIO)):
                flush_file(descriptor)
        else:
            flush_file(descriptor)
    finally:
        os.close(descriptor)
    assert done == calls


def test_no_folder_is_opened_on_windows(tmp_path, monkeypatch) -> None:
    pretend(monkeypatch, "win32", os=None)
    flush_folder(tmp_path)


@pytest.mark.parametrize(
    ("word", "posix", "windows"),
    [
        ("runs/a-1", "runs/a-1", "runs/a-1"),
        ("C:\\runs\\a", "'C:\\runs\\a'", "C:\\runs\\a"),
        ("my run", "'my run'", '"my run"'),
        ("a&b", "'a&b'", '"a&b"'),
        ("a&b\\", "'a&b\\'", '"a&b\\\\"'),
        ("it's", "'it'\"'\"'s'", '"it\'s"'),
        ('say "so"', "'say \"so\"'", '"say \\"so\\""'),
        ("", "''", '""'),
    ],
)
def test_word_is_quoted_for_the_shell(monkeypatch, word: str, posix: str, windows: str) -> None:
    pretend(monkeypatch, "linux")
    assert quote_argument(word) == posix
    pretend(monkeypatch, "win32")
    assert quote_argument(word) == windows


class Sysctl:
    """The C library of a Mac with these values."""

    def __init__(self, values: dict[str, int]) -> None:
        self.values = values

    def sysctlbyname(self, name: bytes, value: Any, size: Any, *_: Any) -> int:
        found = self.values.get(name.decode())
        if found is None:
            return -1
        assert size._obj.value == 8
        # the real one writes four bytes for an int
        value._obj.value = found
        return 0


@pytest.mark.parametrize(
    ("values", "cores", "with_bfloat16"),
    [
        ({"hw.nperflevels": 2, "hw.perflevel0.logicalcpu": 4, "hw.optional.arm.FEAT_BF16": 1}, 4, True),
        ({"hw.nperflevels": 2, "hw.perflevel0.logicalcpu": 8, "hw.optional.arm.FEAT_BF16": 0}, 8, False),
        ({"hw.nperflevels": 1, "hw.perflevel0.logicalcpu": 6}, None, False),
        ({}, None, False),
    ],
)
def test_mac_trains_on_its_performance_cores(monkeypatch, values, cores, with_bfloat16: bool) -> None:
    import ctypes

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Sysctl(values))
    pretend(monkeypatch, "darwin")
    monkeypatch.setattr(cpu_count, "sys", SimpleNamespace(platform="darwin"))
    assert read_sysctl("hw.no-such-name") is None
    assert cpu_count.count_cores() == cores

    replace(monkeypatch, cpu_count, "_count_by_affinity", lambda: 12)
    replace(monkeypatch, cpu_count, "cpu_quota", lambda **_: None)
    assert cpu_count.count_usable_cpus() == (cores or 12)
    monkeypatch.setattr(target, "sys", SimpleNamespace(platform="darwin"))
    assert target.arm_has_bfloat16() == with_bfloat16


def core_record(efficiency_class: int, groups: int = 1) -> bytes:
    """A `SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX` of a core; GROUP_AFFINITY has 16 bytes."""
    size = 32 + 16 * groups
    return bytes(4) + size.to_bytes(4, "little") + bytes([1, efficiency_class]) + bytes(size - 10)


class LogicalProcessors:
    """`GetLogicalProcessorInformationEx` of a machine with these records."""

    def __init__(self, records: bytes) -> None:
        self.records = records

    def GetLogicalProcessorInformationEx(self, relationship: int, buffer: Any, size: Any) -> int:
        assert relationship == 0
        given, size._obj.value = size._obj.value, len(self.records)
        if not self.records or given < len(self.records):
            return 0
        buffer.raw = self.records + buffer.raw[len(self.records) :]
        return 1


@pytest.mark.parametrize(
    ("classes", "expected"),
    [([1] * 6 + [0] * 8, 6), ([1, 1] + [0] * 8, 10), ([0] * 4, 4), ([0, 2, 1, 2], 2), ([], None)],
)
def test_windows_trains_on_its_fastest_cores(monkeypatch, classes: list[int], expected: int | None) -> None:
    import ctypes

    records = b"".join(core_record(found, groups=1 + number % 2) for number, found in enumerate(classes))
    monkeypatch.setattr(ctypes, "WinDLL", lambda name: LogicalProcessors(records), raising=False)
    pretend(monkeypatch, "win32")
    monkeypatch.setattr(cpu_count, "sys", SimpleNamespace(platform="win32"))
    assert os_compat.windows_core_classes() == classes
    assert cpu_count.count_cores() == expected


def test_damaged_records_of_cores_end_the_list() -> None:
    assert os_compat.parse_core_classes(core_record(1) + core_record(2)[:9]) == [1]
    assert os_compat.parse_core_classes(bytes(25)) == [0, 0]
