"""Public kernels of the GPU, the `fastrnn.kernels.backend.Backend` of this device.

Kernels that only supervised tasks use are not implemented. A GPU has its own threads: one host thread
launches every kernel for all rows and units, so the pool and the barriers of this device do nothing.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..cell_math import UNIT_BLOCK
from ..cpu.thread_pool import WHOLE, Part
from .cells import GRU, LSTM, ReluRNN, SimplifiedGRU, TanhRNN
from .embedding import table_backward, table_forward
from .generate import generate
from .lstm_norm import LSTMNorm, norm_gradient
from .matmul import PEAK, multiply_repeatedly
from .memory import clear, clone, copy, copy_state, synchronize, to_device, to_host, zeros
from .optimizers import (
    BLOCK,
    adagrad,
    adamw,
    adamw_rows,
    clear_rows,
    momentum,
    rmsprop,
    sgd,
    sums_of_rows,
    sums_of_squares,
)
from .output_losses import bias_backward, output_forward, output_loss
from .packing import pack, packed_size, panels
from .recurrence import layer_backward, layer_forward
from .sequence_ops import dropout
from .target import TARGET
from .weight_gradient import layer_gradient, weight_gradient

__all__ = [
    "BARRIER",
    "BLOCK",
    "CELLS",
    "COMPILES_AHEAD",
    "KERNELS",
    "PEAK",
    "PROCESSES",
    "TARGET",
    "TASKS",
    "UNIT_BLOCK",
    "Pool",
    "abort",
    "adagrad",
    "adamw",
    "adamw_rows",
    "barriers",
    "bias_backward",
    "clear",
    "clear_rows",
    "clone",
    "copy",
    "copy_state",
    "dropout",
    "generate",
    "layer_backward",
    "layer_forward",
    "layer_gradient",
    "momentum",
    "multiply_repeatedly",
    "norm_gradient",
    "output_forward",
    "output_loss",
    "pack",
    "packed_size",
    "panels",
    "rmsprop",
    "sgd",
    "sums_of_rows",
    "sums_of_squares",
    "synchronize",
    "table_backward",
    "table_forward",
    "to_device",
    "to_host",
    "weight_gradient",
    "zeros",
]  # fmt: skip

CELLS = {
    "rnn": TanhRNN,
    "rnn-relu": ReluRNN,
    "gru": GRU,
    "gru-simplified": SimplifiedGRU,
    "lstm": LSTM,
    "lstm-norm": LSTMNorm,
}
COMPILES_AHEAD = False  # whether kernels depend on types only, and not on sizes that a run chooses
TASKS = False  # whether supervised tasks run on this device
KERNELS = None  # numba-cuda has its own cache of compiled kernels
PROCESSES = False  # whether several processes can train one model on this device
BARRIER = False  # no host thread waits for another


def barriers(threads: int) -> np.ndarray[Any, Any]:
    """See `fastrnn.kernels.cpu.barrier`."""
    return np.zeros(threads, np.int64)


def abort(counts: Any) -> None:
    """Does nothing: no host thread waits."""


class Pool:
    """A single host thread launches the kernels; ``threads`` is ignored."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = 1

    def together(self, work: Callable[[Part], None]) -> None:
        """Call ``work`` for the whole."""
        work(WHOLE)

    def divide(self, cell: Any, weights: Any, rows: int) -> tuple[int, int]:
        """One host thread does all."""
        return 1, 1

    def each(self, work: Callable[[Part], None], on_error: Callable[[], None] | None = None) -> None:
        """Call ``work`` for the only part."""
        work(WHOLE)
