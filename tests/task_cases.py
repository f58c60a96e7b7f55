"""A small random model and batch for each task, with T, B, F, H, K and V all different."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrnn.config import Config
from fastrnn.data.examples.dataset import Batch
from fastrnn.nn.models import SupervisedModel, build
from fastrnn.nn.network import Dropout
from fastrnn.nn.spec import ModelSpec

Array = NDArray[Any]

T, B, F, H, K, V, S = 7, 4, 3, 5, 6, 8, 9
LENGTHS = np.array([7, 2, 5, 1])
SCALE = 0.5

SIGNATURES = {
    "tag": ModelSpec("tag", tokens=V, characters=10, labels=K),
    "classify": ModelSpec("classify", tokens=V, labels=K),
    "classify words": ModelSpec("classify", tokens=V, labels=K),
    "classify numbers": ModelSpec("classify", features=F, labels=K),
    "regress": ModelSpec("regress", features=F, labels=K),
    "regress bits": ModelSpec("regress", features=F, labels=K, binary=True),
    "forecast": ModelSpec("forecast", features=F, labels=K),
    "generate": ModelSpec("generate", labels=K, target_tokens=V),
    "generate numbers": ModelSpec("generate", labels=K, target_tokens=V),
    "translate": ModelSpec("translate", tokens=K, target_tokens=V),
    "translate words": ModelSpec("translate", tokens=K, target_tokens=V),
}
READERS = [name for name in SIGNATURES if not name.startswith("generate")]
ONE_WAY = ("generate", "generate numbers")


def make_config(case: str, cell: str = "lstm", bidirectional: bool = False, **settings: Any) -> Config:
    """Return a configuration of two layers in float64."""
    tokens = "words" if case.endswith("words") else "chars"
    options: dict[str, Any] = {"layers": 2, "hidden": H, "precision": "float64", "threads": 1} | settings
    return Config(task=case.split()[0], cell=cell, bidirectional=bidirectional, tokens=tokens, **options)


def make_task(
    case: str, rng: np.random.Generator, cell: str = "lstm", bidirectional: bool = False, **settings: Any
) -> SupervisedModel:
    """Build a model with normally distributed random weights."""
    model = build(make_config(case, cell, bidirectional, **settings), SIGNATURES[case])
    model.parameters.flat[...] = rng.normal(scale=SCALE, size=model.parameters.flat.size)
    return model


def make_batch(case: str, rng: np.random.Generator) -> Batch:
    """Return examples of `LENGTHS`; some positions are not scored, nor is one example of tasks with a single target."""
    task, rows = case.split()[0], np.arange(B)
    if task == "generate":
        x = rng.integers(K, size=B).astype(np.int32) if case == "generate" else rng.normal(size=(B, K))
        return Batch(x, np.ones(B, np.int64), rows, **_targets(rng))
    signature = SIGNATURES[case]
    x = rng.integers(1, signature.tokens, (T, B)).astype(np.int32) if signature.tokens else rng.normal(size=(T, B, F))
    inside = np.arange(T)[:, None] >= T - LENGTHS
    x[~inside] = 0
    batch = Batch(x, LENGTHS, rows)
    if task == "translate":
        return replace(batch, **_targets(rng))
    if task == "tag":
        y = np.where(inside, rng.integers(K, size=(T, B)), -1).astype(np.int32)
        y[-1, 0] = -1
        return replace(batch, y=y, **_spelling(x, inside, rng))
    if task == "classify":
        return replace(batch, y=np.array([3, -1, 0, 5], np.int32))
    if task == "forecast":
        y = rng.normal(size=(B, K))
        y[1, 2:] = np.nan
        return replace(batch, y=y)
    y = rng.integers(2, size=(T, B, K)).astype(float) if signature.binary else rng.normal(size=(T, B, K))
    y[~inside] = np.nan
    y[-1, 0, 2] = np.nan
    return replace(batch, y=y)


def _targets(rng: np.random.Generator) -> dict[str, Array]:
    """Return decoder inputs and targets; their lengths are not in the order of the source lengths."""
    target_in, target_out = np.zeros((S, B), np.int32), np.full((S, B), -1, np.int32)
    for b, n in enumerate([3, S - 1, 1, 4]):
        ids = rng.integers(1, V, n)
        target_in[1 : n + 1, b] = target_out[:n, b] = ids
        target_out[n, b] = 0
    return {"target_in": target_in, "target_out": target_out}


def _spelling(x: Array, inside: Array, rng: np.random.Generator) -> dict[str, Array]:
    """Return a spelling of 1 to 4 letters for each distinct word of x."""
    words, where = np.unique(x[inside], return_inverse=True)
    word_of = np.zeros(x.shape, np.int32)
    word_of[inside] = where
    lengths = rng.integers(1, 5, len(words))
    letters = rng.integers(1, 10, (4, len(words))).astype(np.int32)
    letters[np.arange(4)[:, None] < 4 - lengths] = 0
    return {"spelling": (letters,), "spelling_lengths": lengths, "word_of": word_of}


def rows_of(batch: Batch, rows: list[int]) -> Batch:
    """Return some examples of a batch, without the padding that they do not need."""
    length = int(batch.lengths[rows].max())
    x = batch.x[rows] if batch.target_in is not None and batch.x.ndim < 3 and batch.x.shape[0] == B else None
    if x is None:
        x = batch.x[T - length :, rows]
    changes: dict[str, Any] = {"x": np.ascontiguousarray(x), "lengths": batch.lengths[rows], "rows": batch.rows[rows]}
    if batch.y is not None:
        over_time = batch.y.ndim == 3 or bool(batch.spelling)
        changes["y"] = batch.y[T - length :, rows] if over_time else batch.y[rows]
    if batch.word_of is not None:
        changes["word_of"] = batch.word_of[T - length :, rows]
    for name in ("target_in", "target_out"):
        targets = getattr(batch, name)
        if targets is not None:
            changes[name] = targets[:, rows]
    return replace(batch, **changes)


def results(model: SupervisedModel, batch: Batch, **dropout: Any) -> dict[str, Array]:
    """Run a training step and return copies of loss, total, prediction and gradients, by name."""
    found = {"loss": np.array(model.train_step_gradients(batch, {}, Dropout(**dropout)))}
    found |= {name: array.copy() for name, array in model.gradients.items()}
    return found | {"total": np.array(model.losses(batch)[0]), "prediction": model.predict(batch)}
