"""Models that generate a sequence: a source sets the initial state of a language model."""

import numpy as np

from ...cells import CELLS
from ...data.examples.dataset import Batch
from ...kernels.cpu.thread_pool import Part
from ...shapes import StackShape
from ..layers import Linear, Rows
from ..network import Network, Training
from ..parameters import Array
from ..spec import decoder_shape
from ..stack import Dropout, State
from .base import SequenceEncoder, SupervisedModel


class ConditionalDecoder(SupervisedModel):
    """Base class: ``decoder`` is a language model over the target vocabulary.

    Id 0 starts and ends a sequence.
    """

    # Set by `_build`.
    decoder: Network
    # Of the last batch, name -> (L, B, H): initial state of the decoder, and its gradient.
    _first: State
    _dfirst: State
    # Target ids (S, B) of the last batch, set by `_load`.
    _targets: Array

    def _build(self) -> None:
        self.decoder = Network(
            decoder_shape(self.config, self.spec),
            dtype=self.dtype,
            device=self.config.device,
            share_with=self,
            gradients=self.gradients,
            matmul_mode=self.matmul_mode,
        )

    def _stack_shapes(self) -> list[StackShape]:
        return [self.decoder.shape.stack]

    def encode(self, batch: Batch) -> State:
        """Return the initial state of the decoder for each example, name -> (L, B, H)."""
        self._load_source(batch)
        self._pack(False)
        self.pool.together(lambda part: self._encode_rows(part.range(len(batch.lengths)), Dropout()))
        return {name: array.copy() for name, array in self._first.items()}

    def predict(self, batch: Batch) -> Array:
        """Return the log-probabilities (S, B, V) of the token after each step of ``target_in``."""
        self._load(batch)
        self._pack(False)
        outputs = np.empty((*self._targets.shape, self.spec.target_tokens), self.dtype)

        def predict_rows(part: Part) -> None:
            rows = part.range(len(batch.lengths))
            self._encode_rows(rows, Dropout())
            self.decoder.set_state(self._first, rows)
            self.decoder.out.forward(rows, self.decoder.stack.forward(rows, Dropout()), outputs)
            self.kernels.log_softmax(outputs, *rows)

        self.pool.together(predict_rows)
        return outputs

    def _load_source(self, batch: Batch) -> None:
        """Set the source of the batch; allocate `_first` and `_dfirst`."""
        raise NotImplementedError

    def _encode_rows(self, rows: Rows, dropout: Dropout) -> None:
        """Compute `_first` of some rows from the source."""
        raise NotImplementedError

    def _encode_rows_backward(self, rows: Rows, dropout: Dropout) -> None:
        """Run backward from `_dfirst` of some rows to the source."""
        raise NotImplementedError

    def _load(self, batch: Batch) -> None:
        """Set the batch of the next pass: source and targets."""
        assert batch.target_in is not None
        self._load_source(batch)
        self._targets = np.ascontiguousarray(batch.target_out, np.int32)
        self.decoder.load(np.ascontiguousarray(batch.target_in, np.int32), self._targets, None)

    def _run(self, batch: Batch, training: Training | None) -> None:
        self._load(batch)
        self._pack(training is not None)
        self.pool.together(lambda part: self._run_rows(part.range(len(batch.lengths)), training))

    def _run_rows(self, rows: Rows, training: Training | None) -> None:
        """Run some batch rows forward, and for training backward."""
        dropout = training.dropout if training else Dropout()
        self._encode_rows(rows, dropout)
        self.decoder.set_state(self._first, rows)
        self.decoder.run(rows, training)
        if training is not None:
            self.decoder.stack.get_state_gradient(self._dfirst, rows)
            self._encode_rows_backward(rows, dropout)

    def _sum_losses(self) -> float:
        return float(self.decoder.losses.sum(dtype=np.float64))

    def _pack_weights(self, part: Part, backward: bool) -> None:
        self.decoder.pack(part, backward)

    def _accumulate(self, part: Part) -> None:
        self.decoder.accumulate(part)


class ConditionalGenerator(ConditionalDecoder):
    """generate: a linear layer maps the condition, a label or numbers, to each initial state."""

    # Set by `_build`: state name -> linear layer.
    maps: dict[str, Linear]
    # Set by `_load_source`: the condition (1, B, K); the linear layers' outputs, name ->
    # (1, B, L*H), of which `_first` are views; and their gradients.
    _given: Array
    _flat: State
    _dflat: State

    def _build(self) -> None:
        super()._build()
        self.maps = {name: self._make_linear(f"given.{name}") for name in CELLS[self.config.cell].states}

    def _load_source(self, batch: Batch) -> None:
        given = batch.x
        # Labels, ids (B,), become one-hot vectors.
        numbers = np.eye(self.spec.labels)[given] if given.ndim == 1 else given
        self._given = np.ascontiguousarray(numbers[None], self.dtype)

        shape = self.decoder.shape
        size = (1, len(given), shape.layers * shape.hidden)
        self._flat = {name: np.zeros(size, self.dtype) for name in self.maps}
        self._dflat = {name: np.zeros(size, self.dtype) for name in self.maps}
        self._first = {name: self._by_layer(array) for name, array in self._flat.items()}
        self._dfirst = {name: self._by_layer(array) for name, array in self._dflat.items()}

    def _by_layer(self, flat: Array) -> Array:
        """Return (1, B, L*H) as a view (L, B, H)."""
        shape = self.decoder.shape
        view: Array = flat[0].reshape(-1, shape.layers, shape.hidden).swapaxes(0, 1)
        return view

    def _encode_rows(self, rows: Rows, dropout: Dropout) -> None:
        for name, linear in self.maps.items():
            linear.forward(rows, self._given, self._flat[name])

    def _encode_rows_backward(self, rows: Rows, dropout: Dropout) -> None:
        """Do nothing: the condition needs no gradient."""

    def _pack_weights(self, part: Part, backward: bool) -> None:
        super()._pack_weights(part, backward)
        for linear in self.maps.values():
            linear.pack(part, backward)

    def _accumulate(self, part: Part) -> None:
        super()._accumulate(part)
        for name, linear in self.maps.items():
            linear.accumulate(part, self._dflat[name], self._given)


class EncoderDecoder(ConditionalDecoder):
    """translate: the encoder's final state is the decoder's initial state (Sutskever et al. 2014).

    For a bidirectional encoder, a linear layer for each layer and state, the bridge, maps both
    directions' final states, (B, 2H), to (B, H).
    """

    # Set by `_build`; bridges: (state name, layer) -> linear layer.
    encoder: SequenceEncoder
    bridges: dict[tuple[str, int], Linear]
    # Set by `_load_source`: final state of the encoder, name -> (L*D, B, H), and its gradient;
    # inputs of the bridges, (1, B, 2H), and their gradients.
    _last: State
    _dlast: State
    _joined: dict[tuple[str, int], Array]
    _djoined: dict[tuple[str, int], Array]

    def _build(self) -> None:
        super()._build()
        self.encoder = SequenceEncoder(self.weights, self.config, self.spec, "encoder")
        self.bridges = {}
        if self.config.bidirectional:
            for name in CELLS[self.config.cell].states:
                for n in range(self.config.layers):
                    self.bridges[name, n] = self._make_linear(f"bridge.{name}_l{n}")

    def _stack_shapes(self) -> list[StackShape]:
        return [self.encoder.stack.shape, *super()._stack_shapes()]

    def _load_source(self, batch: Batch) -> None:
        self.encoder.load(batch.x, batch.lengths)
        rows = len(batch.lengths)
        self._last = self.encoder.stack.zero_state(rows)
        self._dlast = self.encoder.stack.zero_state(rows)
        self._first = self._last
        self._dfirst = self._dlast
        if self.bridges:
            self._first = self.decoder.initial_state(rows)
            self._dfirst = self.decoder.initial_state(rows)
            width = self.encoder.stack.shape.outputs
            self._joined = {key: np.zeros((1, rows, width), self.dtype) for key in self.bridges}
            self._djoined = {key: np.zeros((1, rows, width), self.dtype) for key in self.bridges}

    def _encode_rows(self, rows: Rows, dropout: Dropout) -> None:
        self.encoder.forward(rows, dropout)
        self.encoder.stack.get_state(self._last, rows)

        lo, hi = rows
        hidden = self.encoder.stack.shape.hidden
        for (name, n), linear in self.bridges.items():
            # States come as layer 0 forward, layer 0 backward, layer 1 forward, ...
            joined = self._joined[name, n]
            joined[0, lo:hi, :hidden] = self._last[name][2 * n, lo:hi]
            joined[0, lo:hi, hidden:] = self._last[name][2 * n + 1, lo:hi]
            linear.forward(rows, joined, self._first[name][n : n + 1])

    def _encode_rows_backward(self, rows: Rows, dropout: Dropout) -> None:
        lo, hi = rows
        hidden = self.encoder.stack.shape.hidden
        for (name, n), linear in self.bridges.items():
            djoined = self._djoined[name, n]
            linear.backward(rows, self._dfirst[name][n : n + 1], djoined)
            self._dlast[name][2 * n, lo:hi] = djoined[0, lo:hi, :hidden]
            self._dlast[name][2 * n + 1, lo:hi] = djoined[0, lo:hi, hidden:]

        # The decoder sees the final state only, so the encoder's outputs have no gradient.
        self.encoder.stack.dy[:, lo:hi] = 0
        self.encoder.backward(rows, dropout, self._dlast)

    def _pack_weights(self, part: Part, backward: bool) -> None:
        super()._pack_weights(part, backward)
        self.encoder.pack(part, backward)
        for linear in self.bridges.values():
            linear.pack(part, backward)

    def _accumulate(self, part: Part) -> None:
        super()._accumulate(part)
        self.encoder.accumulate(part)
        for (name, n), linear in self.bridges.items():
            linear.accumulate(part, self._dfirst[name][n : n + 1], self._joined[name, n])
