"""Errors and messages before the first step: at once, not after the kernels have been compiled."""

import os
import time

import pytest
from fakes import replace

from fastrnn.config import Config
from fastrnn.data.text.corpus import corpus_from_text
from fastrnn.errors import ConfigError, FastRNNError, OutputError
from fastrnn.training import api
from fastrnn.training.api import resume, train
from fastrnn.training.callbacks import Callback

SMALL = Config(hidden=4, layers=1, batch=4, seq=8, steps=6, threads=1, valid=0.0, precision="float32")


class Listen(Callback):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def text(tmp_path):
    (tmp_path / "t.txt").write_text("the cat sat on the mat. " * 40)
    return str(tmp_path / "t.txt")


@pytest.fixture
def unprepared(monkeypatch):
    """Fails if anything is compiled ahead."""

    def prepare(*_: object) -> None:
        raise AssertionError("it compiled first")

    replace(monkeypatch, api, "_prepare", prepare)


@pytest.mark.parametrize(
    ("out", "reason"),
    [("file", "a file of this name exists"), ("file/run", "Not a directory"), ("a\0b", "not the name of a folder")],
)
def test_impossible_run_folder_is_refused_early(text, tmp_path, unprepared, out, reason):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=f"{reason}.*; choose another --out"):
        train([text], SMALL, tmp_path / out)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_run_folder_is_refused_early(text, tmp_path, unprepared):
    (tmp_path / "shut").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="Permission denied; choose another --out"):
        train([text], SMALL, tmp_path / "shut" / "run")


def test_missing_parent_folders_are_created(text, tmp_path):
    train([text], SMALL, tmp_path / "new" / "and" / "newer")
    assert (tmp_path / "new" / "and" / "newer" / "last.safetensors").exists()


def test_fewer_steps_than_done_are_refused_early(text, tmp_path, monkeypatch):
    train([text], SMALL, tmp_path / "run")
    replace(monkeypatch, api, "read", lambda *_: pytest.fail("it read the text first"))
    with pytest.raises(ConfigError, match="steps 5 is less than the 6 steps"):
        resume(tmp_path / "run", {"steps": 5})


def test_compilation_time_is_reported(text, tmp_path, monkeypatch):
    replace(monkeypatch, api, "_prepare", lambda *_: time.sleep(1.2))
    listener = Listen()
    train([text], SMALL.replace(steps=None, for_="2s"), tmp_path / "run", callback=listener)
    assert any("compiling took 1 of the 2 s: training gets half of the time" in line for line in listener.said)
    replace(monkeypatch, api, "_prepare", lambda *_: None)
    listener = Listen()
    train([text], SMALL.replace(steps=None, for_="2s"), tmp_path / "again", callback=listener)
    assert not any("compiling took" in line for line in listener.said)


def test_corpus_of_other_tokens_is_refused(tmp_path, unprepared):
    with pytest.raises(ConfigError, match="tokens is words, but this corpus is of chars; read it with tokens='words'"):
        train(corpus_from_text("the cat sat. " * 40), SMALL.replace(tokens="words"), tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hidden": "a"}, "hidden must be a whole number, not 'a'"),
        ({"steps": 10**13}, "steps is 10,000,000,000,000; it must be greater than 0 and at most 1,000,000,000,000"),
        ({"eval_every": 10**20}, "eval_every is 100,000,000,000,000,000,000"),
        ({"lr": 11.0}, "lr is 11; it must be greater than 0 and at most 10"),
    ],
)
def test_impossible_settings_are_refused_early(settings, words):
    with pytest.raises(FastRNNError, match=words):
        Config(**settings)
