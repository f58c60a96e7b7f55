"""Commands in batch scripts: closed or full streams, no HOME, no terminal, an unusable current folder, nohup.

All of `batch_scripts.py` takes minutes; here each environment runs some of its commands.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import batch_scripts
import pytest
from batch_scripts import COMMANDS, SURROUNDINGS
from click.testing import CliRunner

from fastrnn_cli.group import program

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc and /dev/full")
SOME = [(around, list(COMMANDS)[i % len(COMMANDS)]) for n, around in enumerate(SURROUNDINGS) for i in (n, n + 5)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data, and the models."""
    path = tmp_path_factory.mktemp("batch")
    batch_scripts.make_data(path)
    return path


@pytest.mark.parametrize(("around", "command"), SOME)
def test_exit_status_is_documented_without_a_traceback(around: str, command: str, folder: Path) -> None:
    surroundings = SURROUNDINGS[around]
    done = batch_scripts.run(folder, command, surroundings, f"out-{around}-{command}".replace(" ", "-"))
    assert batch_scripts.wrong(command, surroundings, done) is None


def test_checker_detects_a_wrong_status_and_a_traceback(folder: Path) -> None:
    usual = SURROUNDINGS["as usual"]
    done = batch_scripts.run(folder, "an error", usual, "out")
    assert batch_scripts.wrong("info", usual, done) is not None
    done.returncode, done.stderr = 0, b"Traceback (most recent call last):\n"
    assert batch_scripts.wrong("info", usual, done) is not None


def start(folder: Path, out: str, *before: str, **streams: object) -> "subprocess.Popen[bytes]":
    """A run without an end, that has trained some steps."""
    command = [*before, sys.executable, "-m", "fastrnn_cli", "train", str(folder / "text.txt"), "--seq", "8"]
    command += [*batch_scripts.SMALL, "--steps", "1000000", "--out", str(folder / out), "--eval-every", "10"]
    process: subprocess.Popen[bytes] = subprocess.Popen(command, stdin=subprocess.DEVNULL, **streams)  # type: ignore[call-overload]
    log, end = folder / out / "log.jsonl", time.monotonic() + 300
    while not (log.exists() and b"evaluation" in log.read_bytes()):
        assert process.poll() is None
        assert time.monotonic() < end, "it does not train"
        time.sleep(0.05)
    return process


def test_messages_never_go_to_run_files_when_stderr_is_closed(folder: Path) -> None:
    process = start(folder, "closed", preexec_fn=lambda: os.closerange(0, 3))
    process.terminate()
    assert process.wait(60) == 143
    lines = (folder / "closed" / "log.jsonl").read_text().splitlines()
    assert {json.loads(line)["event"] for line in lines} >= {"start", "evaluation", "end"}
    assert CliRunner().invoke(program, ["info", str(folder / "closed")]).exit_code == 0


def test_interrupted_run_reports_it_with_a_closed_stdout(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = start(folder, "unread", stdout=writer, stderr=writer)
    os.close(writer)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143


def test_run_under_nohup_survives_its_terminal(folder: Path) -> None:
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = start(folder, "nohup", "nohup", **nowhere)
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.terminate()
    assert process.wait(60) == 143


def test_a_thousand_files_may_be_arguments(folder: Path, tmp_path: Path) -> None:
    names = [str(tmp_path / f"text{n}.txt") for n in range(1000)]
    for n, name in enumerate(names):
        Path(name).write_text(batch_scripts.TEXT[: 96 + n % 7])
    out = str(tmp_path / "run")
    for command in (
        ["train", *names, *batch_scripts.SMALL, "--seq", "8", "--out", out, "--quiet"],
        ["eval", str(folder / "model"), *names],
        ["data", "show", *names],
        ["predict", str(folder / "classifier"), *names],
        ["train", "--resume", out, "--steps", "4", "--quiet"],
    ):
        done = CliRunner().invoke(program, command)
        assert done.exit_code == 0, done.stderr
    assert json.loads(CliRunner().invoke(program, ["info", out, "--json"]).stdout)["corpus"]["inputs"] == names
