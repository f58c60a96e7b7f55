"""Small valid model files without training, one for each kind of tokenizer and each task: the files to damage."""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fastrnn.checkpoint.checkpoint import Checkpoint, spec_for, to_bytes
from fastrnn.config import MOMENTS, Config
from fastrnn.data.examples.schema import StandardScaler, TaskSchema
from fastrnn.data.examples.symbol_vocab import SymbolVocab
from fastrnn.nn.spec import parameter_shapes

sys.path.append(str(Path(__file__).parents[1]))
from checkpoint_samples import put_together, sample, sealed, take_apart

__all__ = ["put_together", "samples", "sealed", "take_apart"]

LETTERS, WORDS = SymbolVocab("chars", "abé中😀"), SymbolVocab("words", ["naïve", "the", '"'])
TWO = StandardScaler((1.5, -2.0), (1.0, 0.25), ("x", "y"))
TASKS: dict[str, tuple[TaskSchema, dict[str, Any]]] = {
    "tag": (TaskSchema("tag", SymbolVocab("tokens", ["cat", "sat"]), LETTERS, labels=("NOUN", "VERB")), {}),
    "classify": (TaskSchema("classify", LETTERS, labels=("0", "1", "ü")), {"bidirectional": True}),
    "generate": (TaskSchema("generate", target=LETTERS, labels=("a", "b")), {}),
    "translate": (TaskSchema("translate", WORDS, target=WORDS), {"tokens": "words"}),
    "forecast": (TaskSchema("forecast", inputs=TWO, horizon=2, seq=4, date="day"), {"horizon": 2, "seq": 4}),
    "regress": (
        TaskSchema("regress", inputs=TWO, outputs=StandardScaler.identity(1, ("z",)), binary=True),
        {"cell": "dense"},
    ),
}
PROGRESS = {
    "step": 7, "updates": 7, "chars": 99, "seconds": 1.5, "smoothed": 0.5, "train_total": 3.5, "train_count": 7,
    "train_nats": 0.5, "evaluated": 7, "valid_nats": 0.25, "best_nats": 0.25, "best_step": 7, "waited": 0,
    "lr_scale": 1.0, "bad_steps": 0, "returns": 0, "plateau": None,
}  # fmt: skip


def task_model(task: str) -> bytes:
    """A checkpoint of a labelled task with random numbers."""
    vocabulary, settings = TASKS[task]
    options = {
        "tokens": "chars",
        "hidden": 3,
        "cell": "gru",
        "optimizer": "momentum",
        "steps": 9,
        "lr": 0.1,
        "warmup": 0,
    } | settings
    config = Config(task=task, batch=2, dropout=0.0, eval_every=9, **options)
    shapes = parameter_shapes(config, spec_for(config, vocabulary))
    rng = np.random.default_rng(0)
    parameters = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    count = sum(math.prod(shape) for shape in shapes.values())
    moments = {name: rng.standard_normal(count).astype(np.float32) for name in MOMENTS[config.optimizer]}
    progress = PROGRESS | {"metrics": {"accuracy": 0.5}}
    corpus = {"inputs": ["x.tsv"], "fingerprint": "00ff", "records": 9}
    return to_bytes(Checkpoint(config, vocabulary, parameters, moments, {}, progress, corpus))


def text_model(tokens: str) -> bytes:
    """A language model with random numbers, and all that a run keeps."""
    made = sample(tokens=tokens, hidden=2, layers=1, batch=1, cell="rnn", optimizer="momentum", steps=9, lr=0.1,
                  warmup=0, dropout=0.0, eval_every=9)  # fmt: skip
    corpus = {"inputs": ["a.txt", "b.txt"], "fingerprint": "00ff", "tokens": 99}
    return to_bytes(Checkpoint(made.config, made.tokenizer, made.parameters, made.optimizer, made.state,
                               dict(PROGRESS), corpus))  # fmt: skip


def samples() -> dict[str, bytes]:
    """Name -> the bytes of a sound file of some kilobytes."""
    return {**{kind: text_model(kind) for kind in ("chars", "words", "bytes")}, **{t: task_model(t) for t in TASKS}}
