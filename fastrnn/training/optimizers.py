"""Optimizers and learning-rate schedules.

An optimizer holds its moments and updates the flat parameter array. A schedule is the factor in [0, 1] that multiplies
the peak learning rate at each step.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..config import MOMENTS, USUAL_BETA1, Config
from ..distributed.communicator import Communicator, TrainingWindow
from ..errors import CheckpointError
from ..kernels.arguments import AdamWSettings, DecayingSettings, PlainSettings
from ..kernels.cpu.thread_pool import Part
from ..nn.network import Model, Network
from ..shapes import NGRAM_WEIGHT

Schedule = Callable[[int, int, int, float], float]
_OUTPUT = "out.weight"  # of every model
_NGRAM_RATE = 0.5  # learning rate of the rows of n-grams, as a multiple of that of the token tables
# Optimizer -> the settings of its kernel, from the configuration, the clipping factor, the learning rate and the update
# number t = 1, 2, ... AdamW gets the bias corrections 1 - beta^t (Kingma & Ba, 2015; Loshchilov & Hutter, 2019).
_SETTINGS: dict[str, Callable[[Config, float, float, int], tuple[float, ...]]] = {
    "adamw": lambda c, scale, lr, t: AdamWSettings(scale, lr, _beta1(c), c.beta2, 1 - _beta1(c) ** t, 1 - c.beta2**t),
    "sgd": lambda c, scale, lr, t: PlainSettings(scale, lr),
    "momentum": lambda c, scale, lr, t: DecayingSettings(scale, lr, _beta1(c)),
    "rmsprop": lambda c, scale, lr, t: DecayingSettings(scale, lr, c.beta2),
    "adagrad": lambda c, scale, lr, t: PlainSettings(scale, lr),
}


def _beta1(config: Config) -> float:
    return USUAL_BETA1 if config.beta1 is None else config.beta1


def constant(step: int, steps: int, warmup: int, final: float) -> float:
    """Keep 1 after the warm-up."""
    return _ramp(step, warmup)


def linear(step: int, steps: int, warmup: int, final: float) -> float:
    """Fall on a straight line from 1 after the warm-up to `final` at the last step."""
    return _ramp(step, warmup) * (1 - (1 - final) * _decay_progress(step, steps, warmup))


def cosine(step: int, steps: int, warmup: int, final: float) -> float:
    """Fall on half a cosine from 1 after the warm-up to `final` at the last step (Loshchilov & Hutter, 2017)."""
    return _ramp(step, warmup) * (
        final + (1 - final) * 0.5 * (1 + math.cos(math.pi * _decay_progress(step, steps, warmup)))
    )


# name -> f(step, steps, warmup, final): step counts from 0 to steps - 1; warmup is in steps; final is the last factor.
# "plateau" depends on the validation loss, not on the step: `constant` gives its warm-up, `Plateau` its factor.
SCHEDULES: dict[str, Schedule] = {"constant": constant, "linear": linear, "cosine": cosine}


@dataclasses.dataclass
class Plateau:
    """Halves the factor after `patience` evaluations in a row without a lower loss; never under `final`."""

    patience: int
    final: float
    factor: float = 1.0
    best: float | None = None
    waited: int = 0

    def observe(self, nats: float) -> bool:
        """Record a validation loss; return whether the factor was reduced. NaN is no improvement."""
        if nats < (math.inf if self.best is None else self.best):
            self.best, self.waited = nats, 0
            return False
        self.waited += 1
        if self.waited < self.patience:
            return False
        before, self.waited = self.factor, 0
        self.factor = min(self.factor, max(self.final, self.factor / 2))
        return self.factor < before

    def to_dict(self) -> dict[str, Any]:
        """Convert to a mapping for JSON, stored in the progress of a checkpoint."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> "Plateau":
        """The reverse of `to_dict`. Raises `CheckpointError` for anything else."""
        try:
            plateau = cls(**mapping)
            whole = type(plateau.patience) is int and type(plateau.waited) is int
            best = 0.0 if plateau.best is None else plateau.best
            is_valid = whole and plateau.patience >= 1 and plateau.waited >= 0 and math.isfinite(best)
            is_valid = is_valid and 0 <= plateau.final <= 1 and 0 <= plateau.factor <= 1
        except TypeError:
            is_valid = False
        if not is_valid:
            raise CheckpointError("the plateau schedule in this checkpoint is damaged; use another copy")
        return plateau


def _ramp(step: int, warmup: int) -> float:
    """Return the factor of the warm-up: 1/warmup, 2/warmup, ... 1."""
    return min(1.0, (step + 1) / warmup) if warmup > 0 else 1.0


def _decay_progress(step: int, steps: int, warmup: int) -> float:
    """Return the share of steps done between the end of the warm-up and the last step, from 0 to 1."""
    last = steps - 1
    return min(1.0, max(0, step - warmup) / (last - warmup)) if last > warmup else 0.0


class _Range(NamedTuple):
    """Neighbouring parameters that share a learning rate."""

    factor: float
    """Their learning rate, as a multiple of that of the step."""
    arguments: tuple[Any, ...]
    """Their parameters, gradients, moments and weight decays, for the kernel."""
    blocks: int
    """Number of blocks of the kernel; 0: the rows of n-grams, of which only those of the window are updated."""


class Optimizer:
    """Updates the parameters of a model from its gradients.

    Token tables and the weights of the output layer have ``config.vocab_lr`` times the learning rate of the others, the
    n-gram embedding half of that. AdamW leaves the rows of n-grams that a window does not have as they are (lazy
    updates, as in torch.optim.SparseAdam).
    ``updates``: number of updates so far. ``moments``: arrays by name: "m" is a mean of gradients, "v" a mean (Adagrad:
    a sum) of their squares.
    """

    def __init__(self, model: Model, config: Config) -> None:
        self.model = model
        self.config = config
        self.updates = 0
        kernels, flat = model.kernels, model.parameters.flat
        self.moments = {name: kernels.zeros(flat.shape, flat.dtype) for name in MOMENTS[config.optimizer]}
        self._ngram_embedding = model.ngram_embedding if isinstance(model, Network) else None
        self._dense = self._ngram_embedding.dense_gradients if self._ngram_embedding else [model.gradients.flat]
        self._sums = [kernels.zeros(self._count_blocks(array), np.float64) for array in self._dense]
        self._decay = kernels.zeros(flat.shape, flat.dtype)
        self._weight_decay = 0.0
        self.set_weight_decay(config.weight_decay or 0.0)
        self._kernel = getattr(kernels, config.optimizer)
        self._ranges = list(self._divide(config.vocab_lr or 1.0))

    def _divide(self, vocab_lr: float) -> Iterator[_Range]:
        """Divide the flat array where the learning rate changes."""
        parameters, tables = self.model.parameters, self.model.shape.tables

        def treatment(name: str) -> tuple[float, int]:
            """The factor, and the length of the rows that are updated one by one; 0: all at once."""
            rows = f".{NGRAM_WEIGHT}_l" in name
            factor = vocab_lr if rows or name in tables or name == _OUTPUT else 1.0
            factor *= _NGRAM_RATE if rows else 1.0
            return factor, parameters[name].shape[1] if rows and self.config.optimizer == "adamw" else 0

        end = 0
        for (factor, row), names in itertools.groupby(parameters, key=treatment):
            start, end = end, end + sum(parameters[name].size for name in names)
            shape = (-1, row) if row else (-1,)
            arrays = (parameters.flat, self.model.gradients.flat, self._decay, *self.moments.values())
            p, g, decay, *moments = (array[start:end].reshape(shape) for array in arrays)
            yield _Range(factor, (p, g, tuple(moments), decay), 0 if row else self._count_blocks(p))

    def _count_blocks(self, array: np.ndarray[Any, Any]) -> int:
        return -(-array.size // self.model.kernels.BLOCK)

    def set_weight_decay(self, decay: float) -> None:
        """Set the decoupled weight decay, which biases and gains are exempt from."""
        if decay == self._weight_decay:
            return
        parameters = self.model.parameters
        exempt = [np.full(array.size, "bias" in name or ".gain_l" in name) for name, array in parameters.items()]
        self.model.kernels.copy(self._decay, np.where(np.concatenate(exempt), 0, decay))
        self._weight_decay = decay

    def reduce_gradients(self, group: Communicator, nats: float, window: TrainingWindow) -> tuple[float, int]:
        """Average the gradients over all processes (collective); see `Communicator.all_reduce_gradients`."""
        reduced = group.all_reduce_gradients(self.model.gradients.flat, nats, window)
        if group.size > 1 and self._ngram_embedding:
            self._ngram_embedding.activate_all()  # the windows of other processes have other n-grams
        return reduced

    def gradient_norm(self) -> float:
        """Return the L2 norm of the whole gradient; NaN or infinity if the gradient contains one."""
        kernels, rows = self.model.kernels, self._ngram_embedding
        row_sums = kernels.zeros(rows.active.size if rows else 0, np.float64)

        def add_up(part: Part) -> None:
            for gradient, sums in zip(self._dense, self._sums, strict=True):
                kernels.sums_of_squares(gradient, sums, *part.range(sums.size))
            if rows and row_sums.size:
                kernels.sums_of_rows(rows.gradients, rows.active, row_sums, *part.range(row_sums.size))

        self.model.pool.together(add_up)
        total = sum(float(kernels.to_host(sums).sum()) for sums in (*self._sums, row_sums))
        return math.sqrt(total) if total >= 0 else math.nan

    def step(self, lr: float, norm: float) -> None:
        """Update the parameters, with the gradient clipped to norm ``config.clip`` (0: no clipping).

        ``lr``: the learning rate. ``norm``: the norm of the gradient, from `gradient_norm`.
        """
        self.updates += 1
        clip = self.config.clip
        scale = clip / norm if clip and norm > clip else 1.0
        make = _SETTINGS[self.config.optimizer]
        settings = [make(self.config, scale, lr * each.factor, self.updates) for each in self._ranges]
        rows = self._ngram_embedding.active if self._ngram_embedding else np.zeros(0, np.int32)

        def update(part: Part) -> None:
            for each, numbers in zip(self._ranges, settings, strict=True):
                if each.blocks:
                    self._kernel(*each.arguments, numbers, *part.range(each.blocks))
                elif rows.size:
                    self.model.kernels.adamw_rows(*each.arguments, rows, numbers, *part.range(rows.size))

        self.model.pool.together(update)

    def to_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copy the moments to the host."""
        return {name: np.array(self.model.kernels.to_host(array)) for name, array in self.moments.items()}

    def assign(self, moments: dict[str, np.ndarray[Any, Any]], updates: int) -> None:
        """Set the moments and the number of updates from a checkpoint."""
        for name, array in self.moments.items():
            self.model.kernels.copy(array, moments[name])
        self.updates = updates
