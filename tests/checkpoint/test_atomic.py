"""Atomic file replacement: each guarantee is tested by fault injection."""

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import replace

from fastrnn import os_compat
from fastrnn.checkpoint import atomic
from fastrnn.checkpoint.atomic import make_folder, remove_stale_files, write_atomic
from fastrnn.errors import OutputError

OLD, NEW = b"old" * 1000, b"new" * 2000
CALLS = ("open", "write", "fsync", "close", "replace")
# Windows makes a rename durable by itself, and cannot open folders
FOLDER_CALLS = () if os_compat.sys.platform == "win32" else ("open", "fsync", "close")


class FaultyOs:
    """The `os` module, but `fault` is called in place of the n-th of the calls that change a disk; all are noted."""

    def __init__(self, number: int = -1, fault=None) -> None:
        self.calls: list[str] = []
        self._number, self._fault = number, fault

    def __getattr__(self, name: str):
        real = getattr(os, name)
        if name not in CALLS:
            return real

        def call(*args, **kwargs):
            self.calls.append(name)
            if len(self.calls) - 1 == self._number:
                return self._fault(real, *args, **kwargs)
            return real(*args, **kwargs)

        return call


def set_os(patch: pytest.MonkeyPatch, faulty: FaultyOs) -> None:
    """Let the modules that write files call this `os`."""
    patch.setattr(atomic, "os", faulty)
    patch.setattr(os_compat, "os", faulty)


def calls_of_one_save(path: Path, monkeypatch) -> list[str]:
    watched = FaultyOs()
    with monkeypatch.context() as patch:
        set_os(patch, watched)
        write_atomic(path, NEW)
    return watched.calls


def test_write_replaces_the_file_and_leaves_no_other(tmp_path) -> None:
    path = tmp_path / "file"
    for data in (b"", OLD, NEW):
        write_atomic(path, data)
        assert path.read_bytes() == data
    assert os.listdir(tmp_path) == ["file"]


def test_file_is_flushed_before_the_rename_and_its_folder_after(tmp_path, monkeypatch) -> None:
    assert calls_of_one_save(tmp_path / "file", monkeypatch) == [
        *("open", "write", "fsync", "close", "replace"),
        *FOLDER_CALLS,
    ]


@pytest.mark.parametrize("number", range(5 + len(FOLDER_CALLS)))
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EINTR])
def test_failure_of_any_system_call_keeps_the_old_file(tmp_path, monkeypatch, number: int, code: int) -> None:
    path = tmp_path / "file"
    write_atomic(path, OLD)

    def fail(real, *args, **kwargs):
        if real is os.close:
            real(*args)  # as Linux does: closed all the same
        raise OSError(code, os.strerror(code))

    faulty = FaultyOs(number, fail)
    with monkeypatch.context() as patch:
        set_os(patch, faulty)
        with pytest.raises(OutputError, match=f"file: cannot write this file: {os.strerror(code)}"):
            write_atomic(path, NEW)
    renamed = "replace" in faulty.calls[:number]
    assert path.read_bytes() == (NEW if renamed else OLD)
    assert os.listdir(tmp_path) == ["file"]
    write_atomic(path, NEW)
    assert path.read_bytes() == NEW


def test_short_writes_are_continued(tmp_path, monkeypatch) -> None:
    short = FaultyOs()
    short.write = lambda descriptor, data: os.write(descriptor, data[:999])
    set_os(monkeypatch, short)
    write_atomic(tmp_path / "file", NEW)
    assert (tmp_path / "file").read_bytes() == NEW


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.EACCES])
def test_folder_that_cannot_be_flushed_is_no_error(tmp_path, monkeypatch, code: int) -> None:
    def fail(real, *args, **kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(atomic, "os", FaultyOs(6, fail))
    write_atomic(tmp_path / "file", NEW)
    assert (tmp_path / "file").read_bytes() == NEW


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")
def test_kill_before_any_system_call_keeps_a_whole_file(tmp_path) -> None:
    """SIGKILL before each call: the file is whole, and the next save clears the litter away."""
    path = tmp_path / "file"
    path.write_bytes(OLD)
    script = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
from test_atomic import FaultyOs, NEW
from fastrnn import os_compat
from fastrnn.checkpoint import atomic
for number in range(8):
    child = os.fork()
    if not child:
        die = lambda real, *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
        atomic.os = os_compat.os = FaultyOs(number, die)
        atomic.write_atomic({str(path)!r}, NEW)
        os._exit(3)
    status = os.waitpid(child, 0)[1]
    print(os.WTERMSIG(status), len(open({str(path)!r}, "rb").read()), len(os.listdir({str(tmp_path)!r})) - 1)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    found = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    killed, old, new = int(signal.SIGKILL), len(OLD), len(NEW)
    before, after = [(killed, old, litter) for litter in (0, 1, 1, 1, 1)], [(killed, new, 0)] * 3
    assert found == before + after
    write_atomic(path, NEW)
    assert os.listdir(tmp_path) == ["file"]


def name_of(process: int, host: str = "", token: str = "00000000") -> str:
    return f".fastrnn-{host or atomic._HOST}-{process}-{token}-0.tmp"


@pytest.mark.e2e
def test_only_temporary_files_of_dead_processes_are_removed(tmp_path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    litter = [name_of(dead.pid), name_of(os.getpid()), name_of(2**33 - 1)]
    kept = [
        name_of(os.getpid(), token=atomic._TOKEN),
        name_of(os.getppid()),
        name_of(dead.pid, host="0123abcd"),
        ".fastrnn-notes.tmp",
        "model.tmp",
    ]
    for name in litter + kept:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / name_of(dead.pid, token="00000001")).mkdir()
    remove_stale_files(tmp_path)
    assert set(os.listdir(tmp_path)) == {*kept, name_of(dead.pid, token="00000001")}
    remove_stale_files(tmp_path / "missing")


def test_exclusive_removes_all_temporary_files_of_other_processes(tmp_path) -> None:
    kept = [name_of(os.getpid(), token=atomic._TOKEN), ".fastrnn-notes.tmp"]
    litter = [name_of(os.getppid()), name_of(1, host="0123abcd"), name_of(os.getppid(), token=atomic._TOKEN)]
    for name in litter + kept:
        (tmp_path / name).write_bytes(b"x")
    remove_stale_files(tmp_path, exclusive=True)
    assert set(os.listdir(tmp_path)) == set(kept)


def test_every_new_folder_is_flushed_into_its_parent(tmp_path, monkeypatch) -> None:
    flushed: list[Path] = []
    replace(monkeypatch, atomic, "flush_folder", lambda folder: flushed.append(Path(folder)))
    make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    assert sorted(flushed) == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    flushed.clear()
    make_folder(tmp_path / "a")
    assert flushed == [tmp_path]


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_atomic(tmp_path / "file", NEW)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_symbolic_link_is_followed(tmp_path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "file")
    write_atomic(tmp_path / "link", NEW)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "far" / "file").read_bytes() == NEW


def test_only_regular_files_are_replaced(tmp_path) -> None:
    with pytest.raises(OutputError, match="Is a directory"):
        write_atomic(tmp_path, NEW)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Not a directory" if os.name == "posix" else "its folder does not exist"):
        write_atomic(tmp_path / "file" / "inside", NEW)
    with pytest.raises(OutputError, match="its folder does not exist"):
        write_atomic(tmp_path / "missing" / "file", NEW)
    with pytest.raises(OutputError, match="not the name of a file"):
        write_atomic(f"{tmp_path}/nul\0", NEW)
    with pytest.raises(OutputError, match="File name too long" if os.name == "posix" else "its folder does not exist"):
        write_atomic(tmp_path / ("x" * 300), NEW)


def test_file_name_may_have_the_maximum_length(tmp_path) -> None:
    write_atomic(tmp_path / ("x" * 255), NEW)
    assert (tmp_path / ("x" * 255)).read_bytes() == NEW


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_device_or_pipe_is_not_replaced(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="Not a regular file"):
        write_atomic(tmp_path / "pipe", NEW)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
