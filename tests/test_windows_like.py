"""Training, locks, saves and sweeps on a fake Windows, in a process of its own; `windows_like` tells what differs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Tests that must hold on Windows, too: what windows_cases.py adds, log, run folder and atomic writes.
FILES = (
    "windows_cases.py",
    "checkpoint/test_atomic.py",
    "checkpoint/test_run_dir.py",
    "checkpoint/test_saver.py",
    "cli/test_output.py",
    "sweep/test_trial_store.py",
    "training/test_run_log.py",
)


@pytest.mark.skipif(sys.platform != "linux", reason="the fake reads /proc")
def test_fake_windows_trains_locks_saves_and_sweeps() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    command = [sys.executable, "-m", "pytest", "-p", "windows_like", "-p", "no:cacheprovider", "-n0"]
    done = subprocess.run(
        [*command, *FILES], cwd=TESTS, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
