"""A language model's network taken through time one step after the other, to feed tokens and to draw them."""

from typing import Any

import numpy as np

from ..kernels.cpu.thread_pool import Part
from .layers import Layer
from .matmul_mode import sharing
from .network import Network, State
from .parameters import Array

_ALIGNED = 16  # a thread's first unit is a multiple of this, as vectors and lines in the cache are


class IncrementalDecoder:
    """Some streams in the states that they have reached, and what feeds and draws their next tokens.

    Threads share the streams: each takes some of them. Where they share the units, each takes some units of every
    layer, for all streams, and they meet after each layer. A stream's numbers are the same either way.
    """

    def __init__(self, network: Network, count: int, bias: Array) -> None:
        """``network``: its weights as they are now. ``count``: how many streams there will be, mostly. ``bias``: the
        output layer's."""
        self.network, self._bias = network, bias
        hidden = network.shape.hidden
        threads = sharing(network.kernels, hidden, count, network.pool.threads)
        if threads == 1:
            self._units = [(0, hidden)]
            self._layers = [network.layers]
            network.pool.together(lambda part: network.pack(part, False))
        else:
            parts = [Part(n, threads).range(hidden // _ALIGNED) for n in range(threads)]
            self._units = [(lo * _ALIGNED, hi * _ALIGNED) for lo, hi in parts]
            self._units[-1] = (self._units[-1][0], hidden)
            self._layers = [_layers(network, *units) for units in self._units]
            network.pool.together(self._pack)

    def _pack(self, part: Part) -> None:
        self.network.out.pack(part, False)
        for layers in self._layers[part.number :: part.of]:
            for layer in layers:
                layer.pack(Part(0, 1), False)

    def set_state(self, state: State, token: int) -> None:
        """Streams from these states, name -> (L, B, H), each to be fed ``token`` next."""
        kernels, dtype = self.network.kernels, self.network.dtype
        self._batch = batch = state["h"].shape[1]
        whole = [kernels.zeros((2, batch, self.network.shape.hidden), dtype) for _ in self.network.layers]
        below = [kernels.zeros((2, batch, 0), dtype), *whole]
        self._stepped: list[tuple[Any, ...]] = []
        self._logits = [kernels.zeros((1, batch, self.network.shape.vocab), dtype) for _ in self._layers]
        for layers, (first, end) in zip(self._layers, self._units, strict=True):
            for n, layer in enumerate(layers):
                layer.allocate(1, batch)
                layer.set_state(self._of(state, first, end), n, (0, batch))
            ids = [kernels.to_device(np.full((1, batch), token if n == 0 else 0, np.int32)) for n in range(len(layers))]
            self._stepped.append(
                tuple(
                    (layer.cell, first, layer.width, ids[n], layer.table, below[n], layer.w_x, layer.w_h, whole[n])
                    for n, layer in enumerate(layers)
                )
            )

    def get_state(self) -> State:
        """The states reached."""
        state = self.network.initial_state(self._batch)
        for layers, (first, end) in zip(self._layers, self._units, strict=True):
            for n, layer in enumerate(layers):
                layer.get_state(self._of(state, first, end), n, (0, self._batch))
        return state

    def _of(self, state: State, first: int, end: int) -> State:
        """These units' part of a state."""
        return {name: array[:, :, first:end] for name, array in state.items()} if len(self._layers) > 1 else state

    def generate(
        self, uniforms: Array, drawing: tuple[float, int, float, float], tokens: Array, given: int = 0
    ) -> None:
        """Feed the first ``given`` rows of ``tokens`` (N, B), draw the others: see `fastrnn.kernels.cpu.generate`."""
        network, shared = self.network, len(self._layers) > 1
        counts = network.kernels.barriers(len(self._layers))
        written = [tokens] + [tokens.copy() for _ in self._layers[1:]]

        def work(part: Part) -> None:
            number, rows = (part.number, (0, self._batch)) if shared else (0, part.range(self._batch))
            if number >= len(self._layers):
                return  # more threads than parts
            network.kernels.generate(
                self._stepped[number], network.w_out, self._bias, self._logits[number], uniforms, drawing,
                written[number], given, counts if shared else counts.copy(), number, *rows,
            )  # fmt: skip

        network.pool.together(work, lambda: network.kernels.abort(counts))


def _layers(network: Network, first: int, end: int) -> list[Layer]:
    """The layers of a network with these of their units only."""
    shape, parameters = network.shape.stack, network.parameters
    weights: dict[str, Array] = {}
    for name, array in parameters.items():
        if name.startswith(shape.prefix):
            gates = array.reshape(shape.gates, shape.hidden, *array.shape[1:])
            weights[name] = np.concatenate(gates[:, first:end])
    return [Layer(network.kernels, shape, n, "", weights, weights, network.packed) for n in range(shape.layers)]
