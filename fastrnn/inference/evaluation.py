"""How well a language model predicts a corpus; and what any evaluation comes to."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..data.text.bptt import evaluation_layout, evaluation_windows
from ..data.text.corpus import Corpus
from ..distributed.communicator import SINGLE_PROCESS, Communicator
from ..nn.network import Network


def bits_of(nats: float | None, task: str = "language-model") -> float | None:
    """The loss in bits; None where there is none, and for the squared errors of forecast and regress."""
    return None if nats is None or task in ("forecast", "regress") else nats / math.log(2)


def rank(metrics: Mapping[str, float], nats: float) -> tuple[int, float]:
    """Lower is better: the share of right answers first, in whole per cent, if there is one, then the loss."""
    return -round(100 * metrics.get("exact", metrics.get("accuracy", 0.0))), nats


@dataclass(frozen=True)
class Evaluation:
    """``nats`` is the mean loss over ``chars`` predicted positions, for numbers half the squared error.

    ``metrics``: what else the task is judged by (`fastrnn.inference.metrics`). ``whole``: whether that is of all data.
    """

    chars: int
    nats: float
    metrics: dict[str, float] = field(default_factory=dict)
    whole: bool = True

    @property
    def bits(self) -> float:
        return self.nats / math.log(2)

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.nats, 700))


# Called before each window or batch with the share of the evaluation that is done; true stops it.
Watch = Callable[[float], bool]


class Evaluate(Protocol):
    """Evaluates a model as it is now; None if ``watch`` stopped it. After ``seconds`` the rest is left out."""

    def __call__(self, watch: Watch, seconds: float = math.inf) -> Evaluation | None: ...


@dataclass(frozen=True)
class Evaluator:
    """How a model is validated: ``during`` training on a part of the data with the products of training; at the end by
    ``final``, exactly and on all data, unless ``during`` is just that.
    """

    during: Evaluate
    final: Evaluate | None = None


def validated_part(size: int | None, whole: int, unit: str) -> list[str]:
    """A line of a run's description, if validations while training do not take all data."""
    if size is None or size >= whole:
        return []
    return [f"validation on {size:,} of {whole:,} {unit} while training, at the end on all that the time allows"]


def unwatched(share: float) -> bool:
    """A `Watch` that does nothing."""
    return False


def evaluate(
    network: Network,
    corpus: Corpus,
    watch: Watch = unwatched,
    group: Communicator = SINGLE_PROCESS,
    *,
    size: int | None = None,
    seconds: float = math.inf,
) -> Evaluation | None:
    """The mean loss over every predicted position, in streams side by side; None if ``watch`` stopped it.

    ``network`` is used with its own windows and states: give a sibling of one that is being trained. The processes of
    a ``group`` share the streams; it is stopped for all if it is for one. ``size``: evaluate about so many tokens,
    taken from all over the corpus. After ``seconds`` the windows that are left are not evaluated.
    """
    chars, total, state, gone = 0, 0.0, None, False
    part = size is not None and size < len(corpus.ids)
    steps, done, end = evaluation_layout(len(corpus.ids), size).steps, 0, time.monotonic() + seconds
    for window in evaluation_windows(corpus, rank=group.rank, ranks=group.size, size=size):
        if gone := watch(min(1.0, done / steps)):
            break
        if chars and time.monotonic() > end:
            part = True
            break
        done += len(window.x)
        if state is None:
            state = network.initial_state(window.x.shape[1])
        losses = network.loss(window.x, window.y, window.resets, state)
        total += float(losses.sum(dtype=np.float64))
        chars += window.scored
    total, scored, left, parts = group.all_reduce_sum(total, chars, gone, part)
    return None if left else Evaluation(int(scored), total / max(1, scored), whole=not parts)
