"""Every kernel of the CPU, under the names that a device must bring (see `fastrnn.backend`)."""

from .dropout import dropout
from .embedding import table_backward, table_forward
from .generate import generate
from .gradient import layer_gradient, weight_gradient
from .gru import GRU, SimplifiedGRU
from .loss import bias_backward, output_forward, output_loss
from .lstm import LSTM
from .matmul import multiply_repeatedly
from .memory import aligned as zeros
from .packing import pack, packed_size, panels
from .pool import Pool
from .rnn import ReluRNN, TanhRNN
from .target import TARGET
from .update import BLOCK, adagrad, adamw, momentum, rmsprop, sgd, sums_of_squares
from .walk import layer_backward, layer_forward

__all__ = [
    "BLOCK", "CELLS", "TARGET", "Pool", "adagrad", "adamw", "bias_backward", "dropout", "generate", "layer_backward",
    "layer_forward", "layer_gradient", "momentum", "multiply_repeatedly", "output_forward", "output_loss", "pack",
    "packed_size", "panels", "rmsprop", "sgd", "sums_of_squares", "table_backward", "table_forward",
    "weight_gradient", "zeros",
]  # fmt: skip

CELLS = {"rnn": TanhRNN, "rnn-relu": ReluRNN, "gru": GRU, "gru-simplified": SimplifiedGRU, "lstm": LSTM}
