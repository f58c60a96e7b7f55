"""Public kernels of the CPU, the `fastrnn.kernels.backend.Backend` of this device."""

from ..cell_math import UNIT_BLOCK
from .activations import tanh_backward, tanh_forward
from .barrier import BARRIER, abort, barriers
from .disk_cache import kernel_folder
from .embedding import embedding_backward, embedding_forward, table_backward, table_forward
from .generate import generate
from .gru import GRU, SimplifiedGRU
from .lstm import LSTM
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
from .output_losses import (
    bias_backward,
    binary_cross_entropy,
    linear_backward,
    log_softmax,
    output_forward,
    output_loss,
    probabilities,
    squared_error,
)
from .packing import pack, packed_size, panels
from .recurrence import layer_backward, layer_forward
from .rnn import ReluRNN, TanhRNN
from .sequence_ops import dropout, gather, gather_add, join, pool_backward, pool_sequence, split
from .target import TARGET
from .thread_pool import Pool, default_threads
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
    "binary_cross_entropy",
    "clear",
    "clear_rows",
    "clone",
    "copy",
    "copy_state",
    "default_threads",
    "dropout",
    "embedding_backward",
    "embedding_forward",
    "gather",
    "gather_add",
    "generate",
    "join",
    "layer_backward",
    "layer_forward",
    "layer_gradient",
    "linear_backward",
    "log_softmax",
    "momentum",
    "multiply_repeatedly",
    "norm_gradient",
    "output_forward",
    "output_loss",
    "pack",
    "packed_size",
    "panels",
    "pool_backward",
    "pool_sequence",
    "probabilities",
    "rmsprop",
    "sgd",
    "split",
    "squared_error",
    "sums_of_rows",
    "sums_of_squares",
    "synchronize",
    "table_backward",
    "table_forward",
    "tanh_backward",
    "tanh_forward",
    "to_device",
    "to_host",
    "weight_gradient",
    "zeros",
]  # fmt: skip

# the cells that this device runs, by their names in `fastrnn.cells`
CELLS = {
    "rnn": TanhRNN,
    "rnn-relu": ReluRNN,
    "gru": GRU,
    "gru-simplified": SimplifiedGRU,
    "lstm": LSTM,
    "lstm-norm": LSTMNorm,
}
COMPILES_AHEAD = True  # whether kernels depend on types only, and not on sizes that a run chooses
TASKS = True  # whether supervised tasks run on this device
KERNELS = kernel_folder()  # folder of cached kernels, or None
PROCESSES = True  # whether several processes can train one model on this device
