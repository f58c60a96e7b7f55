"""Guarantee: signals work at any time: the state is saved, the status is 143 or 130, a second signal ends it at once.

    python tests/faults/send_signals.py             # 100 SIGTERM, 100 SIGINT, 40 second signals; about 15 minutes

The program itself is started, as a user starts it: a language model with samples, a classifier, a resumed run; a fifth
of them with an empty kernel cache. The signal comes at a random moment between the start and the end of the process.
Within 2 s it must have ended, with both states valid; if training had begun, the log must record its end, and the last
state must be the one in the log. A second signal must end even a run whose steps take seconds within 0.3 s. Signals
before our first instruction, which Python itself handles, and after the last are counted and sent again.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from children import half_line, label_run, litter, states, text_run

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SOON, AT_ONCE = 2.0, 0.3  # seconds
_STOLEN = 0.1  # seconds in which a nap of 5 ms ends on a machine that is not stopped
_OURS = 0.3  # seconds from the start of a process in which Python may not yet have come to our code


class Program:
    """Starts training as a process, and times its end after a signal."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.counts, self.slowest, self.second = folder, Counter[str](), 0.0, 0.0
        self.kinds = [
            text_run(folder, 3000, "--save-every", 50),
            label_run(folder, 3000, "--valid", "0.3"),
            [*text_run(folder, 3000), "--cell", "gru", "--precision", "float32"],
        ]
        self.spans = {False: 4.0, True: 0.0}  # seconds until a run is done, or has compiled what it needs

    def start(self, arguments: list[object], cold: bool = False) -> subprocess.Popen[str]:
        """A process; ``cold``: it has to compile every kernel."""
        environment = dict(os.environ)
        if cold:
            environment["FASTRNN_KERNELS"] = str(self.folder / "cold")
        command = [sys.executable, "-m", "fastrnn_cli", "train", *map(str, arguments)]
        errors = (self.folder / "errors").open("w")
        with errors:
            return subprocess.Popen(command, env=environment, stdout=errors, stderr=errors, text=True)

    def signalled(self, number: int, kind: int, cold: bool, rng: random.Random) -> bool:
        """One run and one signal; False if the run was done before."""
        shutil.rmtree(self.folder / "cold", ignore_errors=True)
        shutil.rmtree(out := self.folder / "run", ignore_errors=True)
        process = self.start([*self.kinds[kind], "--threads", 1, "--out", out], cold)
        begun, delay = time.monotonic(), rng.uniform(0, self.span(cold))
        try:
            process.wait(delay)
            return False
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        sent = time.monotonic()
        status, took = ended_after(process)
        said = (self.folder / "errors").read_text()
        if "Try next:" in said and status in (0, -number):  # all was done and saved; Python was taking itself down
            last, _ = states(out)
            assert last is not None, said
            assert last.progress["step"] == last.config.steps, said
            return False
        if status in (-number, 1) and sent - begun < _OURS + 1 and "fastrnn_cli" not in said:
            self.counts["too early"] += 1
            return False
        assert status == 128 + number, (status, said)
        self.counts["late"] += took > SOON
        self.slowest = max(self.slowest, took)
        self.counts["in all"] += 1
        self.counts["saved" if self._saved(out, number) else "before training"] += 1
        return True

    def span(self, cold: bool) -> float:
        """In which signals are sent."""
        if not self.spans[cold]:
            shutil.rmtree(self.folder / "cold", ignore_errors=True)
            begun = time.monotonic()
            status = self.start([*self.kinds[0], "--steps", 20, "--out", self.folder / "measured"], cold).wait()
            assert status == 0, (self.folder / "errors").read_text()
            self.spans[cold] = time.monotonic() - begun
        return self.spans[cold]

    def _saved(self, out: Path, number: int) -> bool:
        """Whether training had begun; then both states are those that the log tells of."""
        if not out.exists():
            return False
        last, _ = states(out)
        log = out / "log.jsonl"
        if not log.exists() or last is None:
            return False
        assert not half_line(log)
        events = [json.loads(line) for line in log.read_text().splitlines()]
        if events[-1]["event"] != "end":  # it was still compiling: nothing but the first state
            assert last.progress["step"] == 0, events
            assert [each["event"] for each in events] == ["start"], events
            return False
        assert last.progress["step"] == events[-1]["step"], (last.progress, events[-1])
        assert not litter(out)
        return True

    def twice(self, first: int, second: int, rng: random.Random) -> bool:
        """Two signals to a run whose steps take long; False if the first was enough."""
        shutil.rmtree(out := self.folder / "run", ignore_errors=True)
        arguments = [self.folder / "text.txt", "--hidden", 512, "--batch", 40, "--seq", 120, "--steps", 99]
        more = ["--precision", "float32", "--threads", 1, "--eval-every", 90, "--save-every", 1000, "--out", out]
        process = self.start([*arguments, *more])
        while process.poll() is None and not _has_stepped(out):
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 1))
        process.send_signal(first)
        time.sleep(0.05)
        if process.poll() is not None:
            assert process.returncode == 128 + first, (self.folder / "errors").read_text()
            return False
        process.send_signal(second)
        status, took = ended_after(process)
        if status != 128 + second:
            assert status == 128 + first, (self.folder / "errors").read_text()
            return False
        self.second = max(self.second, took)
        self.counts["second late"] += took > AT_ONCE
        self.counts["second"] += 1
        states(out)
        return True


def ended_after(process: subprocess.Popen[str]) -> tuple[int, float]:
    """Exit status, and seconds; time in which this process too got none from the machine does not count."""
    begun = now = time.monotonic()
    while process.poll() is None:
        time.sleep(0.005)
        now, before = time.monotonic(), now
        if now - before > _STOLEN:
            begun += now - before
        assert now - begun < 120, "it does not end"
    return process.returncode, now - begun


def _has_stepped(out: Path) -> bool:
    log = out / "log.jsonl"
    return log.exists() and '"step"' in log.read_text() and "grad_norm" in log.read_text()


def signals(times: int, cold: int, second: int, seed: int = 0) -> str:
    """So many of each signal, so many of all of them while compiling; so many second signals."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        program = Program(Path(name))
        program.span(False)
        for each in range(2 * times):
            is_cold = (each * cold) // (2 * times) != ((each + 1) * cold) // (2 * times)
            while not program.signalled(SIGNALS[each % 2], rng.randrange(3), is_cold, rng):
                program.counts["done before"] += 1
            print(f"{each + 1} of {2 * times}: {program.slowest:.2f} s", end="\r", file=sys.stderr, flush=True)
        for each in range(second):
            while not program.twice(SIGNALS[each % 2], rng.choice(SIGNALS), rng):
                program.counts["one was enough"] += 1
    counts = program.counts
    return (
        f"{times} SIGTERM and {times} SIGINT ({cold} while compiling): {counts['saved']} saved, "
        f"{counts['before training']} before training; slowest {program.slowest:.2f} s, "
        f"{counts['late']} over {SOON} s, {counts['too early']} before our code; "
        f"{counts['second']} second signals, slowest {program.second:.3f} s, "
        f"{counts['second late']} over {AT_ONCE} s"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=100, help="of each signal")
    parser.add_argument("--cold", type=int, default=40, help="of them with no kernel compiled")
    parser.add_argument("--second", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(signals(options.times, options.cold, options.second, options.seed))
