"""Novel sequences from a network: draw a token, feed it back, until a length or a stop text."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .cpu.pool import Part
from .data.symbols import UNKNOWN
from .data.tokens import Tokenizer
from .errors import ConfigError
from .nn.network import Network, State
from .nn.parameters import Array
from .nn.products import sampling

_CALL_SECONDS = 0.05  # a compiled call draws about so long: short enough to stream, and to hear Ctrl-C
_MOST_STREAMS = 65536
_PRIME_STEPS = 1024  # tokens of a prime that one call feeds


@dataclass(frozen=True)
class Drawing:
    """How a token is drawn from the logits (see `fastrnn.cpu.generate.draw`). Raises `ConfigError`."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    greedy: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise ConfigError(f"temperature is {self.temperature:g}; it must be above 0 (--greedy takes the likeliest)")
        if self.top_k < 0:
            raise ConfigError(f"top_k is {self.top_k}; it must be at least 1, or 0 for all")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p is {self.top_p:g}; it must be above 0 and at most 1")
        if not 0 <= self.min_p < 1:
            raise ConfigError(f"min_p is {self.min_p:g}; it must be at least 0 and below 1")


def check_amounts(count: int, length: int, seed: int) -> None:
    """Raises `ConfigError` unless ``count`` texts of ``length`` tokens can be drawn with this seed."""
    for name, value, least in (("count", count, 1), ("length", length, 0), ("seed", seed, 0)):
        if value < least:
            raise ConfigError(f"{name} is {value}; it must be at least {least}")
    if count > _MOST_STREAMS:
        raise ConfigError(f"count is {count}; it must be at most {_MOST_STREAMS}: use several runs, each its --seed")


class StopText:
    """Lets text through up to the first occurrence of ``stop``, holding back what might be its beginning."""

    def __init__(self, stop: str | None) -> None:
        self._stop, self._held, self.done = stop, "", False

    def feed(self, text: str) -> str:
        if self.done or not self._stop:
            return "" if self.done else text
        text = self._held + text
        at = text.find(self._stop)
        if at >= 0:
            self._held, self.done = "", True
            return text[:at]
        keep = next(
            n
            for n in range(min(len(self._stop) - 1, len(text)), -1, -1)
            if self._stop.startswith(text[len(text) - n :])
        )
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """What was held back, at the end."""
        held, self._held = self._held, ""
        return held


class Sampler:
    """Draws from a network, several samples side by side.

    Sample i of a seed is the same whatever their number; of a float32 network of more than 256 units on a processor
    with AMX: whatever their number below 16, and from there on.

    ``rounded``: products take the weights of a float32 network as bfloat16, with AMX also the states where that is
    faster; up to twice as fast for one stream.
    ``end``: the token that ends a sample, for a decoder; unknown symbols are never drawn then.
    """

    def __init__(
        self,
        network: Network,
        tokenizer: Tokenizer,
        separator: str | None = None,
        rounded: bool = True,
        end: int | None = None,
    ) -> None:
        self.network, self.tokenizer, self.separator, self.rounded = network, tokenizer, separator, rounded
        self.end = end

    def stream(
        self,
        count: int,
        length: int,
        prime: str,
        drawing: Drawing,
        *,
        seed: int = 0,
        stop: str | None = None,
        unknown: str = "error",
        state: State | None = None,
    ) -> Iterator[list[str]]:
        """Pieces of ``count`` texts of ``length`` tokens each, as they are drawn; the prime is not repeated.

        ``state``: name -> (L, count, H), where each starts, instead of zeros.
        """
        decoders = [self.tokenizer.decoder() for _ in range(count)]
        stops = [StopText(stop) for _ in range(count)]
        fed = self.prime_ids(prime, unknown)
        if prime:
            for decoder in decoders:
                decoder.feed(fed)  # what follows a word depends on the word
        ended = np.zeros(count, bool)
        for tokens in self.tokens(count, length, fed, drawing, seed, state):
            yield [
                s.feed(d.feed(tokens[:, i])) if not s.done else ""
                for i, (s, d) in enumerate(zip(stops, decoders, strict=True))
            ]
            if self.end is not None:
                ended |= (tokens == self.end).any(axis=0)
            if all(s.done or e for s, e in zip(stops, ended, strict=True)):
                break
        yield [s.feed(d.flush()) + s.flush() for s, d in zip(stops, decoders, strict=True)]

    def prime_ids(self, prime: str, unknown: str = "error") -> Array:
        """What is fed before the first draw; for an empty prime what starts a document."""
        ids = self.tokenizer.encode(prime, unknown) if prime else np.empty(0, np.int64)
        if self.end is not None:  # a decoder is fed its end token first
            return np.concatenate([[self.end], ids])
        return ids if ids.size else self.tokenizer.start_ids(self.separator)

    def tokens(
        self, count: int, length: int, prime: Array, drawing: Drawing, seed: int, state: State | None = None
    ) -> Iterator[Array]:
        """Blocks (n, count) of token ids."""
        network, layers = self._fed(count, prime) if state is None else self._fed_from(state, prime)
        bias = self._bias(network)
        generators = [np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, i]))) for i in range(count)]
        done, block = 0, 8
        while done < length:
            block = min(block, length - done)
            uniforms = np.stack([g.random(block) for g in generators], axis=1)
            drawn = np.empty((block, count), np.int32)
            start = time.perf_counter()
            network.pool.together(partial(_share, network, layers, bias, uniforms, drawing, drawn, 0))
            seconds = time.perf_counter() - start
            done += block
            yield drawn
            block = max(1, min(4096, int(block * min(4.0, _CALL_SECONDS / max(seconds, 1e-6)))))

    def _fed(self, count: int, prime: Array) -> tuple[Network, tuple[Any, ...]]:
        """A network for steps of ``count`` streams in the state after the prime, its last token still to be fed."""
        network, state = self._new_network(count), self.network.initial_state(1)
        network.pool.together(lambda part: network.pack(part, False))
        network.allocate(1, 1)
        network.enter(state)
        layers = network.generating_layers(int(prime[0]))
        for at in range(1, len(prime), _PRIME_STEPS):
            given = np.ascontiguousarray(prime[at : at + _PRIME_STEPS, None], np.int32)
            _share(
                network, layers, self._bias(network), np.zeros(given.shape), Drawing(), given, len(given), Part(0, 1)
            )
        network.leave(state)
        network.allocate(1, count)
        host = network.kernels.to_host
        network.enter({name: np.repeat(host(array), count, axis=1) for name, array in state.items()})
        return network, network.generating_layers(int(prime[-1]))

    def _fed_from(self, state: State, prime: Array) -> tuple[Network, tuple[Any, ...]]:
        """The same from a state of each stream."""
        count = state["h"].shape[1]
        network = self._new_network(count)
        network.pool.together(lambda part: network.pack(part, False))
        network.allocate(1, count)
        network.enter(state)
        layers = network.generating_layers(int(prime[0]))
        given = np.repeat(np.asarray(prime[1:], np.int32)[:, None], count, axis=1)
        if len(given):
            fed = partial(
                _share, network, layers, self._bias(network), np.zeros(given.shape), Drawing(), given, len(given)
            )
            network.pool.together(fed)
        return network, layers

    def _bias(self, network: Network) -> Array:
        """The output layer's bias; a decoder's keeps it from writing unknown symbols."""
        bias = network.parameters["out.bias"]
        if self.end is not None:
            bias = bias.copy()
            bias[UNKNOWN] = -1e30
        return bias

    def _new_network(self, count: int) -> Network:
        network = self.network
        return network.sibling(sampling(network.kernels, network.shape.hidden, count) if self.rounded else "exact")


def _share(
    network: Network,
    layers: tuple[Any, ...],
    bias: Array,
    uniforms: Array,
    drawing: Drawing,
    tokens: Array,
    given: int,
    part: Part,
) -> None:
    """This part of the samples: feed the first ``given`` rows of tokens (n, count), draw the others."""
    temperature = 0.0 if drawing.greedy else drawing.temperature
    network.kernels.generate(
        layers, network.w_out, bias, network.logits, uniforms, temperature,
        drawing.top_k, drawing.top_p, drawing.min_p, tokens, given, *part.range(tokens.shape[1]),
    )  # fmt: skip
