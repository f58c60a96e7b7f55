"""Train and evaluate every supervised task through the command line: the table of quality on real data.

    python benchmarks/task_quality.py DATA [ROW ...]

DATA holds ``names/`` and ``polarity/`` (one text file per class), ``ud-ewt/dev.conllu`` and ``test.conllu``,
``mnist-t10k/`` (idx files) and ``ett/ETTh1.csv``; the other data are generated. Prints one line per figure: the figure,
its goal and the seconds of the row. Takes about 10 minutes on two cores. Exit status 1 if a goal is missed.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Goal = tuple[str, float, float]  # name, figure, goal


class Data:
    """The folder of the data, set by `main`."""

    folder = Path()


def fastrnn(*words: object) -> str:
    """Run ``fastrnn`` with these words and return its standard output; a failure ends the benchmark."""
    command = [str(Path(sys.executable).with_name("fastrnn")), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def train(name: str, *words: object) -> None:
    fastrnn("train", *words, "--out", name, "--quiet")


def evaluate(name: str, *words: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fastrnn("eval", name, *words, "--json"))
    return found


def keep_unseen(train: Path, test: Path, separator: str) -> Path:
    """Write the examples of ``test`` that ``train`` lacks, and return their file."""
    known = set(train.read_text().split(separator))
    lines = [line for line in dict.fromkeys(test.read_text().split(separator)) if line not in known]
    header = test.read_text().split(separator)[:1] if test.suffix == ".csv" else []
    out = test.with_stem("unseen-" + test.stem)
    out.write_text(separator.join([*header, *lines, ""]))
    return out


def one_to_one() -> list[Goal]:
    found = []
    for problem, extra in ((1, ()), (2, ()), (2, ("--variable",))):
        fastrnn("data", "make", "bits", "--problem", problem, *extra, "--count", 500, "--out", "train.csv")
        fastrnn("data", "make", "bits", "--problem", problem, *extra, "--count", 1000, "--seed", 2, "--out", "test.csv")
        name = f"one{problem}{len(extra)}"
        train(name, "--task", "regress", "train.csv", "--columns", "y*", "--cell", "dense")
        test = (
            "test.csv" if problem == 1 else keep_unseen(Path("train.csv"), Path("test.csv"), "\n")
        )  # one bit: two inputs
        what = f"bits, problem {problem}{', 1 to 10 bits' if extra else ''}"
        found.append((what, evaluate(name, test)["accuracy"], 1.0))
    return found


def synced_bits() -> list[Goal]:
    found = []
    for problem in (3, 4):
        bits = ("data", "make", "bits", "--problem", problem)
        fastrnn(*bits, "--variable", "--count", 1000, "--out", "train.txt")
        fastrnn(*bits, "--variable", "--count", 1000, "--seed", 2, "--out", "test.txt")
        fastrnn(*bits, "--length", 50, "--count", 500, "--seed", 3, "--out", "long.txt")
        train(f"synced{problem}", "--task", "tag", "train.txt")
        test = keep_unseen(Path("train.txt"), Path("test.txt"), "\n\n")
        found.append((f"bits, problem {problem}, unseen", evaluate(f"synced{problem}", test)["accuracy"], 1.0))
        found.append((f"bits, problem {problem}, length 50", evaluate(f"synced{problem}", "long.txt")["accuracy"], 1.0))
    return found


def tagging() -> list[Goal]:
    train("ud", "--task", "tag", Data.folder / "ud-ewt/dev.conllu", "--bidirectional")
    return [("UD English, dev to test", evaluate("ud", Data.folder / "ud-ewt/test.conllu")["accuracy"], 0.86)]


def names() -> list[Goal]:
    train("names", "--task", "classify", Data.folder / "names", "--bidirectional")
    return [
        ("surnames in 18 languages", evaluate("names", Data.folder / "names", "--split", "valid")["accuracy"], 0.80)
    ]


def polarity() -> list[Goal]:
    train("polarity", "--task", "classify", Data.folder / "polarity")
    return [("polarity", evaluate("polarity", Data.folder / "polarity", "--split", "valid")["accuracy"], 0.76)]


def mnist() -> list[Goal]:
    images = Data.folder / "mnist-t10k/t10k-images-idx3-ubyte.gz"
    train("mnist", "--task", "classify", images, "--valid", 0.2)
    return [("digits, 8,000 to 2,000", evaluate("mnist", images, "--split", "valid")["accuracy"], 0.97)]


def generating() -> list[Goal]:
    """300 names, as many of each language as the data has, classified by the model of `names`."""
    if not Path("names").is_dir():
        names()
    train("writer", "--task", "generate", Data.folder / "names")
    files = sorted((Data.folder / "names").glob("*.txt"))
    sizes = [len(file.read_text().splitlines()) for file in files]
    languages = random.Random(0).choices([file.stem for file in files], sizes, k=300)
    lines = []
    for language in sorted(set(languages)):
        count = languages.count(language)
        out = fastrnn("sample", "writer", "--given", language, "--count", count, "--jsonl")
        lines += [f"{language}\t{json.loads(line)['text'].strip()}" for line in out.splitlines()]
    kept = [line for line in lines if line.split("\t")[1]]
    Path("written.tsv").write_text("\n".join(kept) + "\n")
    right = evaluate("names", "written.tsv")["accuracy"] * len(kept)
    return [("300 names given their language", right / 300, 0.60)]


def translating() -> list[Goal]:
    found = []
    for what, count, goal in (("dates", 20000, 0.98), ("reverse", 50000, 0.95)):
        fastrnn("data", "make", what, "--count", count, "--out", "train.tsv")
        fastrnn("data", "make", what, "--count", 2000, "--seed", 2, "--out", "test.tsv")
        train(what, "--task", "translate", "train.tsv")
        test = keep_unseen(Path("train.tsv"), Path("test.tsv"), "\n")
        found.append((f"{what}, unseen", evaluate(what, test)["exact"], goal))
    return found


def forecasting() -> list[Goal]:
    fastrnn("data", "make", "waves", "--out", "waves.csv")
    train("waves", "--task", "forecast", "waves.csv", "--horizon", 24)
    wave = evaluate("waves", "waves.csv", "--split", "valid")
    train("ett", "--task", "forecast", Data.folder / "ett/ETTh1.csv", "--columns", "OT", "--horizon", 24)
    oil = evaluate("ett", Data.folder / "ett/ETTh1.csv", "--split", "valid")
    return [
        ("waves: persistence's error over ours", wave["persistence"]["mae"] / wave["mae"], 10.0),
        ("ETTh1: persistence's error over ours", oil["persistence"]["mae"] / oil["mae"], 1.0),
        ("ETTh1: yesterday's error over ours", oil["yesterday"]["mae"] / oil["mae"], 1.0),
    ]


ALL = (one_to_one, synced_bits, tagging, names, polarity, mnist, generating, translating, forecasting)
ROWS: dict[str, Callable[[], list[Goal]]] = {f.__name__.replace("_", "-"): f for f in ALL}


def main() -> int:
    """Print the given rows, or all, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], metavar="ROW", help=", ".join(ROWS))
    options = parser.parse_args()
    Data.folder = options.data.resolve()

    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for row in options.rows or ROWS:
            start = time.monotonic()
            found = ROWS[row]()
            seconds = time.monotonic() - start
            for name, figure, goal in found:
                missed += figure < goal
                verdict = "MISSED" if figure < goal else ""
                print(f"{row:12} {name:40} {figure:8.4f} {goal:6.2f} {seconds:6.0f} s  {verdict}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
