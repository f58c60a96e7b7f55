"""The run log: whole lines only, after crashes and disk failures too."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastrnn.checkpoint import run_dir
from fastrnn.errors import OutputError
from fastrnn.training import run_log as log_module
from fastrnn.training.run_log import RunLog


def records(path: Path) -> list[dict]:
    text = path.read_text(encoding="ascii")
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def no_warning(message: str) -> None:
    raise AssertionError(message)


def test_records_are_written_as_whole_lines_at_once(tmp_path) -> None:
    path = tmp_path / "log.jsonl"
    with RunLog(path, no_warning) as run_log:
        run_log.write({"step": 1, "text": "a\nb\u2028\ud800", "path": Path("x")})
        assert records(path) == [{"step": 1, "text": "a\nb\u2028\ud800", "path": "x"}]
        run_log.write({"step": np.int64(2), "nats": np.float32(0.5), "list": (1, [np.nan]), 3: {"x": float("-inf")}})
    assert records(path)[1] == {"step": 2, "nats": 0.5, "list": [1, [None]], "3": {"x": None}}


def test_resuming_appends(tmp_path) -> None:
    path = tmp_path / "log.jsonl"
    for step in range(3):
        with RunLog(path, no_warning) as run_log:
            run_log.write({"step": step})
    assert records(path) == [{"step": 0}, {"step": 1}, {"step": 2}]


@pytest.mark.parametrize("block", [1, 2, 7, 1 << 16])
@pytest.mark.parametrize("whole", ["", '{"step": 1}\n', '{"step": 1}\n{"step": 2}\n'])
@pytest.mark.parametrize("partial", ["", "{", '{"step": 3', '{"step": 3}'])
def test_partial_line_is_truncated(tmp_path, monkeypatch, block: int, whole: str, partial: str) -> None:
    monkeypatch.setattr(log_module, "_BLOCK", block)
    path = tmp_path / "log.jsonl"
    path.write_text(whole + partial)
    RunLog(path, no_warning).close()
    assert path.read_text() == whole


class FullDisk:
    """The `os` module on a disk that takes only `room` more bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __getattr__(self, name: str):
        return getattr(os, name)

    def write(self, descriptor: int, data) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.write(descriptor, data[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("room", range(0, 40, 3))
def test_full_disk_warns_once_and_loses_nothing(tmp_path, monkeypatch, room: int) -> None:
    path, warnings, disk = tmp_path / "log.jsonl", [], FullDisk(room)
    run_log = RunLog(path, warnings.append)
    monkeypatch.setattr(log_module, "os", disk)
    for step in range(6):
        run_log.write({"step": step})
        assert records(path) == [{"step": n} for n in range(len(records(path)))]
    assert len(warnings) == 1
    assert warnings[0].endswith("cannot write the log (No space left on device); training continues; free some space")
    disk.room = 10**6
    run_log.write({"step": 6})
    run_log.close()
    assert records(path) == [{"step": step} for step in range(7)]


def test_torn_line_on_a_failing_disk_is_completed_later(tmp_path, monkeypatch) -> None:
    path, warnings, disk = tmp_path / "log.jsonl", [], FullDisk(5)
    run_log = RunLog(path, warnings.append)

    def ftruncate(descriptor: int, length: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    disk.ftruncate = ftruncate
    monkeypatch.setattr(log_module, "os", disk)
    run_log.write({"step": 0})
    assert path.stat().st_size == 5
    run_log.write({"step": 1})
    del disk.ftruncate
    disk.room = 10**6
    run_log.close()
    assert records(path) == [{"step": 0}, {"step": 1}]


def test_pending_records_are_bounded(tmp_path, monkeypatch) -> None:
    path, disk = tmp_path / "log.jsonl", FullDisk(0)
    run_log = RunLog(path, lambda message: None)
    monkeypatch.setattr(log_module, "os", disk)
    for _ in range(12):
        run_log.write({"text": "x" * 100_000})
    disk.room = 10**7
    run_log.close()
    assert 0 < len(records(path)) < 12


@pytest.mark.e2e
def test_two_processes_cannot_hold_one_log(tmp_path) -> None:
    path = tmp_path / "log.jsonl"
    script = "import sys; from fastrnn.training.run_log import RunLog; RunLog(sys.argv[1], print)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with RunLog(path, no_warning) as run_log:
        run_log.write({"step": 0})
        other = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, env=environment)
        assert "another process is training in this run folder" in other.stderr
    RunLog(path, no_warning).close()
    assert records(path) == [{"step": 0}]


def test_file_system_without_locks_is_no_error(tmp_path, monkeypatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def flock(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    RunLog(tmp_path / "log.jsonl", no_warning).close()


def test_unopenable_log_is_an_error(tmp_path) -> None:
    with pytest.raises(OutputError, match=r"cannot write this log: (Is a directory|Permission denied)"):
        RunLog(tmp_path, no_warning)


def test_failing_close_is_a_warning(tmp_path, monkeypatch) -> None:
    warnings: list[str] = []
    run_log, disk = RunLog(tmp_path / "log.jsonl", warnings.append), FullDisk(10**6)

    def close(descriptor: int) -> None:
        os.close(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    disk.close = close
    monkeypatch.setattr(log_module, "os", disk)
    run_log.write({"step": 1})
    run_log.close()
    run_log.close()
    assert len(warnings) == 1
    assert "cannot write the log (Input/output error)" in warnings[0]
    assert records(tmp_path / "log.jsonl") == [{"step": 1}]


def test_closing_twice_is_harmless(tmp_path) -> None:
    run_log = RunLog(tmp_path / "log.jsonl", no_warning)
    run_log.close()
    run_log.close()


def test_partial_line_is_truncated_without_pread(tmp_path, monkeypatch) -> None:
    """Windows has none."""
    monkeypatch.delattr(os, "pread", raising=False)
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"event": "start"}\n{"eve')
    assert run_dir.is_abandoned(path)
    with RunLog(path, no_warning) as run:
        run.write({"step": 1})
        run.write({"step": 2})
    assert records(path) == [{"event": "start"}, {"step": 1}, {"step": 2}]
