"""Which device computes: the one module that knows. A device is a module with the names of `fastrnn.cpu.kernels`."""

import importlib
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .config import CELLS
from .errors import BackendError


def load(device: str = "cpu") -> Any:
    """The kernels of a device. Raises `BackendError` when it is not here; never another device instead."""
    if device != "cpu":
        raise BackendError(f"device {device!r} is not available in this version; use --device cpu")
    return importlib.import_module("fastrnn.cpu.kernels")


def warmup(cells: tuple[str, ...] = CELLS, precision: str | None = None, device: str = "cpu") -> Iterator[str]:
    """Compile every kernel that training and sampling with these cells need; yields what is about to be compiled.

    Without ``precision``: what `train` chooses here, and float32, which measuring takes.
    """
    from .config import OPTIMIZERS, Config
    from .data.tokens import CharTokenizer
    from .nn.network import Network
    from .sample import Drawing, Sampler
    from .training.optimizers import Optimizer

    fast = ("bfloat16",) if load(device).TARGET.bfloat16_dot else ()
    for cell, kind in itertools.product(cells, (precision,) if precision else (*fast, "float32")):
        yield f"{cell}: training in {kind}"
        config = Config(cell=cell, layers=2, hidden=8, precision=kind, device=device, threads=1)
        network = Network.from_config(config, 5)
        x = np.zeros((2, 2), np.int32)
        network.loss_and_gradient(x, x, None, network.initial_state(2), keep=0.5)
        yield f"{cell}: sampling"
        next(Sampler(network, CharTokenizer("abcde")).tokens(1, 1, np.zeros(1, np.int64), Drawing(), 0))
    for name in OPTIMIZERS:
        yield f"optimiser {name}"
        optimizer = Optimizer(network, Config(optimizer=name))
        optimizer.step(0.0, optimizer.gradient_norm())
