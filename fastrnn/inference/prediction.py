"""The answer of a labelled task's model to one example."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.examples.example import Example

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


def compute_probabilities(output: Array) -> tuple[Array, Any]:
    """Convert log-probabilities (..., K) to probabilities; also return the ids (...) of the likeliest labels."""
    return np.exp(output.astype(np.float64)), output.argmax(axis=-1)
