"""Saving the best and the last state: their order, and retries after a disk failure."""

import errno
import os
from pathlib import Path

import pytest
from fakes import replace

from fastrnn.checkpoint import run_dir
from fastrnn.checkpoint.run_dir import RunFolder, Saver
from fastrnn.errors import OutputError


class FailingWrites:
    """`write_atomic`, but the first so many writes of a file of each of these names fail; all are noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **failures: int) -> None:
        self.failures, self.noted = failures, list[str]()
        replace(monkeypatch, run_dir, "write_atomic", self.write)

    def write(self, path: Path, data: bytes) -> None:
        self.noted.append(path.stem)
        if self.failures.get(path.stem, 0) > 0:
            self.failures[path.stem] -= 1
            raise OutputError(f"{path}: cannot write this file: {os.strerror(errno.ENOSPC)}")
        path.write_bytes(data)


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path)


def found(folder: RunFolder) -> tuple[bytes | None, bytes | None]:
    last, best = (path.read_bytes() if path.exists() else None for path in (folder.last, folder.best))
    return last, best


def test_best_is_saved_before_the_last_state_that_refers_to_it(folder, monkeypatch) -> None:
    writes, warnings = FailingWrites(monkeypatch), list[str]()
    saver = Saver(folder, warnings.append)
    assert saver.save(b"1")
    assert saver.save(b"2", b"B")
    assert saver.save(b"3")
    assert writes.noted == ["last", "best", "last", "last"]
    assert (found(folder), warnings) == ((b"3", b"B"), [])


def test_last_state_is_not_saved_while_best_fails_and_one_warning_is_logged(folder, monkeypatch) -> None:
    FailingWrites(monkeypatch, best=3)
    warnings: list[str] = []
    saver = Saver(folder, warnings.append)
    saver.save(b"1")
    assert not saver.save(b"2", b"B")
    assert not saver.save(b"3")
    assert not saver.save(b"4", b"D")
    assert found(folder) == (b"1", None)
    assert [warning.endswith("No space left on device; training continues and will retry") for warning in warnings] == [
        True
    ]
    assert saver.save(b"5")
    assert found(folder) == (b"5", b"D")


def test_each_new_disk_failure_is_reported(folder, monkeypatch) -> None:
    writes, warnings = FailingWrites(monkeypatch, last=2), list[str]()
    saver = Saver(folder, warnings.append)
    assert [saver.save(b"x") for _ in range(3)] == [False, False, True]
    writes.failures["last"] = 2
    assert [saver.save(b"x") for _ in range(3)] == [False, False, True]
    assert len(warnings) == 2


def test_final_save_is_tried_twice_then_raises(folder, monkeypatch) -> None:
    writes = FailingWrites(monkeypatch, last=1)
    saver = Saver(folder, lambda message: None)
    saver.save_or_raise(b"1")
    assert found(folder) == (b"1", None)
    writes.failures["last"] = 2
    with pytest.raises(OutputError, match="No space left"):
        saver.save_or_raise(b"2")
    assert found(folder) == (b"1", None)


def test_pending_best_state_is_saved_at_the_end(folder, monkeypatch) -> None:
    FailingWrites(monkeypatch, best=2)
    saver = Saver(folder, lambda message: None)
    saver.save(b"1", b"A")
    saver.save_or_raise(b"2")
    assert found(folder) == (b"2", b"A")
