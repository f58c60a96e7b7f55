"""Guarantee: memory is bounded; resident memory grows by less than 1% between a tenth of a run and its end.

Trains a language model, with a validation every 200 steps and a save every 100, and then a classifier, each for the
given time, and reads the resident memory from /proc a few times a second. Takes twice ``--minutes`` (Linux only):

    python tests/faults/long_run.py --minutes 10
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SMALL = ("--hidden", "32", "--batch", "8", "--threads", "1", "--steps", "1000000000", "--eval-every", "200")
SAVES = ("--save-every", "100")
_PAUSE = 0.2  # seconds between two readings


@dataclass(frozen=True)
class Memory:
    """Resident memory in kB: the median of readings after a tenth of the run, and of those at its end."""

    early: float
    late: float
    steps: int

    @property
    def growth(self) -> float:
        """As a fraction of what it was."""
        return self.late / self.early - 1


def write_data(folder: Path) -> dict[str, list[str]]:
    """Data for both runs, drawn from a seed; name -> the arguments of `fastrnn train`."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghij", k=draw.randint(1, 9))) for _ in range(300)]
    (folder / "text.txt").write_text(" ".join(draw.choices(words, k=20_000)))
    lines = ["\t".join((draw.choice("xyz"), " ".join(draw.choices(words, k=draw.randint(1, 12))))) for _ in range(2000)]
    (folder / "labelled.tsv").write_text("\n".join(lines) + "\n")
    return {
        "language model": [str(folder / "text.txt"), "--seq", "32", *SMALL, *SAVES],
        "classifier": [str(folder / "labelled.tsv"), "--task", "classify", *SMALL, *SAVES],
    }


def train_for(arguments: Sequence[str], out: Path, seconds: float) -> Memory:
    """Train for that long from the first logged step on, then stop by SIGTERM, which must save and leave with 143."""
    command = [sys.executable, "-m", "fastrnn_cli", "train", *arguments, "--out", str(out), "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_for_steps(process, out / "log.jsonl")
        readings, start = [], time.monotonic()
        while (elapsed := time.monotonic() - start) < seconds:
            readings.append((elapsed / seconds, _resident(process.pid)))
            time.sleep(_PAUSE)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143, process.returncode
    finally:
        process.kill()
        process.wait()
    early = statistics.median(kb for at, kb in readings if 0.1 <= at <= 0.2)
    late = statistics.median(kb for at, kb in readings if at >= 0.9)
    return Memory(early, late, _steps(out / "log.jsonl"))


def _wait_for_steps(process: "subprocess.Popen[bytes]", log: Path) -> None:
    while not (log.exists() and b'"step"' in log.read_bytes() and b'"evaluation"' in log.read_bytes()):
        assert process.poll() is None, "it ended before it trained"
        time.sleep(0.1)


def _resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def _steps(log: Path) -> int:
    return max(json.loads(line)["step"] for line in log.read_text().splitlines())


def main() -> None:
    """Both runs; the exit status is 1 if one grew too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--most", type=float, default=0.01, help="growth that is allowed")
    parser.add_argument("--only", choices=("language model", "classifier"), help="one of the two")
    told = parser.parse_args()
    grown = False
    with tempfile.TemporaryDirectory() as name:
        for what, arguments in write_data(Path(name)).items():
            if told.only not in (None, what):
                continue
            memory = train_for(arguments, Path(name, what.replace(" ", "-")), told.minutes * 60)
            grown |= memory.growth > told.most
            sizes = f"{memory.early / 1000:.1f} MB after a tenth, {memory.late / 1000:.1f} MB at the end"
            print(
                f"{what}: {told.minutes:g} minutes, {memory.steps:,} steps; {sizes}: {memory.growth:+.2%}", flush=True
            )
    sys.exit(1 if grown else 0)


if __name__ == "__main__":
    assert os.path.isdir("/proc/self"), "needs /proc"
    main()
