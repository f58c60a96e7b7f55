"""Shell completion and ``fastrnn help``."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import fastrnn
from fastrnn.config import Config
from fastrnn.data.examples.example import Example, ExampleSet, Location
from fastrnn_cli.completion import complete_label, list_runs, read_labels
from fastrnn_cli.group import COMMANDS, program


def complete(line: str, folder: Path) -> list[str]:
    """Return what bash would offer for ``line``, whose last word is incomplete."""
    words = line.split(" ")
    env = {**os.environ, "_FASTRNN_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "fastrnn_cli"], env=env, cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.fixture(scope="module")
def label_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    names = [("spring", "apple"), ("autumn", "pear"), ("spring", "plum"), ("summer", "fig")]
    examples = [Example(label, text, Location("here", n)) for n, (label, text) in enumerate(names, 1)]
    config = Config(task="generate", hidden=4, steps=1, valid=0.0, threads=1)
    fastrnn.train(ExampleSet("generate", examples), config, folder / "runs" / "seasons")
    return folder


def test_train_completes_corpora_and_files(tmp_path: Path) -> None:
    offered = complete("fastrnn train python-", tmp_path)
    assert {"plain,python-reference", "plain,python-docs", "plain,python-source", "file,python-"} <= set(offered)


def test_model_completes_run_folders_newest_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old", "empty")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        if name != "empty":
            model = tmp_path / "runs" / name / "best.safetensors"
            model.touch()
            os.utime(model, (1e9 - age, 1e9 - age))
    assert list_runs(str(tmp_path / "runs")) == [str(tmp_path / "runs" / "new"), str(tmp_path / "runs" / "old")]
    assert complete("fastrnn sample runs/", tmp_path)[:2] == ["plain,runs/new", "plain,runs/old"]
    assert list_runs(str(tmp_path / "missing")) == []


def test_given_completes_the_labels_of_the_model(label_model: Path) -> None:
    run = label_model / "runs" / "seasons"
    assert read_labels(str(run)) == ["autumn", "spring", "summer"]
    assert complete("fastrnn sample runs/seasons --given s", label_model) == ["plain,spring", "plain,summer"]


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, (5).to_bytes(8, "little") + b"[1,2]", b"\x02" + b"\0" * 7])
def test_labels_of_a_damaged_model_are_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    assert read_labels(str(tmp_path / "model.safetensors")) == []
    assert read_labels(str(tmp_path)) == []


def test_given_without_model_completes_nothing() -> None:
    context = click.Context(click.Command("sample"))
    assert complete_label(context, click.Option(["--given"]), "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_the_shell(shell: str) -> None:
    done = CliRunner().invoke(program, ["completion", shell])
    assert done.exit_code == 0
    assert f"_FASTRNN_COMPLETE={shell}_complete" in done.stdout


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "help"])
def test_help_prints_the_same_as_the_option(name: str) -> None:
    runner = CliRunner()
    assert runner.invoke(program, ["help", name]).stdout == runner.invoke(program, [name, "--help"]).stdout


def test_help_of_nothing_lists_the_commands_and_of_an_unknown_command_suggests_one() -> None:
    runner = CliRunner()
    assert runner.invoke(program, ["help"]).stdout == runner.invoke(program, ["--help"]).stdout
    inner = runner.invoke(program, ["help", "data", "make"]).stdout
    assert inner == runner.invoke(program, ["data", "make", "--help"]).stdout
    unknown = runner.invoke(program, ["help", "trian"])
    assert (unknown.exit_code, "did you mean train" in unknown.stderr) == (2, True)
    assert runner.invoke(program, ["help", "train", "more"]).exit_code == 2


@pytest.mark.parametrize("command", ["info", "sample"])
def test_newest_run_is_the_default_model(
    command: str, label_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(label_model)
    args = [command] if command == "info" else [command, "--given", "spring", "--length", "3"]
    done = CliRunner().invoke(program, args)
    assert (done.exit_code, "model runs/seasons (the newest run)\n" in done.stderr) == (0, True)

    monkeypatch.chdir(tmp_path)
    failed = CliRunner().invoke(program, args)
    assert (failed.exit_code, "no MODEL was given, and runs/ holds no run" in failed.stderr) == (2, True)
