"""A sequence from one input, or from another sequence: something gives a language model the state it starts from."""

import numpy as np

from ...cells import CELLS
from ...data.examples.dataset import Batch
from ...kernels.cpu.thread_pool import Part
from ...shapes import StackShape
from ..encoder import SequenceEncoder
from ..layers import Linear, Rows
from ..network import Network, Training
from ..parameters import Array
from ..spec import decoder_shape
from ..stack import Dropout, State
from .base import SupervisedModel


class ConditionalDecoder(SupervisedModel):
    """``decoder``: a language model over the target's vocabulary, in which id 0 starts and ends a sequence."""

    # of the last batch, name -> (L, B, H): the states that the decoder starts from, and their gradients
    _first: State
    _dfirst: State

    def _build(self) -> None:
        self.decoder = Network(
            decoder_shape(self.config, self.signature),
            dtype=self.dtype,
            device=self.config.device,
            sharing=self,
            gradients=self.gradients,
            matmul_mode=self.matmul_mode,
        )

    def _stack_shapes(self) -> list[StackShape]:
        return [self.decoder.shape.stack]

    def start(self, batch: Batch) -> State:
        """The state that the decoder starts from for each record: name -> (L, B, H)."""
        self._load_source(batch)
        self._pack(False)
        self.pool.together(lambda part: self._read(part.range(len(batch.lengths)), Dropout()))
        return {name: array.copy() for name, array in self._first.items()}

    def predict(self, batch: Batch) -> Array:
        """Log-probabilities (S, B, V) of what comes after each step of ``target_in``."""
        self._load(batch)
        self._pack(False)
        answers = np.empty((*self._targets.shape, self.signature.target_tokens), self.dtype)

        def answer(part: Part) -> None:
            rows = part.range(len(batch.lengths))
            self._read(rows, Dropout())
            self.decoder.set_state(self._first, rows)
            self.decoder.out.forward(rows, self.decoder.stack.forward(rows, Dropout()), answers)
            self.kernels.log_softmax(answers, *rows)

        self.pool.together(answer)
        return answers

    def _load_source(self, batch: Batch) -> None:
        """The batch's x, and arrays for `_first` and `_dfirst`."""
        raise NotImplementedError

    def _read(self, rows: Rows, dropout: Dropout) -> None:
        """From the source of some rows to their first states."""
        raise NotImplementedError

    def _read_backward(self, rows: Rows, dropout: Dropout) -> None:
        """From the gradients of the first states of some rows back to the source."""
        raise NotImplementedError

    def _load(self, batch: Batch) -> None:
        assert batch.target_in is not None
        self._load_source(batch)
        self._targets = np.ascontiguousarray(batch.target_out, np.int32)
        self.decoder.load(np.ascontiguousarray(batch.target_in, np.int32), self._targets, None)

    def _run(self, batch: Batch, training: Training | None) -> None:
        self._load(batch)
        self._pack(training is not None)
        self.pool.together(lambda part: self._rows(part.range(len(batch.lengths)), training))

    def _rows(self, rows: Rows, training: Training | None) -> None:
        dropout = training.dropout if training else Dropout()
        self._read(rows, dropout)
        self.decoder.set_state(self._first, rows)
        self.decoder.run(rows, training)
        if training is not None:
            self.decoder.stack.get_state_gradient(self._dfirst, rows)
            self._read_backward(rows, dropout)

    def _total(self) -> float:
        return float(self.decoder.losses.sum(dtype=np.float64))

    def _pack_weights(self, part: Part, backward: bool) -> None:
        self.decoder.pack_weights(part, backward)

    def _accumulate(self, part: Part) -> None:
        self.decoder.accumulate(part)


class ConditionalGenerator(ConditionalDecoder):
    """generate: what is given, a label or numbers, becomes the first states by a linear map."""

    def _build(self) -> None:
        super()._build()
        self.maps = {name: self._linear(f"given.{name}") for name in CELLS[self.config.cell].states}

    def _load_source(self, batch: Batch) -> None:
        given, count = batch.x, self.signature.labels
        numbers = np.eye(count)[given] if given.ndim == 1 else given
        self._given = np.ascontiguousarray(numbers[None], self.dtype)
        shape = self.decoder.shape
        self._flat: State = {}
        self._dflat: State = {}
        for name in self.maps:
            size = (1, len(given), shape.layers * shape.hidden)
            self._flat[name], self._dflat[name] = np.zeros(size, self.dtype), np.zeros(size, self.dtype)
        self._first = {name: self._by_layer(array) for name, array in self._flat.items()}
        self._dfirst = {name: self._by_layer(array) for name, array in self._dflat.items()}

    def _by_layer(self, flat: Array) -> Array:
        """The same numbers, (1, B, L*H), as (L, B, H)."""
        shape = self.decoder.shape
        view: Array = flat[0].reshape(-1, shape.layers, shape.hidden).swapaxes(0, 1)
        return view

    def _read(self, rows: Rows, dropout: Dropout) -> None:
        for name, linear in self.maps.items():
            linear.forward(rows, self._given, self._flat[name])

    def _read_backward(self, rows: Rows, dropout: Dropout) -> None:
        """What is given has no gradient."""

    def _pack_weights(self, part: Part, backward: bool) -> None:
        super()._pack_weights(part, backward)
        for linear in self.maps.values():
            linear.pack(part, backward)

    def _accumulate(self, part: Part) -> None:
        super()._accumulate(part)
        for name, linear in self.maps.items():
            linear.accumulate(part, self._dflat[name], self._given)


class EncoderDecoder(ConditionalDecoder):
    """translate: an encoder's last states are the decoder's first (Sutskever et al. 2014).

    Those of a bidirectional encoder, twice as wide, go through a linear map for each layer and state.
    """

    def _build(self) -> None:
        super()._build()
        self.encoder = SequenceEncoder(
            self.kernels, self.config, self.signature, "encoder", self.parameters, self.gradients, self.packed
        )
        self.bridges: dict[tuple[str, int], Linear] = {}
        if self.config.bidirectional:
            for name in CELLS[self.config.cell].states:
                for n in range(self.config.layers):
                    self.bridges[name, n] = self._linear(f"bridge.{name}_l{n}")

    def _stack_shapes(self) -> list[StackShape]:
        return [self.encoder.stack.shape, *super()._stack_shapes()]

    def _load_source(self, batch: Batch) -> None:
        self.encoder.load(batch.x, batch.lengths)
        rows = len(batch.lengths)
        self._last, self._dlast = (self.encoder.stack.zero_state(rows) for _ in range(2))
        self._first, self._dfirst = self._last, self._dlast
        if self.bridges:
            self._first, self._dfirst = (self.decoder.initial_state(rows) for _ in range(2))
            width = self.encoder.stack.shape.outputs
            self._joined = {key: np.zeros((1, rows, width), self.dtype) for key in self.bridges}
            self._djoined = {key: np.zeros((1, rows, width), self.dtype) for key in self.bridges}

    def _read(self, rows: Rows, dropout: Dropout) -> None:
        self.encoder.forward(rows, dropout)
        self.encoder.stack.get_state(self._last, rows)
        (lo, hi), hidden = rows, self.encoder.stack.shape.hidden
        for (name, n), linear in self.bridges.items():
            joined = self._joined[name, n]
            joined[0, lo:hi, :hidden] = self._last[name][2 * n, lo:hi]
            joined[0, lo:hi, hidden:] = self._last[name][2 * n + 1, lo:hi]
            linear.forward(rows, joined, self._first[name][n : n + 1])

    def _read_backward(self, rows: Rows, dropout: Dropout) -> None:
        (lo, hi), hidden = rows, self.encoder.stack.shape.hidden
        for (name, n), linear in self.bridges.items():
            djoined = self._djoined[name, n]
            linear.backward(rows, self._dfirst[name][n : n + 1], djoined)
            self._dlast[name][2 * n, lo:hi] = djoined[0, lo:hi, :hidden]
            self._dlast[name][2 * n + 1, lo:hi] = djoined[0, lo:hi, hidden:]
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
