"""Every kernel of the CPU, under the names that a device must bring (see `fastrnn.backend`)."""

from .cache import kernel_folder
from .dense import linear_backward, tanh_backward, tanh_forward
from .dropout import dropout
from .embedding import table_backward, table_forward
from .generate import generate
from .gradient import layer_gradient, weight_gradient
from .gru import GRU, SimplifiedGRU
from .lookup import lookup, lookup_backward
from .loss import bias_backward, output_forward, output_loss
from .lstm import LSTM
from .matmul import PEAK, multiply_repeatedly
from .meeting import MEETING, call_off, meetings
from .memory import clone, copy, synchronize, to_device, to_host, zeros
from .packing import pack, packed_size, panels
from .pool import Pool, default_threads
from .rnn import ReluRNN, TanhRNN
from .scores import binary_cross_entropy, log_softmax, probabilities, squared_error
from .sequences import add_gathered, gather, join, split, summary, summary_backward
from .target import TARGET
from .update import BLOCK, adagrad, adamw, momentum, rmsprop, sgd, sums_of_squares
from .walk import layer_backward, layer_forward

__all__ = [
    "BLOCK", "CELLS", "KERNELS", "MEETING", "PEAK", "PROCESSES", "TARGET", "TASKS", "Pool", "adagrad", "adamw",
    "add_gathered", "bias_backward", "binary_cross_entropy", "call_off", "clone", "copy", "default_threads", "dropout",
    "gather", "generate", "join", "layer_backward", "layer_forward", "layer_gradient", "linear_backward", "log_softmax",
    "lookup", "lookup_backward", "meetings", "momentum", "multiply_repeatedly", "output_forward",
    "output_loss", "pack", "packed_size", "panels", "probabilities", "rmsprop", "sgd", "split", "squared_error",
    "summary", "summary_backward", "sums_of_squares", "synchronize", "table_backward", "table_forward", "tanh_backward",
    "tanh_forward", "to_device", "to_host", "weight_gradient", "zeros",
]  # fmt: skip

CELLS = {"rnn": TanhRNN, "rnn-relu": ReluRNN, "gru": GRU, "gru-simplified": SimplifiedGRU, "lstm": LSTM}
TASKS = True  # whether the labelled tasks run here
KERNELS = kernel_folder()  # where compiled kernels are kept, or None
PROCESSES = True  # whether many processes may train one model here
