"""One run's moving parts: a step, the guard against NaN, and what must be kept to go on bit for bit."""

import dataclasses
import math
from typing import Any, Protocol

import numpy as np

from ..config import Config
from ..distributed.communicator import SINGLE_PROCESS, Communicator
from ..errors import DivergedError
from ..nn.models import Model
from .optimizers import Optimizer
from .schedules import SCHEDULES, Plateau
from .state import TrainerState

_BAD_STEPS = 3  # in a row, before going back
_RETURNS = 3  # before giving up
_SMOOTHING = 0.02  # weight of a new loss in the smoothed one


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A state that training can go back to, or on from."""

    parameters: np.ndarray[Any, Any]
    moments: dict[str, np.ndarray[Any, Any]]
    state: dict[str, np.ndarray[Any, Any]]
    progress: dict[str, Any]


class TrainingData(Protocol):
    """What a run reads, step by step: `fastrnn.data.text.bptt.TBPTTStreams` of a text, or batches of records."""

    @property
    def per_epoch(self) -> int:
        """Steps in one pass over the data."""

    @property
    def batch(self) -> int:
        """Streams or records in a step, of all processes together."""

    @property
    def part(self) -> tuple[int, int]:
        """Those lo..hi of them that are in this process's windows."""

    def window(self, index: int) -> Any:
        """What step ``index`` learns from, a pure function of the index; a `TrainingWindow`."""


class Trainer:
    """Trains a model on windows of its data; ``config`` is complete (see `auto`).

    In a ``group`` each process has its part of the windows, and all of them the same parameters.
    """

    def __init__(
        self, model: Model, windows: TrainingData, config: Config, group: Communicator = SINGLE_PROCESS
    ) -> None:
        assert config.steps is not None
        assert config.lr is not None
        assert config.warmup is not None
        assert config.dropout is not None
        self.model, self.windows, self.config, self.group = model, windows, config, group
        self.steps, self.lr, self.warmup, self.keep_prob = config.steps, config.lr, config.warmup, 1 - config.dropout
        self.optimizer = Optimizer(model, config)
        lo, hi = windows.part
        self._batch_slice = (lo, windows.batch)
        self.state = model.initial_state(hi - lo)
        self.progress = TrainerState()
        self.plateau = Plateau(4, config.final_lr) if config.schedule == "plateau" else None
        self._good = self.snapshot()

    def follow(self, config: Config) -> None:
        """Take over the number of steps and the warm-up of a configuration that has changed."""
        assert config.steps is not None
        assert config.warmup is not None
        self.config, self.steps, self.warmup = config, config.steps, config.warmup

    def learning_rate(self) -> float:
        """The rate of the next step."""
        schedule = SCHEDULES.get(self.config.schedule, SCHEDULES["constant"])
        factor = schedule(self.progress.step, self.steps, self.warmup, self.config.final_lr)
        return self.lr * factor * self.progress.lr_scale * (self.plateau.factor if self.plateau else 1.0)

    def step(self) -> tuple[float, float]:
        """One window forward and backward, and one update. Returns the loss in nats and the gradient's norm.

        If either is NaN or infinite, the step is skipped; after three such steps in a row training goes back to the
        last good state with half the learning rate. Raises `DivergedError` when that did not help three times.
        """
        progress = self.progress
        before = {name: self.model.kernels.clone(array) for name, array in self.state.items()}
        window = self.windows.window(progress.step)
        nats = self.model.train_step_gradients(
            window, self.state, self.keep_prob, _key(self.config.seed, progress.step), self._batch_slice
        )
        nats, count = self.group.all_reduce_gradients(self.model.gradients.flat, nats, window)
        norm = self.optimizer.gradient_norm()
        if math.isfinite(nats) and math.isfinite(norm):
            self.optimizer.step(self.learning_rate(), norm)
            progress.nonfinite_steps = 0
            old = nats if progress.smoothed is None else progress.smoothed
            progress.smoothed = old + (nats - old) * max(_SMOOTHING, 1 / (progress.step + 1))
            progress.train_total += nats
            progress.train_count += 1
        else:
            self.state = before
            progress.nonfinite_steps += 1
        progress.step += 1
        progress.updates = self.optimizer.updates
        progress.chars += count
        if progress.nonfinite_steps >= _BAD_STEPS:
            self.rollback()
        return nats, norm

    def is_finite(self) -> bool:
        """Whether parameters, moments and state are all finite."""
        arrays = (self.model.parameters.flat, *self.optimizer.moments.values(), *self.state.values())
        bad = any(not np.isfinite(self.model.kernels.to_host(array)).all() for array in arrays)
        return not self.group.all_reduce_max(bad)[0]

    def rollback(self) -> None:
        """To the last good state, with half the learning rate. Raises `DivergedError` after three times."""
        scale, returns = self.progress.lr_scale / 2, self.progress.rollbacks + 1
        if returns > _RETURNS:
            raise DivergedError(
                f"training diverged at step {self.progress.step}: the loss or its gradient was NaN or infinite again "
                "and again, also at an eighth of the learning rate; use a smaller --lr"
            )
        self.restore(self._good)
        self.progress.lr_scale, self.progress.rollbacks = scale, returns

    def broadcast_parameters(self) -> None:
        """Every process goes on from the first one's parameters: unlike processors may round them otherwise."""
        self.group.broadcast(self.model.parameters.flat, *self.optimizer.moments.values())

    def save_rollback_point(self) -> None:
        """Come back here if what follows diverges."""
        snapshot = self.snapshot()
        self._good = dataclasses.replace(snapshot, progress=snapshot.progress | {"bad_steps": 0})

    def snapshot(self) -> Snapshot:
        """A copy of everything that changes."""
        self.progress.plateau = self.plateau.to_mapping() if self.plateau else None
        host = self.model.kernels.to_host
        state = {name: np.array(host(array)) for name, array in self.state.items()}
        parameters = np.array(host(self.model.parameters.flat))
        return Snapshot(parameters, self.optimizer.to_mapping(), state, self.progress.to_mapping())

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot, bit for bit."""
        kernels = self.model.kernels
        kernels.copy(self.model.parameters.flat, snapshot.parameters)
        self.progress = TrainerState.from_mapping(snapshot.progress)
        self.optimizer.assign(snapshot.moments, self.progress.updates)
        self.state = {name: kernels.to_device(array.copy()) for name, array in snapshot.state.items()}
        if self.plateau and self.progress.plateau:
            self.plateau = Plateau.from_mapping(self.progress.plateau)


def _key(seed: int, step: int) -> int:
    """The key of a step's dropout masks."""
    return (seed * 0x9E3779B1 + step * 0x85EBCA77) & 0xFFFFFFFF
