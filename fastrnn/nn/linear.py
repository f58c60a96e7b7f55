"""A linear map z = W x + b, its weights packed for the kernels."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cpu.pool import Part
from .parameters import Array
from .products import SPLIT_FROM

Rows = tuple[int, int]


class Linear:
    """Weight (K, M) and bias (K,). Methods with a `Part` do one thread's share; rows are batch rows of (T, B, ...)."""

    def __init__(
        self, kernels: Any, weight: str, bias: str, weights: Mapping[str, Array], gradients: Mapping[str, Array],
        packed: np.dtype[Any],
    ) -> None:  # fmt: skip
        """``weight``, ``bias``: the names of its parameters. ``packed``: see `packed_type`."""
        self.kernels = kernels
        self.weight, self.bias = weights[weight], weights[bias]
        self.dweight, self.dbias = gradients[weight], gradients[bias]
        self.outputs, self.inputs = self.weight.shape
        self.dtype, size = self.weight.dtype, kernels.packed_size
        if packed == np.uint32 and self.outputs < SPLIT_FROM:
            packed = self.dtype
        self.w = kernels.zeros(size(self.inputs, self.outputs, packed), packed)
        self.w_back = kernels.zeros(size(self.outputs, self.inputs, packed), packed)
        self._order = np.zeros(1, np.int64)

    def pack(self, part: Part, backward: bool) -> None:
        """Weights into panels, this part of them."""
        k = self.kernels
        panels = part.range(k.panels(self.outputs, self.dtype))
        k.pack(self.weight, self._order, self.outputs, True, self.w, *panels)
        if backward:
            panels = part.range(k.panels(self.inputs, self.dtype))
            k.pack(self.weight, self._order, self.outputs, False, self.w_back, *panels)

    def forward(self, rows: Rows, x: Array, z: Array) -> None:
        """z (T, B, K) from x (T, B, M)."""
        self.kernels.output_forward(x, self.w, self.bias, z, *rows)

    def backward(self, rows: Rows, dz: Array, dx: Array) -> None:
        """dx (T, B, M) from dz (T, B, K)."""
        self.kernels.linear_backward(dz, self.w_back, dx, *rows)

    def cross_entropy(
        self, rows: Rows, x: Array, targets: Array, scale: float, logits: Array, losses: Array, dx: Array
    ) -> None:
        """Losses (T, B) of the softmax of z; logits (T, B, K) become their gradients, and dx, unless it has no columns,
        that of x."""
        self.kernels.output_loss(
            x, self.w, self.bias, targets, self.dtype.type(scale), logits, losses, self.w_back, dx, *rows
        )

    def accumulate(self, part: Part, dz: Array, x: Array) -> None:
        """Add this part of the weight gradients, from dz (T, B, K) and x (T, B, M)."""
        rows = part.range(self.outputs)
        flat_dz, flat_x = dz.reshape(-1, self.outputs), x.reshape(-1, self.inputs)
        self.kernels.weight_gradient(self.dweight, flat_dz, flat_x, self.w, *rows)
        self.kernels.bias_backward(self.dbias, flat_dz, *rows)
