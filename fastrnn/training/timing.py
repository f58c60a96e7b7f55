"""Timing of calls, training steps and evaluations on this machine."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..cells import CELLS
from ..config import Config
from ..data.text.bptt import Window, evaluation_layout, evaluation_seq
from ..data.text.ngrams import NGrams
from ..distributed.communicator import SINGLE_PROCESS, Communicator
from ..nn.matmul_mode import EVALUATION_MODE
from ..nn.network import Dropout, Network
from .hyperparameters import chooses_weight_dropout
from .optimizers import Optimizer

Array = npt.NDArray[Any]
_MOST_CALLS = 30
_TEXT = 20_000  # tokens, about


class Throughput:
    """Training positions per second, smoothed and overall, and the smoothed time of a step."""

    def __init__(self) -> None:
        self.per_second = self.step_seconds = 0.0
        self._chars, self._seconds = 0, 0.0

    def add(self, chars: int, seconds: float) -> None:
        """Record a step of ``chars`` positions."""
        self._chars += chars
        self._seconds += seconds
        decay = 0.95 if self.per_second else 0.0
        self.per_second = decay * self.per_second + (1 - decay) * (chars / max(seconds, 1e-9))
        self.step_seconds = decay * self.step_seconds + (1 - decay) * seconds

    @property
    def overall(self) -> float:
        """Positions per second over all steps; 0 before the first."""
        return self._chars / self._seconds if self._seconds else 0.0


def median_seconds(
    call: Callable[[int], object], seconds: float, group: Communicator = SINGLE_PROCESS, least: int = 1
) -> float:
    """Return the median time of ``call(1)``, ``call(2)``, ... in seconds (collective: the slowest rank counts).

    ``call(0)`` compiles and is not timed. At least ``least`` and at most 30 calls, for about ``seconds``.
    """
    call(0)
    times: list[float] = []
    end = time.monotonic() + seconds
    while len(times) < least or (len(times) < _MOST_CALLS and group.all_reduce_max(time.monotonic() < end)[0]):
        start = time.perf_counter()
        call(len(times) + 1)
        times.append(time.perf_counter() - start)
    return group.all_reduce_max(float(np.median(times)))[0]


def median_step_seconds(
    model: Any,
    config: Config,
    window: Callable[[int], Any],
    batch: int,
    dropout: Dropout,
    seconds: float = 0.6,
    group: Communicator = SINGLE_PROCESS,
    least: int = 1,
) -> float:
    """Return the median time of a training step in seconds (collective). Overwrites the parameters of ``model``.

    ``window``: returns the training window of a step; ``batch``: its streams or examples on this rank.
    """
    optimizer = Optimizer(model, config)
    # Random weights, so that activations and gradients are ordinary numbers, as in training.
    values = np.random.default_rng(0).uniform(-0.05, 0.05, model.parameters.flat.size)
    model.kernels.copy(model.parameters.flat, values)
    state = model.initial_state(batch)

    def step(index: int) -> None:
        data = window(index)
        nats = model.train_step_gradients(data, state, dropout)
        optimizer.reduce_gradients(group, nats, data)
        # The rate is too small to change the weights: every timed step does the same.
        optimizer.step(1e-9, optimizer.gradient_norm())

    return median_seconds(step, seconds, group, least)


@dataclasses.dataclass(frozen=True)
class Speed:
    """Measured times of a language model.

    Args:
        step: Seconds of a training step.
        part: Seconds per token of an evaluation on part of the text in the training precision.
        whole: Seconds per token of an exact evaluation on all of it.
        parameters: Number of the model's parameters.
    """

    step: float
    part: float = 0.0
    whole: float = 0.0
    parameters: int = 0


def _random_text(vocab: int, ngrams: NGrams | None) -> Array:
    """Return the ids (n,) of random tokens 0 to V - 1, or of random n-grams one after the other."""
    rng = np.random.default_rng(0)
    if not ngrams:
        return rng.integers(0, vocab, _TEXT, np.int32)
    drawn = [ngrams.tokens(n) for n in rng.integers(0, len(ngrams), _TEXT // 2)]
    return np.concatenate(drawn, dtype=np.int32, casting="same_kind")


def _ids_from(text: Array, steps: int, streams: int) -> Array:
    """Return ids (T, B) of a text, repeated if it is too short."""
    return np.ascontiguousarray(np.resize(text, (streams, steps)).T)


def measure_speed(
    config: Config,
    vocab: int,
    most: float,
    group: Communicator = SINGLE_PROCESS,
    evaluated: tuple[int, int] = (0, 0),
    ngrams: NGrams | None = None,
) -> Speed:
    """Time a training step, and an evaluation, of a new model on random tokens (collective).

    In a group each process has its share of the streams, and the slowest one counts.

    Args:
        config: Configuration with the size of the model and of the windows set.
        vocab: V.
        most: Seconds for the timing of a step.
        group: The processes of the run.
        evaluated: Tokens of the validation text, 0 for none, and of an evaluation on part of it.
        ngrams: Those that the model reads; the tokens are then n-grams drawn at random.
    """
    assert config.batch is not None
    row_lo, row_hi = group.shard(config.batch)
    network = Network.from_config(config, vocab, ngrams)
    text = _random_text(vocab, ngrams)
    window = _window_from(text, config, row_hi - row_lo)
    # Dropout is chosen later, from the number of steps; a mask takes the same time at any rate.
    drops_weights = config.weight_dropout or (chooses_weight_dropout(config) and CELLS[config.cell].is_gated)
    dropout = Dropout(1.0 if config.dropout == 0 else 0.9, weight_keep_prob=0.9 if drops_weights else 1.0)
    seconds = median_step_seconds(network, config, lambda index: window, row_hi - row_lo, dropout, most, group)

    valid_tokens, part_tokens = evaluated
    if valid_tokens < 2:
        return Speed(seconds, parameters=network.parameters.flat.size)

    def evaluation(matmul_mode: str, size: int) -> float:
        """Seconds per token of an evaluation of ``size`` tokens."""
        layout = evaluation_layout(valid_tokens, size)
        model = network.with_shared_parameters(matmul_mode)
        seq = min(evaluation_seq(layout.streams, vocab), layout.steps)
        streams = -(-layout.streams // group.size)
        ids = _ids_from(text, seq, streams)
        state = model.initial_state(streams)
        seconds = median_seconds(lambda index: model.loss(ids, ids, None, state), most / 4, group)
        return seconds * layout.steps / seq / min(size, valid_tokens)

    part = evaluation(network.matmul_mode, part_tokens)
    return Speed(seconds, part, evaluation(EVALUATION_MODE, valid_tokens), network.parameters.flat.size)


def _window_from(text: Array, config: Config, streams: int) -> Window:
    ids = _ids_from(text, config.seq + 1, streams)
    x, y = ids[:-1].copy(), ids[1:].copy()
    if not config.reset_every:
        return Window(x, y, None)
    resets = np.zeros(x.shape, np.uint8)
    resets[0, 0] = 1  # as in almost every window: with resets a step has a little more to do
    return Window(x, y, resets)
