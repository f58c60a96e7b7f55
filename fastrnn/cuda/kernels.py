"""Every kernel of the GPU, under the names that a device must bring (see `fastrnn.backend`).

Those that only the labelled tasks need are not here yet.
"""

from .dropout import dropout
from .embedding import table_backward, table_forward
from .generate import generate
from .gradient import layer_gradient, weight_gradient
from .gru import GRU, SimplifiedGRU
from .loss import bias_backward, output_forward, output_loss
from .lstm import LSTM
from .matmul import PEAK, multiply_repeatedly
from .meeting import MEETING, call_off, meetings
from .memory import clone, copy, synchronize, to_device, to_host, zeros
from .packing import pack, packed_size, panels
from .pool import Pool
from .rnn import ReluRNN, TanhRNN
from .target import TARGET
from .update import BLOCK, adagrad, adamw, momentum, rmsprop, sgd, sums_of_squares
from .walk import layer_backward, layer_forward

__all__ = [
    "BLOCK", "CELLS", "KERNELS", "MEETING", "PEAK", "PROCESSES", "TARGET", "TASKS", "Pool", "adagrad", "adamw",
    "bias_backward", "call_off", "clone", "copy", "dropout", "generate", "layer_backward", "layer_forward",
    "layer_gradient", "meetings", "momentum", "multiply_repeatedly", "output_forward", "output_loss", "pack",
    "packed_size", "panels", "rmsprop", "sgd", "sums_of_squares", "synchronize", "table_backward", "table_forward",
    "to_device", "to_host", "weight_gradient", "zeros",
]  # fmt: skip

CELLS = {"rnn": TanhRNN, "rnn-relu": ReluRNN, "gru": GRU, "gru-simplified": SimplifiedGRU, "lstm": LSTM}
TASKS = False  # whether the labelled tasks run here
KERNELS = None  # where compiled kernels are kept: numba-cuda knows
PROCESSES = False  # whether many processes may train one model here
