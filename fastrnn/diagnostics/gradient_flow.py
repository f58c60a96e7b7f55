"""Gradient flow through time: the gradient of the last step's loss with respect to each earlier state.

The plain network's state depends on an earlier one through a product of factors,

    dE_T/ds_k = dE_T/ds_T (product over j = k+1 .. T of ds_j/ds_{j-1}),     ds_j/ds_{j-1} = diag(f'(a_j)) W_hh

so its size decays or grows exponentially with T - k (Bengio, Simard, Frasconi 1994; Pascanu, Mikolov, Bengio 2013).
The LSTM's cell and the GRU's state have a path beside W_hh, on which the factor is a gate.

The gradient is exact: for each lag k the last k steps are run as a window of their own from the state
that precedes them, and back-propagation gives the gradient of that initial state.
"""

import importlib.util
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..cells import CELLS, GATED_CELLS
from ..config import Config
from ..data.text.bptt import Window
from ..data.text.corpus import Corpus
from ..errors import ConfigError, InputError, OutputError
from ..nn.network import Network
from ..nn.parameters import gate_of, initialise
from ..plain import check_whole

WARM_UP = 64  # tokens read before the K analysed steps, so that their first state is a typical one
VOCABULARY = 65  # symbols, the same number as in `fastrnn bench`
_MOST = 65536  # of lags and of rows, as of the settings ``seq`` and ``batch``
Ids = npt.NDArray[np.int32]
Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Rows:
    """Excerpts of a text, analysed as one batch of B rows.

    Attributes:
        ids: (W+K, B) int32: W tokens of warm-up, then the K analysed steps.
        targets: (B,) int32: the target of the last step.
        resets: (W+1, B) bool: whether the state is zeroed before a step, up to the first of the K.
    """

    ids: Ids
    targets: Ids
    resets: npt.NDArray[np.bool_]

    @property
    def lags(self) -> int:
        """K, the number of analysed steps."""
        return len(self.ids) - len(self.resets) + 1


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """The size of the gradient with respect to the states at each lag.

    Attributes:
        norms: "h", and "c" for the LSTM, -> (L, K) float64. Column k-1 is the L2 norm over the H units,
            averaged over the rows, of the gradient of a row's last loss (nats) with respect to the state
            that enters the k-th step from the end. Truncation to k-1 steps would cut this gradient off.
        rows: B, the number of excerpts.
    """

    norms: dict[str, Array]
    rows: int

    @property
    def lags(self) -> int:
        """K, the number of analysed steps."""
        return int(self.norms["h"].shape[1])

    def factor(self, name: str, layer: int) -> float:
        """Return the factor of the gradient for each step back: the geometric mean over lags 1 to K.

        NaN for one lag and for a zero gradient.
        """
        first, last = self.norms[name][layer][[0, -1]]
        return float((last / first) ** (1 / (self.lags - 1))) if self.lags > 1 and first > 0 else math.nan


def check_amounts(lags: int, rows: int) -> tuple[int, int]:
    """Convert both to int. Raises `ConfigError` unless they are from 1 to 65,536."""
    return check_whole("lags", lags, 1, _MOST), check_whole("rows", rows, 1, _MOST)


def choose_rows(corpus: Corpus, lags: int = 64, rows: int = 32) -> Rows:
    """Choose excerpts spread evenly over a text.

    Args:
        corpus: The text.
        lags: K, the number of steps to analyse; no document starts between them.
        rows: The number of excerpts; fewer if the text has fewer.

    Returns:
        The excerpts with their warm-up.

    Raises:
        ConfigError: A number is below 1 or above 65,536.
        InputError: No document has K+1 tokens.
    """
    lags, rows = check_amounts(lags, rows)
    lengths = np.diff(np.append(corpus.starts, len(corpus)))
    places = np.maximum(lengths - lags, 0)  # possible first steps in each document
    total = int(places.sum())
    if total == 0:
        raise InputError(f"no document of the text has {lags + 1} tokens; use a longer text, or fewer --lags")

    # The excerpts are numbered through all documents; each number gives a document and an offset in it.
    rank = np.arange(min(rows, total)) * total // min(rows, total)
    document = np.searchsorted(np.cumsum(places), rank, side="right")
    first = corpus.starts[document] + rank - (np.cumsum(places) - places)[document]

    # Before the beginning of the text its first token is repeated; the document start resets the state.
    at = first + np.arange(-WARM_UP, lags)[:, None]
    ids = np.take(corpus.ids, at, mode="clip").astype(np.int32)
    resets = np.isin(at[: WARM_UP + 1], corpus.starts)
    return Rows(ids, corpus.ids[first + lags].astype(np.int32), resets)


def compute_gradient_flow(network: Network, rows: Rows) -> GradientFlow:
    """Compute the gradient norms of every layer and lag; overwrites the arrays of ``network``."""
    lags, batch = rows.lags, rows.ids.shape[1]
    ids = rows.ids[-lags:]
    states = _collect_states(network, rows)
    norms = {name: np.empty((network.shape.layers, lags)) for name in states}
    for lag in range(1, lags + 1):
        start = lags - lag
        targets = np.full((lag, batch), -1, np.int32)
        targets[-1] = rows.targets
        state = {name: array[:, start].copy() for name, array in states.items()}
        if network.shape.ngrams:
            state["before"] = _tokens_before(network, rows, len(rows.ids) - lag)
        network.train_step_gradients(Window(np.ascontiguousarray(ids[start:]), targets, None), state)
        for name, gradient in network.dstate.items():
            # The loss is a mean over the rows; the gradient of a row's own loss is ``batch`` times as large.
            sizes = np.linalg.norm(gradient.astype(np.float64) * batch, axis=2)
            norms[name][:, lag - 1] = sizes.mean(axis=1)
    return GradientFlow(norms, batch)


def _collect_states(network: Network, rows: Rows) -> dict[str, Array]:
    """Return the states that enter the K steps: name -> (L, K, B, H)."""
    warm = len(rows.resets) - 1
    batch = rows.ids.shape[1]
    state = network.initial_state(batch)
    if warm:
        x = np.ascontiguousarray(rows.ids[:warm])
        network.loss(x, np.full_like(x, -1), np.ascontiguousarray(rows.resets[:warm], np.uint8), state)
    for array in state.values():
        array[:, rows.resets[warm]] = 0
    x = np.ascontiguousarray(rows.ids[warm:])
    network.loss(x, np.full_like(x, -1), None, state)
    names = CELLS[network.shape.cell].states
    return {name: np.stack([getattr(layer.cell, name)[:-1] for layer in network.layers]) for name in names}


def _tokens_before(network: Network, rows: Rows, step: int) -> Array:
    """Return the last tokens before a step, from which n-grams may begin; see `Network.initial_state`."""
    state = network.initial_state(rows.ids.shape[1])
    resets = np.zeros(rows.ids.shape, np.uint8)
    resets[: len(rows.resets)] = rows.resets
    if step:
        network.ngram_embedding.lookup(rows.ids[:step], resets[:step], state)
    before: Array = state["before"]
    before[0, resets[step].astype(bool)] = 0
    return before


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
        cells = ", ".join(GATED_CELLS)
        raise ConfigError(f"cell {config.cell} has no gate that keeps its state; --keep-bias requires {cells}")
    for name, value in (("scale", scale), ("keep_bias", keep_bias or 0.0)):
        if not math.isfinite(value):
            raise ConfigError(f"{name} is {value:g}; it must be a finite number")
    config = config if config.hidden is not None else config.replace(hidden=64)
    network = Network.from_config(config, VOCABULARY)
    rng = np.random.default_rng(config.seed)
    slow_units = CELLS[config.cell].slow_units if config.slow_units is None else config.slow_units
    initialise(network.parameters, network.shape, config.init, rng, slow_units=slow_units)
    for n in range(network.shape.layers):
        network.parameters[f"rnn.weight_hh_l{n}"][...] *= scale
        if keep_bias is not None and keep_gate is not None:
            name, sign = keep_gate
            bias = network.parameters[f"rnn.{CELLS[config.cell].bias}_l{n}"]
            gate_of(bias, CELLS[config.cell], name)[:] = sign * keep_bias
    return network


def random_rows(lags: int = 64, rows: int = 32, seed: int = 1) -> Rows:
    """Return random symbols for an untrained network: warm-up from a zero state, then ``lags`` steps."""
    lags, rows = check_amounts(lags, rows)
    rng = np.random.default_rng(seed)
    text = rng.integers(VOCABULARY, size=(WARM_UP + lags + 1, rows)).astype(np.int32)
    return Rows(text[:-1], text[-1], np.zeros((WARM_UP + 1, rows), np.bool_))


def check_matplotlib() -> None:
    """Raise `OutputError` if matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise OutputError("a PNG needs matplotlib, which is not installed here: pip install 'fastrnn[plot]'")


def flow_png(curves: Mapping[str, npt.ArrayLike], title: str) -> bytes:
    """Plot curves, label -> (K,) norms at lags 1..K, on a logarithmic axis without zeros; returns a PNG."""
    check_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for label, values in curves.items():
        norms = np.asarray(values, np.float64)
        positive = np.where((norms > 0) & np.isfinite(norms), norms, np.nan)
        axes.plot(np.arange(1, len(norms) + 1), positive, label=label)
    axes.set_yscale("log")
    axes.set_xlabel("steps back from the loss")
    axes.set_ylabel("norm of the gradient")
    axes.set_title(title)
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
