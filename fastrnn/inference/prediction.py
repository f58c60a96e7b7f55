"""What a model of a labelled task says to a record."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.examples.example import Example
from ..data.examples.schema import TaskSchema

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says to a record.

    ``value``: tag: the tags; classify: the label; translate: the text; regress: numbers (T, K) in their own units, or
    bits. ``probability``: of the label, of each tag, or that each bit is 1 (T, K); None for other answers.
    ``probabilities``: of every label (K,), for tag (T, K). ``logprob``: of a translation and its end, in nats, where it
    was asked for. Of a blank record everything is None.
    """

    record: Example
    value: Any
    probability: Any = None
    probabilities: Array | None = None
    logprob: float | None = None


def prediction_for(vocabulary: TaskSchema, record: Example, output: Any) -> Prediction:
    """From what the model says to one record, its padding cut off; for translate the text and its ``logprob``."""
    if vocabulary.task == "translate":
        text, logprob = output
        return Prediction(record, text, logprob=logprob)
    if vocabulary.task == "regress":
        assert vocabulary.outputs is not None
        if vocabulary.binary:
            return Prediction(record, (output > 0.5).astype(np.int64), output)
        return Prediction(record, vocabulary.outputs.inverse_transform(output))
    probabilities, best, names = np.exp(output.astype(np.float64)), output.argmax(axis=-1), vocabulary.labels
    if vocabulary.task == "classify":
        return Prediction(record, names[int(best)], float(probabilities[best]), probabilities)
    likeliest = probabilities[np.arange(len(best)), best]
    return Prediction(record, [names[i] for i in best], likeliest.tolist(), probabilities)
