"""How well a language model predicts a corpus; and what any evaluation comes to."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..data.corpus import Corpus
from ..data.windows import evaluation_windows
from ..nn.network import Network


@dataclass(frozen=True)
class Evaluation:
    """``nats`` is the mean loss over ``chars`` predicted positions, for numbers half the squared error.

    ``metrics``: what else the task is judged by (`fastrnn.training.measure`).
    """

    chars: int
    nats: float
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def bits(self) -> float:
        return self.nats / math.log(2)

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.nats, 700))


def evaluate(network: Network, corpus: Corpus, stopped: Callable[[], bool] = lambda: False) -> Evaluation | None:
    """Every predicted position once, in streams side by side; None if ``stopped`` says so between two windows.

    ``network`` is used with its own windows and states: give a sibling of one that is being trained.
    """
    chars, total, state = 0, 0.0, None
    for window in evaluation_windows(corpus):
        if stopped():
            return None
        if state is None:
            state = network.initial_state(window.x.shape[1])
        losses = network.loss(window.x, window.y, window.starts, state)
        total += float(losses.sum(dtype=np.float64))
        chars += int(np.count_nonzero(window.y >= 0))
    return Evaluation(chars, total / max(1, chars))
