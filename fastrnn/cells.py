"""The cells: names, layout and defaults of each, in the table `CELLS`.

To add a cell:

1. Add its `CellSpec` to `CELLS`.
2. Add the arithmetic of one hidden unit to `fastrnn.kernels.cell_math`.
3. Compile that for each device (as `fastrnn.kernels.cpu.lstm` does) and list it under the cell's
   name in the ``CELLS`` of the device's ``ops`` module.
4. Add its textbook step to `fastrnn.reference.model.CELLS`.

`tests/nn/test_toy_cell.py` does this for a minimal gated unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class CellSpec:
    """Names, layout and defaults of one cell.

    Args:
        gates: Names of the G gates in the order of torch.nn's weights: rows ``k*H`` to ``(k+1)*H``
            of ``weight_ih`` and ``weight_hh`` belong to gate ``k``.
        states: Names of the state arrays (B, H) passed from step to step; empty: feed-forward.
        column_blocks: Blocks of H columns in the kernels' gate array (T, B, column_blocks * H).
            More than G if the input's and the state's part of a gate are stored separately, as
            for the candidate of the GRU.
        input_order: Index of the gate whose rows of ``weight_ih`` fill block k, for the first G
            blocks. The recurrent product always fills the last G blocks, in the order of ``gates``.
        sigmoid_gates: Gate name -> block that holds its value in 0..1 after a forward pass.
        keep_gate: Gate whose bias controls how much of the old state is kept, and the sign of the
            bias that keeps more.
        ones_bias: Gate whose bias is initialised to 1 instead of 0.
        slow_units: Default share of units that forget slowly at the start, see `fastrnn.nn.parameters.initialise`;
            from the trials "Slow units" of docs/internals/autotuning.md.
        reads_ngrams: Whether a language model of characters or bytes reads n-grams by default; from the trials
            "N-grams" of docs/internals/autotuning.md.
        default_init: Initialization of the recurrent weights where none is chosen.
        learning_rate_factor: Default learning rate relative to that of the gated cells; for a language
            model that learns with Adam, ``text_learning_rate`` counts instead.
        text_learning_rate: Default peak learning rate of Adam for a language model of one layer of up
            to 256 units. From the trials in docs/internals/autotuning.md.
        text_weight_decay: Default weight decay of AdamW for a language model, from the same trials. Without it
            the c of an LSTM, which nothing bounds, may grow forever on a text that is new to it. That of a
            normed cell depends on the run: `fastrnn.training.hyperparameters.default_weight_decay`.
        output_bounds: An output at or beyond one of these bounds counts as saturated.
        vectors: Kinds of the parameter vectors (G*H,) of a layer. ``gain``: the pre-activations
            are normalised, and the bias is added after that.
    """

    gates: tuple[str, ...]
    states: tuple[str, ...]
    column_blocks: int
    input_order: tuple[int, ...]
    sigmoid_gates: Mapping[str, int] = field(default_factory=dict)
    keep_gate: tuple[str, int] | None = None
    ones_bias: str | None = None
    slow_units: float = 0.0
    reads_ngrams: bool = False
    default_init: str = "orthogonal"
    learning_rate_factor: float = 1.0
    text_learning_rate: float = 0.004
    text_weight_decay: float = 0.0
    output_bounds: tuple[float, float] = (-0.9, 0.9)
    vectors: tuple[str, ...] = ("bias_ih", "bias_hh")

    @property
    def gate_count(self) -> int:
        """G, the number of gates."""
        return len(self.gates)

    @property
    def is_recurrent(self) -> bool:
        """Whether a step depends on the previous one."""
        return bool(self.states)

    @property
    def is_gated(self) -> bool:
        """Whether a gate controls how much of the old state is kept."""
        return self.keep_gate is not None

    @property
    def is_normed(self) -> bool:
        """Whether each gate's pre-activations are normalised over the units."""
        return "gain" in self.vectors

    @property
    def bias(self) -> str:
        """Kind of the bias that `ones_bias` initialises; of two biases the first."""
        return next(kind for kind in self.vectors if kind.startswith("bias"))

    @property
    def has_cell_state(self) -> bool:
        """Whether the state has a c besides the output h."""
        return "c" in self.states


_LSTM = CellSpec(
    gates=("i", "f", "g", "o"),
    states=("h", "c"),
    column_blocks=4,
    input_order=(0, 1, 2, 3),
    sigmoid_gates={"i": 0, "f": 1, "o": 3},
    keep_gate=("f", 1),
    ones_bias="f",
    text_learning_rate=0.024,
    text_weight_decay=0.02,
)

CELLS: dict[str, CellSpec] = {
    # Elman (1990). Without gates, gradients explode and vanish faster: a smaller learning rate.
    "rnn": CellSpec(
        gates=("h",),
        states=("h",),
        column_blocks=1,
        input_order=(0,),
        learning_rate_factor=0.25,
        text_learning_rate=0.006,
    ),
    # A scaled identity, after Le, Jaitly and Hinton (2015).
    "rnn-relu": CellSpec(
        gates=("h",),
        states=("h",),
        column_blocks=1,
        input_order=(0,),
        default_init="identity",
        learning_rate_factor=0.25,
        text_learning_rate=0.002,
        output_bounds=(0.0, float("inf")),
    ),
    # Cho et al. (2014), with the reset gate after the product, as in cuDNN and torch.nn.
    # Blocks: n from x, r, z, n from h.
    "gru": CellSpec(
        gates=("r", "z", "n"),
        states=("h",),
        column_blocks=4,
        input_order=(2, 0, 1),
        sigmoid_gates={"r": 1, "z": 2},
        keep_gate=("z", 1),
        text_learning_rate=0.01,
    ),
    # A GRU without a reset gate, as in many lectures; u near 0 keeps the state.
    "gru-simplified": CellSpec(
        gates=("u", "c"),
        states=("h",),
        column_blocks=2,
        input_order=(0, 1),
        sigmoid_gates={"u": 0},
        keep_gate=("u", -1),
        text_learning_rate=0.008,
    ),
    # Hochreiter and Schmidhuber (1997). Forget gates start open (Gers et al. 2000; Jozefowicz et
    # al. 2015).
    "lstm": _LSTM,
    # The LSTM of Bellard's NNCP (2019): gates normalised, input gate at most 1 - f, no tanh of c.
    "lstm-norm": replace(_LSTM, vectors=("gain", "bias"), text_learning_rate=0.016, slow_units=0.1, reads_ngrams=True),
    # tanh(W x + b) at each step: a feed-forward baseline.
    "dense": CellSpec(gates=("h",), states=(), column_blocks=1, input_order=(0,), vectors=("bias_ih",)),
}

# Names of the cells with a gate that controls how much of the old state is kept, and of those with a state.
GATED_CELLS = tuple(name for name, spec in CELLS.items() if spec.is_gated)
RECURRENT_CELLS = tuple(name for name, spec in CELLS.items() if spec.is_recurrent)
