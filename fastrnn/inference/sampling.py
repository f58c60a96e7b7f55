"""Sampling from a network: sample a token, feed it back, until a length or a stop text is reached."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..data.examples.symbol_vocab import UNKNOWN
from ..data.text.tokenizers import Tokenizer
from ..errors import ConfigError, quote
from ..nn.incremental import AdaptiveDecoder
from ..nn.matmul_mode import EXACT, sampling_mode
from ..nn.network import Network, State
from ..nn.parameters import Array
from ..plain import check_whole, format_number, to_plain

_CALL_SECONDS = 0.05  # target duration of a compiled call: short enough to stream and to react to Ctrl-C
_FIRST_BLOCK, _MAX_BLOCK = 8, 4096  # tokens of one call: few at first, so that text appears at once
_MAX_STREAMS = 65536
_MAX_TOKENS = 10**12  # of a text: weeks of sampling; the kernels count in 64 bits
_SUPPRESSED = -1e30  # output bias of a token that must not be sampled

# A text without a prompt starts from a state that training never has: zeros. There the next token has 1.3 to 2.6
# times the usual entropy, so a text would open with noise. Instead some tokens are sampled and discarded, then
# the rest of their line: the text begins with a line, in a state as the middle of a text has it.
_WARM_UP = 32  # tokens discarded at least: 16 give the same entropy as 128
_LONGEST_LINE = 192  # further tokens among which a line break is looked for


@dataclass(frozen=True)
class SamplingParams:
    """How a token is sampled from the logits (see `fastrnn.kernels.cpu.generate`).

    Attributes:
        temperature: Divides the logits; above 0. Below 1 likely tokens become likelier. Default 1.
        top_k: Sample from the k likeliest tokens only; 0, the default, for all.
        top_p: Sample from the fewest likeliest tokens whose probabilities sum to p, 0 < p <= 1. Default 1.
        min_p: Exclude tokens below this fraction of the largest probability, 0 <= p < 1. Default 0.
        greedy: Always take the likeliest token; the other parameters are ignored. Default False.

    Raises:
        ConfigError: A value has another type or is out of range.
    """

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
            raise ConfigError(f"temperature is {self.temperature:g}; it must be above 0 (greedy takes the likeliest)")
        if not 0 <= self.top_k <= _MAX_TOKENS:
            raise ConfigError(
                f"top_k is {format_number(self.top_k)}; it must be at least 1 and at most {_MAX_TOKENS:,}, or 0 for all"
            )
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p is {self.top_p:g}; it must be above 0 and at most 1")
        if not 0 <= self.min_p < 1:
            raise ConfigError(f"min_p is {self.min_p:g}; it must be at least 0 and below 1")

    @property
    def numbers(self) -> tuple[float, int, float, float]:
        """The kernels' arguments: temperature (0 for greedy), top_k, top_p, min_p."""
        return 0.0 if self.greedy else self.temperature, self.top_k, self.top_p, self.min_p


def check_amounts(count: int, length: int, seed: int, name: str = "count") -> tuple[int, int, int]:
    """Check and convert to int the number of texts, their length and the seed. Raises `ConfigError`.

    ``name``: the name of ``count`` in messages.
    """
    count = check_whole(name, count, 1)
    if count > _MAX_STREAMS:
        raise ConfigError(
            f"{name} is {format_number(count)}; it must be at most {_MAX_STREAMS:,}: use several runs, with another "
            "--seed each"
        )
    return count, check_whole("length", length, 0, _MAX_TOKENS), check_whole("seed", seed, 0)


def check_texts(**texts: Any) -> None:
    """Raise `ConfigError` for an argument that is neither a str nor None."""
    for name, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise ConfigError(f"{name} must be a text, not {quote(text)}")


@dataclass(frozen=True)
class Prompt:
    """What sampled texts continue.

    Attributes:
        text: The text; it is not repeated in the samples. Default: none.
        unknown: "error" or "skip", for characters of the text that the vocabulary lacks.
        state: Initial states, name -> (L, count, H). Default: zeros.
    """

    text: str = ""
    unknown: str = "error"
    state: State | None = None


class StopText:
    """Passes text on up to the first occurrence of ``stop``; holds back a possible beginning of it."""

    def __init__(self, stop: str | None) -> None:
        self._stop = stop
        self._pending = ""
        self.done = False

    def feed(self, text: str) -> str:
        """Add text; returns the part that is certainly before ``stop``."""
        if self.done or not self._stop:
            return "" if self.done else text
        text = self._pending + text
        at = text.find(self._stop)
        if at >= 0:
            self._pending = ""
            self.done = True
            return text[:at]
        # The longest suffix of the text that is a prefix of the stop text.
        pending_length = next(
            n
            for n in range(min(len(self._stop) - 1, len(text)), -1, -1)
            if self._stop.startswith(text[len(text) - n :])
        )
        self._pending = text[len(text) - pending_length :]
        return text[: len(text) - pending_length]

    def flush(self) -> str:
        """The pending text, at the end."""
        pending = self._pending
        self._pending = ""
        return pending


class Sampler:
    """Samples several texts side by side from one network.

    Text i of a seed does not depend on the number of texts. Exception: with a float32 network of more
    than 256 units on a processor with AMX, fewer than 16 texts differ from 16 or more.

    Args:
        network: The model.
        tokenizer: Its vocabulary.
        separator: The text between two documents, which starts a text without a prompt.
        rounded: Round float32 weights to bfloat16 in matrix products; with AMX also the states where that is
            faster. Up to twice as fast for one stream.
        end: The id of the token that ends a text, for a decoder; unknown symbols are then never sampled.
    """

    def __init__(
        self,
        network: Network,
        tokenizer: Tokenizer,
        separator: str | None = None,
        rounded: bool = True,
        end: int | None = None,
    ) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self.separator = separator
        self.rounded = rounded
        self.end = end
        self._suppressed = UNKNOWN if end is not None else None  # a token that is never sampled

    def without_unknown(self) -> "Sampler":
        """A sampler of the same network that never samples the vocabulary's ``<UNK>``."""
        sampler = Sampler(self.network, self.tokenizer, self.separator, self.rounded, self.end)
        if self.end is None:
            sampler._suppressed = self.tokenizer.unknown
        return sampler

    def stream(
        self,
        count: int,
        length: int,
        prompt: Prompt,
        params: SamplingParams,
        *,
        seed: int = 0,
        stop: str | None = None,
    ) -> Iterator[list[str]]:
        """Sample ``count`` texts of ``length`` tokens and yield their pieces as they are sampled.

        Without a prompt a text begins with a document, if the model has a document separator, else with a line, after
        a warm-up that is not shown. An incomplete UTF-8 character at the end is left out.

        Args:
            count: Number of texts.
            length: Tokens of each text.
            prompt: What each text continues.
            params: How a token is sampled.
            seed: Random seed; text i of a seed does not depend on ``count``. Default 0.
            stop: End a text before this string. Default: none.
        """
        decoders = [self.tokenizer.decoder() for _ in range(count)]
        stops = [StopText(stop) for _ in range(count)]
        prompt_ids = self._encode(prompt.text, prompt.unknown)  # empty also if all its characters are unknown
        prime_ids = self._add_start(prompt_ids)
        if prompt_ids.size:
            for decoder in decoders:
                decoder.feed(prime_ids)  # the space between two words depends on both

        has_start = prompt.state is not None or self.separator is not None or self.end is not None
        warm_up = _WARM_UP + _LONGEST_LINE if length and not has_start and not prompt_ids.size else 0
        blocks = self.tokens(count, length + warm_up, prime_ids, params, seed, prompt.state)
        ended = np.zeros(count, bool)
        for tokens in self._skip_warm_up(blocks, warm_up, length) if warm_up else map(np.transpose, blocks):
            yield [
                s.feed(d.feed(text_tokens)) if not s.done else ""
                for s, d, text_tokens in zip(stops, decoders, tokens, strict=True)
            ]
            if self.end is not None:
                ended |= np.array([(text_tokens == self.end).any() for text_tokens in tokens])
            if all(s.done or e for s, e in zip(stops, ended, strict=True)):
                break
        yield [s.flush() for s in stops]

    def _skip_warm_up(self, blocks: Iterator[Array], warm_up: int, length: int) -> Iterator[list[Array]]:
        """Yield for each text its next tokens, from the first line that begins after `_WARM_UP` tokens.

        ``warm_up``: tokens at the start among which that line begins. ``length``: tokens to yield of each text.
        """
        first: list[Array] = []
        while sum(map(len, first)) < warm_up:
            first.append(next(blocks))
        head = np.concatenate(first)
        begins = [self.find_line(column) for column in head[:warm_up].T]
        left = [length] * len(begins)

        for block in itertools.chain([head], blocks):
            tokens = [column[begin:][:n] for column, begin, n in zip(block.T, begins, left, strict=True)]
            yield tokens
            begins = [0] * len(begins)
            left = [n - len(text_tokens) for n, text_tokens in zip(left, tokens, strict=True)]
            if not any(left):
                return

    def find_line(self, tokens: Array) -> int:
        """Return where the first line begins after `_WARM_UP` tokens, or else the first word or character."""
        for break_text in ("\n", " "):
            ids = self.tokenizer.encode(break_text, "skip")
            places = np.flatnonzero(tokens[_WARM_UP:] == ids[-1]) if ids.size else ids
            if places.size:
                return _WARM_UP + int(places[0]) + 1
        if self.tokenizer.kind == "bytes":  # do not begin within a UTF-8 character
            return _WARM_UP + int(np.argmax((tokens[_WARM_UP:] & 0xC0) != 0x80))
        return _WARM_UP

    def prime_ids(self, prime: str, unknown: str = "error") -> Array:
        """The ids fed before the first token is sampled; for an empty prompt those that start a document."""
        return self._add_start(self._encode(prime, unknown))

    def _encode(self, prime: str, unknown: str) -> Array:
        return self.tokenizer.encode(prime, unknown) if prime else np.empty(0, np.int64)

    def _add_start(self, ids: Array) -> Array:
        if self.end is not None:  # a decoder is fed its end token first
            return np.concatenate([[self.end], ids])
        return ids if ids.size else self.tokenizer.start_ids(self.separator)

    def tokens(
        self, count: int, length: int, prime: Array, params: SamplingParams, seed: int, state: State | None = None
    ) -> Iterator[Array]:
        """Sample ``length`` tokens of ``count`` texts, after the ids ``prime``.

        ``state``: initial states, name -> (L, count, H), instead of zeros. Yields blocks (n, count) int32 of ids.
        """
        matmul_mode = EXACT
        if self.rounded:
            matmul_mode = sampling_mode(self.network.kernels, self.network.shape.hidden, count)
        network = self.network.with_shared_parameters(matmul_mode)
        decoder = AdaptiveDecoder(network, count, self._output_bias())

        if state is None:
            # All texts start alike: the prompt is fed once, as one stream, and its state copied.
            decoder.set_state(self.network.initial_state(1), int(prime[0]))
            _feed_prompt(decoder, prime[1:, None])
            to_host = self.network.kernels.to_host
            repeated = {name: np.repeat(to_host(array), count, axis=1) for name, array in decoder.get_state().items()}
            decoder.set_state(repeated, int(prime[-1]))
        else:
            decoder.set_state(state, int(prime[0]))
            _feed_prompt(decoder, np.repeat(prime[1:, None], count, axis=1))
        return _generate_blocks(decoder, count, length, params, seed)

    def _output_bias(self) -> Array:
        """Return the bias (V,) of the output layer, which suppresses the token that is never sampled."""
        network = self.network
        bias = network.parameters["out.bias"]
        if self._suppressed is None:
            return bias
        changed = network.kernels.to_host(bias).copy()
        changed[self._suppressed] = _SUPPRESSED
        on_device: Array = network.kernels.to_device(changed)
        return on_device


def _generate_blocks(
    decoder: AdaptiveDecoder, count: int, length: int, params: SamplingParams, seed: int
) -> Iterator[Array]:
    """Yield blocks (n, count) of sampled ids, each of about `_CALL_SECONDS`."""
    # One generator for each text, so that a text does not depend on the number of texts.
    generators = [np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, i]))) for i in range(count)]
    done = 0
    block = _FIRST_BLOCK
    while done < length:
        block = min(block, length - done)
        uniforms = np.stack([g.random(block) for g in generators], axis=1)
        tokens = np.empty((block, count), np.int32)
        start = time.perf_counter()
        decoder.generate(uniforms, params.numbers, tokens)
        seconds = time.perf_counter() - start
        done += block
        yield tokens
        block = _next_block(block, seconds)


def _feed_prompt(decoder: AdaptiveDecoder, tokens: Array) -> None:
    """Feed prompt tokens (N, B)."""
    done, block = 0, _FIRST_BLOCK
    while done < len(tokens):
        given = np.ascontiguousarray(tokens[done : done + block], np.int32)
        start = time.perf_counter()
        decoder.generate(np.zeros(given.shape), SamplingParams().numbers, given, len(given))
        done += len(given)
        block = _next_block(block, time.perf_counter() - start)


def _next_block(block: int, seconds: float) -> int:
    """Tokens of the next call, which shall take `_CALL_SECONDS`, after one of ``block`` tokens took ``seconds``."""
    return max(1, min(_MAX_BLOCK, int(block * min(4.0, _CALL_SECONDS / max(seconds, 1e-6)))))
