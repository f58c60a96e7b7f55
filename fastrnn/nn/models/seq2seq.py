"""Models that generate a sequence: a source sets the initial state of a language model."""

from typing import Any, NamedTuple

import numpy as np

from ...cells import CELLS
from ...config import Config
from ...data.examples.dataset import Batch
from ...kernels.cpu.thread_pool import Part
from ...shapes import StackShape
from ..layers import Linear, Rows
from ..network import Network, Shared, TrainingPass
from ..parameters import Array
from ..spec import ModelSpec, decoder_shape
from ..stack import NO_DROPOUT, Dropout, State
from .base import SequenceEncoder, SupervisedModel


class InitialState(NamedTuple):
    """Initial state of the decoder for each example of a batch, and its gradient: name -> (L, B, H)."""

    state: State
    dstate: State


class ConditionalDecoder(SupervisedModel):
    """Base class: ``decoder`` is a language model over the target vocabulary.

    Id 0 starts and ends a sequence. ``options``: ``threads``, ``share_with`` and ``matmul_mode`` of `SupervisedModel`.
    """

    def __init__(self, config: Config, spec: ModelSpec, **options: Any) -> None:
        super().__init__(config, spec, **options)
        # `self` owns the parameters, so that one flat array holds those of the source too
        self.decoder = Network(
            decoder_shape(self.config, self.spec),
            dtype=self.dtype,
            device=self.config.device,
            shared=Shared(self.pool, self.parameters, self.gradients, self.weight_dropout),
            matmul_mode=self.matmul_mode,
        )
        self._first = InitialState({}, {})  # of the loaded batch, see `_load_source`

    def _stack_shapes(self) -> list[StackShape]:
        return [self.decoder.shape.stack]

    def encode(self, batch: Batch) -> State:
        """Return the initial state of the decoder for each example, name -> (L, B, H)."""
        self._first = self._load_source(batch)
        self._pack(False)
        self.pool.together(lambda part: self._encode_rows(part.range(len(batch.lengths)), NO_DROPOUT))
        return {name: array.copy() for name, array in self._first.state.items()}

    def predict(self, batch: Batch) -> Array:
        """Return the log-probabilities (S, B, V) of the token after each step of ``target_in``."""
        self._load(batch)
        self._pack(False)
        assert batch.target_in is not None
        outputs = np.empty((*batch.target_in.shape, self.spec.target_tokens), self.dtype)

        def predict_rows(part: Part) -> None:
            rows = part.range(len(batch.lengths))
            self._encode_rows(rows, NO_DROPOUT)
            self.decoder.set_state(self._first.state, rows)
            self.decoder.out.forward(rows, self.decoder.stack.forward(rows, NO_DROPOUT), outputs)
            self.kernels.log_softmax(outputs, *rows)

        self.pool.together(predict_rows)
        return outputs

    def _load_source(self, batch: Batch) -> InitialState:
        """Set the source of the next pass; return the arrays of the decoder's initial state."""
        raise NotImplementedError

    def _encode_rows(self, rows: Rows, dropout: Dropout) -> None:
        """Compute the initial state of some rows from the source."""
        raise NotImplementedError

    def _encode_rows_backward(self, rows: Rows, dropout: Dropout) -> None:
        """Run backward from the gradient of the initial state of some rows to the source."""
        raise NotImplementedError

    def _load(self, batch: Batch) -> None:
        """Set the batch of the next pass: source and targets."""
        self._first = self._load_source(batch)
        ids, targets = (np.ascontiguousarray(part, np.int32) for part in (batch.target_in, batch.target_out))
        self.decoder.set_window(ids, targets, None)

    def _run(self, batch: Batch, training: TrainingPass | None) -> None:
        self._load(batch)
        self._pack(training is not None)
        self.pool.together(lambda part: self._run_rows(part.range(len(batch.lengths)), training))

    def _run_rows(self, rows: Rows, training: TrainingPass | None) -> None:
        """Run some batch rows forward, and for training backward."""
        dropout = training.dropout if training else NO_DROPOUT
        self._encode_rows(rows, dropout)
        self.decoder.set_state(self._first.state, rows)
        self.decoder.run(rows, training)
        if training is not None:
            self.decoder.stack.get_state_gradient(self._first.dstate, rows)
            self._encode_rows_backward(rows, dropout)

    def _sum_losses(self) -> float:
        return float(self.decoder.losses.sum(dtype=np.float64))

    def _pack_weights(self, part: Part, backward: bool) -> None:
        self.decoder.pack(part, backward)

    def _accumulate(self, part: Part) -> None:
        self.decoder.accumulate(part)


class Condition(NamedTuple):
    """The conditions of a batch, (1, B, K), and the outputs of the linear layers for them.

    Args:
        given: The conditions.
        flat: Outputs of the linear layers, name -> (1, B, L*H); the initial states are views of them.
        dflat: Their gradients.
    """

    given: Array
    flat: State
    dflat: State


class ConditionalGenerator(ConditionalDecoder):
    """generate: a linear layer maps the condition, a label or numbers, to each initial state."""

    def __init__(self, config: Config, spec: ModelSpec, **options: Any) -> None:
        super().__init__(config, spec, **options)
        self.maps = {name: self._make_linear(f"given.{name}") for name in CELLS[config.cell].states}
        self._condition = Condition(np.zeros((1, 0, spec.labels), self.dtype), {}, {})  # see `_load_source`

    def _load_source(self, batch: Batch) -> InitialState:
        given = batch.x
        # Labels, ids (B,), become one-hot vectors.
        numbers = np.eye(self.spec.labels)[given] if given.ndim == 1 else given
        shape = self.decoder.shape
        size = (1, len(given), shape.layers * shape.hidden)
        flat, dflat = ({name: np.zeros(size, self.dtype) for name in self.maps} for _ in range(2))
        self._condition = Condition(np.ascontiguousarray(numbers[None], self.dtype), flat, dflat)

        # Views, so that what the linear layers write is in place, and the decoder's gradient goes straight back.
        state, dstate = ({name: self._by_layer(array) for name, array in part.items()} for part in (flat, dflat))
        return InitialState(state, dstate)

    def _by_layer(self, flat: Array) -> Array:
        """Return (1, B, L*H) as a view (L, B, H)."""
        shape = self.decoder.shape
        view: Array = flat[0].reshape(-1, shape.layers, shape.hidden).swapaxes(0, 1)
        return view

    def _encode_rows(self, rows: Rows, dropout: Dropout) -> None:
        for name, linear in self.maps.items():
            linear.forward(rows, self._condition.given, self._condition.flat[name])

    def _encode_rows_backward(self, rows: Rows, dropout: Dropout) -> None:
        """Do nothing: the condition needs no gradient."""

    def _pack_weights(self, part: Part, backward: bool) -> None:
        super()._pack_weights(part, backward)
        for linear in self.maps.values():
            linear.pack(part, backward)

    def _accumulate(self, part: Part) -> None:
        super()._accumulate(part)
        for name, linear in self.maps.items():
            linear.accumulate(part, self._condition.dflat[name], self._condition.given)


class EncoderStates(NamedTuple):
    """Final state of the encoder for each example of a batch, and the inputs of the bridges; with gradients.

    Args:
        last: Final state, name -> (L*D, B, H).
        dlast: Its gradient.
        joined: Input of each bridge, (state name, layer) -> (1, B, 2H).
        djoined: Its gradient.
    """

    last: State
    dlast: State
    joined: dict[tuple[str, int], Array]
    djoined: dict[tuple[str, int], Array]


class EncoderDecoder(ConditionalDecoder):
    """translate: the encoder's final state is the decoder's initial state (Sutskever et al. 2014).

    For a bidirectional encoder, a linear layer for each layer and state, the bridge, maps both
    directions' final states, (B, 2H), to (B, H).
    """

    def __init__(self, config: Config, spec: ModelSpec, **options: Any) -> None:
        super().__init__(config, spec, **options)
        self.encoder = SequenceEncoder(self.weights, config, spec, "encoder")
        self.bridges: dict[tuple[str, int], Linear] = {}  # (state name, layer) -> linear layer
        if config.bidirectional:
            for name in CELLS[config.cell].states:
                for n in range(self.encoder.stack.shape.layers):
                    self.bridges[name, n] = self._make_linear(f"bridge.{name}_l{n}")
        self._encoded = EncoderStates({}, {}, {}, {})  # see `_load_source`

    def _stack_shapes(self) -> list[StackShape]:
        return [self.encoder.stack.shape, *super()._stack_shapes()]

    def _load_source(self, batch: Batch) -> InitialState:
        self.encoder.set_input(batch.x, batch.lengths)
        rows = len(batch.lengths)
        last, dlast = (self.encoder.stack.zero_state(rows) for _ in range(2))
        width = self.encoder.stack.shape.outputs
        joined, djoined = ({key: np.zeros((1, rows, width), self.dtype) for key in self.bridges} for _ in range(2))
        self._encoded = EncoderStates(last, dlast, joined, djoined)
        if not self.bridges:  # the encoder's state is the decoder's, without a copy
            return InitialState(last, dlast)
        return InitialState(self.decoder.initial_state(rows), self.decoder.initial_state(rows))

    def _encode_rows(self, rows: Rows, dropout: Dropout) -> None:
        last = self._encoded.last
        self.encoder.forward(rows, dropout)
        self.encoder.stack.get_state(last, rows)

        lo, hi = rows
        hidden = self.encoder.stack.shape.hidden
        for (name, n), linear in self.bridges.items():
            # States come as layer 0 forward, layer 0 backward, layer 1 forward, ...
            joined = self._encoded.joined[name, n]
            joined[0, lo:hi, :hidden] = last[name][2 * n, lo:hi]
            joined[0, lo:hi, hidden:] = last[name][2 * n + 1, lo:hi]
            linear.forward(rows, joined, self._first.state[name][n : n + 1])

    def _encode_rows_backward(self, rows: Rows, dropout: Dropout) -> None:
        lo, hi = rows
        hidden = self.encoder.stack.shape.hidden
        for (name, n), linear in self.bridges.items():
            djoined = self._encoded.djoined[name, n]
            linear.backward(rows, self._first.dstate[name][n : n + 1], djoined)
            self._encoded.dlast[name][2 * n, lo:hi] = djoined[0, lo:hi, :hidden]
            self._encoded.dlast[name][2 * n + 1, lo:hi] = djoined[0, lo:hi, hidden:]

        # The decoder sees the final state only, so the encoder's outputs have no gradient.
        self.encoder.stack.dy[:, lo:hi] = 0
        self.encoder.backward(rows, dropout, self._encoded.dlast)

    def _pack_weights(self, part: Part, backward: bool) -> None:
        super()._pack_weights(part, backward)
        self.encoder.pack(part, backward)
        for linear in self.bridges.values():
            linear.pack(part, backward)

    def _accumulate(self, part: Part) -> None:
        super()._accumulate(part)
        self.encoder.accumulate(part)
        for (name, n), linear in self.bridges.items():
            linear.accumulate(part, self._first.dstate[name][n : n + 1], self._encoded.joined[name, n])
