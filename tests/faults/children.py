"""Helpers of the scripts that stop and kill runs: forked children that train, and checks of their files.

A child is forked from a process that has loaded every kernel, so a thousand of them take minutes.
"""

import contextlib
import hashlib
import io
import json
import os
import random
import re
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from fastrnn.checkpoint.checkpoint import Checkpoint, load
from fastrnn.training.trainer import Trainer
from fastrnn_cli.main import exit_on_signals, run

# In the background of a script SIGINT is ignored, and the children of one that ignores it would ignore it too.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SAVE_EVERY = 5
FILES = {"config.toml", "log.jsonl", "last.safetensors", "best.safetensors"}
_COMMON = ["--hidden", "12", "--lr", "0.01", "--dropout", "0.3", "--weight-dropout", "0.2", "--eval-every", "7"]
_TEMPORARY = re.compile(r"\.fastrnn-[0-9a-f]{8}-([0-9]+)-.*\.tmp")


def fastrnn(*arguments: object) -> int:
    """The program in this process, its exit status. Its handlers of signals stay: for children only."""
    exit_on_signals()
    return run([str(argument) for argument in arguments])


def text_run(folder: Path, steps: int, *more: object) -> list[object]:
    """Arguments of `train` for a language model on a text that is written into the folder."""
    path = folder / "text.txt"
    if not path.exists():
        rng = random.Random(3)
        path.write_text(" ".join(rng.choice(["the", "cat", "dog", "sat", "ate", "on", "mat"]) for _ in range(1500)))
    return [path, *_COMMON, "--layers", 2, "--batch", 4, "--seq", 10, "--steps", steps, *more]


def label_run(folder: Path, steps: int, *more: object) -> list[object]:
    """The same for a classifier of words."""
    path = folder / "words.tsv"
    if not path.exists():
        rng = random.Random(4)
        words = ["".join(rng.choices("abcd", k=rng.randint(1, 7))) for _ in range(150)]
        path.write_text("".join(f"{'xy'[w[0] > 'b']}\t{w}\n" for w in words))
    return [path, "--task", "classify", *_COMMON, "--batch", 8, "--steps", steps, *more]


def warm(folder: Path, *runs: list[object]) -> None:
    """Loads or compiles every kernel that the runs use, in this process, before it is forked. Leaves no thread."""
    for number, arguments in enumerate([text_run(folder, 8), label_run(folder, 8), *runs]):
        command = [str(a) for a in ["train", *arguments, "--threads", 1, "--out", folder / f"warm-{number}"]]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            status = run(command)
        assert status == 0, said.getvalue()


def forked(call: Callable[[], int], errors: Path | None = None) -> int:
    """The number of a child process whose exit status is what the call gives; it writes to a file, or to nowhere."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        out = os.open(errors or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(out, 1)
        os.dup2(out, 2)
        status = call()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def stop_after(steps: int, number: int) -> None:
    """Has this process send itself a signal when it has trained so many steps: for children only."""
    real = Trainer.step

    def step(trainer: Trainer) -> tuple[float, float]:
        found = real(trainer)
        if trainer.progress.step == steps:
            os.kill(os.getpid(), number)
        return found

    Trainer.step = step  # type: ignore[method-assign]


def ended(child: int) -> int:
    """Waits for a child; its exit status, or less than 0 for a signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def bits(run_folder: Path) -> str:
    """A digest of all that a run's two states hold but the time it took."""
    digest = hashlib.blake2b(digest_size=16)
    for name in ("last", "best"):
        found = load(run_folder / f"{name}.safetensors")
        for part in (found.parameters, found.optimizer, found.state):
            for key, array in part.items():
                digest.update(key.encode() + array.tobytes())
        digest.update(json.dumps({**found.progress, "seconds": 0}, sort_keys=True).encode())
    return digest.hexdigest()


def states(run_folder: Path) -> tuple[Checkpoint | None, Checkpoint | None]:
    """The last and the best state, where there are any. Asserts that they load and fit together."""
    last, best = (
        load(path) if path.exists() else None
        for path in (run_folder / f"{name}.safetensors" for name in ("last", "best"))
    )
    if last is not None and last.progress["best_step"]:
        assert best is not None, "the last state tells of a best one that is not there"
    if last is not None and best is not None:
        newer = best.progress["evaluated"] > last.progress["evaluated"]
        assert newer or best.progress["step"] == last.progress["best_step"], (best.progress, last.progress)
    return last, best


def half_line(log: Path) -> bool:
    """Whether a log ends with half a line. Asserts that every whole one is an object."""
    *lines, rest = log.read_bytes().split(b"\n")
    for line in lines:
        assert isinstance(json.loads(line), dict), line
    return bool(rest)


def litter(run_folder: Path, but_of: int = 0) -> list[str]:
    """What should not be in a run folder; the temporary files of one process do not count."""
    names = [name for name in os.listdir(run_folder) if name not in FILES]
    return [n for n in names if not ((match := _TEMPORARY.fullmatch(n)) and int(match[1]) == but_of)]
