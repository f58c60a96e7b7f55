"""How well a language model predicts a corpus; and what any evaluation comes to."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..data.corpus import Corpus
from ..data.windows import evaluation_windows
from ..nn.network import Network
from ..parallel.group import ALONE, Group


def bits_of(nats: float | None, task: str = "language-model") -> float | None:
    """The loss in bits; None where there is none, and for the squared errors of forecast and regress."""
    return None if nats is None or task in ("forecast", "regress") else nats / math.log(2)


def rank(metrics: Mapping[str, float], nats: float) -> tuple[int, float]:
    """Lower is better: the share of right answers first, in whole per cent, if there is one, then the loss."""
    return -round(100 * metrics.get("exact", metrics.get("accuracy", 0.0))), nats


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


def evaluate(
    network: Network, corpus: Corpus, stopped: Callable[[], bool] = lambda: False, group: Group = ALONE
) -> Evaluation | None:
    """Every predicted position once, in streams side by side; None if ``stopped`` says so between two windows.

    ``network`` is used with its own windows and states: give a sibling of one that is being trained. The processes of
    a ``group`` share the streams; it is stopped for all if it is for one.
    """
    chars, total, state, gone = 0, 0.0, None, False
    for window in evaluation_windows(corpus, rank=group.rank, ranks=group.size):
        if gone := stopped():
            break
        if state is None:
            state = network.initial_state(window.x.shape[1])
        losses = network.loss(window.x, window.y, window.starts, state)
        total += float(losses.sum(dtype=np.float64))
        chars += window.scored
    total, scored, left = group.sum(total, chars, gone)
    return None if left else Evaluation(int(scored), total / max(1, scored))
