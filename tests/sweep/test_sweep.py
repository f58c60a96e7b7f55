"""``fastrnn sweep``: whole sweeps of tiny models, interrupted, resumed, and shared by several processes."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fastrnn.sweep.space import Space, read_space
from fastrnn.sweep.trial_store import check_folder

LONGEST = 600  # seconds; against hanging
SWEEP = [sys.executable, "-m", "fastrnn_cli", "sweep"]
TEXT = "the cat sat on the mat. the dog ate the cat that sat. " * 40
GRID = 'batch = 4\nseq = 8\nsteps = {steps}\nprecision = "float32"\nhidden = [4, 6]\ncell = ["rnn", "gru"]\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A sweep of four trials, and its text."""
    (tmp_path / "t.txt").write_text(TEXT)
    (tmp_path / "g.toml").write_text(GRID.format(steps=6) + '[sweep]\ndata = ["t.txt"]\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sweep(*words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run([*SWEEP, *words], capture_output=True, text=True, timeout=LONGEST)
    assert ended.returncode == status, ended.stderr
    return ended


def test_grid_ends_with_a_table_and_the_best_run(folder):
    ended = sweep("g.toml", "--jobs", "2")
    lines = ended.stdout.splitlines()
    assert lines[0].split() == ["trial", "hidden", "cell", "steps", "time", "result"]
    assert sorted(line.split()[0] for line in lines[1:5]) == ["0000", "0001", "0002", "0003"]
    results = [float(line.split()[6]) for line in lines[1:5]]
    assert results == sorted(results)
    assert lines[-1] == f"best  runs/sweep-g/{lines[1].split()[0]}"
    for number in range(4):
        assert {"best.safetensors", "last.safetensors", "config.toml", "log.jsonl"} <= {
            path.name for path in (folder / "runs" / "sweep-g" / f"{number:04}").iterdir()
        }
    assert "trial 4 of 4  hidden=6 cell=gru" in ended.stderr


def test_restarted_sweep_runs_only_the_remaining_trials(folder):
    first = json.loads(sweep("g.toml", "--trials", "2", "--json").stdout)
    assert [trial["number"] for trial in sorted(first["trials"], key=lambda t: t["number"])] == [0, 1]
    again = sweep("g.toml", "--trials", "2", "--json")
    assert json.loads(again.stdout) == first
    assert "trial 1 of" not in again.stderr


def test_signal_saves_the_trials_and_the_sweep_resumes(folder):
    (folder / "g.toml").write_text(GRID.format(steps=1500) + 'save_every = 20\n[sweep]\ndata = ["t.txt"]\n')
    at_work = subprocess.Popen([*SWEEP, "g.toml", "--jobs", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    runs = [folder / "runs" / "sweep-g" / f"{n:04}" / "log.jsonl" for n in range(2)]
    for run in runs:
        wait_for_evaluation(run, at_work)
    at_work.send_signal(signal.SIGTERM)
    assert at_work.wait(LONGEST) == 143
    assert b"run the same command to resume" in at_work.communicate()[1]
    last = [json.loads(run.read_text().splitlines()[-1]) for run in runs]
    assert [line["event"] for line in last] == ["end", "end"]
    assert last[0]["stopped"] == "signal"
    found = json.loads(sweep("g.toml", "--json", "--quiet").stdout)
    assert [trial["steps"] for trial in found["trials"]] == [1500] * 4
    assert '"resumed from step' in runs[0].read_text()


def test_failed_trial_is_reported_and_others_continue(folder):
    (folder / "f.toml").write_text('batch = 4\nsteps = 4\nhidden = 4\nprecision = "float32"\nseq = [8, 60000]\n')
    ended = sweep("f.toml", "t.txt", "--json")
    found = json.loads(ended.stdout)
    assert found["best"]["settings"] == {"seq": 8}
    assert "the text has" in found["trials"][1]["error"]


def test_failed_trial_is_retried_after_its_cause_is_fixed(folder):
    (folder / "f.toml").write_text('batch = 4\nsteps = 4\nhidden = 4\nprecision = "float32"\nseq = [8, 3000]\n')
    first = json.loads(sweep("f.toml", "t.txt", "--json").stdout)
    assert "error" in first["trials"][1]
    (folder / "t.txt").write_text(TEXT * 20)
    again = json.loads(sweep("f.toml", "t.txt", "--json").stdout)
    assert again["trials"][0] == first["trials"][0] or again["trials"][1] == first["trials"][0]
    assert [trial.get("steps") for trial in again["trials"]] == [4, 4]


def test_all_trials_failing_is_an_error(folder):
    (folder / "f.toml").write_text("batch = 4\nsteps = 4\nhidden = 4\nseq = [50000, 60000]\n")
    assert "every trial failed: the text has" in sweep("f.toml", "t.txt", status=1).stderr


def test_missing_data_is_reported_once_and_creates_nothing(folder):
    ended = sweep("g.toml", "nowhere.txt", status=1)
    assert ended.stderr.startswith("fastrnn: nowhere.txt: no such file")
    assert len(ended.stderr.splitlines()) == 1
    assert not (folder / "runs").exists()


def test_running_trial_of_a_killed_sweep_is_waited_for(folder):
    (folder / "g.toml").write_text(GRID.format(steps=1500) + 'save_every = 20\n[sweep]\ndata = ["t.txt"]\n')
    words = ["g.toml", "--trials", "2", "--json"]
    killed = subprocess.Popen([*SWEEP, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = folder / "runs" / "sweep-g" / "0000" / "log.jsonl"
    wait_for_evaluation(log, killed)
    (trial,) = children(killed.pid)
    os.kill(trial, signal.SIGSTOP)  # so that it surely is at work when the sweep looks
    killed.kill()
    killed.wait()
    again = subprocess.Popen([*SWEEP, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert again.stderr is not None
    said = [again.stderr.readline() for _ in range(3)]
    os.kill(trial, signal.SIGCONT)
    out, rest = again.communicate(timeout=LONGEST)
    assert any("trial 1: another process is still running it" in line for line in [*said, rest]), (said, rest)
    assert [found["steps"] for found in json.loads(out)["trials"]] == [1500, 1500]
    assert again.returncode == 0


def test_supervised_sweep_ranks_by_accuracy(folder):
    (folder / "d.tsv").write_text("".join(f"{'ab'[n % 2]}\t{'xyz'[n % 2]}{'q' * (n % 5 + 1)}\n" for n in range(80)))
    (folder / "c.toml").write_text(
        'task = "classify"\nsteps = 30\nlr = [1e-6, 0.02]\nhidden = 6\n[sweep]\ndata = "d.tsv"\n'
    )
    found = json.loads(sweep("c.toml", "--json").stdout)
    accuracies = [trial["metrics"]["accuracy"] for trial in found["trials"]]
    assert accuracies == sorted(accuracies, reverse=True)


def test_folder_of_another_sweep_is_refused(folder):
    sweep("g.toml", "--trials", "1", "--out", "here")
    (folder / "g.toml").write_text(GRID.format(steps=7))
    assert "a sweep of other settings is here" in sweep("g.toml", "t.txt", "--out", "here", status=1).stderr
    (folder / "used").mkdir()
    (folder / "used" / "file").touch()
    assert "this folder is in use" in sweep("g.toml", "t.txt", "--out", "used", status=1).stderr
    assert "not a folder" in sweep("g.toml", "--out", "t.txt", status=1).stderr


def test_concurrent_start_of_the_same_sweep_is_allowed(folder, monkeypatch):
    here, space = folder / "here", read_space(folder / "g.toml")
    here.mkdir()
    (here / ".fastrnn-01234567-99-89abcdef-0.tmp").touch()  # its sweep.json, half written
    check_folder(here, space)
    (here / "sweep.json").unlink()
    monkeypatch.setattr(os, "listdir", lambda path: _begin(path, space))
    check_folder(here, space)


def _begin(path: Path, space: Space) -> list[str]:
    before = [entry.name for entry in os.scandir(path)]
    (path / "sweep.json").write_text(json.dumps(space.to_dict()) + "\n")
    (path / "0000").mkdir(exist_ok=True)
    return before


def test_damaged_results_are_reported(folder):
    sweep("g.toml", "--trials", "1", "--out", "here")
    (folder / "here" / "trials.jsonl").write_text("{}\n")
    assert "trials.jsonl: damaged" in sweep("g.toml", "--out", "here", status=1).stderr


@pytest.mark.skipif(importlib.util.find_spec("optuna") is not None, reason="optuna is installed")
def test_journal_without_optuna_names_the_extra(folder):
    assert "pip install 'fastrnn[sweep]'" in sweep("g.toml", "--journal", "j.log", status=1).stderr


class TestJournal:
    """Several processes share a sweep through Optuna's journal."""

    pytestmark = pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="optuna is not installed")

    def test_processes_share_a_grid(self, folder):
        words = ["g.toml", "--journal", "j.log", "--out", "shared"]
        workers = [
            subprocess.Popen([*SWEEP, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)
        ]
        told = [worker.communicate(timeout=LONGEST)[1].decode() for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0], told
        found = json.loads(sweep(*words, "--json", "--quiet").stdout)
        assert sorted(trial["number"] for trial in found["trials"]) == [0, 1, 2, 3]
        assert {(t["settings"]["hidden"], t["settings"]["cell"]) for t in found["trials"]} == {
            (4, "rnn"), (4, "gru"), (6, "rnn"), (6, "gru")}  # fmt: skip
        begun = "".join(told)
        assert all(begun.count(f"trial {n} of 4") == 1 for n in (1, 2, 3, 4))

    def test_journal_searches_ranges(self, folder):
        (folder / "r.toml").write_text(
            'batch = 4\nseq = 8\nsteps = 4\nprecision = "float32"\nhidden = {log = [4, 9]}\nlr = {log = [1e-4, 1e-2]}\n'
            'dropout = {range = [0, 0.5]}\ncell = ["rnn", "gru"]\n'
        )
        found = json.loads(sweep("r.toml", "t.txt", "--trials", "3", "--journal", "j.log", "--json").stdout)
        assert len(found["trials"]) == 3
        assert all(4 <= t["settings"]["hidden"] <= 9 and 1e-4 <= t["settings"]["lr"] <= 1e-2 for t in found["trials"])

    def test_trial_of_a_killed_process_is_resumed(self, folder):
        (folder / "g.toml").write_text(GRID.format(steps=3000) + 'save_every = 20\n[sweep]\ndata = ["t.txt"]\n')
        words = ["g.toml", "--journal", "j.log", "--out", "shared", "--trials", "2"]
        at_work = subprocess.Popen([*SWEEP, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        log = folder / "shared" / "0000" / "log.jsonl"
        wait_for_evaluation(log, at_work)
        trial = children(at_work.pid)
        at_work.kill()
        at_work.wait()
        for number in trial:
            os.kill(number, signal.SIGKILL)
        found = json.loads(sweep(*words, "--json", "--quiet").stdout)
        assert [t["steps"] for t in found["trials"]] == [3000, 3000]
        assert '"resumed from step' in log.read_text()

    def test_invalid_journal_is_an_error(self, folder):
        (folder / "j.log").write_text("hello\n")
        assert "not a journal" in sweep("g.toml", "--journal", "j.log", status=1).stderr
        assert "cannot use this journal" in sweep("g.toml", "--journal", "no/j.log", "--out", "b", status=1).stderr


def wait_for_evaluation(log: Path, sweep: "subprocess.Popen[bytes]") -> None:
    """Until the run of this log has evaluated once; the sweep must not end before."""
    end = time.monotonic() + LONGEST
    while not (log.exists() and '"event": "evaluation"' in log.read_text()):
        assert sweep.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)


def children(process: int) -> list[int]:
    """Processes that this one started."""
    tasks = Path(f"/proc/{process}/task")
    return [int(n) for task in tasks.iterdir() for n in (task / "children").read_text().split()]
