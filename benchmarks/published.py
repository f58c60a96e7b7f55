"""Train on the data of a published table with its split, and print the test loss beside the rows of the paper.

    python benchmarks/published.py ptb DATA OUT --for 60m --hidden 1000      # Penn Treebank, characters
    python benchmarks/published.py warpeace DATA OUT --for 10m               # War and Peace, bytes
    python benchmarks/published.py warpeace DATA OUT                         # the table of an existing OUT/run again

Options after OUT are those of ``fastrnn train``. OUT gets the parts of the data, ``train.txt``, ``valid.txt`` and
``test.txt``, and the run, ``OUT/run``. The best checkpoint is chosen on the validation part; the test part is scored
once, at the end, in streams with carried state. A stopped run goes on with ``fastrnn train --resume OUT/run``.
``--dynamic`` adds a row for dynamic evaluation of the test part, which is another kind of figure.

ptb: DATA is a folder with Mikolov's ``ptb.train.txt``, ``ptb.valid.txt`` and ``ptb.test.txt`` (``fastrnn data fetch
ptb`` downloads them and prints the folder). HyperNetworks (Ha, Dai and Le 2017), table 3, bits per character. Words are
limited to 10,000; ``<unk>`` and ``N`` are read as characters. The space at each line's start and end is removed and
one symbol marks the end of a line: two spaces a line that cost nothing to predict would lower the loss.

warpeace: DATA is the file of Karpathy, Johnson and Li (2015), "Visualizing and understanding recurrent networks": 3.26
million bytes, 87 of them different. The first 80% train, the next 10% validate, the last 10% test; nats per byte.
"""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

Parts = dict[str, bytes]  # "train", "valid", "test"


class Row(NamedTuple):
    """A row of a table; None for a value that the paper does not state."""

    name: str
    parameters: float | None
    loss: float
    minutes: float | None = None


class Table(NamedTuple):
    """A published table: how its data are divided, how a run reads them, and its rows."""

    title: str
    unit: str
    split: Callable[[Path], Parts]
    size: int
    """Number of symbols of the usual files after preparation, to notice others."""
    options: tuple[str, ...]
    """Options of ``fastrnn train`` that belong to the data."""
    rows: tuple[Row, ...]


def split_ptb(folder: Path) -> Parts:
    """Return the three files, their lines without the space at start and end, each ended by one line feed."""
    return {part: prepare_ptb((folder / f"ptb.{part}.txt").read_bytes()) for part in ("train", "valid", "test")}


def prepare_ptb(text: bytes) -> bytes:
    """Remove the spaces at the start and the end of each line."""
    lines = text.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join(line.strip(b" \r") + b"\n" for line in lines)


def split_warpeace(file: Path) -> Parts:
    """Return the first 80% of the bytes, the next 10% and the last 10%."""
    text = file.read_bytes()
    train, valid = round(0.8 * len(text)), round(0.9 * len(text))
    return {"train": text[:train], "valid": text[train:valid], "test": text[valid:]}


TABLES = {
    "ptb": Table(
        "Penn Treebank, characters: HyperNetworks (2017), table 3",
        "bits",
        split_ptb,
        5_852_947,
        (),
        (
            Row("LSTM, 1,000 units", 4.25e6, 1.312),
            Row("LSTM, 1,250 units", 6.57e6, 1.306),
            Row("LSTM, 2 layers of 1,000", 12.26e6, 1.281),
            Row("Layer Norm LSTM, 1,000 units", None, 1.267),
            Row("HyperLSTM, 1,000 units", None, 1.265),
        ),
    ),
    "warpeace": Table(
        "War and Peace, bytes: Karpathy, Johnson and Li (2015)",
        "nats",
        split_warpeace,
        3_258_245,
        ("--tokens", "bytes"),
        (Row("20-gram", None, 1.195), Row("best recurrent network", None, 1.077)),
    ),
}


def fastrnn(*words: object, show: bool = False) -> str:
    """Run ``fastrnn`` and return its standard output; ``show``: its progress is seen. A failure ends the benchmark."""
    command = [sys.executable, "-m", "fastrnn", *map(str, words)]
    error = None if show else subprocess.PIPE
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=error, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr or ''}")
    return done.stdout


def write_parts(table: Table, data: Path, out: Path) -> None:
    """Write the parts of the data, and print their sizes and the number of different symbols."""
    parts = table.split(data)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in parts.items():
        (out / f"{name}.txt").write_bytes(text)
    sizes = ", ".join(f"{name} {len(text):,}" for name, text in parts.items())
    whole = sum(map(len, parts.values()))
    print(f"{sizes}; {len(set(b''.join(parts.values())))} different symbols", file=sys.stderr)
    if whole != table.size:
        print(f"these are not the usual data: {whole:,} symbols, not {table.size:,}", file=sys.stderr)


def measure(table: Table, out: Path, dynamic: bool) -> list[Row]:
    """Score the test part with the best checkpoint of the run."""
    model = json.loads(fastrnn("info", out / "run", "--json"))
    last = json.loads(fastrnn("info", out / "run" / "last.safetensors", "--json"))
    options = ["--dynamic"] if dynamic else []
    scored = json.loads(fastrnn("eval", out / "run", out / "test.txt", "--json", *options, show=True))

    minutes = last["progress"]["seconds"] / 60
    layers = "" if model["layers"] == 1 else f"{model['layers']} layers of "
    name = f"fastrnn, {model['cell']}, {layers}{model['hidden']:,} units"
    found = [Row(name, model["parameters"], _loss(table, scored), minutes)]
    if dynamic:
        found.append(Row(f"{name}, dynamic evaluation", model["parameters"], _loss(table, scored["dynamic"]), minutes))
    return found


def _loss(table: Table, figures: dict[str, Any]) -> float:
    nats: float = figures["nats_per_char"]
    return nats / math.log(2) if table.unit == "bits" else nats


def format_table(table: Table, rows: list[Row], machine: str) -> str:
    """Format the rows of the paper, then ours, as Markdown."""
    lines = [f"{table.title}; test part", "", f"| model | parameters | {table.unit} | minutes | machine |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for row in (*table.rows, *rows):
        parameters = "" if row.parameters is None else f"{row.parameters / 1e6:.2f} million"
        minutes, where = ("", "") if row.minutes is None else (f"{row.minutes:.1f}", machine)
        lines.append(f"| {row.name} | {parameters} | {row.loss:.3f} | {minutes} | {where} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark of one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--dynamic", action="store_true", help="also score the test part by dynamic evaluation")
    options, training = parser.parse_known_args(arguments)
    table, out = TABLES[options.table], options.out

    if (out / "run").exists():
        if training:
            parser.error(f"{out / 'run'} exists: leave out {' '.join(training)}, or choose another OUT")
    else:
        try:
            write_parts(table, options.data, out)
        except OSError as error:
            parser.error(f"{error.filename}: {error.strerror}; DATA is described in --help")
        files = (out / "train.txt", "--valid-file", out / "valid.txt", "--out", out / "run")
        fastrnn("train", *files, *table.options, *training, show=True)
    system = json.loads(fastrnn("info", "--system", "--json"))
    machine = f"{system['processor'].split(';')[0]}, {system['threads']}"
    print(format_table(table, measure(table, out, options.dynamic), machine), end="")


if __name__ == "__main__":
    main()
