"""Guarantee: a checkpoint is old or new, never broken; and the log survives.

    python tests/faults/kill_saves.py               # 1,000 kills, 200 of them inside a save; about 4 minutes

A run that saves every 5 steps is killed (SIGKILL) at a random moment, checked, and restarted by the command that a
batch script would give, until it is done. After every kill both states must load, at most 5 steps may be lost, and
every line of the log but the last must be JSON; the next start must remove temporary files; and a run that was
killed many times must end with the bits of an undisturbed one.
"""

import argparse
import mmap
import os
import random
import shutil
import signal
import struct
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from children import SAVE_EVERY, bits, ended, fastrnn, forked, half_line, label_run, litter, states, text_run, warm

from fastrnn.checkpoint import atomic
from fastrnn.training import loop
from fastrnn.training.trainer import Trainer

STEPS = 120


class Watched:
    """What a child tells while it trains: the steps it has done, and the beginning of every save."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 8)
        self._reader = self._writer = -1

    @property
    def steps(self) -> int:
        """Steps done, -1 before training began."""
        return int(struct.unpack("q", self._shared[:8])[0])

    def begin(self) -> None:
        """A new child is about to be forked."""
        self._tell(-1)
        self._reader, self._writer = os.pipe()

    def listen(self) -> None:
        """It has been: its end of the pipe is its own."""
        os.close(self._writer)

    def wait(self, saves: int) -> None:
        """Until the child begins so many saves, or ends."""
        while saves and os.read(self._reader, 1):
            saves -= 1

    def end(self) -> None:
        """The child has ended."""
        os.close(self._reader)

    def attach(self) -> None:
        """In the child."""
        real_step, real_run, real_replace = Trainer.step, loop.Loop.run, atomic._replace
        loop._LOG_SECONDS = 0.0

        def step(trainer: Trainer) -> Any:
            found = real_step(trainer)
            self._tell(trainer.progress.step)
            return found

        def run(training: loop.Loop, *arguments: Any) -> Any:
            self._tell(training.trainer.progress.step)
            return real_run(training, *arguments)

        def replace(*arguments: Any) -> None:
            os.write(self._writer, b"s")
            real_replace(*arguments)

        Trainer.step, loop.Loop.run, atomic._replace = step, run, replace  # type: ignore[method-assign]

    def _tell(self, steps: int) -> None:
        self._shared[:8] = struct.pack("q", steps)


class Campaign:
    """Kills runs of one kind again and again."""

    def __init__(self, folder: Path, arguments: list[Any], rng: random.Random) -> None:
        self.folder, self.rng, self.watched, self.counts = folder, rng, Watched(), Counter[str]()
        self.arguments, self.lost, self.runs = [*arguments, "--threads", 1, "--save-every", SAVE_EVERY], 0, 0
        self.out = folder / "whole"
        started = time.monotonic()
        assert ended(self._start()) == 0
        self.watched.end()
        self.seconds, self.expected = time.monotonic() - started, bits(self.out)
        self._next_run()

    def kill(self, aimed: bool) -> None:
        """Starts or goes on with a run and kills it; one that is done before that is compared, and the next begins."""
        while True:
            child = self._start()
            self._wait(aimed)
            os.kill(child, signal.SIGKILL)
            status = ended(child)
            self.watched.end()
            if status == -signal.SIGKILL:
                break
            assert status == 0, (status, (self.folder / "errors").read_text()[-2000:])
            assert bits(self.out) == self.expected, "other bits than those of a run that was never killed"
            assert not litter(self.out)
            self.counts["finished"] += 1
            self._next_run()
        self.counts["kills"] += 1
        self._look(child)

    def _start(self) -> int:
        def call() -> int:
            self.watched.attach()
            if (self.out / "last.safetensors").exists():
                return fastrnn("train", "--resume", self.out, "--quiet")
            return fastrnn("train", *self.arguments, "--quiet", "--out", self.out)

        self.watched.begin()
        child = forked(call, self.folder / "errors")
        self.watched.listen()
        return child

    def _wait(self, aimed: bool) -> None:
        if aimed:
            self.watched.wait(self.rng.randint(1, 12))
            time.sleep(self.rng.uniform(0, 0.004))
        else:
            time.sleep(self.rng.uniform(0, 0.6 * self.seconds))

    def _look(self, child: int) -> None:
        if not self.out.exists():
            return
        began = self.watched.steps >= 0
        if began:
            assert not litter(self.out, but_of=child), litter(self.out, but_of=child)
        self.counts["inside a save"] += bool(litter(self.out))
        last, _ = states(self.out)
        if self.watched.steps > 0:
            assert last is not None, "trained, and nothing is saved"
            lost = self.watched.steps - last.progress["step"]
            assert lost <= SAVE_EVERY, f"{lost} steps lost"
            self.lost = max(self.lost, lost)
        log = self.out / "log.jsonl"
        self.counts["half lines"] += log.exists() and half_line(log)

    def _next_run(self) -> None:
        shutil.rmtree(self.out)
        self.runs += 1
        self.out = self.folder / f"run-{self.runs}"


def kills(times: int, aimed: int, seed: int = 0) -> str:
    """Kills, so many of them in all, so many of them aimed inside a save; half of the runs of each kind."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm(folder)
        campaigns = []
        for kind in (text_run, label_run):
            (folder / kind.__name__).mkdir()
            campaigns.append(Campaign(folder / kind.__name__, kind(folder, STEPS), rng))
        for number in range(times):
            campaigns[number % 2].kill(aimed=number < aimed)
        counts, lost = sum((c.counts for c in campaigns), Counter[str]()), max(c.lost for c in campaigns)
    return (
        f"{counts['kills']:,} kills, {aimed} aimed at saves, {counts['inside a save']:,} left half a file: "
        f"0 unreadable, at most {lost} of {SAVE_EVERY} steps lost, no litter after the next start; "
        f"{counts['finished']} runs ended with the bits of one left alone; {counts['kills']:,} logs sound "
        f"({counts['half lines']} ended in half a line)"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--aimed", type=int, help="how many of them inside a save (default: a fifth)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    aimed = options.times // 5 if options.aimed is None else options.aimed
    print(kills(options.times, aimed, options.seed))
