"""Names and shapes of a model's parameters: torch.nn's, so that weights load there and back.

Letters: F input features, H hidden units, V vocabulary, G gates, L layers.
"""

from dataclasses import dataclass

GATES = {"rnn": 1, "rnn-relu": 1, "gru": 3, "gru-simplified": 2, "lstm": 4}
STATES = {"rnn": ("h",), "rnn-relu": ("h",), "gru": ("h",), "gru-simplified": ("h",), "lstm": ("h", "c")}


@dataclass(frozen=True)
class ModelShape:
    """What decides every array of a language model: cell, L, H and V."""

    cell: str
    layers: int
    hidden: int
    vocab: int

    @property
    def gates(self) -> int:
        return GATES[self.cell]


def parameter_shapes(shape: ModelShape) -> dict[str, tuple[int, ...]]:
    """Parameter name -> shape, in the order in which they lie in the flat array.

    ``rnn.weight_ih_l{n}`` (G*H, F), ``rnn.weight_hh_l{n}`` (G*H, H), two biases (G*H,), then ``out.weight`` (V, H) and
    ``out.bias`` (V,). F is V in the first layer (one-hot input) and H above it. Gate order: torch.nn's i,f,g,o for
    the LSTM and r,z,n for the GRU; u,c (update gate, candidate) for the simplified GRU.
    """
    rows, hidden = shape.gates * shape.hidden, shape.hidden
    shapes: dict[str, tuple[int, ...]] = {}
    for n in range(shape.layers):
        shapes[f"rnn.weight_ih_l{n}"] = (rows, shape.vocab if n == 0 else hidden)
        shapes[f"rnn.weight_hh_l{n}"] = (rows, hidden)
        shapes[f"rnn.bias_ih_l{n}"] = (rows,)
        shapes[f"rnn.bias_hh_l{n}"] = (rows,)
    shapes["out.weight"] = (shape.vocab, hidden)
    shapes["out.bias"] = (shape.vocab,)
    return shapes
