"""What differs on Windows, tried on `windows_like`; `test_windows_like.py` runs this file."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import windows_like

from fastrnn import Config, load, os_compat, train
from fastrnn.errors import OutputError
from fastrnn.sweep import trial
from fastrnn.training.api import resume

TEXT = "the quick brown fox jumps over the lazy dog\n" * 40
SETTINGS: dict[str, Any] = {
    "hidden": 8, "layers": 1, "batch": 2, "seq": 8, "threads": 1, "precision": "float32",
}  # fmt: skip

pytestmark = pytest.mark.e2e


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "text").write_bytes(TEXT.encode())
    return str(tmp_path / "text")


def test_modules_of_fastrnn_are_those_of_windows() -> None:
    assert os_compat.sys.platform == "win32"
    assert os_compat.fcntl is None
    assert not hasattr(os_compat.os, "fork")
    assert os.name == "posix"  # the test's own


def test_run_is_trained_resumed_and_sampled(tmp_path: Path, text: str) -> None:
    result = train(text, Config(steps=4, **SETTINGS), tmp_path / "run")
    assert result.steps == 4
    assert resume(tmp_path / "run", {"steps": 6}).steps == 6
    assert len(load(tmp_path / "run").sample(length=10, seed=1)) == 10
    lines = (tmp_path / "run/log.jsonl").read_bytes().split(b"\n")
    assert json.loads(lines[-2])["event"] == "end"


def test_second_run_of_a_folder_is_refused(tmp_path: Path, text: str) -> None:
    train(text, Config(steps=2, **SETTINGS), tmp_path / "run")
    from fastrnn.training.run_log import RunLog

    with (
        RunLog(tmp_path / "run/log.jsonl", print),
        pytest.raises(OutputError, match="another process is training in this run folder"),
    ):
        resume(tmp_path / "run", {"steps": 6})


def test_save_waits_for_a_reader(tmp_path: Path, text: str) -> None:
    train(text, Config(steps=2, **SETTINGS), tmp_path / "run")
    last = tmp_path / "run/last.safetensors"
    before = last.read_bytes()
    reader = last.open("rb")
    closer = threading.Timer(0.3, reader.close)
    closer.start()
    try:
        assert resume(tmp_path / "run", {"steps": 6}).steps == 6
    finally:
        closer.join()
    assert last.read_bytes() != before
    assert load(last).config.steps == 6


def test_stopped_trial_saves_its_state(tmp_path: Path, text: str) -> None:
    job = {"out": str(tmp_path / "run"), "data": [text], "settings": {"steps": 10**6, "save_every": 10**6, **SETTINGS}}
    process = trial.TrialProcess(0, {}, job)
    end = time.monotonic() + 120
    while not _has_trained(tmp_path / "run/log.jsonl"):
        assert not process.has_ended(), process.result()
        assert time.monotonic() < end
        time.sleep(0.05)
    process.stop()
    status, _ = process.result()
    assert status == 128 + windows_like._SIGBREAK
    assert (tmp_path / "run/last.safetensors").stat().st_size


def _has_trained(log: Path) -> bool:
    return log.exists() and b'"event": "step"' in log.read_bytes()
