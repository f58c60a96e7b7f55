"""Parameters in one flat array, with a named view for each tensor, and their initialisation."""

import itertools
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..cells import CELLS, CellSpec
from ..shapes import NGRAM_WEIGHT, ModelShape, language_model_shapes

if TYPE_CHECKING:
    from ..kernels.backend import Backend, Memory

Array = np.ndarray[Any, Any]
# Standard deviation of a classifier's word embeddings. Rare words receive few updates, so a large
# random start stays in them as noise, to which the model overfits: on reviews, 0.1 gives 77.6%
# validation accuracy and a large start 76.3% (three seeds).
EMBEDDING_STD = 0.1
# Standard deviation of the other tables. torch.nn's 1/sqrt(3H) was 0.1 nats worse in trials.
ONE_HOT_STD = 0.58
# Factor of an identity as recurrent matrix. With 1 the state of a ReLU network accumulated one-hot
# inputs and training diverged.
IDENTITY_SCALE = 0.5
_SLOW_STEPS = (4.0, 128.0)  # see `initialise`


class Parameters(Mapping[str, Array]):
    """Mapping from name to a view into ``flat`` (N,). Gradients have the same form.

    Args:
        shapes: Name -> shape, in the order of the flat array; a `ModelShape` means its
            `language_model_shapes`.
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
            shapes = language_model_shapes(shapes)
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

    def zeros_like(self) -> "Parameters":
        """Return zeros of the same names and shapes, on the same device."""
        return Parameters({name: view.shape for name, view in self.items()}, self.flat.dtype, self.kernels)

    def span(self, name: str) -> tuple[int, int]:
        """Return where the view begins and ends in ``flat``."""
        before = itertools.takewhile(lambda other: other != name, self._views)
        start = sum(self._views[other].size for other in before)
        return start, start + self._views[name].size

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
        dropped: Weights to train with instead, see `fastrnn.nn.weight_dropout.WeightDropout`.
    """

    kernels: "Backend"
    parameters: Mapping[str, Array]
    gradients: Mapping[str, Array]
    packed: np.dtype[Any]
    dropped: Mapping[str, Array] = MappingProxyType({})


class Shape(Protocol):
    """The properties of a model that initialisation needs besides its parameter names."""

    @property
    def cell(self) -> str: ...

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of weights indexed by ids: of one-hot input, and embeddings."""

    @property
    def small_tables(self) -> tuple[str, ...]:
        """Names of the tables with standard deviation `EMBEDDING_STD`."""


def initialise(
    parameters: Parameters,
    shape: Shape,
    kind: str | None,
    rng: np.random.Generator,
    out_bias: np.ndarray[Any, Any] | None = None,
    slow_units: float = 0.0,
) -> None:
    """Initialise parameters in place.

    Biases start at 0; the sum of the biases of an LSTM's forget gate at 1 (Gers et al. 2000;
    Jozefowicz et al. 2015). Gains start at 1, the rows of n-grams at 0.

    Args:
        parameters: Parameters on any device.
        shape: The model they belong to.
        kind: "uniform": +-1/sqrt(H), as torch.nn; "orthogonal": the recurrent matrix of each gate
            orthogonal (Saxe et al. 2014), input matrices uniform with variance 1/fan_in; "identity":
            the same with `IDENTITY_SCALE` times the identity as each recurrent matrix. None: the
            default of the cell.
        rng: Random generator.
        out_bias: Bias (V,) of the output layer; None: zeros.
        slow_units: Share of the units of each layer (one unit at least, if it is not 0) whose bias of the gate that
            keeps the state is log(n), with n from 4 to 128 in geometric progression: the gate is then n / (n + 1),
            and the unit forgets within about n steps (Tallec and Ollivier 2018).
    """
    # Filled on the host, then copied: the same bits on every device.
    host = Parameters({name: view.shape for name, view in parameters.items()}, parameters.flat.dtype)
    _fill(host, shape, kind or CELLS[shape.cell].default_init, rng, slow_units)
    if out_bias is not None:
        host["out.bias"][...] = out_bias
    parameters.assign(host)


def gate_of(vector: Array, spec: CellSpec, gate: str) -> Array:
    """Return the view (H,) of a gate in a vector (G*H,) of a layer, such as a bias."""
    rows: Array = vector.reshape(spec.gate_count, -1)[spec.gates.index(gate)]
    return rows


def _fill(parameters: Parameters, shape: Shape, kind: str, rng: np.random.Generator, slow_units: float) -> None:
    spec = CELLS[shape.cell]
    for name, view in parameters.items():
        if ".gain_l" in name:
            view[...] = 1
        elif f".{NGRAM_WEIGHT}_l" in name:
            view[...] = 0
        elif "bias" in name:
            view[...] = 0
            if f".{spec.bias}_l" in name:
                _fill_bias(view, spec, slow_units)
        elif name in shape.tables:
            view[...] = rng.normal(0, EMBEDDING_STD if name in shape.small_tables else ONE_HOT_STD, view.shape)
        elif kind != "uniform" and ".weight_hh" in name:
            hidden = view.shape[1]
            for gate in range(len(view) // hidden):
                matrix = _orthogonal(hidden, rng)  # drawn in any case: the other weights do not depend on the kind
                if kind == "identity":
                    matrix = IDENTITY_SCALE * np.eye(hidden)
                view[gate * hidden : (gate + 1) * hidden] = matrix
        else:
            # torch.nn bounds recurrent layers by H and linear layers by their inputs.
            fan = len(view) // spec.gate_count if ".weight_ih" in name else view.shape[1]
            bound = 1 / math.sqrt(fan) if kind == "uniform" else math.sqrt(3 / view.shape[1])
            view[...] = rng.uniform(-bound, bound, view.shape)


def _fill_bias(bias: Array, spec: CellSpec, slow_units: float) -> None:
    """Set the parts of a layer's bias (G*H,) that do not start at 0."""
    if spec.ones_bias is not None:
        gate_of(bias, spec, spec.ones_bias)[:] = 1
    if slow_units:
        assert spec.keep_gate is not None
        name, sign = spec.keep_gate
        gate = gate_of(bias, spec, name)
        count = max(1, int(slow_units * len(gate) + 1e-9))  # 0.29 * 100 is a little less than 29
        gate[:count] = sign * np.log(np.geomspace(*_SLOW_STEPS, count))


def _orthogonal(size: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    # The signs make the distribution uniform over the orthogonal group (Mezzadri 2007).
    return q * np.sign(np.diag(r))
