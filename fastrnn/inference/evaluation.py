"""Evaluation of a language model on a corpus, and the result of any evaluation."""

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
from ..task_specs import TASK_SPECS


def to_bits(nats: float | None, task: str = "language-model") -> float | None:
    """Convert a loss to bits. None for None and for the squared errors of tasks with numeric targets."""
    return None if nats is None or TASK_SPECS[task].has_numeric_loss else nats / math.log(2)


def selection_key(metrics: Mapping[str, float], nats: float) -> tuple[int, float]:
    """The key by which checkpoints are compared; lower is better.

    First the share of correct predictions in whole per cent, if the task has one, then the loss.
    """
    return -round(100 * metrics.get("exact", metrics.get("accuracy", 0.0))), nats


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        chars: The number of predicted positions.
        nats: The mean loss over them in nats; for numeric targets half the mean squared error. NaN if there are none.
        metrics: The other metrics of the task (see `fastrnn.inference.metrics`).
        whole: Whether all data was evaluated.
    """

    chars: int
    nats: float
    metrics: dict[str, float] = field(default_factory=dict)
    whole: bool = True

    @property
    def bits(self) -> float:
        """The mean loss in bits for each position."""
        return self.nats / math.log(2)

    @property
    def perplexity(self) -> float:
        """exp of the mean loss; the loss is capped at 700 nats, so that the result is finite."""
        return math.exp(min(self.nats, 700))


# Called before each window or batch with the completed share of the evaluation; returns whether to stop.
Watch = Callable[[float], bool]


class Evaluate(Protocol):
    """Evaluates a model in its current state.

    Returns None if ``watch`` stopped it. After ``seconds`` the rest of the data is skipped.
    """

    def __call__(self, watch: Watch, *, seconds: float = math.inf) -> Evaluation | None: ...


@dataclass(frozen=True)
class Evaluator:
    """How a model is validated.

    Attributes:
        during: Validation while training, on a part of the data, with the matmul mode of training.
        final: Validation at the end, exact and on all data; None if ``during`` is the same.
    """

    during: Evaluate
    final: Evaluate | None = None


def describe_subset(size: int | None, whole: int, unit: str) -> list[str]:
    """A line for a run's description if validation while training uses only a part of the data."""
    if size is None or size >= whole:
        return []
    return [f"validation on {size:,} of {whole:,} {unit} while training; at the end on all of them, if time allows"]


def never_stop(share: float) -> bool:
    """A `Watch` that does not stop the evaluation."""
    return False


def evaluate(
    network: Network,
    corpus: Corpus,
    watch: Watch = never_stop,
    group: Communicator = SINGLE_PROCESS,
    *,
    size: int | None = None,
    seconds: float = math.inf,
) -> Evaluation | None:
    """The mean loss over all predicted positions of a corpus, computed in parallel streams.

    Args:
        network: The model. Its arrays are overwritten: for a model in training pass a network with
            shared parameters.
        corpus: The text.
        watch: Called before each window; the evaluation stops for all ranks if it returns true on one.
        group: The ranks that share the streams.
        size: Evaluate about this many tokens, sampled evenly from the corpus; None for all.
        seconds: After this time the remaining windows are skipped.

    Returns:
        The evaluation, or None if ``watch`` stopped it.
    """
    chars = 0
    total = 0.0
    state = None
    stopped = False
    is_partial = size is not None and size < len(corpus.ids)
    steps = evaluation_layout(len(corpus.ids), size).steps
    done = 0
    end = time.monotonic() + seconds

    for window in evaluation_windows(corpus, rank=group.rank, ranks=group.size, size=size):
        if stopped := watch(min(1.0, done / steps)):
            break
        # At least one window is scored, however late it is.
        if chars and time.monotonic() > end:
            is_partial = True
            break
        done += len(window.x)
        if state is None:
            state = network.initial_state(window.x.shape[1])
        losses = network.loss(window.x, window.y, window.resets, state)
        # In float64: a sum of millions of losses would lose digits in float32.
        total += float(losses.sum(dtype=np.float64))
        chars += window.scored_count

    # One collective call for all ranks, also for those that stopped early: otherwise the others would wait.
    total, scored, stops, partials = group.all_reduce_sum(total, chars, stopped, is_partial)
    return None if stops else Evaluation(int(scored), total / scored if scored else math.nan, whole=not partials)
