"""Public kernels of the GPU, the `fastrnn.kernels.backend.Backend` of this device.

Kernels that only supervised tasks use are not implemented.
"""

from .barrier import BARRIER, abort, barriers
from .dropout import dropout
from .generate import generate
from .gru import GRU, SimplifiedGRU
from .input_table import table_backward, table_forward
from .lstm import LSTM
from .matmul import PEAK, multiply_repeatedly
from .memory import clear, clone, copy, copy_state, synchronize, to_device, to_host, zeros
from .optimizers import BLOCK, adagrad, adamw, momentum, rmsprop, sgd, sums_of_squares
from .output_losses import bias_backward, output_forward, output_loss
from .packing import pack, packed_size, panels
from .recurrence import layer_backward, layer_forward
from .rnn import ReluRNN, TanhRNN
from .target import TARGET
from .thread_pool import Pool
from .weight_gradient import layer_gradient, weight_gradient

__all__ = [
    "BARRIER",
    "BLOCK",
    "CELLS",
    "KERNELS",
    "PEAK",
    "PROCESSES",
    "TARGET",
    "TASKS",
    "Pool",
    "abort",
    "adagrad",
    "adamw",
    "barriers",
    "bias_backward",
    "clear",
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
    "output_forward",
    "output_loss",
    "pack",
    "packed_size",
    "panels",
    "rmsprop",
    "sgd",
    "sums_of_squares",
    "synchronize",
    "table_backward",
    "table_forward",
    "to_device",
    "to_host",
    "weight_gradient",
    "zeros",
]  # fmt: skip

CELLS = {"rnn": TanhRNN, "rnn-relu": ReluRNN, "gru": GRU, "gru-simplified": SimplifiedGRU, "lstm": LSTM}
TASKS = False  # whether the labelled tasks run here
KERNELS = None  # where compiled kernels are kept: numba-cuda knows
PROCESSES = False  # whether many processes may train one model here
