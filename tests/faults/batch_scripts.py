"""Guarantee: in a batch script every command ends with a documented exit status and without a traceback.

Each of the commands below runs in each of the environments: standard streams closed, full or without a reader, no HOME,
no terminal, LANG=C, a current folder that is unwritable or deleted, nohup. About 2 seconds for each of 196 runs:

    python tests/faults/batch_scripts.py
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TEXT = "the cat sat on the mat. the dog sat on the log.\n" * 40
EXAMPLES = "".join(f"{'left' if i % 2 else 'right'}\t{'ab'[i % 2] * (1 + i % 4)}\n" for i in range(60))
SMALL = ("--hidden", "8", "--batch", "4", "--steps", "3", "--threads", "1")
LIMIT = 120.0  # seconds: compiling may come first
# The program; but Numba imports coverage where that is installed, which cannot bear a current folder that is gone.
START = "import sys; sys.modules.setdefault('coverage', None); from fastrnn_cli.main import main; main()"
DOCUMENTED = {0, 1, 2, 4, 130, 143}

# name -> arguments, with FOLDER in the place of the folder that holds the data; and what standard input gives
COMMANDS: dict[str, tuple[tuple[str, ...], str]] = {
    "train": (("train", "FOLDER/text.txt", *SMALL, "--seq", "8", "--out", "FOLDER/OUT"), ""),
    "train, where it likes": (("train", "FOLDER/text.txt", *SMALL, "--seq", "8"), ""),
    "train -": (("train", "-", *SMALL, "--seq", "8", "--out", "FOLDER/OUT"), TEXT),
    "train a task": (("train", "FOLDER/sides.tsv", "--task", "classify", *SMALL, "--out", "FOLDER/OUT"), ""),
    "sample": (("sample", "FOLDER/model", "--length", "9000"), ""),
    "sample to a file": (("sample", "FOLDER/model", "--length", "9", "--out", "FOLDER/OUT"), ""),
    "sample --prime-file -": (("sample", "FOLDER/model", "--length", "9", "--prime-file", "-"), "the "),
    "eval": (("eval", "FOLDER/model", "FOLDER/text.txt"), ""),
    "predict": (("predict", "FOLDER/classifier"), "aa\nbb\n"),
    "score": (("score", "FOLDER/model"), "the cat\n" * 2000),
    "complete": (("complete", "FOLDER/model", "the "), ""),
    "info": (("info", "FOLDER/model"), ""),
    "data": (("data", "show", "FOLDER/text.txt", "--text"), ""),
    "an error": (("info", "FOLDER/nothing"), ""),
}
FAILING = {"an error": {1}}


@dataclass(frozen=True)
class Surroundings:
    """What a command runs in, the statuses that fit there, and those of single commands that differ."""

    expected: frozenset[int] = frozenset({0})
    others: Mapping[str, set[int]] = field(default_factory=dict)
    environment: Mapping[str, str] | None = None
    before: Callable[[], None] | None = None  # runs in the process before the program does
    folder: str | None = None  # the current one
    streams: Mapping[str, Any] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()


def _close(*descriptors: int) -> Callable[[], None]:
    return lambda: [os.close(number) for number in descriptors] and None


def _gone() -> None:
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)


_NO_INPUT = {name: {1} for name in ("train -", "sample --prime-file -", "predict", "score")}
_BARE = {name: os.environ[name] for name in ("PATH", "FASTRNN_KERNELS", "PYTHONPATH") if name in os.environ}
SURROUNDINGS = {
    "as usual": Surroundings(),
    "standard input closed": Surroundings(others=_NO_INPUT, before=_close(0)),
    "standard output closed": Surroundings(before=_close(1)),
    "standard error closed": Surroundings(before=_close(2)),
    "all three closed": Surroundings(others=_NO_INPUT, before=_close(0, 1, 2)),
    "nobody reads": Surroundings(streams={"stdout": "broken", "stderr": "broken"}),
    "output to a full disk": Surroundings(frozenset({0, 1}), streams={"stdout": "/dev/full"}),
    "messages to a full disk": Surroundings(streams={"stderr": "/dev/full"}),
    "no HOME, LANG=C, no more": Surroundings(environment={**_BARE, "LANG": "C", "LC_ALL": "C"}),
    "ASCII": Surroundings(environment={**_BARE, "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    "no PATH": Surroundings(environment={k: v for k, v in _BARE.items() if k != "PATH"}),
    "a folder for reading only": Surroundings(others={"train, where it likes": {1}}, folder="/proc"),
    "a folder that is gone": Surroundings(others={"train, where it likes": {1}}, before=_gone),
    "nohup": Surroundings(prefix=("nohup",)),
}


def make_data(folder: Path) -> None:
    """A text, examples, and a model of each."""
    (folder / "text.txt").write_text(TEXT)
    (folder / "sides.tsv").write_text(EXAMPLES)
    for out, command in (("model", "train"), ("classifier", "train a task")):
        done = run(folder, command, SURROUNDINGS["as usual"], out)
        assert done.returncode == 0, done.stderr


def run(folder: Path, command: str, around: Surroundings, out: str) -> "subprocess.CompletedProcess[bytes]":
    """One command in these surroundings."""
    arguments, text = COMMANDS[command]
    arguments = tuple(each.replace("FOLDER", str(folder)).replace("OUT", out) for each in arguments)
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    opened = []
    for name, where in around.streams.items():
        opened.append(_broken_pipe() if where == "broken" else os.open(where, os.O_WRONLY))
        streams[name] = opened[-1]
    try:
        return subprocess.run(
            [*around.prefix, sys.executable, "-c", START, *arguments], input=text.encode(), timeout=LIMIT,
            env=around.environment, preexec_fn=around.before, cwd=around.folder or folder, check=False, **streams,
        )  # fmt: skip
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _broken_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def wrong(command: str, around: Surroundings, done: "subprocess.CompletedProcess[bytes]") -> str | None:
    """What is not as promised: the status, or a traceback."""
    fitting = around.others.get(command) or FAILING.get(command) or around.expected
    said = (done.stderr or b"").decode(errors="replace")
    if done.returncode not in DOCUMENTED & fitting:
        return f"status {done.returncode}, not {sorted(fitting)}: {said[-300:]}"
    if "Traceback" in said or "Exception ignored" in said or "internal error" in said:
        return said[-2000:]
    return None


def main() -> None:
    """Everything in everything; the exit status is 1 if anything was wrong."""
    failures = runs = 0
    with tempfile.TemporaryDirectory() as name:
        make_data(Path(name))
        for around, surroundings in SURROUNDINGS.items():
            for command in COMMANDS:
                runs += 1
                problem = wrong(command, surroundings, run(Path(name), command, surroundings, f"out{runs}"))
                if problem is not None:
                    failures += 1
                    print(f"{command}, {around}: {problem}", flush=True)
    print(f"{len(COMMANDS)} commands in {len(SURROUNDINGS)} surroundings: {runs} runs, {failures} wrong")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
