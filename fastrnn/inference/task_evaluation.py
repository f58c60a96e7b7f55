"""How well a labelled task's model does on data with answers."""

from typing import Any

from ..data.examples.batching import evaluation_batches
from ..data.examples.dataset import EncodedDataset, EncodedExamples
from ..data.examples.sliding_windows import SlidingWindows
from .evaluation import Evaluation
from .metrics import ConfusionMatrix, RegressionError, answers, evaluate_records, metric_for


def evaluate_task(model: Any, data: EncodedDataset) -> dict[str, Any]:
    """Figures of a model on examples with answers.

    ``records``, ``positions`` (scored), ``loss`` (mean nats, or half the squared error of scaled numbers), then: tag,
    classify: ``accuracy``, ``labels`` (label -> precision, recall, f1, count), ``confusion`` (K, K), row the true
    label, and ``unseen`` (label -> count) where labels were not learnt, which count as wrong and have no loss;
    translate: ``exact``; regress: ``mae`` and ``mse`` in own units, or ``accuracy`` of bits and ``exact``; forecast:
    ``mae``, ``mse``, and the same of ``persistence`` and, where the dates tell, of ``yesterday``.
    """
    measure = metric_for(data)
    found = evaluate_records(model, evaluation_batches(data), measure, answers(model, data.schema))
    assert isinstance(found, Evaluation)
    figures: dict[str, Any] = {"records": len(data), "positions": found.chars, "loss": found.nats, **found.metrics}
    if isinstance(measure, ConfusionMatrix):
        figures["labels"] = dict(zip(data.schema.labels, measure.by_label(), strict=True))
        figures["confusion"] = measure.counts.tolist()
        if isinstance(data, EncodedExamples) and measure.unseen.any():
            counts = zip(data.unseen, measure.unseen.sum(axis=1).tolist(), strict=True)
            figures["unseen"] = {label: count for label, count in counts if count}
    return figures | (_baselines(data) if isinstance(data, SlidingWindows) else {})


def _baselines(windows: SlidingWindows) -> dict[str, Any]:
    """The errors of the forecasts that a model must beat: nothing changes; and, with dates, the same hour yesterday."""
    plain = {"persistence": windows.persistence}
    if (period := windows.season_length()) is not None:
        plain["yesterday"] = lambda rows: windows.seasonal_naive(rows, period)
    found = {}
    for name, forecast in plain.items():
        errors = RegressionError(lambda batch, said: said - windows.actual(batch.rows))
        for batch in evaluation_batches(windows):
            errors.add(batch, forecast(batch.rows))
        found[name] = errors.metrics()
    return found
