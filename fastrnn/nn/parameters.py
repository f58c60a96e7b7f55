"""Parameters in one flat array, with a named view for each tensor."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..shapes import ModelShape, parameter_shapes

if TYPE_CHECKING:
    from ..kernels.backend import Backend, Memory

Array = np.ndarray[Any, Any]


class Parameters(Mapping[str, Array]):
    """Mapping from name to a view into ``flat`` (N,). Gradients have the same form.

    Args:
        shapes: Name -> shape, in the order of the flat array; a `ModelShape` means its
            `parameter_shapes`.
        dtype: float32 or float64.
        kernels: Memory functions of the device that holds the arrays; default: the host.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]] | ModelShape,
        dtype: npt.DTypeLike = np.float32,
        kernels: "Memory | None" = None,
    ) -> None:
        if isinstance(shapes, ModelShape):
            shapes = parameter_shapes(shapes)
        if kernels is None:
            from ..kernels.cpu import memory  # imports Numba, which the shapes alone do not need

            kernels = memory
        self.kernels = kernels
        self.flat: Array = kernels.zeros(sum(int(np.prod(s)) for s in shapes.values()), dtype)
        self._views: dict[str, Array] = {}

        offset = 0
        for name, s in shapes.items():
            size = int(np.prod(s))
            self._views[name] = self.flat[offset : offset + size].reshape(s)
            offset += size

    def __getitem__(self, name: str) -> Array:
        return self._views[name]

    def __iter__(self) -> Any:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def assign(self, values: Mapping[str, Array]) -> None:
        """Copy ``values`` into the views by name. Raises `KeyError` if a name is missing."""
        for name, view in self.items():
            self.kernels.copy(view, values[name])

    def on_host(self) -> dict[str, Array]:
        """Return name -> NumPy array on the host; on the CPU these are the views themselves."""
        return {name: self.kernels.to_host(view) for name, view in self.items()}


class ModelWeights(NamedTuple):
    """The weights that the layers of a model take theirs from, and the device that holds them.

    Args:
        kernels: Kernels of the device.
        parameters: Parameters by name.
        gradients: Their gradients, by the same names.
        packed: Element type of packed weights, see `fastrnn.nn.matmul_mode.packed_dtype`.
    """

    kernels: "Backend"
    parameters: Mapping[str, Array]
    gradients: Mapping[str, Array]
    packed: np.dtype[Any]
