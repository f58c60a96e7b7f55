"""What a model of a labelled task says to a record."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .data.record import Record
from .data.vocabulary import Vocabulary

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model says to a record.

    ``value``: tag: the tags; classify: the label; translate: the text; regress: numbers (T, K) in their own units, or
    bits. ``probability``: of the label, of each tag, or that each bit is 1 (T, K); None for other answers.
    ``probabilities``: of every label (K,), for tag (T, K). ``logprob``: of a translation and its end, in nats, where it
    was asked for. Of a blank record everything is None.
    """

    record: Record
    value: Any
    probability: Any = None
    probabilities: Array | None = None
    logprob: float | None = None


def answer_of(vocabulary: Vocabulary, record: Record, output: Any) -> Answer:
    """From what the model says to one record, its padding cut off; for translate the text and its ``logprob``."""
    if vocabulary.task == "translate":
        text, logprob = output
        return Answer(record, text, logprob=logprob)
    if vocabulary.task == "regress":
        assert vocabulary.outputs is not None
        if vocabulary.binary:
            return Answer(record, (output > 0.5).astype(np.int64), output)
        return Answer(record, vocabulary.outputs.natural(output))
    probabilities, best, names = np.exp(output.astype(np.float64)), output.argmax(axis=-1), vocabulary.labels
    if vocabulary.task == "classify":
        return Answer(record, names[int(best)], float(probabilities[best]), probabilities)
    likeliest = probabilities[np.arange(len(best)), best]
    return Answer(record, [names[i] for i in best], likeliest.tolist(), probabilities)
