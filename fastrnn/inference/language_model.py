"""Language models for use: load, sample, evaluate, score, complete, step."""

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checkpoint.checkpoint import Checkpoint, load
from ..checkpoint.run_dir import model_path
from ..data.examples.batching import iter_chunks
from ..data.examples.dataset import iter_bounded_batches
from ..data.text.bptt import evaluation_seq
from ..data.text.corpus import Corpus, check_predictable
from ..data.text.remarks import check_unknown
from ..data.text.tokenizers import Tokenizer
from ..errors import ConfigError, InputError, quote
from ..nn.network import Network, State, Stepper
from ..plain import check_path, check_whole, to_plain
from .dynamic import DynamicSettings, EvaluationProgress, evaluate_dynamic
from .evaluation import Evaluation, evaluate
from .sampling import Prompt, Sampler, SamplingParams, check_amounts, check_texts

_LINES = 64  # lines scored in one batch
_STEPS = 128  # most time steps of one call
_MAX_COMPLETED = 1000  # the most continuations, and the most tokens of one
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LineScore:
    """The probability of one line.

    Attributes:
        text: The line.
        chars: The number of its tokens; a model of words counts `<EOS>` as one.
        logprob: The sum of the tokens' log-probabilities in nats.
        unknown: The number of tokens that are `<UNK>`.
    """

    text: str
    chars: int
    logprob: float
    unknown: int = 0

    @property
    def bits_per_char(self) -> float:
        """The mean loss in bits for each token."""
        return (0.0 - self.logprob) / math.log(2) / max(1, self.chars)


class LanguageModel:
    """A trained language model and its vocabulary. Not thread-safe.

    It can be copied and pickled; a copy starts `step` from a zero state.

    Args:
        checkpoint: The checkpoint of a language model.
        threads: The number of threads; None for the default of this machine.
        exact: Sample in float32 instead of with weights rounded to bfloat16.
        device: "cpu" or "cuda".

    Attributes:
        config: The `Config` of the training run.
        tokenizer: Maps texts to ids and back.
        network: The network; its kernels run on the chosen device.
        progress, corpus: Training progress and training data, as saved in the checkpoint.
    """

    def __init__(
        self, checkpoint: Checkpoint, threads: int | None = None, exact: bool = False, device: str = "cpu"
    ) -> None:
        self.config = checkpoint.config
        if not isinstance(checkpoint.tokenizer, Tokenizer):
            raise ConfigError(f"a model for {self.config.task}, not a language model; use `fastrnn predict` or `eval`")
        self.tokenizer: Tokenizer = checkpoint.tokenizer
        self.progress = checkpoint.progress
        self.corpus = checkpoint.corpus
        self._settings = threads, exact, device  # arguments of a copy, for pickle

        config = self.config
        # Device and threads are those of this machine, not of the training.
        local_config = config.replace(precision=config.dtype, threads=threads, device=device)
        self.network = Network.from_config(local_config, self.tokenizer.size, self.tokenizer.ngrams)
        self.shape = self.network.shape
        self.network.parameters.assign(checkpoint.parameters)
        self.sampler = Sampler(self.network, self.tokenizer, config.document_separator, rounded=not exact)
        self._stepper: Stepper | None = None  # of `step` and `completions`, from the first call on
        self._state: State | None = None  # of `step`; None: zeros

    def __repr__(self) -> str:
        shape, kind = self.shape, self.tokenizer.kind
        return (
            f"LanguageModel({shape.cell}, layers={shape.layers}, hidden={shape.hidden}, "
            f"vocabulary of {shape.vocab:,} {kind})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        parameters = self.network.parameters.on_host()
        checkpoint = Checkpoint(self.config, self.tokenizer, parameters, {}, {}, self.progress, self.corpus)
        return type(self), (checkpoint, *self._settings)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], threads: int | None = None, exact: bool = False, device: str = "cpu"
    ) -> "LanguageModel":
        """Load a language model.

        Args:
            path: A run folder (its best checkpoint is loaded) or a ``.safetensors`` file.
            threads: The number of threads; None for the default of this machine.
            exact: Sample in float32; by default weights are rounded to bfloat16, which is faster (see
                `Sampler`). `evaluate`, `score`, `complete` and `step` are always exact.
            device: "cpu" or "cuda"; independent of the device of the training.

        Returns:
            The model.

        Raises:
            CheckpointError: The file is missing, unreadable, damaged or of another version.
            BackendError: The device is not available.
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
        **params: Any,
    ) -> Iterator[list[str]]:
        """Sample new texts and yield their pieces as they are sampled.

        Args:
            count: The number of texts, sampled in parallel.
            length: The most tokens of each text.
            prime: The prompt that each text continues; it is not repeated.
            seed: The random seed; text i of a seed does not depend on ``count``.
            stop: End a text before the first occurrence of this string.
            unknown: "error" or "skip", for characters of the prompt that the vocabulary lacks.
            no_unk: Never sample `<UNK>` (models of words).
            **params: The fields of `SamplingParams`: temperature, top_k, top_p, min_p, greedy.

        Yields:
            A list of ``count`` strings: the next piece of each text, possibly empty.

        Raises:
            ConfigError: An argument is out of range or of another type.
            InputError: The vocabulary lacks characters of the prompt and ``unknown`` is "error".
        """
        count, length, seed = check_amounts(count, length, seed)
        check_texts(prime=prime, stop=stop)
        check_unknown(unknown)
        how = SamplingParams(**params)
        sampler = self.sampler.without_unknown() if no_unk else self.sampler
        return sampler.stream(count, length, Prompt(prime, unknown), how, seed=seed, stop=stop)

    def sample(self, length: int = 500, **settings: Any) -> str:
        """Sample one text of at most ``length`` tokens; other arguments as for `sample_stream`."""
        return "".join(piece[0] for piece in self.sample_stream(1, length, **settings))

    def evaluate(self, corpus: Corpus) -> Evaluation:
        """Evaluate the model on a text.

        Args:
            corpus: A text read with this model's vocabulary: ``read_corpus(..., tokenizer=model.tokenizer)``.

        Returns:
            The mean loss over all predicted positions, computed in the precision of the model.

        Raises:
            InputError: ``corpus`` is not a `Corpus`, has another vocabulary, or nothing to predict.
        """
        self._check_corpus(corpus)
        found = evaluate(self.network.with_shared_parameters(), corpus)
        assert found is not None
        return found

    def evaluate_dynamic(
        self, corpus: Corpus, *, progress: EvaluationProgress | None = None, **settings: Any
    ) -> Evaluation:
        """Evaluate the model on a text while it learns from that text (Krause et al. 2018).

        The text is read once, in one stream. Each window is scored before the model learns from it, so no
        token is scored after it was learnt from. The loss is lower than that of `evaluate` where the text
        repeats what the training text lacks, such as names. It is another kind of figure: state it
        separately. It is slower: each window takes a step of training. See `fastrnn.inference.dynamic`
        for the formula.

        A copy of the parameters learns; the model does not change. The same arguments give the same bits.

        Args:
            corpus: A text as for `evaluate`.
            progress: Called after each window with the share of the text scored so far, 0 to 1, and the
                mean loss over it in nats.
            **settings: The fields of `DynamicSettings`: lr, decay, seq.

        Returns:
            The mean loss over all predicted positions, computed in the type of the parameters (float32, or
            float64 for a model trained in it), without bfloat16.

        Raises:
            ConfigError: A setting is out of range or of another type.
            DivergedError: The loss became NaN or infinite, because ``lr`` is too high.
            InputError: ``corpus`` is not a `Corpus`, has another vocabulary, or nothing to predict.
        """
        self._check_corpus(corpus)
        return evaluate_dynamic(self.network, corpus, DynamicSettings(**settings), progress)

    def _check_corpus(self, corpus: Corpus) -> None:
        if not isinstance(corpus, Corpus):
            raise InputError(f"{quote(corpus)} is not a Corpus; use read_corpus or corpus_from_text")
        if corpus.tokenizer != self.tokenizer:
            raise InputError("this corpus has another vocabulary; read it with tokenizer=model.tokenizer")
        check_predictable(corpus)

    def score(self, lines: Iterable[str], unknown: str = "error") -> Iterator[LineScore]:
        """The log-probability of each line as the start of a document, by the chain rule over its tokens.

        For a model of words it is P(sentence), the final `<EOS>` included, so that the probabilities of
        all sentences sum to one. Models of characters and bytes have no end token.

        Args:
            lines: The texts, without line ends; read 64 at a time, or as they arrive if they are `StreamedItems`.
            unknown: "error" or "skip", for characters that the vocabulary lacks.

        Returns:
            An iterator of a `LineScore` for each line.

        Raises:
            InputError: ``lines`` is not a list of strings, or the vocabulary lacks a character.
        """
        # Each of these can be iterated over, but not line by line: the characters of a text, the keys of a mapping,
        # the columns of a data frame.
        if isinstance(lines, str | bytes | Mapping) or not isinstance(lines, Iterable) or hasattr(lines, "columns"):
            found = "one text" if isinstance(lines, str | bytes) else f"a value of type {type(lines).__name__}"
            raise InputError(f"{found} where a list is needed; give a list of texts")
        return self._score_lines(lines, unknown)

    def _score_lines(self, lines: Iterable[str], unknown: str) -> Iterator[LineScore]:
        # A network of its own: `step` and the sampler keep their states.
        network = self.network.with_shared_parameters()
        done = 0
        for batch in iter_chunks(lines, _LINES):
            sequences: list[Array] = []
            failed: InputError | None = None
            for n, line in enumerate(batch, done + 1):
                try:
                    sequences.append(self._encode_line(line, n, unknown))
                except InputError as error:  # raised after the scores of the lines before it
                    failed = error
                    break
            done += len(batch)
            for line, ids, nats in zip(batch, sequences, self._sum_losses(network, sequences), strict=False):
                unknowns = int(np.count_nonzero(ids == self.tokenizer.unknown))
                yield LineScore(line, len(ids), 0.0 - nats, unknowns)  # an empty line has 0, not -0
            if failed is not None:
                raise failed

    def _encode_line(self, line: str, number: int, unknown: str) -> Array:
        if not isinstance(line, str):
            raise InputError(f"line {number}: a value of type {type(line).__name__} where a text is needed")
        try:
            return self._append_end(self.tokenizer.encode(line, unknown))
        except InputError as error:
            raise InputError(f"line {number}: {error}") from None

    def _append_end(self, ids: Array) -> Array:
        """The ids with the vocabulary's end token, if it has one and the ids do not end with it."""
        end = self.tokenizer.end
        return ids if end is None or (ids.size and ids[-1] == end) else np.append(ids, end)

    def _sum_losses(self, network: Network, sequences: list[Array]) -> list[float]:
        """The sum of the losses of each token sequence as the start of a document."""
        lengths = np.array([len(ids) for ids in sequences])
        found = np.zeros(len(sequences))
        # Sequences of similar length share a batch, which keeps the padding short.
        for rows in iter_bounded_batches(np.argsort(lengths, kind="stable"), [lengths], _LINES):
            found[rows] = self._sum_batch_losses(network, [sequences[row] for row in rows])
        nats: list[float] = found.tolist()
        return nats

    def _sum_batch_losses(self, network: Network, sequences: list[Array]) -> Array:
        """The same for one batch."""
        start = self.tokenizer.start_ids(self.config.document_separator)
        steps = len(start) + max(map(len, sequences)) - 1
        x = np.zeros((steps, len(sequences)), np.int32)
        y = np.full((steps, len(sequences)), -1, np.int32)  # -1: not scored
        # Column b: the document start, then the line; only the tokens of the line are targets.
        for b, ids in enumerate(sequences):
            sequence = np.concatenate([start, ids])
            x[: len(sequence) - 1, b] = sequence[:-1]
            y[len(start) - 1 : len(sequence) - 1, b] = ids

        state = network.initial_state(len(sequences))
        total = np.zeros(len(sequences))
        steps_at_once = evaluation_seq(len(sequences), self.tokenizer.size, _STEPS)
        for t in range(0, steps, steps_at_once):
            window = slice(t, t + steps_at_once)
            losses = network.loss(np.ascontiguousarray(x[window]), np.ascontiguousarray(y[window]), None, state)
            for row in losses:  # step by step: the sum does not depend on how many steps a window has
                total += row
        return total

    def complete(self, text: str, n: int = 5, length: int = 1, unknown: str = "error") -> list[tuple[str, float]]:
        """The likeliest first tokens after a text, each continued greedily.

        A continuation ends with a sentence's `<EOS>`, if the vocabulary has one. Bytes that are not a complete
        character are escaped.

        Args:
            text: The text to continue.
            n: The number of continuations, 1 to 1000.
            length: The most tokens of each, 1 to 1000.
            unknown: "error" or "skip", for characters that the vocabulary lacks.

        Returns:
            Pairs (continuation, probability of the whole continuation), likeliest first.

        Raises:
            ConfigError: A number is out of range.
            InputError: The vocabulary lacks a character of the text.
        """
        found = self.completions(text, n, length, unknown)
        return [(continuation, math.exp(logprob)) for continuation, logprob in found]

    def completions(self, text: str, n: int = 5, length: int = 1, unknown: str = "error") -> list[tuple[str, float]]:
        """As `complete`, with log-probabilities in nats, which do not underflow for long continuations."""
        n = check_whole("n", n, 1, _MAX_COMPLETED)
        length = check_whole("length", length, 1, _MAX_COMPLETED)
        check_texts(text=text)
        prime = self.sampler.prime_ids(text, unknown)

        state = self.network.initial_state(1)
        for t in range(0, len(prime), _STEPS):
            first = self._probabilities(prime[t : t + _STEPS, None], state)[0]
        tokens = np.argsort(-first, kind="stable")[:n]
        logprobs = _logs(first[tokens])
        continuations = [[token] for token in tokens.tolist()]

        # The text was fed once; all continuations start from its final state, side by side.
        state = self._repeat_state(state, len(tokens))
        for _ in range(length - 1):
            active = np.array([ids[-1] != self.tokenizer.end for ids in continuations])
            if not active.any():
                break
            after = self._probabilities(tokens[None], state)
            tokens = after.argmax(axis=1)
            logprobs += np.where(active, _logs(np.take_along_axis(after, tokens[:, None], axis=1)[:, 0]), 0)
            for b in np.flatnonzero(active):
                continuations[b].append(int(tokens[b]))

        texts = [self._format_continuation(ids, length) for ids in continuations]
        # Greedy continuation can change the order of the first tokens.
        return sorted(zip(texts, logprobs.tolist(), strict=True), key=lambda pair: -pair[1])

    def _format_continuation(self, ids: list[int], length: int) -> str:
        if length == 1 or ids[0] == self.tokenizer.end:
            return self.tokenizer.token_text(ids[0])
        if self.tokenizer.kind == "bytes":
            return bytes(ids).decode("utf-8", "backslashreplace")
        if ids[-1] != self.tokenizer.end:
            return self.tokenizer.decode(ids)
        return f"{self.tokenizer.decode(ids[:-1])} {self.tokenizer.token_text(ids[-1])}"

    def _probabilities(self, ids: Array, state: State) -> Array:
        """P(next token) after ids (T, B), shape (B, V) float64; ``state`` is replaced by the final state."""
        if self._stepper is None:
            self._stepper = Stepper(self.network)
        logits = self._stepper.logits(np.ascontiguousarray(ids, np.int32), state).astype(np.float64)
        # Softmax, stable because the largest exponent is 0.
        exp = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: Array = exp / exp.sum(axis=1, keepdims=True)
        return probabilities

    def _repeat_state(self, state: State, count: int) -> State:
        """Return a state of ``count`` rows, all equal to the only row of ``state``."""
        kernels = self.network.kernels
        return {
            name: kernels.to_device(np.repeat(kernels.to_host(array), count, axis=1)) for name, array in state.items()
        }

    def reset(self) -> None:
        """Reset the state of `step` to zero."""
        self._state = None

    def step(self, x: str | int) -> Array:
        """Feed one token and return the distribution of the next; the state is carried to the next call.

        Args:
            x: A character or word of the vocabulary, or a token id.

        Returns:
            P(next token), shape (V,) float64.

        Raises:
            InputError: ``x`` is not exactly one known token.
            ConfigError: ``x`` is neither a str nor an integer.
        """
        if isinstance(x, str):
            ids = self.tokenizer.encode(x)
            if len(ids) != 1:
                raise InputError(f"step takes one token; {quote(x)} is {len(ids)}")
            x = int(ids[0])
        token: int = to_plain("a token's id", x, int)
        if not 0 <= token < self.tokenizer.size:
            raise InputError(f"token ids run from 0 to {self.tokenizer.size - 1}; got {token}")
        if self._state is None:
            self._state = self.network.initial_state(1)
        probabilities: Array = self._probabilities(np.array([[token]]), self._state)[0]
        return probabilities


def _logs(probabilities: Array) -> Array:
    """Return the natural logarithms; minus infinity of 0."""
    with np.errstate(divide="ignore"):
        logs: Array = np.log(probabilities)
    return logs
