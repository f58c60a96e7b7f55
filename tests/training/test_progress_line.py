"""The default callback: a line of progress where somebody watches."""

import io
import sys
import types

import pytest

import fastrnn
from fastrnn.config import Config
from fastrnn.data.text.corpus import corpus_from_text
from fastrnn.training.callbacks import Callback, TrainingLine, default_callback


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_shown_in_a_terminal_or_notebook_only(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert type(default_callback()) is Callback
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert isinstance(default_callback(), TrainingLine)
    for stderr in (io.StringIO(), None):
        monkeypatch.setattr(sys, "stderr", stderr)
        monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
        assert type(default_callback()) is Callback
        monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: "a shell"))
        assert isinstance(default_callback(), TrainingLine)


@pytest.mark.parametrize("quiet", [False, True])
def test_training_in_a_terminal_draws_one_line(quiet, monkeypatch, tmp_path):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    config = Config(hidden=4, steps=3, batch=2, seq=8, threads=1, eval_every=2)
    callback = {"callback": Callback()} if quiet else {}
    result = fastrnn.train(corpus_from_text("the cat sat. " * 20), config, tmp_path / "run", **callback)
    lines = terminal.getvalue().split("\n")
    if quiet:
        assert lines == [""]
        return
    assert (
        lines[-2]
        .split("\r")[-1]
        .startswith(f"3 steps in {result.seconds:,.0f} s  train {result.train_nats:.4f}  valid ")
    )
    assert "step 3/3  train " in lines[-2]
    assert f"{tmp_path / 'run'}: lstm-norm, 1 x 4, 3 steps" in terminal.getvalue()
