"""Guarantee: untrusted text cannot control the terminal: texts, models, labels and file names full of controls.

    python tests/faults/terminal.py                 # some sixty command lines on a pseudo-terminal; about a minute

Every C0 and C1 control, DEL, escape sequences (colours, the cursor, the title, the clipboard, queries that the terminal
answers), bidirectional controls and line separators go through every command that shows them: in texts, in the
vocabulary and the labels of models, in predictions, progress, errors, names of files and columns, settings, and the
environment. The output may hold newlines, tabs, and the few sequences by which this program itself draws in colour;
with ``--raw``, and only then, the characters themselves.
"""

import argparse
import csv
import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from typing import Any

CONTROLS = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029"
# Numbers of four digits, which this program never writes in a sequence of its own.
SEQUENCES = ("\x1b[9966m", "\x1b]0;title\x07", "\x1b]52;c;bXk=\x1b\\", "\x1bP$qm\x1b\\", "\x1b[9966A", "\x1b[9966n",
             "\x9b9966m", "\x9d0;title\x9c", "\x1bc", "\x1b[?9966h", "\x1b_x\x1b\\", "\x1b(0", "Q\rQ")  # fmt: skip
EVIL = "".join(f"a{c}b" for c in CONTROLS + BIDI) + " ".join(SEQUENCES)
LINE = "".join(c for c in EVIL if c not in "\t\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")  # one line, to any reader
OWN = re.compile(r"\x1b\[(?:[0-9]{1,3}(?:;[0-9]{1,3})*m|[0-9]{0,2}[AKJ]|m|\?25[hl])|\r(?=[\r\n]|\x1b\[2K)")
RAW = re.compile(f"[{re.escape(CONTROLS.replace(chr(9), '').replace(chr(10), ''))}{BIDI}]")
SMALL = ["--hidden", "4", "--batch", "2", "--steps", "2", "--threads", "1", "--precision", "float32", "--cell", "rnn"]
DRIVER = """
import json, os, sys
from fastrnn_cli.main import run
for number, (args, more) in enumerate(json.load(open(sys.argv[1]))):
    os.environ.update(more)
    status = run(args)
    for name in more:
        del os.environ[name]
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    print(f"\\n=== {number} {status}", flush=True)
"""
Command = tuple[list[str], dict[str, str]]


def shown(commands: list[Command], folder: Path) -> list[tuple[int, str]]:
    """Status and output of command lines, run one after the other in a process that has a terminal."""
    (folder / "commands.json").write_text(json.dumps(commands))
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 40, 150, 0, 0))
    variables = os.environ | {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", "FASTRNN_DATA": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder / "commands.json")],
        stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal, env=variables, cwd=folder,
    )  # fmt: skip
    os.close(terminal)
    output = b""
    while True:
        try:
            piece = os.read(controller, 1 << 16)
        except OSError:  # Linux says so when the other end is closed
            break
        if not piece:
            break
        output += piece
    os.close(controller)
    assert process.wait() == 0, output[-2000:]
    parts = re.split(r"\r\n=== \d+ (\d+)\r\n", output.decode("utf-8", "surrogateescape"))
    assert len(parts) == 2 * len(commands) + 1, parts[-1][-2000:]
    return [(int(status), text) for text, status in zip(parts[::2], parts[1::2], strict=False)]


def raw(text: str) -> list[str]:
    """What could steer a terminal, of what was sent to it."""
    return RAW.findall(OWN.sub("", text))


def make(folder: Path) -> dict[str, str]:
    """Files full of control characters, under such names; name -> path."""
    os.mkdir(folder / "e\x1b[9966mvil")
    place = os.fsencode(folder) + b"/e\x1b[9966mvil/"
    files = {
        "text": (b"t\x07\x9b31m\xff\xe2\x80\xae.txt", (EVIL + "\n") * 30),
        "labels": (b"l\x1b]0;x\x07.tsv", "".join(f"{LINE}{i % 2}\tthe {LINE} {i}\n" for i in range(30))),
        "tags": (b"g\x9d.txt", "".join(f"{_token()}{i}\tT{_token()}{i % 2}\n\n" for i in range(30))),
        "pairs": (b"p\x90.tsv", "".join(f"{LINE} {i}\t{LINE} {i}\n" for i in range(20))),
        "table": (b"c\xc2\x9b.csv", _table()),
        "bad": (b"b\x08.tsv", f"{LINE}\n" * 3),
        "config": (b"s\x1b.toml", f'hidden = "{LINE[:5]}"\n'),
    }  # fmt: skip
    for name, content in files.values():
        Path(os.fsdecode(place + name)).write_text(content, encoding="utf-8", newline="")
    return {key: os.fsdecode(place + name) for key, (name, _) in files.items()}


def _token() -> str:
    return re.sub(r"\s", "", LINE)


def _table() -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([f"x{LINE}", f"y{LINE}"])
    table.writerows([i % 5, i % 3] for i in range(90))
    return text.getvalue()


def training(files: dict[str, str], folder: Path) -> tuple[list[Command], dict[str, str]]:
    """Command lines that train, on a live display, on a plain one; and the runs that they leave."""
    runs = {name: f"{folder}/r\x1b[9966m{name}" for name in ("text", "words", "labels", "tags", "pairs", "table", "g")}

    def train(name: str, data: str, *more: str) -> list[str]:
        return ["train", files[data], "--out", runs[name], *more, *SMALL]

    plain = {"TERM": "dumb"}
    commands: list[Command] = [
        (train("text", "text", "--eval-every", "1", "--seq", "8"), {}),
        (train("words", "text", "--tokens", "words", "--min-count", "1", "--seq", "8"), plain),
        (train("labels", "labels", "--task", "classify"), plain),
        (train("tags", "tags", "--task", "tag"), {}),
        (train("pairs", "pairs", "--task", "translate"), {}),
        (train("g", "labels", "--task", "generate"), {}),
        (train("table", "table", "--task", "forecast", "--horizon", "2", "--seq", "4"), {}),
    ]
    return commands, runs


def using(files: dict[str, str], runs: dict[str, str]) -> list[Command]:
    """Command lines that show what they learnt, or what was wrong."""
    text, model, missing = files["text"], runs["text"], f"no{EVIL.replace(chr(0), '')}"
    lines = [
        *(["sample", runs[name], *more] for name in ("text", "words") for more in (
            ["--length", "2000", "--temperature", "9"], ["--count", "2"], ["--jsonl"], ["--prime-file", text],
            ["--stop", "\x1b", "--greedy"])),
        *(["complete", runs[name], "a", *more] for name in ("text", "words") for more in ([], ["--n", "99", "--json"])),
        *(["score", model, text, *more] for more in ([], ["--json"])),
        *(["eval", runs[a], files[b]] for a, b in (
            ("text", "text"), ("labels", "labels"), ("tags", "tags"), ("pairs", "pairs"), ("table", "table"))),
        *(["inspect", model, text, *more] for more in (
            [], ["--units"], ["--unit", "0"], ["--gradients"], ["--json"], ["--csv", "-"], ["--units", "--csv", "-"])),
        *(["info", run, *more] for run in runs.values() for more in ([], ["--json"])),
        *(["predict", runs[a], files[a], *more] for a in ("labels", "tags", "pairs", "table") for more in (
            [], ["--json"])),
        ["predict", runs["labels"], files["labels"], "--probabilities"],
        ["sample", runs["g"], "--given", LINE.replace("\0", "") + "0"],
        ["data", "show", text], ["data", "show", "--text", text], ["data", "show", text, "--tokens", "words", "--json"],
        ["train", missing], ["train", text, "--out", runs["text"]], ["train", text, "--hidden", missing], [missing],
        ["train", text, "--document-separator", missing, "--out", missing, *SMALL],
        ["train", files["bad"], "--task", "classify"], ["train", text, "--task", "forecast"],
        ["train", files["table"], "--task", "forecast", "--columns", missing], ["train", "--config", files["config"]],
        ["train", text, "--init-from", text], ["train", "--resume", missing], ["info", text], ["sample", missing],
        ["sample", model, "--prime", "☃" + missing], ["complete", model, "☃" + missing], ["data", "fetch", missing],
        ["eval", model, missing], ["predict", runs["labels"], files["bad"]], ["predict", model, text],
        ["inspect", model, missing], ["--" + missing], ["train", "--" + missing, "1"], ["data", missing],
    ]  # fmt: skip
    debug = {"FASTRNN_DEBUG": "1"}
    return [
        *((args, {}) for args in lines),
        (["train", missing], debug),
        (["train", text], {"FASTRNN_HIDDEN": missing}),
        (["train", text], {"FASTRNN_HIDDEN": missing} | debug),
        (["inspect", model, text], {"NO_COLOR": "1"}),
        (["train", "--resume", model, "--steps", "4"], {"TERM": "dumb"}),
    ]


def check(commands: list[Command], folder: Path, statuses: tuple[int, ...]) -> int:
    """How many characters of these commands' output were shown. Asserts that none can steer the terminal."""
    seen = 0
    for (args, more), (status, text) in zip(commands, shown(commands, folder), strict=True):
        found = raw(text)
        assert not found, f"{args!a}: {found[:9]!a} in {text[:3000]!a}"
        assert status in statuses, f"{args!a}: {status}, {text[-600:]!a}"
        assert "internal error" not in text, f"{args!a} {text!a}"
        assert "Traceback" not in text or more, ascii(text)
        seen += len(text)
    return seen


def driven(folder: Path, most: int | None = None) -> str:
    """All of it, or the first command lines that use what was learnt."""
    files = make(folder)
    first, runs = training(files, folder)
    seen = check(first, folder, (0,))
    second: list[Any] = using(files, runs)[:most]
    seen += check(second, folder, (0, 1, 2))
    ((_, text),) = shown([(["sample", runs["text"], "--length", "2000", "--temperature", "9", "--raw"], {})], folder)
    assert len(set(raw(text))) > 50, "--raw lets them through"
    number = len(first) + len(second)
    return f"{number} command lines on a terminal, {seen:,} characters: 0 raw control characters without --raw"


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(driven(Path(folder)))


if __name__ == "__main__":
    main()
