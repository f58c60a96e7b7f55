"""The README's figures for the labelled tasks, made anew: every row trains and judges through the command line.

    python benchmarks/task_quality.py DATA [ROW ...]

DATA holds ``names/`` and ``polarity/`` (one text file a class), ``ud-ewt/dev.conllu`` and ``test.conllu``,
``mnist-t10k/`` (idx files) and ``ett/ETTh1.csv``; the generators write the rest. Prints a line a row: figure, goal,
seconds. About 10 minutes on two cores. Exit status 1 when a goal is missed.
"""

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

DATA = Path(sys.argv[1]).resolve()
Goal = tuple[str, float, float]  # what, figure, goal


def fastrnn(*words: object) -> str:
    command = [str(Path(sys.executable).with_name("fastrnn")), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def train(name: str, *words: object) -> None:
    fastrnn("train", *words, "--out", name, "--quiet")


def judged(name: str, *words: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fastrnn("eval", name, *words, "--json"))
    return found


def unseen(seen: Path, fresh: Path, separator: str) -> Path:
    """Of the examples of the second file those that the first does not have."""
    known = set(seen.read_text().split(separator))
    lines = [line for line in dict.fromkeys(fresh.read_text().split(separator)) if line not in known]
    header = fresh.read_text().split(separator)[:1] if fresh.suffix == ".csv" else []
    out = fresh.with_stem("unseen-" + fresh.stem)
    out.write_text(separator.join([*header, *lines, ""]))
    return out


def one_to_one() -> list[Goal]:
    found = []
    for problem, extra in ((1, ()), (2, ()), (2, ("--variable",))):
        fastrnn("data", "make", "bits", "--problem", problem, *extra, "--count", 500, "--out", "train.csv")
        fastrnn("data", "make", "bits", "--problem", problem, *extra, "--count", 1000, "--seed", 2, "--out", "test.csv")
        name = f"one{problem}{len(extra)}"
        train(name, "--task", "regress", "train.csv", "--columns", "y*", "--cell", "dense")
        test = "test.csv" if problem == 1 else unseen(Path("train.csv"), Path("test.csv"), "\n")  # one bit: two inputs
        what = f"bits, problem {problem}{', 1 to 10 bits' if extra else ''}"
        found.append((what, judged(name, test)["accuracy"], 1.0))
    return found


def synced_bits() -> list[Goal]:
    found = []
    for problem in (3, 4):
        bits = ("data", "make", "bits", "--problem", problem)
        fastrnn(*bits, "--variable", "--count", 1000, "--out", "train.txt")
        fastrnn(*bits, "--variable", "--count", 1000, "--seed", 2, "--out", "test.txt")
        fastrnn(*bits, "--length", 50, "--count", 500, "--seed", 3, "--out", "long.txt")
        train(f"synced{problem}", "--task", "tag", "train.txt")
        test = unseen(Path("train.txt"), Path("test.txt"), "\n\n")
        found.append((f"bits, problem {problem}, unseen", judged(f"synced{problem}", test)["accuracy"], 1.0))
        found.append((f"bits, problem {problem}, length 50", judged(f"synced{problem}", "long.txt")["accuracy"], 1.0))
    return found


def tagging() -> list[Goal]:
    train("ud", "--task", "tag", DATA / "ud-ewt/dev.conllu", "--bidirectional")
    return [("UD English, dev to test", judged("ud", DATA / "ud-ewt/test.conllu")["accuracy"], 0.86)]


def names() -> list[Goal]:
    train("names", "--task", "classify", DATA / "names", "--bidirectional")
    return [("surnames in 18 languages", judged("names", DATA / "names", "--split", "valid")["accuracy"], 0.80)]


def polarity() -> list[Goal]:
    train("polarity", "--task", "classify", DATA / "polarity")
    return [("polarity", judged("polarity", DATA / "polarity", "--split", "valid")["accuracy"], 0.76)]


def mnist() -> list[Goal]:
    images = DATA / "mnist-t10k/t10k-images-idx3-ubyte.gz"
    train("mnist", "--task", "classify", images, "--valid", 0.2)
    return [("digits, 8,000 to 2,000", judged("mnist", images, "--split", "valid")["accuracy"], 0.97)]


def generating() -> list[Goal]:
    """300 names, as many of each language as the data has, judged by our own classifier."""
    if not Path("names").is_dir():
        names()
    train("writer", "--task", "generate", DATA / "names")
    files = sorted((DATA / "names").glob("*.txt"))
    sizes = [len(file.read_text().splitlines()) for file in files]
    languages = random.Random(0).choices([file.stem for file in files], sizes, k=300)
    lines = []
    for language in sorted(set(languages)):
        count = languages.count(language)
        out = fastrnn("sample", "writer", "--given", language, "--count", count, "--jsonl")
        lines += [f"{language}\t{json.loads(line)['text'].strip()}" for line in out.splitlines()]
    kept = [line for line in lines if line.split("\t")[1]]
    Path("written.tsv").write_text("\n".join(kept) + "\n")
    right = judged("names", "written.tsv")["accuracy"] * len(kept)
    return [("300 names given their language", right / 300, 0.60)]


def translating() -> list[Goal]:
    found = []
    for what, count, goal in (("dates", 20000, 0.98), ("reverse", 50000, 0.95)):
        fastrnn("data", "make", what, "--count", count, "--out", "train.tsv")
        fastrnn("data", "make", what, "--count", 2000, "--seed", 2, "--out", "test.tsv")
        train(what, "--task", "translate", "train.tsv")
        test = unseen(Path("train.tsv"), Path("test.tsv"), "\n")
        found.append((f"{what}, unseen", judged(what, test)["exact"], goal))
    return found


def forecasting() -> list[Goal]:
    fastrnn("data", "make", "waves", "--out", "waves.csv")
    train("waves", "--task", "forecast", "waves.csv", "--horizon", 24)
    wave = judged("waves", "waves.csv", "--split", "valid")
    train("ett", "--task", "forecast", DATA / "ett/ETTh1.csv", "--columns", "OT", "--horizon", 24)
    oil = judged("ett", DATA / "ett/ETTh1.csv", "--split", "valid")
    return [
        ("waves: persistence's error over ours", wave["persistence"]["mae"] / wave["mae"], 10.0),
        ("ETTh1: persistence's error over ours", oil["persistence"]["mae"] / oil["mae"], 1.0),
        ("ETTh1: yesterday's error over ours", oil["yesterday"]["mae"] / oil["mae"], 1.0),
    ]


ALL = (one_to_one, synced_bits, tagging, names, polarity, mnist, generating, translating, forecasting)
ROWS: dict[str, Callable[[], list[Goal]]] = {f.__name__.replace("_", "-"): f for f in ALL}


def main() -> int:
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for row in sys.argv[2:] or ROWS:
            start = time.monotonic()
            found = ROWS[row]()
            seconds = time.monotonic() - start
            for what, figure, goal in found:
                missed += figure < goal
                verdict = "MISSED" if figure < goal else ""
                print(f"{row:12} {what:40} {figure:8.4f} {goal:6.2f} {seconds:6.0f} s  {verdict}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
