"""What the labelled tasks are judged by besides the loss: accuracy, exact answers, errors in the data's own units.

Letters: T steps, B records, K labels or outputs, S decoder steps.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np

from ..data.examples.dataset import UNSEEN, Batch, EncodedDataset, EncodedExamples
from ..data.examples.schema import TaskSchema
from ..data.examples.sliding_windows import SlidingWindows
from ..data.examples.symbol_vocab import END, UNKNOWN, SymbolVocab
from ..nn.models import SupervisedModel
from .decoding import beam_search, greedy, likelier
from .evaluation import Evaluation, Watch, unwatched
from .sampling import Sampler

Array = np.ndarray[Any, Any]


class Metric(Protocol):
    """Gathers what was predicted for one batch after the other."""

    def add(self, batch: Batch, predicted: Array) -> None:
        """Take what `SupervisedModel.predict` gave for a batch with answers."""

    def metrics(self) -> dict[str, float]:
        """What it comes to; nothing before anything was scored."""


class ConfusionMatrix:
    """Counts (K, K): row the true label, column the likeliest one. For tag (T, B, K) and classify (B, K).

    ``unseen`` (U, K): the same for true labels that the model has not learnt; each of these answers is wrong.
    """

    def __init__(self, labels: int, unseen: int = 0) -> None:
        self.counts = np.zeros((labels, labels), np.int64)
        self.unseen = np.zeros((unseen, labels), np.int64)

    def add(self, batch: Batch, predicted: Array) -> None:
        assert batch.y is not None
        answered = predicted.argmax(axis=-1)
        np.add.at(self.counts, (batch.y[batch.y >= 0], answered[batch.y >= 0]), 1)
        is_unseen = batch.y <= UNSEEN
        np.add.at(self.unseen, (UNSEEN - batch.y[is_unseen], answered[is_unseen]), 1)

    def metrics(self) -> dict[str, float]:
        total = int(self.counts.sum() + self.unseen.sum())
        return {"accuracy": float(np.trace(self.counts)) / total} if total else {}

    def by_label(self) -> list[dict[str, float]]:
        """precision, recall, f1 and count of each label; 0 where a quotient has no value."""
        right, true = np.diag(self.counts), self.counts.sum(axis=1)
        found = self.counts.sum(axis=0) + self.unseen.sum(axis=0)
        return [
            {
                "precision": float(r / max(1, f)),
                "recall": float(r / max(1, t)),
                "f1": float(2 * r / max(1, f + t)),
                "count": int(t),
            }
            for r, t, f in zip(right, true, found, strict=True)
        ]


class BinaryAccuracy:
    """For 0/1 targets: the share of bits, and of whole records, that rounding the probability gets right."""

    def __init__(self) -> None:
        self._bits, self._right, self._records, self._exact = 0, 0, 0, 0

    def add(self, batch: Batch, predicted: Array) -> None:
        assert batch.y is not None
        scored = ~np.isnan(batch.y)
        right = scored & ((predicted > 0.5) == (batch.y > 0.5))
        self._bits += int(scored.sum())
        self._right += int(right.sum())
        whole = (right == scored).all(axis=(0, 2)) & scored.any(axis=(0, 2))
        self._records += int(scored.any(axis=(0, 2)).sum())
        self._exact += int(whole.sum())

    def metrics(self) -> dict[str, float]:
        if not self._bits:
            return {}
        return {"accuracy": self._right / self._bits, "exact": self._exact / self._records}


class RegressionError:
    """Mean absolute and mean squared error of numbers, in the units of the data. For regress and forecast."""

    def __init__(self, difference: Callable[[Batch, Array], Array]) -> None:
        """``difference``: what was predicted less what came, in the data's units, NaN where nothing is scored."""
        self._difference, self._count, self._absolute, self._squared = difference, 0, 0.0, 0.0

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
    """The share of decoded sequences (S', B), each up to its first id 0, that are the targets.

    A target with a symbol that the model cannot write counts as missed.
    """

    def __init__(self) -> None:
        self._records, self._exact = 0, 0

    def add(self, batch: Batch, predicted: Array) -> None:
        assert batch.target_out is not None
        for truth, found in zip(batch.target_out.T, predicted.T, strict=True):
            wanted = truth[truth > END]
            self._records += 1
            self._exact += bool(UNKNOWN not in wanted and np.array_equal(wanted, _until_end(found)))

    def metrics(self) -> dict[str, float]:
        return {"exact": self._exact / self._records} if self._records else {}


def metric_for(data: EncodedDataset) -> Metric | None:
    """What a task's answers for these examples are judged by; generate has no right answers."""
    vocabulary = data.schema
    if vocabulary.task in ("tag", "classify"):
        return ConfusionMatrix(len(vocabulary.labels), len(data.unseen) if isinstance(data, EncodedExamples) else 0)
    if vocabulary.task == "translate":
        return ExactMatch()
    if isinstance(data, SlidingWindows):
        windows = data
        return RegressionError(
            lambda batch, found: windows.inverse_transform(found, batch.rows) - windows.actual(batch.rows)
        )
    if vocabulary.task == "regress" and vocabulary.binary:
        return BinaryAccuracy()
    if vocabulary.outputs is not None:
        outputs, numbers = vocabulary.outputs, data
        assert isinstance(numbers, EncodedExamples)
        return RegressionError(lambda batch, found: outputs.inverse_transform(found) - numbers.actual(batch.rows))
    return None


def answers(model: Any, vocabulary: TaskSchema) -> Callable[[Batch], Array]:
    """What `Metric.add` takes for a batch: `SupervisedModel.predict`, or for translate the decoder's output (S, B)."""
    if vocabulary.task != "translate" or vocabulary.target is None:
        return lambda batch: np.asarray(model.predict(batch))
    target = vocabulary.target
    return lambda batch: written(model, target, batch)


def written(model: Any, target: SymbolVocab, batch: Batch, beam: int = 1) -> Array:
    """The ids (S, B) of a batch's translations, each of at most `longest` symbols.

    With a beam that of the two answers, its own and the greedy one, that is likelier.
    """
    start, most = model.encode(batch), longest(batch)
    ids = _cut(greedy(Sampler(model.decoder, target, rounded=False, end=END), start, int(most.max())), most)
    if beam == 1:
        return ids
    found = _cut(beam_search(model.decoder, start, int(most.max()), beam), most)
    return likelier(model.decoder, start, found, ids, most)


def longest(batch: Batch) -> Array:
    """The most symbols (B,) of a batch's translations: twice as many as the source has, and 50."""
    most: Array = 2 * batch.lengths + 50
    return most


def _cut(ids: Array, most: Array) -> Array:
    ids[np.arange(len(ids))[:, None] >= most] = END
    return ids


def evaluate_records(
    model: SupervisedModel,
    batches: Iterable[Batch],
    measure: Metric | None,
    predict: Callable[[Batch], Array],
    watch: Watch = unwatched,
    count: int = 1,
) -> Evaluation | None:
    """The mean loss over every scored position, and what ``measure`` makes of what ``predict`` says.

    None if ``watch`` stopped it between two of ``count`` batches. The model is used with its own arrays: give a
    sibling of one that is being trained.
    """
    total, positions = 0.0, 0
    for done, batch in enumerate(batches):
        if watch(min(1.0, done / count)):
            return None
        loss, scored = model.losses(batch)
        total += loss
        positions += scored
        if measure is not None:
            measure.add(batch, predict(batch))
    return Evaluation(positions, total / max(1, positions), measure.metrics() if measure else {})


def _until_end(ids: Array) -> Array:
    ends = np.flatnonzero(ids == END)
    return ids[: ends[0]] if ends.size else ids
