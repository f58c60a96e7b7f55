"""Guarantee: data that change during a run are detected, or make no difference: all data are read before training.

    python tests/faults/changing_text.py            # 50 runs; about a minute

While a run trains, its data are truncated, replaced, deleted, appended to, or replaced by a folder: the run must end
with the bits of an undisturbed one. Then the run is resumed: with other data it must fail with one line and keep its
state; with the original data it must reach the same bits. While data are being read, the same changes happen between
two reads: the run trains on what it read, or reports why it cannot.
"""

import argparse
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import fastrnn
from fastrnn.checkpoint.checkpoint import load
from fastrnn.config import Config
from fastrnn.data.text import compression, files
from fastrnn.errors import ConfigError, FastRNNError, InputError
from fastrnn.training.api import resume, train
from fastrnn.training.callbacks import Callback, StepEnd

STEPS = 8
SMALL = {"cell": "rnn", "hidden": 4, "batch": 2, "lr": 0.01, "dropout": 0.0, "threads": 1, "precision": "float32"}
TEXT = ("text.txt", "the cat sat on the mat. " * 200, Config(**SMALL, steps=STEPS, seq=8))
LABELLED = ("data.tsv", "a\tthe cat\nb\ton the mat\n" * 40, Config(**SMALL, steps=STEPS, task="classify"))


def truncated(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_text(path.read_text().replace("cat", "dog"))
    other.replace(path)


def overwritten(path: Path) -> None:
    path.write_bytes(b"\xff\x00" * 5000)


def appended(path: Path) -> None:
    with path.open("a") as file:
        file.write(path.read_text())


def deleted(path: Path) -> None:
    path.unlink()


def made_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES: tuple[Callable[[Path], None], ...] = (
    truncated, emptied, replaced, overwritten, appended, deleted, made_a_folder,
)  # fmt: skip


class At(Callback):
    """Does something after a step, and stops later if asked to."""

    def __init__(self, step: int, what: Callable[[], None]) -> None:
        self._step, self._what = step, what

    def on_step(self, step: StepEnd) -> None:
        if step.step == self._step:
            self._what()


def bits(run: Path) -> bytes:
    """The weights and moments that a run ended with."""
    saved = load(run / "last.safetensors")
    return b"".join(array.tobytes() for part in (saved.parameters, saved.optimizer) for array in part.values())


def while_training(base: Path, times: int, seed: int = 0) -> str:
    """Data that changes at a random step."""
    rng, told = random.Random(seed), 0
    for i in range(times):
        name, content, config = (TEXT, LABELLED)[i % 2]
        folder, change = base / str(i), CHANGES[i % len(CHANGES)]
        folder.mkdir()
        path, step = folder / name, rng.randrange(1, STEPS)
        path.write_text(content)
        train([str(path)], config, folder / "whole")
        train([str(path)], config, folder / "disturbed", callback=At(step, lambda p=path, c=change: c(p)))
        assert bits(folder / "whole") == bits(folder / "disturbed"), change.__name__
        told += _resumed(folder, path, content)
        shutil.rmtree(folder)
    return f"{times} runs whose data changed: the bits of undisturbed ones; {told} resumes with other data refused"


def _resumed(folder: Path, path: Path, content: str) -> bool:
    """Going on with data that has changed, and then with what it was."""
    before = (folder / "disturbed" / "last.safetensors").read_bytes()
    try:
        resume(folder / "disturbed", {"steps": STEPS + 2})
        raise AssertionError("other data was not noticed")
    except (InputError, ConfigError) as error:
        _check(error)
    assert (folder / "disturbed" / "last.safetensors").read_bytes() == before
    if path.is_dir():
        path.rmdir()
    path.write_text(content)
    for run in ("whole", "disturbed"):
        resume(folder / run, {"steps": STEPS + 2})
    assert bits(folder / "whole") == bits(folder / "disturbed")
    return True


def while_reading(base: Path, times: int, seed: int = 0) -> str:
    """Data that changes between two reads of it."""
    rng, done = random.Random(seed), 0
    for i in range(times):
        name, content, config = (TEXT, LABELLED)[i % 2]
        path, change = base / name, CHANGES[i % len(CHANGES)]
        path.write_text(content)
        opened = _changing(path, change, rng.randrange(4))
        with mock.patch.object(compression, "CHUNK", 600), mock.patch.object(files, "open", opened, create=True):
            try:
                fastrnn.train([str(path)], config.replace(steps=2), base / f"run{i}")
                assert np.isfinite(load(base / f"run{i}" / "last.safetensors").parameters["out.bias"]).all()
                done += 1
            except FastRNNError as error:
                _check(error)
        if path.is_dir():
            path.rmdir()
    return f"{times} runs whose data changed while it was read: {done} trained on what once stood there, others refused"


def _check(error: FastRNNError) -> None:
    """One line, that names the data."""
    assert "\n" not in str(error)
    assert "data" in str(error) or "text" in str(error)


def _changing(path: Path, change: Callable[[Path], None], when: int) -> Any:
    """`open`, of files that change before one of the reads."""

    def opened(*args: Any, **options: Any) -> Any:
        file = open(*args, **options)  # noqa: SIM115
        reads, read = 0, file.read

        def counted(size: int) -> bytes:
            nonlocal reads
            reads += 1
            if reads == when + 1 and path.is_file():
                change(path)
            return read(size)

        watched = mock.MagicMock(wraps=file)
        watched.__enter__.return_value = watched
        watched.__exit__.side_effect = lambda *_: file.close()
        watched.read = counted
        return watched

    return opened


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        print(while_training(base, chosen.times), flush=True)
        print(while_reading(base, chosen.times), flush=True)


if __name__ == "__main__":
    main()
