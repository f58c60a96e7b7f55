"""Training on several MPI ranks equals training in one process, and no rank outlives a failure."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from launching import LONGEST, environment, ranks_command, run_ranks, run_worker

from fastrnn.checkpoint.checkpoint import Checkpoint, load

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the launchers that are tried here are POSIX ones")

ALL = "float64,float32,classify,tag,translate,nan"
FASTRNN = (sys.executable, "-m", "fastrnn_cli")
SMALL = ("--hidden", "8", "--batch", "8", "--precision", "float32", "--threads", "1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a function from a number of ranks to the folder of its runs; each is trained once."""
    folders: dict[int, Path] = {}

    def runs(ranks: int) -> Path:
        if ranks not in folders:
            folder = tmp_path_factory.mktemp(f"ranks{ranks}")
            run_worker(ranks, folder, ALL)
            folders[ranks] = folder
        return folders[ranks]

    return runs


def last(folder: Path, case: str) -> Checkpoint:
    return load(folder / case / "last.safetensors")


def largest_difference(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    assert a.keys() == b.keys()
    assert all(a[name].shape == b[name].shape for name in a)
    return max((float(np.abs(a[name] - b[name]).max()) for name in a), default=0.0)


def assert_same_run(one: Checkpoint, many: Checkpoint, most: float) -> None:
    """Assert equality up to rounding: parameters, moments, the state of every stream, and progress."""
    assert largest_difference(one.parameters, many.parameters) <= most
    assert largest_difference(one.optimizer, many.optimizer) <= most
    assert largest_difference(one.state, many.state) <= 10 * most
    for name in ("step", "updates", "chars", "evaluated", "best_step", "returns", "bad_steps", "waited"):
        assert one.progress[name] == many.progress[name], name
    assert many.progress["valid_nats"] == pytest.approx(one.progress["valid_nats"], abs=most)


@pytest.mark.parametrize("ranks", [2, 3, 4])
@pytest.mark.parametrize(("case", "most"), [("float64", 1e-12), ("float32", 1e-4)])
def test_ranks_equal_one_process(trained, ranks, case, most):
    """39 streams, 13 at a time, two layers, dropout, documents that reset the state: no two ranks have the same shard.

    Over 1,000 steps: ``tests/faults/many_ranks.py``.
    """
    one, many = last(trained(1), case), last(trained(ranks), case)
    assert one.progress["step"] == many.progress["step"] == 150
    assert one.state["h"].shape == many.state["h"].shape == (2, 39, 12)
    assert_same_run(one, many, most)


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("case", ["classify", "tag", "translate"])
def test_supervised_tasks_equal_one_process(trained, ranks, case):
    assert_same_run(last(trained(1), case), last(trained(ranks), case), 1e-10)


@pytest.mark.parametrize("ranks", [2, 4])
def test_all_ranks_roll_back_when_one_gradient_is_nan(trained, ranks):
    """Every rank skips three steps, then all roll back to the last finite state."""
    one, many = last(trained(1), "nan"), last(trained(ranks), "nan")
    assert one.progress["returns"] == 1
    assert_same_run(one, many, 1e-12)


def test_only_rank_0_writes_the_log(trained):
    folder = trained(4) / "float64"
    assert sorted(p.name for p in folder.iterdir()) == [
        "best.safetensors", "config.toml", "last.safetensors", "log.jsonl"]  # fmt: skip
    assert (folder / "log.jsonl").read_text().count('"event": "start"') == 1


@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3), (2, 4)])
def test_resume_with_another_number_of_ranks(tmp_path, before, after):
    """A signal to the last rank stops all ranks after the same step; the resumed run equals an unstopped one."""
    run_worker(1, tmp_path / "whole", "gru")
    run_worker(before, tmp_path / "parts", "gru:17")
    stopped = last(tmp_path / "parts", "gru")
    assert stopped.progress["step"] == 17
    assert stopped.state["h"].shape == (2, 39, 12)
    run_worker(after, tmp_path / "parts", "gru@40")
    assert_same_run(last(tmp_path / "whole", "gru"), last(tmp_path / "parts", "gru"), 1e-12)


def processes(word: str) -> list[int]:
    """Return the ids of processes, the launcher included, with this word in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:  # gone
            continue
    return sorted(found)


def wait_until(condition, what: str) -> None:
    end = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to find the ranks")
@pytest.mark.parametrize("victim", [0, 2])
def test_killed_rank_leaves_a_loadable_checkpoint_and_no_process(tmp_path, victim):
    run = str(tmp_path / "run")
    command = ranks_command(3, *FASTRNN, "train", "python-docs", *SMALL, "--steps", "1000000", "--save-every", "5",
                            "--eval-every", "1000000", "--quiet", "--out", run)  # fmt: skip
    mpirun = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, env=environment())  # fmt: skip
    try:
        checkpoint = Path(run) / "last.safetensors"
        wait_until(lambda: checkpoint.exists() and load(checkpoint).progress["step"] > 0, "no checkpoint")
        ranks = [number for number in processes(run) if number != mpirun.pid]
        assert len(ranks) == 3
        os.kill(ranks[victim], signal.SIGKILL)
        assert mpirun.wait(LONGEST) != 0
        wait_until(lambda: not processes(run), "ranks are left")
    finally:
        if mpirun.poll() is None:
            mpirun.kill()
    done = load(checkpoint).progress["step"]
    ended = run_ranks(2, *FASTRNN, "train", "--resume", run, "--steps", str(done + 3), "--json")
    assert ended.returncode == 0, ended.stderr
    assert f'"steps": {done + 3}' in ended.stdout


def test_error_on_one_rank_ends_all_ranks(tmp_path):
    """The other ranks wait for it inside a step; nothing hangs, and the error is printed once."""
    script = (
        "from fastrnn_cli.main import main\n"
        "from fastrnn.training.trainer import Trainer\n"
        "step = Trainer.step\n"
        "def failing(trainer):\n"
        "    if trainer.group.rank == 2 and trainer.progress.step == 4:\n"
        "        raise MemoryError('no more')\n"
        "    return step(trainer)\n"
        "Trainer.step = failing\n"
        "main()\n"
    )
    ended = run_ranks(3, sys.executable, "-c", script, "train", "python-docs", *SMALL, "--steps", "50", "--out",
                      str(tmp_path / "run"))  # fmt: skip
    assert ended.returncode != 0
    assert ended.stderr.count("not enough memory") == 1
    assert load(tmp_path / "run" / "last.safetensors").progress["step"] == 0


@pytest.mark.parametrize("data", [("python-docs", *SMALL), ("d.tsv", "--task", "classify", "--hidden", "8")])
def test_ranks_share_a_time_budget(tmp_path, data):
    """All ranks use the same timings and the same number of steps; otherwise they would deadlock."""
    (tmp_path / "d.tsv").write_text("a\txyz\nb\tqq\n" * 60)
    ended = run_ranks(3, *FASTRNN, "train", *data, "--for", "5s", "--quiet", "--out", "run", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert load(tmp_path / "run" / "last.safetensors").progress["evaluated"] > 0


def test_only_rank_0_prints(tmp_path):
    ended = run_ranks(3, *FASTRNN, "train", "python-docs", *SMALL, "--steps", "3", "--out", str(tmp_path / "run"))
    assert ended.returncode == 0, ended.stderr
    assert len(re.findall("^run ", ended.stdout, re.MULTILINE)) == 1
    assert len(re.findall("Try next", ended.stderr)) == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("nowhere.txt",), "fastrnn: nowhere.txt: no such file or folder"),
        (("python-docs", "--batch", "2", "--steps", "3", "--hidden", "8"), "batch 2 is too small for 3 processes"),
        (("-",), "standard input may never end under an MPI launcher"),
    ],
)
def test_shared_error_is_printed_once(tmp_path, words, line):
    ended = run_ranks(3, *FASTRNN, "train", *words, cwd=tmp_path)
    assert ended.returncode != 0
    assert ended.stderr.count("fastrnn: ") == ended.stderr.count(line) == 1, ended.stderr


def test_other_commands_run_on_rank_0_only(tmp_path):
    ended = run_ranks(2, sys.executable, "-m", "fastrnn_cli", "data", "list")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("python-docs") == 1
