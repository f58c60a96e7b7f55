"""Train language models with many settings at equal steps: the experiments behind the automatic choices.

    python benchmarks/recipe.py run DATA RESULTS [GROUP ...]     # resumable: trials that RESULTS has are skipped
    python benchmarks/recipe.py table RESULTS GROUP ...          # Markdown, one row per setting, mean over seeds
    python benchmarks/recipe.py list                             # the groups, with the work of each

DATA holds ``tinyshakespeare.txt``, ``warpeace/input.txt``, ``polarity/*.txt`` and ``names/*.txt``. RESULTS is a file of
JSON lines, one per trial. A loss does not depend on the load of the machine, nor on the number of threads, so trials
may run beside other work; each has one thread. The validation text is scored whole and exactly, by the state with the
lowest loss on its first 20,000 characters among four in the run. Several processes with the same RESULTS share
the trials: each takes the first that no other has taken.
"""

import argparse
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from fastrnn.os_compat import lock_file

Trial = dict[str, Any]  # "text", and fields of `fastrnn.Config`

_HEAD = 20_000  # characters of the validation text that select the state
# Settings that a result names, chosen automatically or not.
_CHOSEN = ("lr", "dropout", "weight_dropout", "weight_decay", "batch", "streams", "seq", "warmup", "precision")
# What a trial has unless it says otherwise; not all are the defaults of today.
_BASE = {
    "cell": "lstm",
    "threads": 1,
    "weight_decay": 0.0,
    "vocab_lr": 1.0,
    "beta1": 0.9,
    "out_bias": "zero",
    "slow_units": 0.0,
    "reset_every": 0,
    "batch": 32,
}
_SHORT_EVALUATION = 400_000  # most characters of a validation text


def _shakespeare(data: Path) -> tuple[str, str]:
    whole = (data / "tinyshakespeare.txt").read_text()
    cut = round(0.9 * len(whole))
    return whole[:cut], whole[cut:]


def _warpeace(data: Path) -> tuple[str, str]:
    """Karpathy, Johnson and Li (2015) train on the first 80% and validate on the next 10%."""
    whole = (data / "warpeace/input.txt").read_text()
    return whole[: round(0.8 * len(whole))], whole[round(0.8 * len(whole)) : round(0.9 * len(whole))]


def _warpeace_100k(data: Path) -> tuple[str, str]:
    train, valid = _warpeace(data)
    return train[:100_000], valid


def _python(data: Path) -> tuple[str, str]:
    """The standard library without tests; every 25th file, chosen by the hash of its path, validates."""
    root = Path(os.__file__).parent
    train: list[str] = []
    valid: list[str] = []
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if not {"site-packages", "test", "tests", "idle_test", "lib2to3"} & set(name.split("/")):
            held_out = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 25 == 0
            (valid if held_out else train).append(path.read_text(encoding="utf-8", errors="replace"))
    random.Random(1).shuffle(train)
    random.Random(1).shuffle(valid)
    return "".join(train), "".join(valid)


def _lines(paths: Iterable[Path]) -> tuple[str, str]:
    """Distinct lines in random order; a tenth validates."""
    lines = sorted({line for path in paths for line in path.read_text(encoding="utf-8").splitlines()})
    random.Random(1).shuffle(lines)
    cut = round(0.9 * len(lines))
    return "\n".join(lines[:cut]) + "\n", "\n".join(lines[cut:]) + "\n"


TEXTS: dict[str, Callable[[Path], tuple[str, str]]] = {
    "shakespeare": _shakespeare,
    "warpeace": _warpeace,
    "warpeace-100k": _warpeace_100k,
    "python": _python,
    "reviews": lambda data: _lines(sorted((data / "polarity").glob("*.txt"))),
    "surnames": lambda data: _lines(sorted((data / "names").glob("*.txt"))),
}


def trials(text: str = "shakespeare", *, seeds: Iterable[int] = (1,), **settings: Any) -> Iterator[Trial]:
    """Yield one trial for each combination of the settings that are tuples, and each seed."""
    axes = [(name, value if isinstance(value, tuple) else (value,)) for name, value in settings.items()]
    found: list[Trial] = [{"text": text}]
    for name, values in [*axes, ("seed", tuple(seeds))]:
        found = [trial | {name: value} for trial in found for value in values]
    yield from found


def listed(text: str, names: tuple[str, ...], rows: Iterable[tuple[Any, ...]], **settings: Any) -> Iterator[Trial]:
    """Yield one trial with seed 1 for each row, the values of the settings ``names``; the others are shared."""
    for row in rows:
        yield from trials(text, **settings, **dict(zip(names, row, strict=True)))


def short_runs(**settings: Any) -> Iterator[Trial]:
    """Yield trials of the default cell on four texts: 128 units for 360 steps (two seeds), 256 units for 1,200."""
    for text, dropout in (("shakespeare", 0.18), ("warpeace", 0.0), ("python", 0.0), ("reviews", 0.18)):
        shared = {"cell": "lstm-norm", "beta1": 0.7, "weight_decay": 0.02, **settings}
        yield from trials(text, seeds=(1, 2), hidden=128, steps=360, lr=0.0226, vocab_lr=4.0, dropout=0.0, **shared)
        yield from trials(text, hidden=256, steps=1200, lr=0.016, vocab_lr=3.7, dropout=dropout, **shared)


# Group -> its trials, in the order in which they run.
GROUPS: dict[str, list[Trial]] = {
    # Learning rate: by size, depth, cell and text.
    "rate-128": [*trials(hidden=128, steps=1200, dropout=0.1, lr=(0.004, 0.016, 0.032, 0.048))],
    "rate-256": [*trials(hidden=256, steps=1200, dropout=0.18, lr=(0.004, 0.008, 0.016, 0.024, 0.032, 0.048, 0.064))],
    "rate-256-seeds": [*trials(hidden=256, steps=1200, dropout=0.18, seeds=(2, 3), lr=(0.024, 0.048))],
    "rate-512": [*trials(hidden=512, steps=1200, dropout=0.2, lr=(0.004, 0.008, 0.016, 0.024))],
    "rate-two-layers": [*trials(layers=2, hidden=256, steps=1200, dropout=0.18, lr=(0.00283, 0.012, 0.024))],
    "rate-gru-256": [*trials(cell="gru", hidden=256, steps=1200, dropout=0.18, lr=(0.004, 0.008, 0.016, 0.032))],
    "rate-gru-512": [*trials(cell="gru", hidden=512, steps=600, dropout=0.0, lr=(0.004, 0.008, 0.012))],
    "rate-rnn-256": [*trials(cell="rnn", hidden=256, steps=1200, dropout=0.1, lr=(0.001, 0.004, 0.012))],
    "rate-rnn-512": [*trials(cell="rnn", hidden=512, steps=1200, dropout=0.1, lr=(0.001, 0.004, 0.008))],
    "rate-other-cells": [
        *trials(cell="rnn-relu", hidden=256, steps=1200, dropout=0.1, lr=(0.001, 0.002, 0.004)),
        *trials(cell="gru-simplified", hidden=256, steps=1200, dropout=0.18, lr=(0.004, 0.01)),
    ],
    "rate-lstm-norm": [*trials(cell="lstm-norm", hidden=256, steps=1200, dropout=0.18, lr=(0.016, 0.032))],
    "rate-warpeace": [*trials("warpeace", hidden=256, steps=1200, dropout=0.0, lr=(0.004, 0.024))],
    "rate-python": [*trials("python", hidden=256, steps=1200, dropout=0.0, lr=(0.004, 0.024, 0.048))],
    "rate-reviews": [*trials("reviews", hidden=256, steps=1200, dropout=0.18, lr=(0.004, 0.024))],
    "rate-surnames": [*trials("surnames", hidden=256, steps=1200, batch=16, dropout=0.5, lr=(0.004, 0.024))],
    "rate-short": [*trials("warpeace-100k", hidden=256, steps=1150, dropout=0.5, lr=(0.004, 0.016, 0.032))],
    "warmup": [*trials(hidden=256, steps=1200, dropout=0.18, lr=0.024, warmup=(50, 200, 400))],
    # Dropout where a model memorises, and where it does not.
    "dropout-128": [*trials(hidden=128, steps=3000, lr=0.032, dropout=(0.1, 0.3, 0.5))],
    "dropout-512": [*trials(hidden=512, steps=2400, lr=0.017, dropout=(0.35, 0.45))],
    "dropout-768": [
        *trials(hidden=768, steps=1500, lr=0.013, dropout=0.3),
        *trials(hidden=768, steps=1500, lr=0.012, dropout=0.45),
        *trials(hidden=768, steps=2700, lr=0.012, dropout=0.5),
    ],
    "dropout-short": [
        *trials("warpeace-100k", hidden=256, steps=(600, 1200), batch=16, lr=0.024, dropout=(0.3, 0.5, 0.6)),
    ],
    # Dropout of recurrent weights, and the weight decay that keeps the state of an LSTM from growing.
    "weight-dropout-512": [
        *trials(hidden=512, steps=2400, lr=0.017, dropout=0.2, weight_dropout=0.15, weight_decay=(0.0, 0.02)),
        *trials(cell="lstm-norm", hidden=512, steps=2400, lr=0.0113, dropout=(0.35, 0.5), weight_dropout=0.0),
    ],
    "weight-dropout-768": [
        *trials(hidden=768, steps=2700, dropout=0.3, weight_dropout=0.1, weight_decay=(0.0, 0.02)),
        *trials(cell="lstm-norm", hidden=768, steps=2700, dropout=0.3, weight_dropout=0.1),
    ],
    "weight-dropout-short": [
        trial
        for cell, lr in (("lstm", 0.024), ("lstm-norm", 0.016), ("gru", 0.01), ("rnn", 0.006))
        for dropout in (0.4, 0.6)
        for weight_dropout in (0.0, 0.1, 0.2, 0.3)
        for trial in trials(
            "warpeace-100k",
            cell=cell,
            hidden=256,
            steps=1200,
            batch=16,
            lr=lr,
            dropout=dropout,
            weight_dropout=weight_dropout,
            weight_decay=(0.0, 0.02),
        )
    ],
    "weight-dropout-none": [
        *trials(hidden=256, steps=1200, lr=0.024, dropout=0.1, weight_dropout=(0.0, 0.03), weight_decay=(0.0, 0.02)),
    ],
    # Weight decay of a normed cell, where a text is read often and where it is read once.
    "weight-decay-norm": [
        *trials(
            cell="lstm-norm",
            hidden=768,
            steps=2700,
            dropout=0.3,
            weight_dropout=0.1,
            weight_decay=(0.02, 0.1, 0.2, 0.4),
        ),
        *trials(
            "warpeace-100k",
            cell="lstm-norm",
            hidden=256,
            steps=1200,
            batch=16,
            lr=0.016,
            dropout=0.4,
            weight_dropout=0.2,
            weight_decay=(0.02, 0.15, 0.4),
        ),
        *trials(
            "warpeace",
            cell="lstm-norm",
            hidden=512,
            steps=1600,
            dropout=0.05,
            weight_dropout=0,
            weight_decay=(0.02, 0.15),
        ),
    ],
    "weight-decay-norm-long": [
        *trials(cell="lstm-norm", hidden=768, steps=3300, dropout=0.35, weight_dropout=0.13, weight_decay=0.2),
        *trials(cell="lstm-norm", hidden=768, steps=3300, dropout=0.4, weight_dropout=0.15, weight_decay=0.15),
        *trials(cell="lstm-norm", hidden=768, steps=7000, dropout=0.5, weight_dropout=0.25, weight_decay=0.2),
        *trials(cell="lstm-norm", hidden=512, steps=6500, dropout=0.45, weight_dropout=0.2, weight_decay=0.1),
        *trials(cell="lstm-norm", hidden=512, steps=8500, dropout=0.5, weight_dropout=0.22, weight_decay=0.2),
    ],
    # The cells on a large text, which every run reads about once.
    "cells-warpeace": [
        *trials("warpeace", hidden=512, steps=1600, lr=0.017, dropout=0.08, weight_dropout=0.0),
        *trials("warpeace", cell="lstm-norm", hidden=512, steps=1600, lr=0.0113, dropout=0.08, weight_dropout=0.0),
    ],
    # One, two and three layers with as many recurrent weights, so that a step takes as long.
    "layers-warpeace": [
        *listed(
            "warpeace",
            ("layers", "hidden", "steps", "lr", "dropout", "weight_decay"),
            [
                (1, 256, 1200, 0.016, 0.0, 0.02),
                (2, 144, 1200, 0.0151, 0.0, 0.02),
                (2, 144, 1200, 0.0213, 0.0, 0.02),
                (3, 112, 1200, 0.014, 0.0, 0.02),
                (1, 384, 1600, 0.013, 0.0, 0.02),
                (2, 224, 1600, 0.0171, 0.0, 0.02),
                (1, 512, 1600, 0.0113, 0.05, 0.02),
                (2, 288, 1600, 0.0106, 0.05, 0.02),
                (2, 288, 1600, 0.015, 0.05, 0.02),
                (1, 512, 4000, 0.0113, 0.05, 0.04),
                (2, 288, 4000, 0.015, 0.05, 0.04),
            ],
            cell="lstm-norm",
            weight_dropout=0.0,
        )
    ],
    "layers-dropout": [
        *listed(
            "shakespeare",
            ("hidden", "steps", "lr", "dropout", "weight_dropout", "weight_decay"),
            [
                (192, 4000, 0.013, 0.25, 0.09, 0.07),
                (192, 4000, 0.0185, 0.25, 0.09, 0.05),
                (192, 4000, 0.013, 0.15, 0.09, 0.07),
                (192, 4000, 0.013, 0.1, 0.05, 0.07),
                (192, 4000, 0.015, 0.06, 0.03, 0.06),
                (192, 4000, 0.015, 0.02, 0.03, 0.06),
                (448, 2700, 0.0086, 0.3, 0.1, 0.1),
                (448, 2700, 0.0086, 0.18, 0.1, 0.1),
                (144, 1200, 0.015, 0.1, 0.0, 0.02),
            ],
            cell="lstm-norm",
            layers=2,
        )
    ],
    "layers-short": [
        *listed(
            "warpeace-100k",
            ("layers", "hidden", "lr", "dropout", "weight_dropout", "weight_decay"),
            [
                (1, 512, 0.0113, 0.43, 0.2, 0.3),
                (2, 256, 0.0115, 0.44, 0.2, 0.3),
                (2, 320, 0.012, 0.22, 0.2, 0.3),
                (2, 320, 0.012, 0.14, 0.07, 0.3),
                (2, 144, 0.018, 0.22, 0.2, 0.2),
                (2, 144, 0.018, 0.22, 0.1, 0.2),
                (2, 144, 0.018, 0.14, 0.07, 0.2),
            ],
            cell="lstm-norm",
            steps=1164,
            batch=16,
        )
    ],
    "layers-lstm": [
        *listed(
            "warpeace",
            ("layers", "hidden", "lr"),
            [(2, 224, 0.0216), (1, 384, 0.02)],
            steps=1600,
            dropout=0.0,
            weight_dropout=0.0,
            weight_decay=0.02,
        )
    ],
    # Momentum of Adam, and the learning rate of table and output layer.
    "adam": [
        *listed(
            "warpeace",
            ("beta1", "vocab_lr"),
            [(0.9, 1.0), (0.8, 1.0), (0.7, 1.0), (0.5, 1.0), (0.8, 2.0), (0.7, 2.0)],
            cell="lstm-norm",
            layers=2,
            hidden=224,
            steps=1600,
            lr=0.0171,
            dropout=0.0,
            weight_decay=0.02,
        )
    ],
    "adam-long": [
        trial
        for text, steps, seeds in (("shakespeare", 4000, (1, 2)), ("reviews", 3000, (1,)))
        for beta1, vocab_lr in ((0.9, 1.0), (0.7, 2.0))
        for trial in trials(
            text,
            seeds=seeds,
            beta1=beta1,
            vocab_lr=vocab_lr,
            cell="lstm-norm",
            layers=2,
            hidden=192,
            steps=steps,
            lr=0.015,
            dropout=0.06,
            weight_dropout=0.03,
            weight_decay=0.06,
        )
    ],
    "adam-short": [
        trial
        for text, cell, hidden, steps, lr, dropout in (
            ("warpeace", "lstm-norm", 128, 360, 0.0226, 0.0),
            ("shakespeare", "lstm-norm", 128, 360, 0.0226, 0.0),
            ("python", "lstm-norm", 128, 360, 0.0226, 0.0),
            ("warpeace", "lstm", 128, 360, 0.034, 0.0),
            ("warpeace", "gru", 128, 360, 0.014, 0.0),
            ("warpeace", "lstm-norm", 256, 1200, 0.016, 0.0),
            ("shakespeare", "lstm-norm", 256, 1200, 0.016, 0.18),
        )
        for trial in listed(
            text,
            ("beta1", "vocab_lr"),
            [(0.9, 1.0), (0.7, 2.0), (0.7, 4.0), (0.7, 8.0), (0.8, 2.0), (0.5, 4.0)],
            cell=cell,
            hidden=hidden,
            steps=steps,
            lr=lr,
            dropout=dropout,
            weight_decay=0.02,
        )
    ],
    "adam-cells": [
        trial
        for cell, lr, dropout, decay in (
            ("lstm", 0.024, 0.18, 0.02),
            ("lstm-norm", 0.016, 0.18, 0.02),
            ("gru", 0.01, 0.18, 0.0),
            ("rnn", 0.006, 0.1, 0.0),
        )
        for trial in listed(
            "shakespeare",
            ("beta1", "vocab_lr"),
            [(0.9, 1.0), (0.7, 2.0)],
            cell=cell,
            hidden=256,
            steps=1200,
            lr=lr,
            dropout=dropout,
            weight_decay=decay,
        )
    ],
    # The initial bias of the output layer, and the learning rate of short runs.
    "out-bias": [*short_runs(out_bias=("zero", "unigram"))],
    # More streams than a step reads.
    "streams": [*short_runs(out_bias="unigram", streams=(32, 512))],
    # Units that forget slowly at the start, and resets of the state, at the rates of the rule.
    "slow-units": [
        trial
        for text, lr in (("shakespeare", 0.026), ("warpeace", 0.043), ("python", 0.045), ("reviews", 0.026))
        for trial in trials(
            text,
            seeds=(1, 2),
            cell="lstm-norm",
            hidden=128,
            steps=360,
            lr=lr,
            vocab_lr=4.0,
            beta1=0.7,
            weight_decay=0.02,
            dropout=0.0,
            out_bias="unigram",
            streams=512,
            slow_units=(0.0, 0.1),
            reset_every=(0, 32),
        )
    ],
    # Windows and streams: the same characters in more steps.
    "window": [
        *trials(hidden=256, steps=2400, seq=32, dropout=0.18, lr=(0.016, 0.024)),
        *trials(hidden=256, steps=2400, batch=16, dropout=0.18, lr=0.016),
    ],
    # Before and after, with the sizes and lengths that longer budgets give on two cores with AMX.
    "short-512": [
        *trials("warpeace-100k", hidden=512, steps=1164, batch=16, lr=0.017, dropout=0.6),
        *trials("warpeace-100k", hidden=512, steps=1164, batch=16, lr=0.004, dropout=0.5),
    ],
    "warpeace-512": [
        *trials("warpeace", hidden=512, steps=1600, lr=0.017, dropout=0.08),
        *trials("warpeace", hidden=512, steps=1600, lr=0.004, dropout=0.05),
    ],
    "shakespeare-long": [*trials(hidden=768, steps=3827, lr=0.014, dropout=0.59)],
    # The same work as 1,200 steps of 256 units, in other sizes.
    "size-short": [
        *trials(hidden=256, steps=1200, dropout=0.13, lr=0.024),
        *trials(hidden=384, steps=620, dropout=0.06, lr=0.02),
        *trials(hidden=192, steps=1900, dropout=0.16, lr=0.028),
    ],
}


def run_trial(trial: Trial, folder: Path) -> dict[str, Any]:
    """Train and evaluate one model in this process."""
    from fastrnn import Config, load, read_corpus, train
    from fastrnn.training.callbacks import Callback

    started, cpu = time.monotonic(), time.process_time()
    settings: dict[str, Any] = _BASE | {k: v for k, v in trial.items() if k != "text"}
    settings.setdefault("streams", settings["batch"])
    steps = settings["steps"]
    settings |= {"eval_every": -(-steps // 4), "save_every": steps, "valid_file": str(folder / f"{trial['text']}.head")}
    with tempfile.TemporaryDirectory() as runs:
        corpus = read_corpus([str(folder / f"{trial['text']}.train")])
        result = train(corpus, Config(**settings), Path(runs, "run"), callback=Callback())
        model: Any = load(Path(runs, "run"), threads=1)
        valid = read_corpus([str(folder / f"{trial['text']}.valid")], tokenizer=model.tokenizer, unknown="skip")
        nats = model.evaluate(valid).nats
    chosen = {name: getattr(model.config, name) for name in _CHOSEN}
    epochs = steps * model.config.batch * model.config.seq / len(corpus)
    return {
        "trial": trial,
        "nats": round(nats, 5),
        "train_nats": round(result.train_nats, 4),
        "best_step": result.best_step,
        "epochs": round(epochs, 2),
        "chosen": chosen,
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "seconds": round(time.monotonic() - started, 1),
    }


def write_texts(data: Path, folder: Path, names: Iterable[str]) -> None:
    """Write the training and validation parts of the texts that are missing in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if not (folder / f"{name}.head").exists():
            train, valid = TEXTS[name](data)
            for suffix, part in (("train", train), ("valid", valid[:_SHORT_EVALUATION]), ("head", valid[:_HEAD])):
                (folder / f"{name}.{suffix}").write_text(part, encoding="utf-8")


def read_results(path: Path) -> list[dict[str, Any]]:
    """Read the finished trials."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [found for found in map(json.loads, lines) if "nats" in found]


def _claim(trial: Trial, results: Path) -> Any:
    """Lock a trial; None if another process has it or it is done."""
    name = hashlib.sha256(json.dumps(trial, sort_keys=True).encode()).hexdigest()[:16]
    locks = results.with_suffix(".locks")
    locks.mkdir(exist_ok=True)
    file = open(locks / name, "w")  # noqa: SIM115 - the caller closes it, which ends the lock
    try:
        lock_file(file.fileno())
    except BlockingIOError:
        return None
    return None if any(found["trial"] == trial for found in read_results(results)) else file


def run(data: Path, results: Path, groups: Iterable[str]) -> int:
    """Run the trials that are missing; each in a process of its own."""
    folder = results.with_suffix(".texts")
    failures = 0
    for trial in (trial for group in groups for trial in GROUPS[group]):
        lock = _claim(trial, results)
        if lock is None:
            continue
        write_texts(data, folder, [trial["text"]])
        command = [sys.executable, __file__, "trial", json.dumps(trial), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        line = done.stdout.strip() or json.dumps({"trial": trial, "error": done.stderr.strip()[-500:]})
        failures += done.returncode != 0
        with results.open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)
        lock.close()
    return 1 if failures else 0


def table(results: Path, groups: Iterable[str]) -> None:
    """Print the results of groups as Markdown, the mean over seeds with the number of seeds and their range."""
    found = read_results(results)
    for group in groups:
        rows: dict[str, list[dict[str, Any]]] = {}
        for trial in GROUPS[group]:
            settings = ", ".join(f"{name} {value}" for name, value in trial.items() if name != "seed")
            rows.setdefault(settings, []).extend(f for f in found if f["trial"] == trial)
        print(f"\n### {group}\n\n| settings | seeds | nats | range | training | epochs |")
        print("| --- | --- | --- | --- | --- | --- |")
        for settings, runs in rows.items():
            if runs:
                nats = [f["nats"] for f in runs]
                spread = f"{max(nats) - min(nats):.4f}" if len(nats) > 1 else ""
                train = statistics.mean(f["train_nats"] for f in runs)
                print(
                    f"| {settings} | {len(nats)} | {statistics.mean(nats):.4f} | {spread} "
                    f"| {train:.3f} | {runs[0]['epochs']} |"
                )


def main() -> int:
    """Run a command of this script and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="run trials")
    running.add_argument("data", type=Path, metavar="DATA")
    running.add_argument("results", type=Path, metavar="RESULTS")
    running.add_argument("groups", nargs="*", metavar="GROUP")
    single = commands.add_parser("trial", help="run one trial, given as JSON, and print its line")
    single.add_argument("trial", type=json.loads)
    single.add_argument("folder", type=Path)
    printing = commands.add_parser("table", help="print tables")
    printing.add_argument("results", type=Path, metavar="RESULTS")
    printing.add_argument("groups", nargs="*", metavar="GROUP")
    commands.add_parser("list", help="list the groups")
    options = parser.parse_args()

    for group in getattr(options, "groups", ()):
        if group not in GROUPS:
            parser.error(f"group {group} is unknown; there are {', '.join(GROUPS)}")
    if hasattr(options, "results") and options.results.is_dir():
        parser.error(f"RESULTS is {options.results}, a folder; it is a file to append to")
    if options.command == "trial":
        print(json.dumps(run_trial(options.trial, options.folder)))
    elif options.command == "run":
        return run(options.data, options.results, options.groups or GROUPS)
    elif options.command == "table":
        table(options.results, options.groups or GROUPS)
    else:
        for group, members in GROUPS.items():
            print(f"{group:20} {len(members):3} trials")
    return 0


if __name__ == "__main__":
    sys.exit(main())
