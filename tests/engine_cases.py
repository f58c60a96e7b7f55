"""The compiled network beside the textbook: the same weights, state and text for both, and all results by name."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrnn.data.text.bptt import Window
from fastrnn.data.text.ngrams import NGrams
from fastrnn.nn.network import Dropout, Network
from fastrnn.reference import Reference

Array = NDArray[Any]


def make_network(
    model: Reference,
    dtype: Any = np.float64,
    threads: int = 1,
    device: str = "cpu",
    products: str = "exact",
    ngrams: NGrams | None = None,
) -> Network:
    """A network with the weights of this reference model."""
    network = Network(model.shape, dtype=dtype, threads=threads, device=device, matmul_mode=products, ngrams=ngrams)
    network.parameters.assign(model.parameters)
    return network


def tokens(array: Array) -> Array:
    """Ids or targets as the kernels take them: one type, one layout, so one compilation."""
    return np.ascontiguousarray(array, np.int32)


def run_network(
    network: Network, ids: Array, targets: Array, state: dict[str, Array], resets: Array | None = None, **dropout: Any
) -> dict[str, Array]:
    """Copies of all that a training window gives, by name: loss, losses, gradients, ``dstate ...``, ``last ...``."""
    kernels = network.kernels

    def copied(array: Any) -> Array:
        return np.array(kernels.to_host(array))

    last = {name: kernels.to_device(array.astype(network.dtype)) for name, array in state.items()}
    if resets is not None:
        resets = np.ascontiguousarray(resets)
    loss = network.train_step_gradients(Window(tokens(ids), tokens(targets), resets), last, Dropout(**dropout))
    results = {"loss": np.array(loss), "losses": copied(network.losses)}
    results |= {name: copied(array) for name, array in network.gradients.items()}
    results |= {f"dstate {name}": copied(array) for name, array in network.dstate.items()}
    return results | {f"last {name}": copied(array) for name, array in last.items()}


def run_reference(
    model: Reference, ids: Array, targets: Array, state: dict[str, Array], resets: Array | None = None
) -> dict[str, Array]:
    """The same by the textbook, but for ``losses``."""
    gradients, dstate = model.backward(ids, targets, state, resets)
    _, last = model.forward(ids, state, resets)
    results = {"loss": np.array(model.loss(ids, targets, state, resets)), **gradients}
    results |= {f"dstate {name}": array for name, array in dstate.items()}
    return results | {f"last {name}": array for name, array in last.items()}


def assert_same_bits(computed: dict[str, Array], expected: dict[str, Array], names: Any = None) -> None:
    """Equal bit for bit: all of ``expected``, or these names of it."""
    for name in expected if names is None else names:
        assert computed[name].tobytes() == expected[name].tobytes(), f"{name} differs"


def assert_close(computed: dict[str, Array], expected: dict[str, Array], tolerance: float) -> None:
    """Each array's largest difference is within ``tolerance`` of its largest magnitude (or of 1e-3 if that is more)."""
    for name, wanted in expected.items():
        allowed = tolerance * max(float(np.abs(wanted).max()), 1e-3)
        np.testing.assert_allclose(computed[name], wanted, rtol=0, atol=allowed, err_msg=name)
