"""Metrics of the labelled tasks besides the loss: accuracy, exact matches, errors in the data's units.

Letters: T steps, B examples, K labels or outputs, S decoder steps.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np

from ..data.examples.dataset import UNSEEN, Batch
from ..data.examples.symbol_vocab import END, UNKNOWN
from ..nn.models import SupervisedModel
from .evaluation import Evaluation, Watch, never_stop

Array = np.ndarray[Any, Any]


class Metric(Protocol):
    """Accumulates a task's metrics over batches."""

    def add(self, batch: Batch, predicted: Array) -> None:
        """Add the output of `fastrnn.tasks.SupervisedTask.predict_batch` for a batch with targets."""

    def metrics(self) -> dict[str, float]:
        """The metrics by name; empty before anything was scored."""


class ConfusionMatrix:
    """Counts (K, K): row the true label, column the predicted one. For tag (T, B, K) and classify (B, K).

    ``unseen`` (U, K): the same for true labels that were not in the training data; these predictions
    are all wrong.
    """

    def __init__(self, labels: int, unseen: int = 0) -> None:
        self.counts = np.zeros((labels, labels), np.int64)
        self.unseen = np.zeros((unseen, labels), np.int64)

    def add(self, batch: Batch, predicted: Array) -> None:
        assert batch.y is not None
        likeliest = predicted.argmax(axis=-1)
        # Targets: ids from 0; -1 for padding; UNSEEN - i for unseen label i.
        np.add.at(self.counts, (batch.y[batch.y >= 0], likeliest[batch.y >= 0]), 1)
        is_unseen = batch.y <= UNSEEN
        np.add.at(self.unseen, (UNSEEN - batch.y[is_unseen], likeliest[is_unseen]), 1)

    def metrics(self) -> dict[str, float]:
        total = int(self.counts.sum() + self.unseen.sum())
        return {"accuracy": float(np.trace(self.counts)) / total} if total else {}

    def label_scores(self) -> list[dict[str, float]]:
        """Precision, recall, f1 and count of each label; 0 where the denominator is 0."""
        right = np.diag(self.counts)
        true = self.counts.sum(axis=1)
        # Predictions for unseen labels are wrong: they lower the precision of the label that was predicted.
        predicted = self.counts.sum(axis=0) + self.unseen.sum(axis=0)
        return [
            {
                "precision": float(r / max(1, p)),
                "recall": float(r / max(1, t)),
                "f1": float(2 * r / max(1, p + t)),
                "count": int(t),
            }
            for r, t, p in zip(right, true, predicted, strict=True)
        ]


class BinaryAccuracy:
    """For 0/1 targets: the share of correct bits, and of examples whose bits are all correct."""

    def __init__(self) -> None:
        self._bits = 0
        self._right = 0
        self._examples = 0
        self._exact = 0

    def add(self, batch: Batch, predicted: Array) -> None:
        assert batch.y is not None
        # NaN marks padding and missing targets.
        scored = ~np.isnan(batch.y)
        right = scored & ((predicted > 0.5) == (batch.y > 0.5))  # (T, B, K)
        self._bits += int(scored.sum())
        self._right += int(right.sum())
        # An example is correct if all its scored bits are; (B,)
        whole = (right == scored).all(axis=(0, 2)) & scored.any(axis=(0, 2))
        self._examples += int(scored.any(axis=(0, 2)).sum())
        self._exact += int(whole.sum())

    def metrics(self) -> dict[str, float]:
        if not self._bits:
            return {}
        return {"accuracy": self._right / self._bits, "exact": self._exact / self._examples}


class RegressionError:
    """Mean absolute and mean squared error of numbers, in the units of the data. For regress and forecast."""

    def __init__(self, difference: Callable[[Batch, Array], Array]) -> None:
        """``difference``: prediction minus truth in the data's units, NaN where nothing is scored."""
        self._difference = difference
        self._count = 0
        self._absolute = 0.0
        self._squared = 0.0

    def add(self, batch: Batch, predicted: Array) -> None:
        errors = self._difference(batch, predicted)
        scored = errors[~np.isnan(errors)]
        self._count += scored.size
        self._absolute += float(np.abs(scored).sum())
        self._squared += float(np.square(scored).sum())

    def metrics(self) -> dict[str, float]:
        if not self._count:
            return {}
        return {"mae": self._absolute / self._count, "mse": self._squared / self._count}


class ExactMatch:
    """The share of decoded sequences (S', B), each up to its first id 0, that equal their targets.

    A target with a symbol that the model cannot generate counts as wrong.
    """

    def __init__(self) -> None:
        self._examples = 0
        self._exact = 0

    def add(self, batch: Batch, predicted: Array) -> None:
        assert batch.target_out is not None
        for truth, found in zip(batch.target_out.T, predicted.T, strict=True):
            wanted = truth[truth > END]
            self._examples += 1
            self._exact += bool(UNKNOWN not in wanted and np.array_equal(wanted, _strip_end(found)))

    def metrics(self) -> dict[str, float]:
        return {"exact": self._exact / self._examples} if self._examples else {}


def evaluate_examples(
    model: SupervisedModel,
    batches: Iterable[Batch],
    metric: Metric | None,
    predict: Callable[[Batch], Array],
    watch: Watch = never_stop,
    count: int = 1,
) -> Evaluation | None:
    """The mean loss over all scored positions, and the metrics of ``predict``'s outputs.

    Returns None if ``watch`` stopped it between two of ``count`` batches. The model's arrays are
    overwritten: for a model in training pass one with shared parameters.
    """
    total = 0.0
    positions = 0
    for done, batch in enumerate(batches):
        if watch(min(1.0, done / count)):
            return None
        loss, scored = model.losses(batch)
        total += loss
        positions += scored
        if metric is not None:
            metric.add(batch, predict(batch))
    return Evaluation(positions, total / positions if positions else math.nan, metric.metrics() if metric else {})


def _strip_end(ids: Array) -> Array:
    ends = np.flatnonzero(ids == END)
    return ids[: ends[0]] if ends.size else ids
