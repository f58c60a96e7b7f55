"""A training step, the guard against NaN, and the state needed to resume bit-for-bit.

`TrainerState` is the progress of a run as stored in checkpoints; it selects the best state.
"""

import dataclasses
import math
from typing import Any, Protocol

import numpy as np

from ..checkpoint.metadata import check_progress
from ..checkpoint.safetensors_file import FormatError
from ..config import Config
from ..distributed.communicator import SINGLE_PROCESS, Communicator
from ..errors import CheckpointError, DivergedError
from ..inference.evaluation import Evaluation, selection_key
from ..nn.network import Dropout, Model
from .optimizers import SCHEDULES, Optimizer, Plateau

# Field -> its key in a checkpoint of version 1, where the two differ.
_KEYS = {"evals_since_best": "waited", "nonfinite_steps": "bad_steps", "rollbacks": "returns"}
_MOST_NONFINITE_STEPS = 3  # in a row, then roll back
_MOST_ROLLBACKS = 3  # then give up
_SMOOTHING = 0.02  # weight of a new loss in the smoothed one


@dataclasses.dataclass
class TrainerState:
    """Progress of a run; JSON stores it exactly."""

    step: int = 0
    updates: int = 0
    chars: int = 0
    seconds: float = 0.0
    smoothed: float | None = None
    train_total: float = 0.0  # losses since the last evaluation
    train_count: int = 0
    train_nats: float | None = None  # mean loss between the last two evaluations
    evaluated: int = -1  # step of the last evaluation
    valid_nats: float | None = None
    best_nats: float | None = None
    best_step: int = 0
    evals_since_best: int = 0  # evaluations since the best
    lr_scale: float = 1.0
    nonfinite_steps: int = 0
    rollbacks: int = 0
    plateau: dict[str, Any] | None = None
    metrics: dict[str, float] | None = None  # of the best state; language models have none

    def to_dict(self) -> dict[str, Any]:
        """Convert to a mapping for JSON; the reverse of `from_dict`."""
        mapping = {_KEYS.get(name, name): value for name, value in dataclasses.asdict(self).items()}
        if self.metrics is None:
            del mapping["metrics"]
        return mapping

    @classmethod
    def from_dict(cls, mapping: dict[str, Any]) -> "TrainerState":
        """The reverse of `to_dict`. Raises `CheckpointError` for other names or types."""
        names = {_KEYS.get(f.name, f.name) for f in dataclasses.fields(cls)}
        try:
            if set(mapping) | {"metrics"} != names:
                raise TypeError
            check_progress(mapping)
        except (TypeError, FormatError):
            raise CheckpointError("its record of progress is damaged; use another copy") from None
        fields = {key: name for name, key in _KEYS.items()}
        return cls(**{fields.get(key, key): value for key, value in mapping.items()})

    def record_evaluation(self, measured: Evaluation | None) -> bool:
        """Record an evaluation; return whether its state is the best so far. Without validation data the last one is.

        The best state has the lowest validation loss, or, for tasks scored by accuracy, the highest
        accuracy (in trials up to 3 points more than by the loss, which rises again while accuracy still improves).
        Accuracy is rounded to whole per cent, since a smaller difference may be chance; among equals the loss decides.
        """
        if measured is None:
            self.best_step = self.step
            return True
        finite = all(map(math.isfinite, (measured.nats, *measured.metrics.values())))
        self.valid_nats = measured.nats if math.isfinite(measured.nats) else None
        best = None if self.best_nats is None else selection_key(self.metrics or {}, self.best_nats)
        if finite and (best is None or selection_key(measured.metrics, measured.nats) < best):
            self.best_nats, self.best_step, self.evals_since_best = measured.nats, self.step, 0
            self.metrics = measured.metrics or None
            return True
        self.evals_since_best += 1
        return False


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A copy of the training state, for rollbacks and checkpoints.

    ``state``: of the streams in the order of the text, (layers, streams of this process, hidden).
    """

    parameters: np.ndarray[Any, Any]
    moments: dict[str, np.ndarray[Any, Any]]
    state: dict[str, np.ndarray[Any, Any]]
    progress: dict[str, Any]


class TrainingData(Protocol):
    """Training batches by step: `fastrnn.data.text.bptt.TBPTTStreams` of a text, or batches of examples."""

    @property
    def per_epoch(self) -> int:
        """Steps of one epoch."""

    @property
    def batch(self) -> int:
        """Streams or examples in a step, of all processes together."""

    @property
    def batch_slice(self) -> tuple[int, int]:
        """The range (lo, hi) of them in the windows of this process."""

    @property
    def groups(self) -> int:
        """Number of groups of streams; the initial state of window i is the final state of window i - groups."""

    def window(self, index: int) -> Any:
        """Return the `TrainingWindow` of step ``index``: a pure function of the index, so that a run can be resumed."""


class Trainer:
    """Trains a model on windows of its data; ``config`` is complete (see `autotune`).

    In a ``group`` each process has its share of the windows, and all have the same parameters.
    """

    def __init__(
        self, model: Model, windows: TrainingData, config: Config, group: Communicator = SINGLE_PROCESS
    ) -> None:
        assert config.steps is not None
        assert config.lr is not None
        assert config.warmup is not None
        assert config.dropout is not None
        self.model, self.windows, self.config, self.group = model, windows, config, group
        self.steps = config.steps
        self.lr = config.lr
        self.warmup = config.warmup
        self.optimizer = Optimizer(model, config)
        lo, hi = windows.batch_slice
        self._dropout = self._masks_of(config)
        self.states = [model.initial_state(hi - lo) for _ in range(windows.groups)]  # one for each group of streams
        self.progress = TrainerState()
        self.plateau = Plateau(4, config.final_lr) if config.schedule == "plateau" else None
        self._good = self.snapshot()

    def apply_config(self, config: Config) -> None:
        """Use the number of steps, the warm-up, dropout and weight decay of a changed configuration."""
        assert config.steps is not None
        assert config.warmup is not None
        assert config.dropout is not None
        self.config, self.steps, self.warmup = config, config.steps, config.warmup
        self._dropout = self._masks_of(config)
        self.optimizer.set_weight_decay(config.weight_decay or 0.0)

    def _masks_of(self, config: Config) -> Dropout:
        """Return the configured dropout with the masks of this process's part of the batch."""
        return dropout_of(config)._replace(begin=self.windows.batch_slice[0], batch=self.windows.batch)

    def learning_rate(self) -> float:
        """Return the learning rate of the next step."""
        schedule = SCHEDULES.get(self.config.schedule, SCHEDULES["constant"])
        factor = schedule(self.progress.step, self.steps, self.warmup, self.config.final_lr)
        return self.lr * factor * self.progress.lr_scale * (self.plateau.factor if self.plateau else 1.0)

    def step(self) -> tuple[float, float]:
        """Train on one window (collective). Returns the loss in nats and the gradient norm.

        If either is NaN or infinite, the update is skipped; after three such steps in a row the trainer rolls back to
        the last good state with half the learning rate. Raises `DivergedError` after three rollbacks.
        """
        progress = self.progress
        group = progress.step % self.windows.groups
        state = self.states[group]
        # A skipped step must leave no trace, and the window carries the state on in place, perhaps to NaN.
        before = {name: self.model.kernels.clone(array) for name, array in state.items()}
        window = self.windows.window(progress.step)
        dropout = self._dropout._replace(key=_key(self.config.seed, progress.step))
        nats = self.model.train_step_gradients(window, state, dropout)
        nats, count = self.optimizer.reduce_gradients(self.group, nats, window)
        # From here on all ranks have the same numbers, and so take the same branch.
        norm = self.optimizer.gradient_norm()
        if math.isfinite(nats) and math.isfinite(norm):
            self.optimizer.step(self.learning_rate(), norm)
            progress.nonfinite_steps = 0
            old = nats if progress.smoothed is None else progress.smoothed
            # The plain mean of the first 50 losses; with the small weight alone the first one would dominate them.
            progress.smoothed = old + (nats - old) * max(_SMOOTHING, 1 / (progress.step + 1))
            progress.train_total += nats
            progress.train_count += 1
        else:
            self.states[group] = before
            progress.nonfinite_steps += 1
        # Also after a skipped step: the next window may do no harm, and the schedule goes by this number.
        progress.step += 1
        progress.updates = self.optimizer.updates
        progress.chars += count
        if progress.nonfinite_steps >= _MOST_NONFINITE_STEPS:
            self.rollback()
        return nats, norm

    def is_finite(self) -> bool:
        """Whether parameters, moments and state are finite on all ranks (collective)."""
        states = (array for state in self.states for array in state.values())
        arrays = (self.model.parameters.flat, *self.optimizer.moments.values(), *states)
        bad = any(not np.isfinite(self.model.kernels.to_host(array)).all() for array in arrays)
        return not self.group.all_reduce_max(bad)[0]

    def rollback(self) -> None:
        """Restore the last good state and halve the learning rate. Raises `DivergedError` after three rollbacks."""
        # Read before `restore`, which brings back the rate and the number of rollbacks of the good state.
        scale = self.progress.lr_scale / 2
        rollbacks = self.progress.rollbacks + 1
        if rollbacks > _MOST_ROLLBACKS:
            raise DivergedError(
                f"training diverged at step {self.progress.step}: the loss or its gradient was NaN or infinite again "
                "and again, also at an eighth of the learning rate; use a smaller --lr"
            )
        self.restore(self._good)
        self.progress.lr_scale, self.progress.rollbacks = scale, rollbacks

    def broadcast_parameters(self) -> None:
        """Broadcast the parameters of rank 0: processors of different types may have rounded them differently."""
        self.group.broadcast(self.model.parameters.flat, *self.optimizer.moments.values())

    def save_rollback_point(self) -> None:
        """Make the current state the one that `rollback` restores."""
        # A count kept from skipped steps would, once restored, lead straight to the next rollback.
        snapshot = self.snapshot()
        self._good = dataclasses.replace(snapshot, progress=snapshot.progress | {"bad_steps": 0})

    def snapshot(self) -> Snapshot:
        """Copy everything that training changes."""
        self.progress.plateau = self.plateau.to_dict() if self.plateau else None
        host = self.model.kernels.to_host
        # Stream b of group g is stream b * groups + g of the text. `stack` copies.
        state = {}
        for name in self.states[0]:
            by_group = np.stack([host(each[name]) for each in self.states], axis=2)
            state[name] = by_group.reshape(by_group.shape[0], -1, by_group.shape[3])
        # `to_host` of the CPU returns the array itself: a snapshot needs a copy.
        parameters = np.array(host(self.model.parameters.flat))
        return Snapshot(parameters, self.optimizer.to_dict(), state, self.progress.to_dict())

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot, bit-for-bit."""
        kernels = self.model.kernels
        kernels.copy(self.model.parameters.flat, snapshot.parameters)
        self.progress = TrainerState.from_dict(snapshot.progress)
        self.optimizer.assign(snapshot.moments, self.progress.updates)
        groups = self.windows.groups
        self.states = [
            {name: kernels.to_device(array[:, group::groups].copy()) for name, array in snapshot.state.items()}
            for group in range(groups)
        ]
        if self.plateau and self.progress.plateau:
            self.plateau = Plateau.from_dict(self.progress.plateau)


def dropout_of(config: Config) -> Dropout:
    """Return the probabilities that a unit, and a recurrent weight, are kept."""
    # Checkpoints of version 0.1.0 have no dropout of weights.
    return Dropout(1 - (config.dropout or 0.0), weight_keep_prob=1 - (config.weight_dropout or 0.0))


def _key(seed: int, step: int) -> int:
    """Return the key of the dropout masks of a step."""
    # Two odd constants, xxHash's first primes, so that no seed repeats the keys of another one a few steps later.
    return (seed * 0x9E3779B1 + step * 0x85EBCA77) & 0xFFFFFFFF
