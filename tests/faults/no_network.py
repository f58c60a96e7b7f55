"""Guarantee: no network and no foreign code; what the program asks of Python is recorded by an audit hook.

    python tests/faults/no_network.py               # twenty command lines; about half a minute

Every command but ``data fetch`` runs without a socket (except the pair by which signals wake its own threads), an
address or another program; ``data fetch`` is run too, to check that the hook detects it. Reading a model file, valid or
damaged, opens that file and nothing else: it runs, compiles, imports and unpickles nothing.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from file_damage import DAMAGES
from model_samples import samples

from fastrnn.checkpoint.checkpoint import load
from fastrnn.errors import FastRNNError

OUTSIDE = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "urllib.",
           "ftplib.", "smtplib.", "http.", "webbrowser.")  # fmt: skip
CODE = (*OUTSIDE, "pickle.", "exec", "compile", "import", "marshal.", "ctypes.", "code.__new__", "function.__new__")
HARMLESS = ("socket.gethostname",)
SMALL = ["--hidden", "4", "--batch", "2", "--steps", "2", "--threads", "1", "--precision", "float32", "--cell", "rnn"]
DRIVER = """
import json, os, socket, sys
wanted, events = tuple(json.loads(sys.argv[2])), []
def hook(name, args):
    if name.startswith(wanted) and not (name == "socket.__new__" and args[1] == getattr(socket, "AF_UNIX", None)):
        events.append(name)
sys.addaudithook(hook)
from fastrnn_cli.main import run
out = []
for args in json.load(open(sys.argv[1])):
    status = run(args)
    out.append((status, sorted(set(events))))
    events.clear()
json.dump(out, open(sys.argv[1], "w"))
"""


def commands(folder: Path) -> list[list[str]]:
    """Every command once, the last one ``data fetch``."""
    text, data, table = (str(folder / name) for name in ("text.txt", "data.tsv", "table.csv"))
    Path(text).write_text("the cat sat on the mat.\n" * 40)
    Path(data).write_text("a\tthe cat\nb\ton the mat\n" * 20)
    Path(table).write_text("v\n" + "".join(f"{i % 5}\n" for i in range(80)))
    run, task, ahead = (str(folder / name) for name in ("run", "task", "ahead"))
    return [
        ["train", text, "--out", run, "--seq", "8", *SMALL], ["train", "--resume", run, "--steps", "3"],
        ["train", "python-docs", "--out", run + "2", "--seq", "8", *SMALL],
        ["train", data, "--task", "classify", "--out", task, *SMALL],
        ["train", table, "--task", "forecast", "--out", ahead, "--seq", "4", *SMALL],
        ["train", "https://example.org/text.txt"], ["train", "tinyshakespeare"],
        ["sample", run, "--length", "20"], ["eval", run, text], ["score", run, text], ["complete", run, "the "],
        ["predict", task, data], ["eval", task, data], ["predict", ahead, table], ["info", run],
        ["inspect", run, text], ["inspect", run, text, "--units"], ["data", "list"], ["data", "show", text],
        ["data", "make", "bits"], ["bench", "sample", "--hidden", "8", "--seconds", "0.1"], ["--help"], ["--version"],
        ["warmup", "--cell", "rnn", "--precision", "float32"], ["data", "fetch", "tinyshakespeare"],
    ]  # fmt: skip


def watched(folder: Path) -> str:
    """What every command asks of the system."""
    lines, file = commands(folder), folder / "commands.json"
    file.write_text(json.dumps(lines))
    variables = os.environ | {"FASTRNN_MIRROR": "http://127.0.0.1:9/", "FASTRNN_DATA": str(folder / "fetched")}
    call = [sys.executable, "-c", DRIVER, str(file), json.dumps(OUTSIDE)]
    done = subprocess.run(call, env=variables, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    *others, fetch = zip(lines, json.loads(file.read_text()), strict=True)
    for args, (status, events) in others:
        assert status == (1 if args[1:] in (["https://example.org/text.txt"], ["tinyshakespeare"]) else 0), args
        assert not set(events) - set(HARMLESS), (args, events)
    assert "socket.connect" in fetch[1][1], "the hook hears nothing"
    return f"{len(others)} command lines opened no socket and started no program; data fetch did open one"


def loaded(folder: Path, times: int, seed: int = 0) -> str:
    """What reading a model file asks of Python."""
    rng, files, path = random.Random(seed), list(samples().values()), folder / "model.safetensors"
    heard: list[str] = []
    listening = False

    def hook(name: str, args: object) -> None:
        if listening and (name.startswith(CODE) or (name == "open" and args[0] != str(path))):  # type: ignore[index]
            heard.append(name)

    for file in files:  # what is imported the first time
        path.write_bytes(file)
        load(str(path))
    sys.addaudithook(hook)
    for i in range(times):
        file = rng.choice(files)
        path.write_bytes(rng.choice(list(DAMAGES.values()))(file, rng) if i % 4 else file)
        listening = True
        try:
            load(str(path))
        except FastRNNError:
            pass
        finally:
            listening = False
    assert not heard, sorted(set(heard))
    return f"{times:,} model files read, sound and damaged: nothing run, imported or unpickled, no other file opened"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(loaded(Path(folder), chosen.files))
        print(watched(Path(folder)))


if __name__ == "__main__":
    main()
