"""Evaluation of a labelled task's model on examples with targets."""

from functools import partial
from typing import Any

from ..data.examples.batching import evaluation_batches
from ..data.examples.dataset import EncodedDataset
from ..task_specs import get_supervised_task
from .evaluation import Evaluation
from .metrics import evaluate_examples


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
    task = get_supervised_task(data.schema.task)
    metric = task.make_metric(data)
    predict = partial(task.predict_batch, model, data.schema)
    found = evaluate_examples(model, evaluation_batches(data), metric, predict)
    assert isinstance(found, Evaluation)
    figures: dict[str, Any] = {"records": len(data), "positions": found.chars, "loss": found.nats, **found.metrics}
    return figures | task.evaluation_details(metric, data)
