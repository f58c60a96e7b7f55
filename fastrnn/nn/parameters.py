"""One flat array of parameters, and named views into it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels.cpu import memory
from ..shapes import ModelShape, parameter_shapes

Array = np.ndarray[Any, Any]


class Parameters(Mapping[str, Array]):
    """Name -> view into ``flat`` (N,), in the order of the shapes given by name, or of `parameter_shapes`.

    Gradients have the same form.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]] | ModelShape,
        dtype: npt.DTypeLike = np.float32,
        kernels: Any = memory,
    ) -> None:
        """``kernels``: the device they lie on; without it the host."""
        if isinstance(shapes, ModelShape):
            shapes = parameter_shapes(shapes)
        self.kernels = kernels
        self.flat: Array = kernels.zeros(sum(int(np.prod(s)) for s in shapes.values()), dtype)
        self._views: dict[str, Array] = {}
        at = 0
        for name, s in shapes.items():
            size = int(np.prod(s))
            self._views[name] = self.flat[at : at + size].reshape(s)
            at += size

    def __getitem__(self, name: str) -> Array:
        return self._views[name]

    def __iter__(self) -> Any:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def assign(self, values: Mapping[str, Array]) -> None:
        """Copy arrays in by name; all names must be there."""
        for name, view in self.items():
            self.kernels.copy(view, values[name])

    def on_host(self) -> dict[str, Array]:
        """Name -> NumPy array; on the CPU not a copy."""
        return {name: self.kernels.to_host(view) for name, view in self.items()}
