"""How well a labelled task's model does on data with answers."""

from typing import Any

from .data.batches import evaluation_batches
from .data.dataset import Dataset, Examples
from .data.forecast import Windows
from .training.evaluate import Evaluation
from .training.measure import Confusion, Errors, answers, evaluate_records, measure_of


def judge(model: Any, data: Examples) -> dict[str, Any]:
    """Figures of a model on examples with answers.

    ``records``, ``positions`` (scored), ``loss`` (mean nats, or half the squared error of scaled numbers), then: tag,
    classify: ``accuracy``, ``labels`` (label -> precision, recall, f1, count), ``confusion`` (K, K), row the true
    label, and ``unseen`` (label -> count) where labels were not learnt, which count as wrong and have no loss;
    translate: ``exact``; regress: ``mae`` and ``mse`` in own units, or ``accuracy`` of bits and ``exact``; forecast:
    ``mae``, ``mse``, and the same of ``persistence`` and, where the dates tell, of ``yesterday``.
    """
    measure = measure_of(data)
    found = evaluate_records(model, evaluation_batches(data), measure, answers(model, data.vocabulary))
    assert isinstance(found, Evaluation)
    figures: dict[str, Any] = {"records": len(data), "positions": found.chars, "loss": found.nats, **found.metrics}
    if isinstance(measure, Confusion):
        figures["labels"] = dict(zip(data.vocabulary.labels, measure.by_label(), strict=True))
        figures["confusion"] = measure.counts.tolist()
        if isinstance(data, Dataset) and measure.unseen.any():
            counts = zip(data.unseen, measure.unseen.sum(axis=1).tolist(), strict=True)
            figures["unseen"] = {label: count for label, count in counts if count}
    return figures | (_baselines(data) if isinstance(data, Windows) else {})


def _baselines(windows: Windows) -> dict[str, Any]:
    """The errors of the forecasts that a model must beat: nothing changes; and, with dates, the same hour yesterday."""
    plain = {"persistence": windows.persistence}
    if (period := windows.season()) is not None:
        plain["yesterday"] = lambda rows: windows.seasonal(rows, period)
    found = {}
    for name, forecast in plain.items():
        errors = Errors(lambda batch, said: said - windows.actual(batch.rows))
        for batch in evaluation_batches(windows):
            errors.add(batch, forecast(batch.rows))
        found[name] = errors.metrics()
    return found
