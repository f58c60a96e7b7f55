"""Incremental decoding: step a language model one token at a time, feeding or sampling tokens."""

import time
from functools import partial

import numpy as np

from ..cells import CELLS
from ..data.text.ngrams import MAX_ORDER
from ..kernels.arguments import (
    BarrierPart,
    DecoderLayer,
    DecoderOutput,
    LayerInput,
    LayerWeights,
    SampledTokens,
    SamplingSettings,
)
from ..kernels.cpu.thread_pool import Part
from ..shapes import NGRAM_WEIGHT
from .layers import Layer
from .matmul_mode import threads_per_layer
from .network import Network, State
from .parameters import Array, ModelWeights

# A thread's first unit is a multiple of this, the alignment of vectors and of cache lines; of a
# normed cell a multiple of the kernels' ``UNIT_BLOCK``.
_UNIT_ALIGNMENT = 16
# `AdaptiveDecoder` tries the other division at this call, the first that is not short, then at calls 7, 10, 15, ... and
# finally every `_TRY_EVERY` calls, for this fraction of the tokens of a call. It gives up half-way if that is so many
# times slower.
_FIRST_TRY = 5
_TRY_EVERY = 20
_TRIED = 0.1
_HOPELESS = 4.0


class IncrementalDecoder:
    """Recurrent states of B streams, and the steps that feed or sample their next tokens.

    Either each thread takes some of the streams, or each takes some units of every layer for all
    streams, with a barrier after each layer. Results are the same to the bit.

    Args:
        network: The model. Its weights are packed once, here: later changes have no effect.
        bias: Bias (V,) of the output layer.
        threads: Number of threads that share the units of a layer; 1: each takes some of the streams.
    """

    def __init__(self, network: Network, bias: Array, threads: int = 1) -> None:
        self.network = network
        self._bias = bias

        # See `set_state`: B; for each part the kernel's arguments of every layer; its logits.
        self._batch = 0
        self._layer_arguments: list[tuple[DecoderLayer, ...]] = []
        self._logits: list[Array] = []
        self._before: list[Array] = []  # the last tokens fed, (B, K), see `Network.initial_state`

        hidden = network.shape.hidden
        unit = network.kernels.UNIT_BLOCK if CELLS[network.shape.cell].is_normed else _UNIT_ALIGNMENT
        threads = min(threads, hidden // unit)
        if threads <= 1:
            self._units = [(0, hidden)]
            self._layers = [network.layers]
            network.pool.together(partial(network.pack, backward=False))
        else:
            parts = [Part(n, threads).range(hidden // unit) for n in range(threads)]
            self._units = [(lo * unit, hi * unit) for lo, hi in parts]
            # The last part takes the units beyond the last multiple of the alignment.
            self._units[-1] = (self._units[-1][0], hidden)
            self._layers = [_slice_layers(network, *units) for units in self._units]
            network.pool.together(self._pack)

    def _pack(self, part: Part) -> None:
        self.network.out.pack(part, False)
        for layers in self._layers:
            for layer in layers:
                layer.pack(part, False)

    def set_state(self, state: State, token: int | Array) -> None:
        """Start B streams from ``state``, name -> (L, B, H), with ``token``, one or (B,), as the next input."""
        kernels, dtype = self.network.kernels, self.network.dtype
        self._batch = batch = state["h"].shape[1]

        # Outputs of each layer, all units: every part writes its own and reads those of the layer
        # below. Two slots, used in alternate steps.
        whole = [kernels.zeros((2, batch, self.network.shape.hidden), dtype) for _ in self.network.layers]
        below = [kernels.zeros((2, batch, 0), dtype), *whole]
        self._layer_arguments = []
        self._logits = [kernels.zeros((1, batch, self.network.shape.vocab), dtype) for _ in self._layers]
        before = kernels.to_host(state["before"])[0] if "before" in state else np.zeros((batch, MAX_ORDER - 1))
        self._before = [kernels.to_device(before.astype(np.int32)) for _ in self._layers]
        sums: list[Array | None] = [None] * len(whole)  # of each layer, see `Layer.divide_units`
        for layers, (first, end) in zip(self._layers, self._units, strict=True):
            for n, layer in enumerate(layers):
                layer.allocate(1, batch)
                sums[n] = layer.divide_units(first, self.network.shape.hidden, sums[n])
                layer.set_state(self._slice_units(state, first, end), n, (0, batch))
                for array in (layer.cell.h, layer.cell.c):  # also as the final state, for `get_state`
                    kernels.copy_state(array, 1, array, 0, 0, batch)
            # Only the first layer has tokens, and n-grams where the model reads them.
            widths = [MAX_ORDER - 1 if len(self.network.ngram_embedding) else 0, *[0] * (len(layers) - 1)]
            ids = [kernels.to_device(np.full((1, batch), 0 if n else token, np.int32)) for n in range(len(layers))]
            ngrams = [kernels.zeros((1, batch, width), np.int32) for width in widths]
            self._layer_arguments.append(
                tuple(
                    DecoderLayer(
                        layer.cell,
                        first,
                        LayerInput(ids[n], layer.table, below[n], ngrams[n], layer.ngram_rows, layer.order),
                        LayerWeights(layer.w_x, layer.w_h, layer.width),
                        whole[n],
                    )
                    for n, layer in enumerate(layers)
                )
            )

    def get_state(self) -> State:
        """Return the current state, name -> (L, B, H)."""
        state = self.network.initial_state(self._batch)
        if "before" in state:
            state["before"][0] = self.network.kernels.to_host(self._before[0])
        for layers, (first, end) in zip(self._layers, self._units, strict=True):
            for n, layer in enumerate(layers):
                layer.get_state(self._slice_units(state, first, end), n, (0, self._batch))
        return state

    def continue_from(self, other: "IncrementalDecoder") -> None:
        """Take over the state of another decoder, and its streams' next inputs."""
        (ids,) = self.network.kernels.to_host(other._layer_arguments[0][0].inputs.ids)
        self.set_state(other.get_state(), ids)

    def _slice_units(self, state: State, first: int, end: int) -> State:
        """Return units first..end of a state."""
        if len(self._layers) == 1:
            return state
        return {name: array[:, :, first:end] for name, array in state.items() if name != "before"}

    def generate(
        self, uniforms: Array, sampling: tuple[float, int, float, float], tokens: Array, given: int = 0
    ) -> None:
        """Feed the first ``given`` rows of ``tokens`` (N, B) and sample the others in place.

        Args:
            uniforms: Random numbers in [0, 1), (N, B).
            sampling: Temperature, top_k, top_p and min_p.
            tokens: Ids; rows from ``given`` on are overwritten.
            given: Number of rows to feed instead of sampling.

        See `fastrnn.kernels.cpu.generate`.
        """
        network, keys = self.network, self.network.ngram_embedding.keys
        shared = len(self._layers) > 1
        counts = network.kernels.barriers(len(self._layers))
        # Every part samples the same tokens; each needs an array of its own to write them to.
        outputs = [tokens] + [tokens.copy() for _ in self._layers[1:]]

        def work(part: Part) -> None:
            number, rows = (part.number, (0, self._batch)) if shared else (0, part.range(self._batch))
            if number >= len(self._layers) or rows[0] == rows[1]:
                return  # there are more threads than parts or streams
            network.kernels.generate(
                self._layer_arguments[number],
                DecoderOutput(network.w_out, self._bias, self._logits[number]),
                SampledTokens(outputs[number], given, uniforms, self._before[number], keys),
                SamplingSettings(*sampling),
                # Parts that have all units do not wait for each other: each has a barrier of its
                # own.
                BarrierPart(counts if shared else counts.copy(), number),
                *rows,
            )

        network.pool.each(work, lambda: network.kernels.abort(counts))


class AdaptiveDecoder:
    """An `IncrementalDecoder` whose threads share the units of a layer while that is faster.

    They then wait for each other several times a token. Where other programs use the processors too, such a wait may
    last as long as these programs run at a time, and one thread alone is several times as fast (measured). So the
    other division of the work is tried now and then, and the faster one is used. A short text is not worth a try.

    Args:
        network: The model. Its weights are packed here, and again at the first try: they must not change between.
        count: Expected number of streams; nothing is tried if `threads_per_layer` would not share units for so many.
        bias: Bias (V,) of the output layer.
    """

    def __init__(self, network: Network, count: int, bias: Array) -> None:
        self._threads = threads_per_layer(network.kernels, network.shape.hidden, count, network.pool.threads)
        self._current = IncrementalDecoder(network, bias)
        self._make_sharing = partial(IncrementalDecoder, network, bias, self._threads)
        self._seconds = {self._current: 0.0}  # of each decoder, for a token, when it was last used
        self._calls, self._next_try = 0, _FIRST_TRY

    def set_state(self, state: State, token: int) -> None:
        """See `IncrementalDecoder.set_state`. Tries begin anew: a prompt takes another time than sampling."""
        self._current.set_state(state, token)
        self._calls, self._next_try = 0, _FIRST_TRY

    def get_state(self) -> State:
        """See `IncrementalDecoder.get_state`."""
        return self._current.get_state()

    def generate(
        self, uniforms: Array, sampling: tuple[float, int, float, float], tokens: Array, given: int = 0
    ) -> None:
        """See `IncrementalDecoder.generate`."""

        def part(begin: int, end: int) -> None:
            """Generate tokens begin..end with the present decoder, and time it."""
            if begin < end:
                fed = max(0, min(given, end) - begin)
                start = time.perf_counter()
                self._current.generate(uniforms[begin:end], sampling, tokens[begin:end], fed)
                self._seconds[self._current] = (time.perf_counter() - start) / (end - begin)

        self._calls += 1
        tried = 0
        if self._threads > 1 and self._calls == self._next_try:
            self._next_try += min(self._calls // 2, _TRY_EVERY)
            tried = min(len(tokens), max(2, int(len(tokens) * _TRIED)))
            usual = self._seconds[self._current]
            others = [decoder for decoder in self._seconds if decoder is not self._current]
            self._switch_to(others[0] if others else self._make_sharing())
            # Only the second half counts: then its weights are in the caches, and its threads are awake.
            half = tried // 2
            part(0, half)
            if half and self._seconds[self._current] > _HOPELESS * usual:
                tried = half
            part(half, tried)
            self._switch_to(min(self._seconds, key=self._seconds.__getitem__))
        part(tried, len(tokens))

    def _switch_to(self, decoder: IncrementalDecoder) -> None:
        if decoder is not self._current:
            decoder.continue_from(self._current)
            self._current = decoder


def _slice_layers(network: Network, first: int, end: int) -> list[Layer]:
    """Return layers with units first..end of the network's layers."""
    shape, parameters = network.shape.stack, network.parameters
    weights: dict[str, Array] = {}
    for name, array in parameters.items():
        if name.startswith(shape.prefix):
            # Rows of the weights are (G, H), those of n-grams columns: take these units of every gate.
            if NGRAM_WEIGHT in name:
                gates = array.reshape(len(array), shape.gates, shape.hidden)[:, :, first:end]
                weights[name] = np.ascontiguousarray(gates).reshape(len(array), -1)
                continue
            gates = array.reshape(shape.gates, shape.hidden, *array.shape[1:])
            weights[name] = np.concatenate(gates[:, first:end])
    sliced = ModelWeights(network.kernels, weights, weights, network.packed)  # without gradients: nothing is trained
    return [Layer(sliced, shape, n, "") for n in range(shape.layers)]
