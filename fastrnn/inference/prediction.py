"""The answer of a labelled task's model to one example."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.examples.example import Example
from ..data.examples.schema import TaskSchema

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer to one example. For a blank example all fields but ``record`` are None.

    Attributes:
        record: The example.
        value: tag: the tags; classify: the label; translate: the text; regress: numbers (T, K) in the
            units of the data, or bits.
        probability: The probability of the label, of each tag, or that each bit is 1 (T, K); else None.
        probabilities: The probabilities of all labels: classify (K,), tag (T, K).
        logprob: The log-probability of a translation and its end in nats, if it was requested.
    """

    record: Example
    value: Any
    probability: Any = None
    probabilities: Array | None = None
    logprob: float | None = None


def make_prediction(vocabulary: TaskSchema, record: Example, output: Any) -> Prediction:
    """Convert the model's output for one example, without padding; for translate text and ``logprob``."""
    if vocabulary.task == "translate":
        text, logprob = output
        return Prediction(record, text, logprob=logprob)

    if vocabulary.task == "regress":
        assert vocabulary.outputs is not None
        if vocabulary.binary:
            return Prediction(record, (output > 0.5).astype(np.int64), output)
        return Prediction(record, vocabulary.outputs.inverse_transform(output))

    # Outputs of tag (T, K) and classify (K,) are log-probabilities.
    probabilities = np.exp(output.astype(np.float64))
    best = output.argmax(axis=-1)
    labels = vocabulary.labels
    if vocabulary.task == "classify":
        return Prediction(record, labels[int(best)], float(probabilities[best]), probabilities)
    best_probabilities = probabilities[np.arange(len(best)), best]
    return Prediction(record, [labels[i] for i in best], best_probabilities.tolist(), probabilities)
