"""Novel sequences from a network: draw a token, feed it back, until a length or a stop text."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..data.examples.symbol_vocab import UNKNOWN
from ..data.text.tokenizers import Tokenizer
from ..errors import ConfigError
from ..message import quoted
from ..nn.incremental import IncrementalDecoder
from ..nn.matmul_mode import sampling_mode
from ..nn.network import Network, State
from ..nn.parameters import Array
from ..plain import check_whole, to_plain

_CALL_SECONDS = 0.05  # a compiled call draws about so long: short enough to stream, and to hear Ctrl-C
_MOST_STREAMS = 65536
_PRIME_STEPS = 1024  # tokens of a prime that one call feeds


@dataclass(frozen=True)
class SamplingParams:
    """How a token is drawn from the logits (see `fastrnn.kernels.cpu.generate.draw`). Raises `ConfigError`."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    greedy: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = to_plain(field.name, getattr(self, field.name), type(field.default))
            object.__setattr__(self, field.name, value)
        if not 0 < self.temperature < float("inf"):
            raise ConfigError(f"temperature is {self.temperature:g}; it must be above 0 (--greedy takes the likeliest)")
        if self.top_k < 0:
            raise ConfigError(f"top_k is {self.top_k}; it must be at least 1, or 0 for all")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p is {self.top_p:g}; it must be above 0 and at most 1")
        if not 0 <= self.min_p < 1:
            raise ConfigError(f"min_p is {self.min_p:g}; it must be at least 0 and below 1")

    @property
    def numbers(self) -> tuple[float, int, float, float]:
        """Temperature (0: the likeliest), top_k, top_p and min_p."""
        return 0.0 if self.greedy else self.temperature, self.top_k, self.top_p, self.min_p


def check_amounts(count: int, length: int, seed: int, name: str = "count") -> tuple[int, int, int]:
    """The same as whole numbers. Raises `ConfigError` unless ``count`` texts, by this name, of ``length`` tokens can be
    drawn with this seed."""
    count = check_whole(name, count, 1)
    if count > _MOST_STREAMS:
        raise ConfigError(f"{name} is {count}; it must be at most {_MOST_STREAMS}: use several runs, each its --seed")
    return count, check_whole("length", length, 0), check_whole("seed", seed, 0)


def check_texts(**texts: Any) -> None:
    """Raises `ConfigError` for one of these, by its name, that is neither a text nor None."""
    for name, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise ConfigError(f"{name} must be a text, not {quoted(text)}")


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
        self._never = UNKNOWN if end is not None else None  # a token that is not drawn

    def without_unknown(self) -> "Sampler":
        """A sampler of the same network that never draws the vocabulary's ``<UNK>``."""
        sampler = Sampler(self.network, self.tokenizer, self.separator, self.rounded, self.end)
        if self.end is None:
            sampler._never = self.tokenizer.unknown
        return sampler

    def stream(
        self,
        count: int,
        length: int,
        prime: str,
        drawing: SamplingParams,
        *,
        seed: int = 0,
        stop: str | None = None,
        unknown: str = "error",
        state: State | None = None,
    ) -> Iterator[list[str]]:
        """Pieces of ``count`` texts of ``length`` tokens each, as they are drawn; the prime is not repeated.

        A character of which ``length`` leaves some bytes only is left out, so that no text ends within one.
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
        yield [s.flush() for s in stops]

    def prime_ids(self, prime: str, unknown: str = "error") -> Array:
        """What is fed before the first draw; for an empty prime what starts a document."""
        ids = self.tokenizer.encode(prime, unknown) if prime else np.empty(0, np.int64)
        if self.end is not None:  # a decoder is fed its end token first
            return np.concatenate([[self.end], ids])
        return ids if ids.size else self.tokenizer.start_ids(self.separator)

    def tokens(
        self, count: int, length: int, prime: Array, drawing: SamplingParams, seed: int, state: State | None = None
    ) -> Iterator[Array]:
        """Blocks (n, count) of token ids."""
        stepper = self._stepper(count)
        if state is None:
            stepper.set_state(self.network.initial_state(1), int(prime[0]))
            _feed(stepper, prime[1:, None])
            reached, last, host = stepper.get_state(), prime[-1], self.network.kernels.to_host
            stepper.set_state(
                {name: np.repeat(host(array), count, axis=1) for name, array in reached.items()}, int(last)
            )
        else:
            stepper.set_state(state, int(prime[0]))
            _feed(stepper, np.repeat(prime[1:, None], count, axis=1))
        generators = [np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, i]))) for i in range(count)]
        done, block = 0, 8
        while done < length:
            block = min(block, length - done)
            uniforms = np.stack([g.random(block) for g in generators], axis=1)
            drawn = np.empty((block, count), np.int32)
            start = time.perf_counter()
            stepper.generate(uniforms, drawing.numbers, drawn)
            seconds = time.perf_counter() - start
            done += block
            yield drawn
            block = max(1, min(4096, int(block * min(4.0, _CALL_SECONDS / max(seconds, 1e-6)))))

    def _stepper(self, count: int) -> IncrementalDecoder:
        """For steps of ``count`` streams; the bias keeps the token that is never drawn out of them."""
        network, bias = self.network, self.network.parameters["out.bias"]
        if self._never is not None:
            changed = network.kernels.to_host(bias).copy()
            changed[self._never] = -1e30
            bias = network.kernels.to_device(changed)
        matmul_mode = sampling_mode(network.kernels, network.shape.hidden, count) if self.rounded else "exact"
        return IncrementalDecoder(network.with_shared_parameters(matmul_mode), count, bias)


def _feed(stepper: IncrementalDecoder, tokens: Array) -> None:
    """Tokens (N, B), in calls that end soon enough to hear Ctrl-C."""
    for at in range(0, len(tokens), _PRIME_STEPS):
        given = np.ascontiguousarray(tokens[at : at + _PRIME_STEPS], np.int32)
        stepper.generate(np.zeros(given.shape), SamplingParams().numbers, given, len(given))
