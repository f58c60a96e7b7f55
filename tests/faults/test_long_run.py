"""Memory of a long run: `long_run.py` for some seconds, and every allocation of Python."""

import gc
import itertools
import sys
import tracemalloc
from pathlib import Path

import long_run
import pytest

import fastrnn
from fastrnn.training.callbacks import Callback, StepEnd


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_resident_memory_does_not_grow(tmp_path: Path) -> None:
    for name, arguments in long_run.write_data(tmp_path).items():
        memory = long_run.train_for(arguments, tmp_path / name.replace(" ", "-"), 4.0)
        assert memory.steps > 200
        assert memory.growth < 0.05, (name, memory)


class Watching(Callback):
    """Notes how many bytes are allocated at these steps."""

    def __init__(self, *steps: int) -> None:
        self.bytes = dict.fromkeys(steps, 0)

    def on_step(self, step: StepEnd) -> None:
        if step.step in self.bytes:
            gc.collect()
            self.bytes[step.step] = tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize("task", ["language-model", "classify"])
def test_steps_validations_and_saves_leak_no_memory(task: str, tmp_path: Path) -> None:
    data = long_run.write_data(tmp_path)["language model" if task == "language-model" else "classifier"][0]
    config = fastrnn.Config(task=task, hidden=8, batch=4, seq=16, steps=1200, threads=1, eval_every=50, save_every=25)
    watching = Watching(300, 600, 900, 1200)
    tracemalloc.start()
    try:
        fastrnn.train([data], config, tmp_path / "run", callback=watching)
    finally:
        tracemalloc.stop()
    # Three times 300 steps, 6 validations, 12 saves: no object of each step is kept. A leak grows every time, a cache
    # of the process that fills up grows less and less.
    growth = [after - before for before, after in itertools.pairwise(watching.bytes.values())]
    assert min(growth) < 15_000, growth
