"""Everything known about a cell apart from its arithmetic: one `CellSpec` each, in the table `CELLS`.

The arithmetic of one hidden unit is in `fastrnn.kernels.cell_math`; each device compiles it (`fastrnn.kernels.cpu.lstm`
and so on) and lists it under the cell's name in the ``CELLS`` of its ``ops`` module. To add a cell, add its spec here,
its arithmetic there, and its step to `fastrnn.reference.layer.CELLS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CellSpec:
    """Names, layout and defaults of one cell.

    Args:
        gates: Names of the G gates in the order of torch.nn's weights: rows ``k*H`` to ``(k+1)*H`` of ``weight_ih`` and
            ``weight_hh`` belong to gate ``k``.
        states: Names of the arrays (B, H) that a step hands to the next.
        column_blocks: Blocks of H columns in the kernels' gate array (T, B, column_blocks * H). More than G where the
            input's and the state's share of a gate are kept apart, as for the candidate of the GRU.
        input_order: Gate whose rows of ``weight_ih`` fill block k, for the first G blocks. The recurrent product
            always fills the last G blocks, in the order of ``gates``.
        sigmoid_gates: Gate name -> block that holds its value in 0..1 after a forward pass.
        keep_gate: Gate whose bias decides how much of the old state is kept, and the sign of the bias that keeps more.
        ones_bias: Gate whose bias starts at 1 instead of 0.
        identity_scale: Start recurrent weights as this multiple of the identity; None: orthogonal or uniform.
        learning_rate_factor: Default learning rate relative to that of the gated cells.
        output_bounds: An output at or beyond one of these counts as saturated.
    """

    gates: tuple[str, ...]
    states: tuple[str, ...]
    column_blocks: int
    input_order: tuple[int, ...]
    sigmoid_gates: Mapping[str, int] = field(default_factory=dict)
    keep_gate: tuple[str, int] | None = None
    ones_bias: str | None = None
    identity_scale: float | None = None
    learning_rate_factor: float = 1.0
    output_bounds: tuple[float, float] = (-0.9, 0.9)

    @property
    def gate_count(self) -> int:
        """G."""
        return len(self.gates)

    @property
    def is_recurrent(self) -> bool:
        """Whether a step depends on the one before it."""
        return bool(self.states)

    @property
    def has_cell_state(self) -> bool:
        """Whether there is a c beside the output h."""
        return "c" in self.states


CELLS: dict[str, CellSpec] = {
    # Elman (1990). Without gates the gradient grows and shrinks faster, hence the smaller learning rate.
    "rnn": CellSpec(
        gates=("h",),
        states=("h",),
        column_blocks=1,
        input_order=(0,),
        learning_rate_factor=0.25,
    ),
    # A scaled identity (Le, Jaitly and Hinton 2015): at 1 the state summed up one-hot inputs until the loss blew up.
    "rnn-relu": CellSpec(
        gates=("h",),
        states=("h",),
        column_blocks=1,
        input_order=(0,),
        identity_scale=0.5,
        learning_rate_factor=0.25,
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
    ),
    # The lectures' GRU without a reset gate; u near 0 keeps the state.
    "gru-simplified": CellSpec(
        gates=("u", "c"),
        states=("h",),
        column_blocks=2,
        input_order=(0, 1),
        sigmoid_gates={"u": 0},
        keep_gate=("u", -1),
    ),
    # Hochreiter and Schmidhuber (1997). Forget gates start open (Gers et al. 2000; Jozefowicz et al. 2015).
    "lstm": CellSpec(
        gates=("i", "f", "g", "o"),
        states=("h", "c"),
        column_blocks=4,
        input_order=(0, 1, 2, 3),
        sigmoid_gates={"i": 0, "f": 1, "o": 3},
        keep_gate=("f", 1),
        ones_bias="f",
    ),
    # tanh(W x + b) at every step by itself: the feed-forward network to compare with.
    "dense": CellSpec(gates=("h",), states=(), column_blocks=1, input_order=(0,)),
}

# Names of the cells that carry a state.
RECURRENT_CELLS = tuple(name for name, spec in CELLS.items() if spec.is_recurrent)
