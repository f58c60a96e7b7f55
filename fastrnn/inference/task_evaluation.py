"""Evaluation of a labelled task's model on examples with targets."""

from typing import Any

from ..data.examples.batching import evaluation_batches
from ..data.examples.dataset import EncodedDataset, EncodedExamples
from ..data.examples.sliding_windows import SlidingWindows
from .evaluation import Evaluation
from .metrics import ConfusionMatrix, RegressionError, evaluate_examples, make_predictor, metric_for


def evaluate_task(model: Any, data: EncodedDataset) -> dict[str, Any]:
    """Evaluate a model on examples with targets.

    Args:
        model: A `SupervisedModel`.
        data: The encoded examples.

    Returns:
        A dictionary with ``records``, ``positions`` (scored) and ``loss`` (mean nats, or half the squared
        error of scaled numbers), and by task:

        * tag, classify: ``accuracy``; ``labels`` (label -> precision, recall, f1, count); ``confusion``
          (K, K), rows the true labels; ``unseen`` (label -> count) if labels were not in the training
          data: these count as wrong and have no loss.
        * translate: ``exact``.
        * regress: ``mae`` and ``mse`` in the data's units, or for bits ``accuracy`` and ``exact``.
        * forecast: ``mae``, ``mse``, and the same of the baselines ``persistence`` and, if the dates
          allow it, ``yesterday``.
    """
    metric = metric_for(data)
    found = evaluate_examples(model, evaluation_batches(data), metric, make_predictor(model, data.schema))
    assert isinstance(found, Evaluation)
    figures: dict[str, Any] = {"records": len(data), "positions": found.chars, "loss": found.nats, **found.metrics}
    if isinstance(metric, ConfusionMatrix):
        figures["labels"] = dict(zip(data.schema.labels, metric.label_scores(), strict=True))
        figures["confusion"] = metric.counts.tolist()
        if isinstance(data, EncodedExamples) and metric.unseen.any():
            counts = zip(data.unseen, metric.unseen.sum(axis=1).tolist(), strict=True)
            figures["unseen"] = {label: count for label, count in counts if count}
    return figures | (_evaluate_baselines(data) if isinstance(data, SlidingWindows) else {})


def _evaluate_baselines(windows: SlidingWindows) -> dict[str, Any]:
    """The errors of two naive forecasts: the last value, and, with dates, the same hour yesterday."""
    baselines = {"persistence": windows.persistence}
    if (period := windows.season_length()) is not None:
        baselines["yesterday"] = lambda rows: windows.seasonal_naive(rows, period)
    found = {}
    for name, forecast in baselines.items():
        errors = RegressionError(lambda batch, predicted: predicted - windows.actual(batch.rows))
        for batch in evaluation_batches(windows):
            errors.add(batch, forecast(batch.rows))
        found[name] = errors.metrics()
    return found
