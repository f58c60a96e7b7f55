"""A trained model to use: load, sample, evaluate, score, complete, step."""

import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checkpoint.checkpoint import Checkpoint, load
from ..checkpoint.run_dir import model_path
from ..data.examples.dataset import iter_bounded_batches
from ..data.text.corpus import Corpus
from ..data.text.decoding import check_unknown
from ..data.text.tokenizers import Tokenizer
from ..errors import ConfigError, InputError
from ..message import quoted
from ..nn.network import Network, State
from ..plain import check_path, check_whole, to_plain
from .evaluation import Evaluation, evaluate
from .sampling import Sampler, SamplingParams, check_amounts, check_texts

_LINES = 64  # scored side by side
_STEPS = 128
_MOST_COMPLETED = 1000  # continuations, and their tokens
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LineScore:
    """``logprob``: the natural logarithm of the line's probability, the sum over its ``chars`` tokens.

    A model of words counts `<EOS>` among them; ``unknown`` of them are `<UNK>`.
    """

    text: str
    chars: int
    logprob: float
    unknown: int = 0

    @property
    def bits_per_char(self) -> float:
        return (0.0 - self.logprob) / math.log(2) / max(1, self.chars)


class LanguageModel:
    """A network and its vocabulary. Not for two threads at once.

    It can be copied and pickled; a copy has forgotten what `step` was fed.
    """

    def __init__(
        self, checkpoint: Checkpoint, threads: int | None = None, exact: bool = False, device: str = "cpu"
    ) -> None:
        self.config = checkpoint.config
        if not isinstance(checkpoint.tokenizer, Tokenizer):
            raise ConfigError(f"a model for {self.config.task}, not a language model; use `fastrnn predict` or `eval`")
        self.tokenizer: Tokenizer = checkpoint.tokenizer
        self.progress, self.corpus = checkpoint.progress, checkpoint.corpus
        self._settings = threads, exact, device
        config = self.config
        here = config.replace(precision=config.dtype, threads=threads, device=device)
        self.network = Network.from_config(here, self.tokenizer.size)
        self.shape = self.network.shape
        self.network.parameters.assign(checkpoint.parameters)
        self.sampler = Sampler(self.network, self.tokenizer, config.document_separator, rounded=not exact)
        self._stepper: Network | None = None
        self._state: State = {}

    def __reduce__(self) -> tuple[Any, ...]:
        parameters = self.network.parameters.on_host()
        checkpoint = Checkpoint(self.config, self.tokenizer, parameters, {}, {}, self.progress, self.corpus)
        return type(self), (checkpoint, *self._settings)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], threads: int | None = None, exact: bool = False, device: str = "cpu"
    ) -> "LanguageModel":
        """From a run folder (its best model) or a file. Raises `CheckpointError`.

        Texts are drawn with numbers rounded to bfloat16 (see `Sampler`), which is faster; ``exact``: in float32.
        Measuring (evaluate, score, complete, step) is always exact. ``device``: where to compute, wherever the model
        was trained. Raises `BackendError` when that is not here.
        """
        return cls(load(model_path(check_path("path", path))), threads, exact, device)

    def sample_stream(
        self,
        count: int = 1,
        length: int = 500,
        *,
        prime: str = "",
        seed: int = 0,
        stop: str | None = None,
        unknown: str = "error",
        no_unk: bool = False,
        **drawing: Any,
    ) -> Iterator[list[str]]:
        """Pieces of ``count`` new texts as they are drawn, one list a moment; ``length`` tokens each, or until
        ``stop``.

        ``drawing``: the fields of `SamplingParams` (temperature, top_k, top_p, min_p, greedy). The prime is
        not repeated. Raises `ConfigError` for settings that cannot be, and `InputError` when the vocabulary lacks
        characters of the prime, unless ``unknown`` is "skip". ``no_unk``: a model of words never draws `<UNK>`.
        """
        count, length, seed = check_amounts(count, length, seed)
        check_texts(prime=prime, stop=stop)
        check_unknown(unknown)
        how = SamplingParams(**drawing)
        sampler = self.sampler.without_unknown() if no_unk else self.sampler
        return sampler.stream(count, length, prime, how, seed=seed, stop=stop, unknown=unknown)

    def sample(self, length: int = 500, **settings: Any) -> str:
        """One new text; settings as for `sample_stream`."""
        return "".join(piece[0] for piece in self.sample_stream(1, length, **settings))

    def evaluate(self, corpus: Corpus) -> Evaluation:
        """The mean loss over every predicted position of a corpus that was read with this model's vocabulary."""
        if not isinstance(corpus, Corpus):
            raise InputError(f"{quoted(corpus)} is no Corpus; give what read_corpus or corpus_from_text makes")
        if corpus.tokenizer != self.tokenizer:
            raise InputError("this corpus has another vocabulary; read it with tokenizer=model.tokenizer")
        found = evaluate(self.network.with_shared_parameters(), corpus)
        assert found is not None
        return found

    def score(self, lines: Iterable[str], unknown: str = "error") -> Iterator[LineScore]:
        """The log-probability of each line, as the start of a document: the chain rule over its tokens.

        For a model of words that is P(sentence), the `<EOS>` at its end included, so that the probabilities of all
        sentences sum to one. Characters and bytes have no such end. Raises `InputError` for one text in the place of
        a list of them.
        """
        if isinstance(lines, str | bytes | Mapping) or not isinstance(lines, Iterable) or hasattr(lines, "columns"):
            what = "one text" if isinstance(lines, str | bytes) else f"a value of type {type(lines).__name__}"
            raise InputError(f"{what} where a list is needed; give a list of texts")
        return self._scores(lines, unknown)

    def _scores(self, lines: Iterable[str], unknown: str) -> Iterator[LineScore]:
        network = self.network.with_shared_parameters()
        numbered = enumerate(lines, 1)
        while batch := list(itertools.islice(numbered, _LINES)):
            coded = [self._coded(line, n, unknown) for n, line in batch]
            for (_, line), ids, nats in zip(batch, coded, self._nats(network, coded), strict=True):
                unknowns = int(np.count_nonzero(ids == self.tokenizer.unknown))
                yield LineScore(line, len(ids), 0.0 - nats, unknowns)  # an empty line has 0, not -0

    def _coded(self, line: str, number: int, unknown: str) -> Array:
        if not isinstance(line, str):
            raise InputError(f"line {number}: a value of type {type(line).__name__} where a text is needed")
        try:
            return self._ended(self.tokenizer.encode(line, unknown))
        except InputError as error:
            raise InputError(f"line {number}: {error}") from None

    def _ended(self, ids: Array) -> Array:
        """A sentence with its end, if the vocabulary has one and it does not stand there yet."""
        end = self.tokenizer.end
        return ids if end is None or (ids.size and ids[-1] == end) else np.append(ids, end)

    def _nats(self, network: Network, coded: list[Array]) -> list[float]:
        """The sum of the losses of each token sequence after what starts a document; those of like length together."""
        lengths, found = np.array([len(ids) for ids in coded]), np.zeros(len(coded))
        for rows in iter_bounded_batches(np.argsort(lengths, kind="stable"), [lengths], _LINES):
            found[rows] = self._nats_together(network, [coded[row] for row in rows])
        nats: list[float] = found.tolist()
        return nats

    def _nats_together(self, network: Network, coded: list[Array]) -> Array:
        """The same, side by side."""
        start = self.tokenizer.start_ids(self.config.document_separator)
        steps = len(start) + max(map(len, coded)) - 1
        x, y = np.zeros((steps, len(coded)), np.int32), np.full((steps, len(coded)), -1, np.int32)
        for b, ids in enumerate(coded):
            whole = np.concatenate([start, ids])
            x[: len(whole) - 1, b] = whole[:-1]
            y[len(start) - 1 : len(whole) - 1, b] = ids
        state, total = network.initial_state(len(coded)), np.zeros(len(coded))
        for t in range(0, steps, _STEPS):
            window = slice(t, t + _STEPS)
            losses = network.loss(np.ascontiguousarray(x[window]), np.ascontiguousarray(y[window]), None, state)
            total += losses.sum(axis=0, dtype=np.float64)
        return total

    def complete(self, text: str, n: int = 5, length: int = 1, unknown: str = "error") -> list[tuple[str, float]]:
        """The ``n`` likeliest continuations of ``length`` tokens with their probabilities, likeliest first.

        Beyond the first token each goes on greedily, up to the end of a sentence, which is shown as `<EOS>`; its
        probability is that of the whole continuation. Bytes that are no whole character are shown as escapes.
        """
        return [(shown, math.exp(logprob)) for shown, logprob in self.completions(text, n, length, unknown)]

    def completions(self, text: str, n: int = 5, length: int = 1, unknown: str = "error") -> list[tuple[str, float]]:
        """As `complete`, with natural log-probabilities, which stay apart where probabilities come near zero."""
        n, length = check_whole("n", n, 1, _MOST_COMPLETED), check_whole("length", length, 1, _MOST_COMPLETED)
        check_texts(text=text)
        found, prime = [], self.sampler.prime_ids(text, unknown)
        first = self._probabilities(prime)
        reached = self._copied(self._state)
        for token in np.argsort(-first, kind="stable")[:n]:
            ids, logprob = [int(token)], _log(first[token])
            self._state = self._copied(reached)
            while len(ids) < length and ids[-1] != self.tokenizer.end:
                after = self.step(ids[-1])
                ids.append(int(after.argmax()))
                logprob += _log(after[ids[-1]])
            found.append((self._shown(ids, length), logprob))
        return sorted(found, key=lambda pair: -pair[1])

    def _shown(self, ids: list[int], length: int) -> str:
        if length == 1 or ids[0] == self.tokenizer.end:
            return self.tokenizer.token_text(ids[0])
        if self.tokenizer.kind == "bytes":
            return bytes(ids).decode("utf-8", "backslashreplace")
        if ids[-1] != self.tokenizer.end:
            return self.tokenizer.decode(ids)
        return f"{self.tokenizer.decode(ids[:-1])} {self.tokenizer.token_text(ids[-1])}"

    def _probabilities(self, ids: Array) -> Array:
        """P(next token) after these tokens from a zero state, (V,) float64."""
        self.reset()
        return [self.step(int(i)) for i in ids][-1]

    def _copied(self, state: State) -> State:
        kernels = self.network.kernels
        return {name: kernels.to_device(kernels.to_host(array).copy()) for name, array in state.items()}

    def reset(self) -> None:
        """Forget what `step` was fed."""
        self._stepper = None

    def step(self, x: str | int) -> Array:
        """Feed one token (a character, a word, or an id); P(next token), (V,) float64. The state is kept."""
        if isinstance(x, str):
            ids = self.tokenizer.encode(x)
            if len(ids) != 1:
                raise InputError(f"step takes one token; {quoted(x)} is {len(ids)}")
            x = int(ids[0])
        token: int = to_plain("a token's id", x, int)
        if not 0 <= token < self.tokenizer.size:
            raise InputError(f"token ids run from 0 to {self.tokenizer.size - 1}; got {token}")
        if self._stepper is None:
            self._stepper, self._state = self.network.with_shared_parameters(), self.network.initial_state(1)
        logits = self._stepper.step_logits(np.array([[token]], np.int32), self._state)[0].astype(np.float64)
        exp = np.exp(logits - logits.max())
        probabilities: Array = exp / exp.sum()
        return probabilities


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0 else -math.inf
