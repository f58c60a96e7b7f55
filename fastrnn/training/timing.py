"""Timing of calls and training steps on this machine, from which the length of a run is planned."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..config import Config
from ..distributed.communicator import SINGLE_PROCESS, Communicator
from .optimizers import Optimizer

_MOST_CALLS = 30


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
    keep: float,
    seconds: float = 0.6,
    group: Communicator = SINGLE_PROCESS,
    least: int = 1,
) -> float:
    """Return the median time of a training step in seconds (collective). Overwrites the parameters of ``model``.

    ``window``: returns the training window of a step; ``batch``: its streams or examples on this rank; ``keep``: one
    minus the dropout rate.
    """
    optimizer = Optimizer(model, config)
    values = np.random.default_rng(0).uniform(-0.05, 0.05, model.parameters.flat.size)
    model.kernels.copy(model.parameters.flat, values)
    state = model.initial_state(batch)

    def step(index: int) -> None:
        data = window(index)
        nats = model.train_step_gradients(data, state, keep, 0)
        group.all_reduce_gradients(model.gradients.flat, nats, data)
        optimizer.step(1e-9, optimizer.gradient_norm())

    return median_seconds(step, seconds, group, least)
