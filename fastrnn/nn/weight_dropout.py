"""Dropout of recurrent weights: DropConnect (Wan et al. 2013) on W_hh, as in AWD-LSTM (Merity et al. 2018).

In a training step each weight is zero with probability 1 - keep, and divided by keep otherwise. One mask serves all
steps and rows of the window, so the state is not changed at random from step to step, as it is by masks of units.
The mask is that of the kernel `dropout`: a function of a key and of the weight's position, computed again for the
gradient.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .parameters import Array

if TYPE_CHECKING:
    from ..kernels.backend import Backend

# Makes the masks of the weights differ from those of the units, which have the same key.
_WEIGHTS_KEY = 0x68E31DA4


class _Recurrent(NamedTuple):
    """A recurrent weight W_hh (G*H, H) and its gradient, as arrays (1, G*H, H); its number in the model."""

    number: int
    weight: Array
    gradient: Array


class WeightDropout:
    """Dropout of all recurrent weights of a model, for one training step at a time.

    Args:
        kernels: Kernels of the device that holds the weights.
        parameters: Parameters by name; those of recurrent weights contain ``weight_hh``.
        gradients: Their gradients, by the same names.

    Attributes:
        dropped: Name -> the weights (G*H, H) to compute with; empty outside of a step, and in one where all weights are
            kept.
    """

    def __init__(self, kernels: "Backend", parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        self._kernels = kernels
        self._recurrent = {
            name: _Recurrent(n, *(a[name].reshape(1, *a[name].shape) for a in (parameters, gradients)))
            for n, name in enumerate(name for name in parameters if ".weight_hh" in name)
        }
        self._copies: dict[str, Array] = {}  # made on first use
        self._keep_prob, self._key = 1.0, 0
        self.dropped: dict[str, Array] = {}

    def start(self, pool: Any, keep_prob: float, key: int) -> None:
        """Fill `dropped` for a step.

        Args:
            pool: Threads of the device.
            keep_prob: Probability that a weight is kept; 1: `dropped` stays empty.
            key: Selects the masks.
        """
        self.dropped.clear()
        self._keep_prob, self._key = keep_prob, key
        if keep_prob >= 1:
            return
        for name, (_, weight, _) in self._recurrent.items():
            if name not in self._copies:
                self._copies[name] = self._kernels.zeros(weight.shape, weight.dtype)
            self._apply(pool, name, self._copies[name], weight)
            self.dropped[name] = self._copies[name].reshape(weight.shape[1:])

    def finish(self, pool: Any) -> None:
        """End the step: turn the gradients of the dropped weights into those of the weights."""
        for name in self.dropped:
            gradient = self._recurrent[name].gradient
            self._apply(pool, name, gradient, gradient)
        self.dropped.clear()

    def _apply(self, pool: Any, name: str, out: Array, x: Array) -> None:
        """Compute out (1, G*H, H) = x times the mask of this weight, divided by the probability."""
        number = self._recurrent[name].number
        key = np.uint32((self._key ^ _WEIGHTS_KEY) + number * 0x9E3779B1 & 0xFFFFFFFF)
        rows = x.shape[1]
        pool.together(lambda part: self._kernels.dropout(out, x, key, self._keep_prob, 0, rows, *part.range(rows)))
