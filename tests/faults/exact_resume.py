"""Guarantee: resume is exact; the final bits are those of a run that never stopped.

    python tests/faults/exact_resume.py             # 100 stops for 1, 2 and 4 threads and two tasks; about 4 minutes
    python tests/faults/exact_resume.py --threads 1 16

Each run is stopped twice at random steps, by SIGINT, SIGTERM or SIGKILL, and resumed, perhaps with another number of
threads. It is compared with an undisturbed run: everything that both checkpoints hold.
"""

import argparse
import random
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from children import bits, ended, fastrnn, forked, label_run, stop_after, text_run, warm

STEPS = 40
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
_OPTIONS: list[list[Any]] = [
    ["--cell", "lstm"],
    ["--cell", "gru", "--optimizer", "momentum"],
    ["--cell", "rnn", "--schedule", "plateau", "--eval-every", 2],
    ["--cell", "lstm", "--save-every", 3],
    # 16 threads divide its units too
    ["--cell", "lstm-norm", "--layers", 1, "--hidden", 512, "--dropout", 0.2, "--weight-dropout", 0.2],
]
_LABELLED: list[list[Any]] = [["--bidirectional"], ["--cell", "gru", "--save-every", 7]]


def stopped_and_resumed(out: Path, arguments: list[Any], stops: list[tuple[int, int]], threads: list[int]) -> None:
    """Trains with ``threads[0]``, stops by the first (steps, signal), goes on with ``threads[1]``, and so on."""
    command = ["train", *arguments, "--out", out, "--quiet"]
    for (steps, number), count in zip([*stops, (-1, 0)], threads, strict=True):

        def call(steps: int = steps, number: int = number, count: int = count, command: list[Any] = command) -> int:
            stop_after(steps, number)
            return fastrnn(*command, "--threads", count)

        errors = out.parent / "errors"
        errors.unlink(missing_ok=True)
        status = ended(forked(call, errors))
        expected = {0: 0, signal.SIGKILL: -signal.SIGKILL}.get(number, 128 + number)
        assert status == expected, (status, steps, number, errors.read_text()[-2000:])
        command = ["train", "--resume", out, "--quiet"]


def exact(times: int, threads: Sequence[int] = (1, 2, 4), seed: int = 0) -> str:
    """So many stops for each number of threads, a third of them of a classifier."""
    rng, counts = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = [text_run(folder, STEPS, *more) for more in _OPTIONS]
        kinds += [label_run(folder, STEPS, *more) for more in _LABELLED]
        warm(folder, *kinds)
        whole: dict[int, str] = {}
        for count in threads:
            stops = 0
            while stops < times:
                kind, two = rng.randrange(len(kinds)), sorted(rng.sample(range(1, STEPS), 2))
                if kind not in whole:
                    stopped_and_resumed(folder / f"whole-{kind}", kinds[kind], [], [1])
                    whole[kind] = bits(folder / f"whole-{kind}")
                chosen = [(step, rng.choice(SIGNALS)) for step in two]
                others = [count, *(rng.choice((count, count, *threads)) for _ in chosen)]
                stopped_and_resumed(folder / "run", kinds[kind], chosen, others)
                assert bits(folder / "run") == whole[kind], f"other bits: {kinds[kind]} {chosen} {others}"
                shutil.rmtree(folder / "run")
                stops += len(chosen)
                counts.update(number.name for _, number in chosen)
            counts[f"with {count} threads"] = stops
    return ", ".join(f"{count} {what}" for what, count in counts.items()) + ": 0 other bits"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=100, help="stops for each number of threads")
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2, 4), help="numbers of threads")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(exact(options.times, options.threads, options.seed))
