"""Untrained networks, to see the effect of the cell and of the size of its weights on gradients."""

import math

import numpy as np

from ..cells import CELLS
from ..config import Config
from ..errors import ConfigError
from ..nn.initialisation import initialise
from ..nn.network import Network
from .gradient_flow import WARM_UP, Rows, check_amounts

VOCABULARY = 65  # symbols, the same number as in `fastrnn bench`


def untrained_network(config: Config, scale: float = 1.0, keep_bias: float | None = None) -> Network:
    """Create a network with the initial weights of a training run.

    Args:
        config: The configuration; without ``hidden`` the network has 64 units.
        scale: A factor for the recurrent weights.
        keep_bias: The bias of the gate that keeps the state, None for the usual one: the LSTM's forget
            gate, the GRU's z; the simplified GRU's u gets its negative, because there u near 0 keeps.

    Returns:
        The network.

    Raises:
        ConfigError: The cell has no such gate, or a number is not finite.
    """
    keep_gate = CELLS[config.cell].keep_gate
    if keep_bias is not None and keep_gate is None:
        cells = ", ".join(name for name, spec in CELLS.items() if spec.keep_gate)
        raise ConfigError(f"cell {config.cell} has no gate that keeps its state; --keep-bias goes with {cells}")
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
            # The gate's rows of the stacked bias (gates * H,).
            rows = slice(gate * network.shape.hidden, (gate + 1) * network.shape.hidden)
            network.parameters[f"rnn.bias_ih_l{n}"][rows] = sign * keep_bias
    return network


def random_rows(lags: int = 64, rows: int = 32, seed: int = 1) -> Rows:
    """Random symbols for an untrained network: warm-up from a zero state, then ``lags`` steps."""
    check_amounts(lags, rows)
    rng = np.random.default_rng(seed)
    text = rng.integers(VOCABULARY, size=(WARM_UP + lags + 1, rows)).astype(np.int32)
    return Rows(text[:-1], text[-1], np.zeros((WARM_UP + 1, rows), np.bool_))
