"""The whole project in half a minute: one small test of each part. Start here: ``pytest tests/test_tiny.py``.

The first run takes about a minute longer, because it compiles the kernels.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from engine_cases import assert_close, assert_same_bits, make_network, run_network, run_reference
from gradients import check_gradients
from random_cases import B, H, make_model, make_resets, make_state, make_text

import fastrnn
from fastrnn.checkpoint.checkpoint import load as load_checkpoint
from fastrnn.data.text.corpus import corpus_from_text
from fastrnn.training.callbacks import StepEnd

TEXT = "the cat sat on the mat. the dog ate the cat that sat.\n" * 20
CONFIG = fastrnn.Config(hidden=8, layers=1, batch=2, seq=8, steps=3, threads=1, precision="float32")


class StopAfter(fastrnn.Callback):
    """Stops a run after this step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, step: StepEnd) -> bool:
        return step.step == self.step


def run_command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``fastrnn`` with these words in a process of its own."""
    command = [sys.executable, "-m", "fastrnn_cli", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_gradients_of_the_textbook_lstm_are_central_differences(rng: np.random.Generator) -> None:
    """Plain NumPy in float64: no compiled code."""
    model, state = make_model("lstm", 1, rng), make_state("lstm", rng, 1, B, H)
    ids, targets = make_text(rng)
    gradients, dstate = model.backward(ids, targets, state)
    check_gradients(lambda: model.loss(ids, targets, state), {**model.parameters, **state}, {**gradients, **dstate})


@pytest.mark.parametrize("tokens", ["chars", "bytes", "words"])
def test_tokenizer_decodes_what_it_encodes(tokens: str) -> None:
    tokenizer = corpus_from_text(TEXT, tokens=tokens).tokenizer
    text = "the dog sat on the mat.\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_compiled_lstm_agrees_with_the_textbook(rng: np.random.Generator) -> None:
    """Losses, gradients and states of one training window, with a reset."""
    model, state = make_model("lstm", 1, rng), make_state("lstm", rng, 1, B, H)
    (ids, targets), resets = make_text(rng), make_resets()
    computed = run_network(make_network(model), ids, targets, state, resets)
    assert_close(computed, run_reference(model, ids, targets, state, resets), 1e-12)


def test_stopped_run_resumes_to_the_same_bits_and_samples(tmp_path: Path) -> None:
    corpus = corpus_from_text(TEXT)
    assert fastrnn.train(corpus, CONFIG, tmp_path / "whole").steps == 3

    stopped = fastrnn.train(corpus, CONFIG, tmp_path / "parts", callback=StopAfter(2))
    assert (stopped.stopped, stopped.steps) == ("callback", 2)
    resumed = fastrnn.resume(tmp_path / "parts", inputs=corpus)
    assert (resumed.stopped, resumed.steps) == ("done", 3)

    whole, parts = (load_checkpoint(tmp_path / run / "last.safetensors") for run in ("whole", "parts"))
    for name in ("parameters", "optimizer", "state"):
        assert_same_bits(getattr(parts, name), getattr(whole, name))

    samples = [fastrnn.load(tmp_path / run).sample(20, seed=1) for run in ("whole", "parts")]
    assert samples[0] == samples[1]
    assert len(samples[0]) == 20


def test_help_lists_the_commands(tmp_path: Path) -> None:
    done = run_command("--help", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert {"train", "sample", "eval"} <= set(done.stdout.split())


def test_missing_file_is_an_error_of_one_line(tmp_path: Path) -> None:
    done = run_command("train", "missing.txt", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "missing.txt" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
