"""Guarantee: training survives a full disk; it continues, warns once, retries, and loses no checkpoint.

    python tests/faults/full_disk.py                # 30 times full and free again, on 1 MB; about a minute

A run trains on a file system of 1 MB (a tmpfs, if this user may mount one; else a simulated one, where a write takes
half of its bytes and then fails). The disk is filled to the last byte; training must continue and both states must
load. The disk is freed; the next save must succeed, and at the end all is as on a disk that was never full.
"""

import argparse
import contextlib
import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from children import bits, ended, fastrnn, forked, half_line, litter, states, text_run, warm
from kill_saves import Watched

from fastrnn.training import loop
from fastrnn.training.trainer import Trainer

SIZE = 1 << 20
SAVE_EVERY = 10
PAUSE = 0.004  # seconds a step, so that it can be watched


@contextlib.contextmanager
def small_disk(folder: Path, simulated: bool) -> Iterator[tuple[Path, bool]]:
    """A folder on a file system of 1 MB, and whether that is simulated."""
    place = folder / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    mounted = not simulated and os.geteuid() == 0 and subprocess.run(command, stderr=-3, check=False).returncode == 0
    try:
        yield place, not mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)


def fill(filler: Path, simulated: bool) -> None:
    """Takes all the room there is."""
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while not simulated:
                    file.write(b"x" * size)


def simulate(filler: Path) -> None:
    """In a child: while the filler is there, writes take half and then nothing."""
    real = os.write
    taken: set[int] = set()

    def write(descriptor: int, data: Any) -> int:
        if descriptor < 3 or not filler.exists():
            taken.discard(descriptor)
            return real(descriptor, data)
        if descriptor in taken or len(data) < 2:
            taken.discard(descriptor)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken.add(descriptor)
        return real(descriptor, bytes(data[: len(data) // 2]))

    os.write = write


def wait(what: Callable[[], bool], child: int) -> None:
    """Until it is so; asserts that the child lives until then."""
    looks = 0
    while not what():
        assert (looks := looks + 1) < 50_000, "waited in vain"
        assert os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None, "training ended"
        time.sleep(0.002)


def full(times: int, simulated: bool = False) -> str:
    """So many times full, and free again."""
    with tempfile.TemporaryDirectory() as name:
        folder, watched = Path(name), Watched()
        warm(folder)
        arguments = [*text_run(folder, 200 + 150 * times), "--hidden", 40, "--threads", 1, "--save-every", SAVE_EVERY]
        arguments += ["--eval-every", 100]  # the log is on that disk too
        assert ended(forked(lambda: fastrnn("train", *arguments, "--out", folder / "whole"))) == 0
        with small_disk(folder, simulated) as (disk, simulated):
            out, filler = disk / "run", disk / "filler"

            def call() -> int:
                watched.attach()
                loop._LOG_SECONDS = 0.5  # a line of each step would fill the disk by itself
                step = Trainer.step
                Trainer.step = lambda trainer: (time.sleep(PAUSE), step(trainer))[1]  # type: ignore[method-assign]
                if simulated:
                    simulate(filler)
                return fastrnn("train", *arguments, "--out", out)

            watched.begin()
            child = forked(call, folder / "errors")
            watched.listen()
            try:
                wait(lambda: watched.steps > 5, child)
                for _ in range(times):
                    _once(out, filler, watched, child, simulated)
            except BaseException:
                os.kill(child, signal.SIGKILL)
                ended(child)
                print((folder / "errors").read_text()[-2000:], file=sys.stderr)
                raise
            status, said = ended(child), (folder / "errors").read_text()
            watched.end()
            assert status == 0, said
            assert bits(out) == bits(folder / "whole"), "other bits than on a large disk"
            assert not litter(out)
            assert not half_line(out / "log.jsonl")
            assert '"end"' in (out / "log.jsonl").read_text()
        warnings = said.count("training continues and will retry"), said.count("cannot write the log")
        assert warnings[0] <= times, said
        assert warnings[1] <= 1, said
    kind = "a simulated disk" if simulated else "a tmpfs of 1 MB"
    return (
        f"{kind} {times} times full and free again: {warnings[0]} warnings for saves, {warnings[1]} for the log; "
        "training went on, both states loaded at all times, the same bits at the end"
    )


def _once(out: Path, filler: Path, watched: Watched, child: int, simulated: bool) -> None:
    def going_on_unsaved() -> bool:
        fill(filler, simulated)  # a save that was under way has left the room of the old file
        return watched.steps >= _step(out) + 3 * SAVE_EVERY

    wait(going_on_unsaved, child)
    filler.unlink()
    freed = watched.steps
    wait(lambda: _step(out) >= freed, child)


def _step(out: Path) -> int:
    last, _ = states(out)
    return int(last.progress["step"]) if last else -1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--simulated", action="store_true", help="do not mount anything")
    options = parser.parse_args()
    print(full(options.times, options.simulated))
