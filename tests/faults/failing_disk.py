"""Guarantee: when the disk fails, the previous checkpoint loads, training continues, and the exit status is right.

    python tests/faults/failing_disk.py             # every call, three errors, once and again; about 6 minutes

Disk calls of a run are counted: mkdir, open, read, write, fsync, ftruncate, rename, close. Then the N-th call fails,
for every N, with ENOSPC, EIO and EINTR; and every N-th call does. The run must end with 0 and the bits of one on a
working disk, or with 1 and one line; then the same command, or --resume, must reach those bits on a working disk.
"""

import argparse
import builtins
import errno
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from children import SAVE_EVERY, bits, ended, fastrnn, forked, half_line, litter, states, stop_after, text_run, warm

from fastrnn.training import loop

STEPS = 18
ERRORS = ("ENOSPC", "EIO", "EINTR")
_BY_PATH = ("mkdir", "open", "replace")
_BY_DESCRIPTOR = ("write", "fsync", "close", "ftruncate")


class FailingDisk:
    """Counts the calls on files below a folder, and has some of them fail."""

    def __init__(self, folder: Path, fails: Callable[[int], bool], code: int) -> None:
        self._folder, self._fails, self._code = str(folder), fails, code
        self.calls, self._descriptors = 0, set[int]()

    def attach(self) -> None:
        """For the rest of this process."""
        for name in (*_BY_PATH, *_BY_DESCRIPTOR):
            setattr(os, name, self._failing(name, getattr(os, name)))
        real = builtins.open

        def reading(path: Any, *arguments: Any, **options: Any) -> Any:
            if str(path).startswith(self._folder):
                self._count(path)
            return real(path, *arguments, **options)

        builtins.open = reading

    def _failing(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *arguments: Any, **options: Any) -> Any:
            by_path = name in _BY_PATH and str(first).startswith(self._folder)
            if not by_path and not (name in _BY_DESCRIPTOR and first in self._descriptors):
                return real(first, *arguments, **options)
            if name == "close":  # a descriptor is closed whatever close says
                self._descriptors.discard(first)
                real(first)
            self._count(first)
            found = None if name == "close" else real(first, *arguments, **options)
            if name == "open":
                self._descriptors.add(found)
            return found

        return call

    def _count(self, path: Any) -> None:
        self.calls += 1
        if self._fails(self.calls):
            raise OSError(self._code, os.strerror(self._code), path if isinstance(path, (str, Path)) else None)


class Trial:
    """A command on a failing disk, then on a sound one."""

    def __init__(self, folder: Path, resuming: bool) -> None:
        self.folder, self.resuming, self.counts, self.whole = folder, resuming, Counter[str](), folder / "whole"
        # float32: with bfloat16 the best file is written once more for its exact loss, and where that fails it
        # keeps the loss of the last validation, which is another one
        self.new = [*text_run(folder, STEPS), "--threads", 1, "--save-every", SAVE_EVERY, "--precision", "float32"]
        assert self._run(self.whole, None) == 0
        self.expected, self.half = bits(self.whole), folder / "half"
        assert ended(forked(self._stop_half_way)) == 128 + signal.SIGTERM
        self.number = 0

    def calls(self) -> int:
        """How many calls a run on a sound disk makes."""
        disk, told = FailingDisk(self._place(), lambda n: False, 0), self.folder / "calls"
        self._run(self._prepared(), disk, lambda: told.write_text(str(disk.calls)))
        return int(told.read_text())

    def fail(self, fails: Callable[[int], bool], code: int) -> None:
        """One run on a disk that fails at these calls, and what must come after it."""
        out = self._prepared()
        before, _ = states(out) if out.exists() else (None, None)
        status, said = self._run(out, FailingDisk(out, fails, code)), (self.folder / "errors").read_text()
        assert "Traceback" not in said, said
        assert "internal error" not in said, said
        last, _ = states(out) if out.exists() else (None, None)
        if before is not None:
            assert last is not None, "the checkpoint is gone"
            assert last.progress["step"] >= before.progress["step"]
        if (out / "log.jsonl").exists():
            half_line(out / "log.jsonl")
        if status == 0:
            assert bits(out) == self.expected, "other bits"
        else:
            assert status == 1, (status, said)
            lines = [line for line in said.splitlines() if line.startswith("fastrnn: ")]
            assert len(lines) == 1, said
            assert lines[0].startswith(f"fastrnn: {out}"), said
            assert os.strerror(code) in lines[0], said
            assert self._run(out, None) == 0, (self.folder / "errors").read_text()
            assert bits(out) == self.expected, "other bits after going on"
        assert not litter(out), litter(out)
        self.counts[f"status {status}"] += 1
        shutil.rmtree(out)

    def _place(self) -> Path:
        return self.folder / f"run-{self.number + 1}"

    def _prepared(self) -> Path:
        """The folder of the next run: not there, or stopped half way."""
        out, self.number = self._place(), self.number + 1
        if self.resuming:
            shutil.copytree(self.half, out)
        return out

    def _stop_half_way(self) -> int:
        stop_after(STEPS // 2, signal.SIGTERM)
        return fastrnn("train", *self.new, "--out", self.half)

    def _run(self, out: Path, disk: FailingDisk | None, after: Callable[[], Any] = lambda: None) -> int:
        def call() -> int:
            loop._LOG_SECONDS = 0.0
            if disk is not None:
                disk.attach()
            if (out / "last.safetensors").exists():
                status = fastrnn("train", "--resume", out)
            else:
                status = fastrnn("train", *self.new, "--out", out)
            after()
            return status

        (self.folder / "errors").unlink(missing_ok=True)
        return ended(forked(call, self.folder / "errors"))


def failures(most: int | None = None, codes: tuple[str, ...] = ERRORS) -> str:
    """Every call fails once, and every N-th of them: a new run and one that goes on. ``most``: about so many N."""
    said = []
    with tempfile.TemporaryDirectory() as name:
        warm(Path(name))
        for kind in ("new", "resumed"):
            (folder := Path(name) / kind).mkdir()
            trial = Trial(folder, resuming=kind == "resumed")
            calls = trial.calls()
            step = 1 if most is None else max(1, calls // most)
            for number in range(1, calls + 1, step):
                for code in (getattr(errno, each) for each in codes):
                    trial.fail(lambda n, at=number: n == at, code)
                    trial.fail(lambda n, at=number: n % at == 0, code)
            runs = sum(trial.counts.values())
            said.append(f"{kind}: {calls} calls, {runs:,} failing runs ({dict(trial.counts)})")
    return "; ".join(said) + "; 0 checkpoints lost, 0 wrong statuses, the same bits after all"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, help="about so many of the calls only")
    print(failures(parser.parse_args().most))
