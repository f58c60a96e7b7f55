"""Training script of the rank tests: ``worker.py FOLDER CASE,CASE [STEPS]`` trains each case into FOLDER/CASE.

``CASE@N`` resumes FOLDER/CASE up to N steps, ``CASE:N`` stops a new run by a signal to the last rank after N steps.
In the case ``nan`` the last rank's gradient is NaN for three steps. STEPS is that of ``float64`` and ``float32``.
"""

import itertools
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fastrnn.config import Config
from fastrnn.data.text.corpus import Corpus, corpus_from_text
from fastrnn.distributed.communicator import world
from fastrnn.training.api import resume, train
from fastrnn.training.trainer import Trainer

# 13 streams at a time: unequal shards for 2, 3 and 4 ranks
TEXT = Config(
    layers=2, hidden=12, batch=13, streams=39, reset_every=5, seq=10, steps=150, dropout=0.2, lr=0.005, threads=1,
    eval_every=50,
)  # fmt: skip
TASK = Config(hidden=8, batch=10, steps=60, lr=0.01, dropout=0.0, threads=1, eval_every=20, precision="float64")
CASES = {
    "float64": TEXT.replace(precision="float64"),
    "float32": TEXT.replace(precision="float32"),
    "gru": TEXT.replace(precision="float64", cell="gru", steps=40, eval_every=15),
    "nan": TEXT.replace(precision="float64", cell="rnn", steps=40, eval_every=15),
    "classify": TASK.replace(task="classify"),
    "tag": TASK.replace(task="tag"),
    "translate": TASK.replace(task="translate"),
}
_RNG = np.random.default_rng(0)
_WORDS = ["".join(_RNG.choice(list("abcd"), _RNG.integers(1, 6))) for _ in range(90)]
_DATA = {
    "classify": "".join(f"{'ab'[w[0] > 'b']}\t{w}\n" for w in _WORDS),
    "tag": "".join(f"{w}\t{'AB'[len(w) > 2]}\n" + "\n" * (i % 4 == 3) for i, w in enumerate(_WORDS)),
    "translate": "".join(f"{w}\t{w[::-1]}\n" for w in _WORDS),
}


def text() -> Corpus:
    """Twelve words in documents of random lengths, each of which resets the state of its stream."""
    rng = np.random.default_rng(1)
    words = ["the", "cat", "sat", "on", "mat", "dog", "ran", "to", "see", "a", "red", "house"]
    return corpus_from_text(
        "".join(f"{rng.choice(words)}{rng.choice(list('  .|'))}" for _ in range(3000)), separator="|"
    )


def inputs(case: str, folder: Path) -> Any:
    """Return a corpus for language models; for tasks a file, which only rank 0 writes."""
    if case not in _DATA:
        return text()
    path = folder / f"{case}.{'txt' if case == 'tag' else 'tsv'}"
    world().run_on_rank0(lambda: path.write_text(_DATA[case]))
    return [str(path)]


def stop_after(steps: int) -> None:
    """Send a signal to the last rank only, as a batch system's time limit may do."""
    step = Trainer.step

    def stopping(trainer: Trainer) -> tuple[float, float]:
        done = step(trainer)
        if trainer.progress.step == steps and trainer.group.rank == trainer.group.size - 1:
            signal.raise_signal(signal.SIGTERM)
        return done

    Trainer.step = stopping  # type: ignore[method-assign]


def spoil(steps: range) -> None:
    """Make the last rank's gradient NaN in these steps, counted from now."""
    group = world()
    calls = itertools.count()
    all_reduce = group.all_reduce_gradients

    def spoilt(gradient: Any, nats: float, window: Any) -> tuple[float, int]:
        if next(calls) in steps and group.rank == group.size - 1:
            gradient[7] = np.nan
        return all_reduce(gradient, nats, window)

    group.all_reduce_gradients = spoilt  # type: ignore[method-assign]


def main() -> None:
    folder = Path(sys.argv[1])
    for word in sys.argv[2].split(","):
        if "@" in word:
            case, steps = word.split("@")
            assert resume(folder / case, {"steps": int(steps)}, inputs(case, folder)).stopped == "done"
            continue
        case, _, steps = word.partition(":")
        if steps:
            stop_after(int(steps))
        if case == "nan":
            spoil(range(20, 23))
        config = CASES[case]
        if len(sys.argv) > 3 and case.startswith("float"):
            config = config.replace(steps=int(sys.argv[3]), eval_every=250)
        result = train(inputs(case, folder), config, folder / case)
        assert result.stopped == ("signal" if steps else "done")


if __name__ == "__main__":
    main()
