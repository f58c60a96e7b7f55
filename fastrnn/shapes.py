"""Names and shapes of parameters. They are torch.nn's, so weights can be exchanged both ways.

Letters: F input features, H hidden units, V vocabulary, G gates, L layers, D directions, M inputs
and K outputs of a linear layer.
"""

from dataclasses import dataclass

from .cells import CELLS

Shapes = dict[str, tuple[int, ...]]
NGRAM_WEIGHT = "weight_ngram"  # kind of the rows that are added for n-grams


@dataclass(frozen=True)
class StackShape:
    """Sizes that determine every array of a stack of layers.

    Args:
        cell: Name of the cell.
        layers: L.
        hidden: H, per direction.
        inputs: V of one-hot tokens, or F of dense input.
        one_hot: Whether the input is one-hot ids.
        bidirectional: Whether D is 2.
        prefix: First part of the parameters' names.
        ngrams: N, the number of n-grams that the first layer reads beside one-hot ids, see
            `fastrnn.data.text.ngrams`.
    """

    cell: str
    layers: int
    hidden: int
    inputs: int
    one_hot: bool = False
    bidirectional: bool = False
    prefix: str = "rnn"
    ngrams: int = 0

    @property
    def gates(self) -> int:
        return CELLS[self.cell].gate_count

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Suffix of the parameters' names for each direction."""
        return ("", "_reverse") if self.bidirectional else ("",)

    @property
    def outputs(self) -> int:
        """D*H, the width of the concatenated outputs of all directions."""
        return len(self.suffixes) * self.hidden

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the weights whose columns one-hot ids select."""
        return tuple(f"{self.prefix}.weight_ih_l0{suffix}" for suffix in self.suffixes) if self.one_hot else ()

    def features(self, n: int) -> int:
        """Return F, the input width of layer n."""
        return self.inputs if n == 0 else self.outputs


@dataclass(frozen=True)
class ModelShape:
    """Sizes that determine every array of a language model: cell, L, H and V, and N n-grams as further inputs."""

    cell: str
    layers: int
    hidden: int
    vocab: int
    prefix: str = "rnn"
    ngrams: int = 0

    @property
    def gates(self) -> int:
        return CELLS[self.cell].gate_count

    @property
    def stack(self) -> StackShape:
        """The layers below the output layer."""
        return StackShape(
            self.cell, self.layers, self.hidden, self.vocab, one_hot=True, prefix=self.prefix, ngrams=self.ngrams
        )

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the weights whose columns one-hot ids select."""
        return self.stack.tables

    @property
    def small_tables(self) -> tuple[str, ...]:
        """Empty: a language model has no embeddings."""
        return ()


def language_model_shapes(shape: ModelShape) -> Shapes:
    """Return parameter name -> shape of a language model, in the order of the flat array.

    The stack's parameters, then ``out.weight`` (V, H) and ``out.bias`` (V,).
    """
    return stack_shapes(shape.stack) | linear_shapes("out", shape.hidden, shape.vocab)


def stack_shapes(shape: StackShape) -> Shapes:
    """Return parameter name -> shape of a stack.

    For each layer ``rnn.weight_ih_l{n}`` (G*H, F), ``rnn.weight_hh_l{n}`` (G*H, H) and two biases
    (G*H,); then the same with ``_reverse`` for the backward direction. F is D*H above the first
    layer. Gate order: torch.nn's i, f, g, o for the LSTM and r, z, n for the GRU; u, c (update
    gate, candidate) for the simplified GRU. The normed LSTM has ``rnn.gain_l{n}`` and
    ``rnn.bias_l{n}`` (G*H,) instead of the biases. A dense layer has ``weight_ih`` and ``bias_ih``
    only. With n-grams the first layer also has ``rnn.weight_ngram_l0`` (N, G*H), whose rows are
    added to the product with ``weight_ih`` where their n-grams end.
    """
    spec = CELLS[shape.cell]
    rows = shape.gates * shape.hidden
    shapes: Shapes = {}
    for n in range(shape.layers):
        for suffix in shape.suffixes:
            # The order of torch.nn: all weights of a direction, then its biases; a dense layer has no recurrent ones.
            own: Shapes = {"weight_ih": (rows, shape.features(n))}
            if spec.is_recurrent:
                own["weight_hh"] = (rows, shape.hidden)
            own |= dict.fromkeys(spec.vectors, (rows,))
            if shape.ngrams and n == 0:
                own[NGRAM_WEIGHT] = (shape.ngrams, rows)
            shapes |= {f"{shape.prefix}.{name}_l{n}{suffix}": size for name, size in own.items()}
    return shapes


def linear_shapes(name: str, inputs: int, outputs: int) -> Shapes:
    """Return the shapes of ``weight`` (K, M) and ``bias`` (K,) of a linear layer."""
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
