"""Run folders: creating, opening, and error messages of one line."""

import datetime
import os
import threading
from pathlib import Path

import pytest

from fastrnn.checkpoint import atomic
from fastrnn.checkpoint.run_dir import RunFolder, default_name, model_path
from fastrnn.errors import CheckpointError, OutputError

NOW = datetime.datetime(2026, 1, 31, 23, 59, 7)


def test_run_folder_has_its_paths(tmp_path) -> None:
    run = RunFolder.create(tmp_path / "a" / "b")
    places = (run.config_path, run.log_path, run.best, run.last)
    assert [place.name for place in places] == ["config.toml", "log.jsonl", "best.safetensors", "last.safetensors"]
    assert {place.parent for place in places} == {tmp_path / "a" / "b"}


def test_run_is_never_overwritten(tmp_path) -> None:
    run = RunFolder.create(tmp_path / "r")
    with pytest.raises(OutputError, match=r"r exists without a checkpoint yet; choose another --out"):
        RunFolder.create(tmp_path / "r")
    run.last.touch()
    with pytest.raises(
        OutputError, match=r"^run folder \S+r exists; choose another --out, or continue it with --resume \S+r$"
    ):
        RunFolder.create(tmp_path / "r")


@pytest.mark.parametrize("name", ["config.toml", "log.jsonl", "best.safetensors", "last.safetensors"])
def test_folder_with_any_run_file_is_a_run(tmp_path, name: str) -> None:
    (tmp_path / name).write_text('{"event": "start"}\n{"event": "step"}\n')
    for refuse in (RunFolder(tmp_path).check_free, lambda: RunFolder.create(tmp_path)):
        with pytest.raises(OutputError, match="exists"):
            refuse()
    assert (tmp_path / name).stat().st_size


@pytest.mark.parametrize("log", ["", '{"event": "start"}\n', '{"event": "start"}\n{"event": "start", "st'])
def test_remains_of_a_start_killed_before_its_first_save_are_removed(tmp_path, log: str) -> None:
    first = RunFolder.create(tmp_path / "r")
    first.log_path.write_text(log)
    first.config_path.touch()
    (first.path / ".fastrnn-0123abcd-1-00000000-0.tmp").touch()
    for refuse in (first.check_free, lambda: RunFolder.create(first.path)):
        with pytest.raises(OutputError, match="exists without a checkpoint yet"):
            refuse()
    assert first.log_descriptor is not None
    os.close(first.log_descriptor)  # as the system does for the dead
    first.check_free()
    RunFolder.create(first.path)
    assert first.log_path.read_text() == ""
    assert sorted(os.listdir(first.path)) == ["config.toml", "log.jsonl"]


@pytest.mark.parametrize("log", ["notes", "[]\n", "3\n", '{"event": "end"}\n', "{}\n", "[" * 9999 + "\n"])
def test_foreign_log_is_left_alone(tmp_path, log: str) -> None:
    (tmp_path / "log.jsonl").write_text(log)
    with pytest.raises(OutputError, match="exists"):
        RunFolder.create(tmp_path)
    assert (tmp_path / "log.jsonl").read_text() == log


def test_folder_without_a_run_is_used(tmp_path) -> None:
    (tmp_path / "notes.txt").touch()
    assert RunFolder.create(tmp_path).path == tmp_path


def test_only_one_of_concurrent_runs_gets_the_folder(tmp_path) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        try:
            RunFolder.create(tmp_path / "r")
            outcomes.append("made")
        except OutputError:
            outcomes.append("refused")

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made"] + ["refused"] * 7


def test_path_where_no_folder_can_be_created_is_an_error(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="a file of this name exists; choose another --out"):
        RunFolder.create(tmp_path / "file")
    with pytest.raises(OutputError, match="cannot make this run folder: Not a directory; choose another --out"):
        RunFolder.create(tmp_path / "file" / "r")
    with pytest.raises(OutputError, match="not the name of a folder"):
        RunFolder.create(f"{tmp_path}/nul\0")


def test_parent_that_is_a_file_is_named_where_windows_reports_it_as_existing(tmp_path, monkeypatch) -> None:
    def report(self, *args, **kwargs):
        raise FileExistsError(17, "File exists")

    monkeypatch.setattr(Path, "mkdir", report)
    with pytest.raises(OutputError, match="cannot make this run folder: Not a directory; choose another --out"):
        RunFolder.create(tmp_path / "file" / "r")


def test_unwritable_parent_folder_is_an_error(tmp_path, monkeypatch) -> None:
    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OutputError, match="cannot make this run folder: Permission denied; choose another --out"):
        RunFolder.create(tmp_path / "r")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_parent_folder_is_an_error(tmp_path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="cannot make this run folder: Permission denied"):
            RunFolder.create(tmp_path / "r")
    finally:
        tmp_path.chmod(0o700)


def test_unreadable_folder_is_an_error(tmp_path, monkeypatch) -> None:
    run, real = RunFolder.create(tmp_path / "r"), Path.stat

    def stat(self, **kwargs):
        if self.parent == run.path:
            raise PermissionError(13, "Permission denied")
        return real(self, **kwargs)

    monkeypatch.setattr(Path, "stat", stat)
    for find in (model_path, RunFolder.open):
        with pytest.raises(CheckpointError, match=r"\.safetensors: cannot read this: Permission denied"):
            find(run.path)
    with pytest.raises(OutputError, match="cannot make this run folder: Permission denied"):
        RunFolder.create(run.path)


def test_default_run_names_are_unique(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_name(NOW) == os.path.join("runs", "2026-01-31-235907")
    paths = [RunFolder.create_default(NOW).path for _ in range(3)]
    assert [path.name for path in paths] == ["2026-01-31-235907", "2026-01-31-235907-2", "2026-01-31-235907-3"]


def test_default_run_name_where_runs_is_a_file_is_an_error(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").touch()
    with pytest.raises(OutputError, match="cannot make this run folder: Not a directory"):
        RunFolder.create_default(NOW)


def test_open_removes_temporary_files_of_the_run(tmp_path) -> None:
    run = RunFolder.create(tmp_path / "r")
    with pytest.raises(CheckpointError, match=r"no last\.safetensors in this folder, so there is no run to resume"):
        RunFolder.open(run.path)
    run.last.touch()
    with pytest.raises(CheckpointError, match=r"so there is no run to resume; did you mean \S+r\?"):
        RunFolder.open(tmp_path)
    with pytest.raises(CheckpointError, match="not a folder; --resume takes a run folder"):
        RunFolder.open(run.last)
    with pytest.raises(CheckpointError, match="no such run folder"):
        RunFolder.open(tmp_path / "other")
    (run.path / f".fastrnn-{atomic._HOST}-{os.getpid()}-00000000-0.tmp").touch()
    assert RunFolder.open(run.path).last == run.last
    assert sorted(os.listdir(run.path)) == ["last.safetensors", "log.jsonl"]


def test_model_path(tmp_path) -> None:
    run = RunFolder.create(tmp_path / "r")
    with pytest.raises(CheckpointError, match=r"no best\.safetensors or last\.safetensors in this folder$"):
        model_path(run.path)
    run.last.touch()
    assert model_path(run.path) == run.last
    run.best.touch()
    assert model_path(str(run.path)) == run.best
    assert model_path(run.last) == run.last
    with pytest.raises(CheckpointError, match=r"did you mean \S+r\?"):
        model_path(tmp_path)
    with pytest.raises(CheckpointError, match="no such model; give a run folder or a"):
        model_path(tmp_path / "missing")
    with pytest.raises(CheckpointError, match="no such model"):
        model_path(run.last / "inside")
    with pytest.raises(CheckpointError, match="not the name of a file or folder"):
        model_path("nul\0")
    with pytest.raises(
        CheckpointError, match="cannot read this: File name too long" if os.name == "posix" else "no such model"
    ):
        model_path("x" * 300)
