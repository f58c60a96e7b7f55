"""Optimizers: their moments, and an update of the flat parameter array."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..config import MOMENTS, Config
from ..kernels.arguments import AdamWSettings, DecayingSettings, PlainSettings
from ..nn.models import Model

# Optimizer -> the settings of its kernel, from the configuration, the clipping factor, the learning rate and the update
# number t = 1, 2, ... AdamW gets the bias corrections 1 - beta^t (Kingma & Ba, 2015; Loshchilov & Hutter, 2019).
_SETTINGS: dict[str, Callable[[Config, float, float, int], tuple[float, ...]]] = {
    "adamw": lambda c, scale, lr, t: AdamWSettings(scale, lr, c.beta1, c.beta2, 1 - c.beta1**t, 1 - c.beta2**t),
    "sgd": lambda c, scale, lr, t: PlainSettings(scale, lr),
    "momentum": lambda c, scale, lr, t: DecayingSettings(scale, lr, c.beta1),
    "rmsprop": lambda c, scale, lr, t: DecayingSettings(scale, lr, c.beta2),
    "adagrad": lambda c, scale, lr, t: PlainSettings(scale, lr),
}


_FEW_BLOCKS = 64  # one thread sums these in less time than waking another takes: 0.05 ms


class Optimizer:
    """Updates the parameters of a model from its gradients.

    ``updates``: number of updates so far. ``moments``: arrays by name: "m" is a mean of gradients, "v" a mean (Adagrad:
    a sum) of their squares.
    """

    def __init__(self, model: Model, config: Config) -> None:
        self.model = model
        self.config = config
        self.updates = 0
        kernels, flat = model.kernels, model.parameters.flat
        self.moments = {name: kernels.zeros(flat.shape, flat.dtype) for name in MOMENTS[config.optimizer]}
        self._kernel = getattr(kernels, config.optimizer)
        self._blocks = -(-flat.size // kernels.BLOCK)
        self._sums = kernels.zeros(self._blocks, np.float64)
        self._decay = kernels.zeros(flat.shape, flat.dtype)
        if config.weight_decay:
            biases = np.concatenate([np.full(v.size, "bias" in name) for name, v in model.parameters.items()])
            kernels.copy(self._decay, np.where(biases, 0, config.weight_decay))

    def gradient_norm(self) -> float:
        """Return the L2 norm of the whole gradient; NaN or infinity if the gradient contains one."""
        gradient, sums_of_squares = self.model.gradients.flat, self.model.kernels.sums_of_squares
        if self._blocks <= _FEW_BLOCKS:
            sums_of_squares(gradient, self._sums, 0, self._blocks)
        else:
            self.model.pool.together(lambda part: sums_of_squares(gradient, self._sums, *part.range(self._blocks)))
        total = float(self.model.kernels.to_host(self._sums).sum())
        return math.sqrt(total) if total >= 0 else math.nan

    def step(self, lr: float, norm: float) -> None:
        """Update the parameters, with the gradient clipped to norm ``config.clip`` (0: no clipping).

        ``norm``: the norm of the gradient, from `gradient_norm`.
        """
        self.updates += 1
        clip = self.config.clip
        scale = clip / norm if clip and norm > clip else 1.0
        settings = _SETTINGS[self.config.optimizer](self.config, scale, lr, self.updates)
        p, g, moments = self.model.parameters.flat, self.model.gradients.flat, tuple(self.moments.values())
        self.model.pool.together(
            lambda part: self._kernel(p, g, moments, self._decay, settings, *part.range(self._blocks))
        )

    def to_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copy the moments to the host."""
        return {name: np.array(self.model.kernels.to_host(array)) for name, array in self.moments.items()}

    def assign(self, moments: dict[str, np.ndarray[Any, Any]], updates: int) -> None:
        """Set the moments and the number of updates from a checkpoint."""
        for name, array in self.moments.items():
            self.model.kernels.copy(array, moments[name])
        self.updates = updates
