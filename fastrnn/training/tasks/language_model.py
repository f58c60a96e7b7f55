"""The language-model task: a corpus, its split, and its streams."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from ...config import Config
from ...data.examples.symbol_vocab import CHARS
from ...data.text.bptt import TBPTTStreams
from ...data.text.corpus import (
    Corpus,
    frequent_start,
    lzma_nats,
    read_corpus,
    split_corpus,
    unigram_logprobs,
    unigram_nats,
)
from ...data.text.ngrams import NGrams, find_ngrams
from ...data.text.remarks import describe_chars
from ...data.text.tokenizers import UNK, Tokenizer, WordTokenizer
from ...distributed.communicator import SINGLE_PROCESS, Communicator
from ...errors import ConfigError, InputError, escape, join_first
from ...inference.evaluation import Evaluator, describe_subset, evaluate
from ...nn.matmul_mode import EVALUATION_MODE
from ...nn.network import Network
from .. import autotune, run_length
from ..callbacks import Callback
from ..hyperparameters import steps_of_epochs, with_regularization
from ..time_budget import TimeBudget

# With the vocabulary of an old model, at most this share of the characters may be dropped: above it the text that is
# left no longer resembles the original.
_MOST_DROPPED = 0.1
# The same for words. The limit is higher because an unknown word keeps its place, as <UNK>.
_MOST_UNKNOWN = 0.5


class LanguageModelTraining:
    """A corpus, read and split (see `TrainingTask`).

    ``tokenizer``: tokenizer of an old model to keep. Raises `InputError`, or `ConfigError` for a corpus of another kind
    of tokens.
    """

    group: Communicator = SINGLE_PROCESS

    def __init__(
        self, inputs: Sequence[str] | Corpus, config: Config, tokenizer: Tokenizer | None, callback: Callback
    ) -> None:
        whole = _read(inputs, config, tokenizer, callback)
        for remark in whole.remarks:
            callback.message(remark)
        self.tokenizer = whole.tokenizer
        self._is_old = tokenizer is not None
        if tokenizer is not None and tokenizer == whole.tokenizer:
            self.tokenizer = tokenizer  # that of a corpus which the caller read has no n-grams
        self.tokens = whole.tokenizer.kind
        if config.tokens not in (None, self.tokens):  # a corpus read by the caller
            raise ConfigError(
                f"tokens is {config.tokens}, but this corpus is of {self.tokens}; read it with tokens={config.tokens!r}"
            )
        names = list(whole.names) if isinstance(inputs, Corpus) else list(inputs)
        self._names = () if isinstance(inputs, Corpus) else tuple(map(escape, inputs))  # of files and built-in texts
        self.about: dict[str, Any] = {"inputs": names, "fingerprint": whole.fingerprint, "tokens": len(whole)}
        self.corpus, self.valid = _split(whole, config, callback)
        self._valid_tokens = len(self.valid) if self.valid else 0
        self._documents = len(whole.starts)
        self._unknown, self._tokens = 0, len(whole)
        self._skipped = whole.skipped
        if isinstance(whole.tokenizer, WordTokenizer):
            self._unknown = int(np.count_nonzero(whole.ids == whole.tokenizer.ids[UNK]))

    def report_unknown(self, callback: Callback) -> None:
        """Report tokens that the old vocabulary lacks. Raises `InputError` if too little of the text is left."""
        dropped = sum(self._skipped.values())
        share = dropped / (dropped + self._tokens)
        if share > _MOST_DROPPED:
            raise InputError(
                f"{share:.0%} of the text ({dropped:,} of {dropped + self._tokens:,} characters) is unknown to the "
                f"model to start from and would be left out: {describe_chars(self._skipped)}; train a new model "
                "without --init-from, or start from one of this script"
            )
        if self._unknown:
            message = f"{self._unknown:,} of {self._tokens:,} words are unknown to the old model: {UNK}"
            if self._unknown > _MOST_UNKNOWN * self._tokens:
                raise InputError(
                    f"{message}; train a new model without --init-from, or start from one of this language"
                )
            callback.message(message)

    def describe(self, config: Config) -> list[str]:
        """Describe the data and the length of the run, one line each."""
        windows, documents = self.windows(config), self._documents
        valid = ""
        if self._tokens > len(self.corpus):
            valid = f" ({len(self.corpus):,} to train on, {self._tokens - len(self.corpus):,} to validate on)"
        return [
            f"text {self._source()}{self._tokens:,} {config.tokens}{valid}, vocabulary of {self.tokenizer.size:,}, "
            f"{documents:,} {'document' if documents == 1 else 'documents'}",
            f"{config.steps:,} {'step' if config.steps == 1 else 'steps'} of {config.batch} x {config.seq}, "
            f"{windows.per_epoch:,} an epoch",
            *describe_subset(config.eval_size, self._valid_tokens, config.tokens or CHARS),
        ]

    def _source(self) -> str:
        """Return the name of the text, with a colon; empty for a text in memory."""
        return f"{join_first(self._names, 1)}: " if self._names else ""

    def statistics(self, compares: bool) -> dict[str, Any]:
        """Compute the losses of simpler methods, and find a frequent beginning of the text; each only once."""
        return self._quick_statistics | {"xz_nats": self._xz_nats if compares else None}

    @cached_property
    def _quick_statistics(self) -> dict[str, Any]:
        return {"unigram_nats": unigram_nats(self.corpus, self.valid), "start": frequent_start(self.corpus)}

    @cached_property
    def _xz_nats(self) -> float | None:
        if self.valid is None or self.tokenizer.kind == "words":  # xz knows no words
            return None
        return lzma_nats(self.corpus, self.valid)

    def plan(self, config: Config, budget: TimeBudget) -> autotune.Plan:
        """Choose every setting that ``config`` leaves open."""
        plan = autotune.plan(
            config, len(self.corpus), self._valid_tokens, self.tokenizer.size, budget, self._choose_ngrams
        )
        self.tokenizer = self.tokenizer.with_ngrams(plan.ngrams or NGrams(self.tokenizer.size))
        return plan

    def _choose_ngrams(self, most: int) -> NGrams:
        """Return those of the old model, else at most so many of the text."""
        if self._is_old:
            return self.tokenizer.ngrams
        return find_ngrams(self.corpus.ids, self.tokenizer.size, most)

    def model(self, config: Config) -> Network:
        """Build a network for this text, its parameters all zero."""
        return Network.from_config(config, self.tokenizer.size, self.tokenizer.ngrams)

    def out_bias(self, config: Config) -> np.ndarray[Any, Any] | None:
        """Return the initial bias (V,) of the output layer; None for zeros.

        With "unigram" a model begins with the unigram loss instead of log V, and rare tokens are rare from the start.
        """
        if config.out_bias != "unigram":
            return None
        logprobs = unigram_logprobs(self.corpus)
        logprobs -= logprobs.mean()
        return logprobs

    def windows(self, config: Config) -> TBPTTStreams:
        """Return the training streams. Raises `ConfigError` if the text is too short for them."""
        assert config.batch is not None
        shard = self.group.shard(config.batch)
        return TBPTTStreams(
            self.corpus, config.batch, config.seq, config.seed, shard, config.streams, config.reset_every or 0
        )

    def evaluator(self, model: Network, config: Config) -> Evaluator | None:
        """Return the evaluator of a model in training; None without validation data."""
        if self.valid is None:
            return None
        tokens = len(self.valid)
        valid, size = self.valid, config.eval_size
        if (
            size is None and tokens > run_length.MOST_SIZE
        ):  # runs of earlier versions evaluated the first MOST_SIZE tokens
            valid, _ = split_corpus(valid, 1 - run_length.MOST_SIZE / tokens)
        # On arrays of its own, so that the state carried through the training text is not disturbed.
        during = partial(evaluate, model.with_shared_parameters(), valid, group=self.group, size=size)
        if (size or len(valid)) >= tokens and model.matmul_mode == EVALUATION_MODE:
            return Evaluator(during)
        final = run_length.final_size(config, tokens, self.tokenizer.size)
        exact = model.with_shared_parameters(EVALUATION_MODE)
        return Evaluator(during, partial(evaluate, exact, self.valid, group=self.group, size=final))

    def sample_function(self, model: Network, config: Config) -> Callable[[], str]:
        """Return a function that generates a short sample of the model."""
        from ...inference.sampling import Prompt, Sampler, SamplingParams

        def generate() -> str:
            sampler = Sampler(model, self.tokenizer, config.document_separator)
            return "".join(
                chunk[0]
                for chunk in sampler.stream(1, 120, Prompt(), SamplingParams(temperature=0.8), seed=config.seed)
            )

        return generate

    def steps_of_epochs(self, config: Config, epochs: float) -> int:
        """Return the number of steps of ``epochs`` passes over the training data."""
        return steps_of_epochs(config, epochs, len(self.corpus))

    def steps_within(self, config: Config, seconds_left: Callable[[], float]) -> int:
        """Time a few steps; return how many fit into the time left after that."""
        text = run_length.TextSize(len(self.corpus), self._valid_tokens, self.tokenizer.size)
        return run_length.length_within(config, seconds_left, text, self.group, self.tokenizer.ngrams)[0]

    def default_eval_every(self, config: Config) -> int:
        """Return the default number of steps between evaluations."""
        return run_length.default_eval_every(config, self._valid_tokens)

    def with_regularization(self, config: Config, given: Config) -> Config:
        """Set dropout and weight decay, where ``given`` leaves them open, to those for the steps of ``config``."""
        return with_regularization(config, given, len(self.corpus))


def _read(inputs: Sequence[str] | Corpus, config: Config, tokenizer: Tokenizer | None, callback: Callback) -> Corpus:
    if isinstance(inputs, Corpus):
        return inputs
    skip = "skip" if tokenizer is not None else "error"
    corpus = read_corpus(
        inputs,
        tokens=config.tokens or CHARS,
        min_count=config.min_count,
        separator=config.document_separator,
        tokenizer=tokenizer,
        unknown=skip,
        progress=callback.on_read,
        encoding=config.encoding,
    )
    _report_skips(corpus, "the old model does not know them", callback)
    return corpus


def _report_skips(corpus: Corpus, why: str, callback: Callback) -> None:
    if corpus.skipped:
        dropped = sum(corpus.skipped.values())
        share = f"{dropped:,} of {dropped + len(corpus):,} ({dropped / (dropped + len(corpus)):.2%})"
        callback.message(f"left out {share}, because {why}: {describe_chars(corpus.skipped)}")


def _split(whole: Corpus, config: Config, callback: Callback) -> tuple[Corpus, Corpus | None]:
    corpus: Corpus = whole
    valid: Corpus | None = None
    if config.valid_file is not None:
        valid = _read_valid_file(config.valid_file, whole, config, callback)
    elif config.valid:
        corpus, valid = split_corpus(whole, config.valid)
    return corpus, valid


def _read_valid_file(path: str, whole: Corpus, config: Config, callback: Callback) -> Corpus:
    corpus = read_corpus(
        [path],
        separator=config.document_separator,
        tokenizer=whole.tokenizer,
        unknown="skip",
        encoding=config.encoding,
    )
    _report_skips(corpus, f"{escape(path)} has them and the training text has not", callback)
    return corpus
