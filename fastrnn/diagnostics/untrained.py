"""Networks made on the spot, to see what the cell and the size of its weights do to gradients before any training."""

import math

import numpy as np

from ..cells import CELLS
from ..config import Config
from ..errors import ConfigError
from ..nn.initialisation import initialise
from ..nn.network import Network
from .gradient_flow import WARM, Rows, check_amounts

VOCABULARY = 65  # symbols, as many as `fastrnn bench` takes


def untrained_network(config: Config, scale: float = 1.0, keep_bias: float | None = None) -> Network:
    """An untrained network: weights as training starts from them, the recurrent ones times ``scale``.

    ``keep_bias``: the bias of the gate that keeps the state, in place of the usual one: the LSTM's forget gate, the
    GRU's z; the simplified GRU's u gets its negative, for there u near 0 keeps. Without ``config.hidden``: 64 units.
    Raises `ConfigError` for a cell that has no such gate, and for numbers that are not finite.
    """
    keep_gate = CELLS[config.cell].keep_gate
    if keep_bias is not None and keep_gate is None:
        raise ConfigError(f"cell {config.cell} has no gate that keeps its state; --keep-bias goes with {_gated()}")
    for name, value in (("scale", scale), ("keep_bias", keep_bias or 0.0)):
        if not math.isfinite(value):
            raise ConfigError(f"{name} is {value:g}; it must be a finite number")
    config = config if config.hidden is not None else config.replace(hidden=64)
    network = Network.from_config(config, VOCABULARY)
    initialise(network.parameters, network.shape, config.init, np.random.default_rng(config.seed))
    for n in range(config.layers):
        network.parameters[f"rnn.weight_hh_l{n}"][...] *= scale
        if keep_bias is not None and keep_gate is not None:
            name, sign = keep_gate
            gate = CELLS[config.cell].gates.index(name)
            rows = slice(gate * network.shape.hidden, (gate + 1) * network.shape.hidden)
            network.parameters[f"rnn.bias_ih_l{n}"][rows] = sign * keep_bias
    return network


def random_rows(lags: int = 64, rows: int = 32, seed: int = 1) -> Rows:
    """Random symbols for a fresh network, read from a zero state: some to warm up on, then ``lags``."""
    check_amounts(lags, rows)
    rng = np.random.default_rng(seed)
    text = rng.integers(VOCABULARY, size=(WARM + lags + 1, rows)).astype(np.int32)
    return Rows(text[:-1], text[-1], np.zeros((WARM + 1, rows), np.bool_))


def _gated() -> str:
    return ", ".join(name for name, spec in CELLS.items() if spec.keep_gate)
