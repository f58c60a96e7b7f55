"""What a language model is trained on: a text, its split, and its streams."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...config import Config
from ...data.examples.symbol_vocab import CHARS
from ...data.text.bptt import TBPTTStreams
from ...data.text.corpus import Corpus, read_corpus, split_corpus
from ...data.text.decoding import describe, readable
from ...data.text.statistics import frequent_start, unigram_nats
from ...data.text.tokenizers import Tokenizer, WordTokenizer
from ...data.text.words import UNK
from ...distributed.communicator import SINGLE_PROCESS, Communicator
from ...errors import InputError
from ...inference.evaluation import Evaluate, Evaluation, Evaluator, Watch, describe_subset, evaluate
from ...nn.matmul_mode import EVALUATION_MODE
from ...nn.network import Network
from .. import autotune
from ..callbacks import Callback

_MOST_DROPPED = 0.1  # of a text, where an old vocabulary is kept: what is left no longer reads like it
_MOST_UNKNOWN = 0.5  # of its words: each keeps its place, as <UNK>


class LanguageModelTask:
    """A corpus, split. ``tokenizer``: an old model's vocabulary to keep. Raises `InputError`."""

    group: Communicator = SINGLE_PROCESS

    def __init__(
        self, inputs: Sequence[str] | Corpus, config: Config, tokenizer: Tokenizer | None, callback: Callback
    ) -> None:
        whole = _read(inputs, config, tokenizer, callback)
        for remark in whole.remarks:
            callback.message(remark)
        self.tokenizer = whole.tokenizer
        self.tokens = config.tokens or whole.tokenizer.kind
        names = list(whole.names) if isinstance(inputs, Corpus) else list(inputs)
        self.about: dict[str, Any] = {"inputs": names, "fingerprint": whole.fingerprint, "tokens": len(whole)}
        self.corpus, self.valid = _split(whole, config, callback)
        self._valid_tokens = len(self.valid) if self.valid else 0
        self._documents = len(whole.starts)
        self._unknown, self._tokens = 0, len(whole)
        self._skipped = whole.skipped
        if isinstance(whole.tokenizer, WordTokenizer):
            self._unknown = int(np.count_nonzero(whole.ids == whole.tokenizer.ids[UNK]))

    def tell_unknown(self, callback: Callback) -> None:
        """What an old vocabulary lacks. Raises `InputError` where too little is left to learn from."""
        dropped = sum(self._skipped.values())
        share = dropped / (dropped + self._tokens)
        if share > _MOST_DROPPED:
            raise InputError(
                f"{share:.0%} of the text ({dropped:,} of {dropped + self._tokens:,} characters) is unknown to the "
                f"model to start from and would be left out: {describe(self._skipped)}; train a new model without "
                "--init-from, or start from one of this script"
            )
        if self._unknown:
            told = f"{self._unknown:,} of {self._tokens:,} words are unknown to the old model: {UNK}"
            if self._unknown > _MOST_UNKNOWN * self._tokens:
                raise InputError(f"{told}; train a new model without --init-from, or start from one of this language")
            callback.message(told)

    def describe(self, config: Config) -> list[str]:
        """The data and the length of a run on it, in words."""
        windows, documents = self.windows(config), self._documents
        valid = ""
        if self._tokens > len(self.corpus):
            valid = f" ({len(self.corpus):,} to train on, {self._tokens - len(self.corpus):,} to validate on)"
        return [
            f"text {self._tokens:,} {config.tokens}{valid}, vocabulary of {self.tokenizer.size:,}, "
            f"{documents:,} {'document' if documents == 1 else 'documents'}",
            f"{config.steps:,} {'step' if config.steps == 1 else 'steps'} of {config.batch} x {config.seq}, "
            f"{windows.per_epoch:,} an epoch",
            *describe_subset(config.eval_size, self._valid_tokens, config.tokens or CHARS),
        ]

    def statistics(self) -> dict[str, Any]:
        """The loss of frequencies alone, and a frequent beginning."""
        return {"unigram_nats": unigram_nats(self.corpus, self.valid), "start": frequent_start(self.corpus)}

    def plan(self, config: Config, clock: autotune.TimeBudget) -> autotune.Plan:
        """What ``config`` leaves open."""
        return autotune.plan(config, len(self.corpus), self._valid_tokens, self.tokenizer.size, clock)

    def model(self, config: Config) -> Network:
        """A network for this text, its parameters all zero."""
        return Network.from_config(config, self.tokenizer.size)

    def windows(self, config: Config) -> TBPTTStreams:
        """The streams of a run. Raises `ConfigError` for a text that is too short for them."""
        assert config.batch is not None
        return TBPTTStreams(self.corpus, config.batch, config.seq, config.seed, self.group.shard(config.batch))

    def evaluator(self, model: Network, config: Config) -> Evaluator | None:
        """Validates a model that is being trained."""
        if self.valid is None:
            return None
        tokens = len(self.valid)
        valid, size = self.valid, config.eval_size
        if size is None and tokens > autotune.MOST_SIZE:  # a run of an earlier version: it had the first so many
            valid, _ = split_corpus(valid, 1 - autotune.MOST_SIZE / tokens)
        during = self._evaluate(model.with_shared_parameters(), valid, size)
        if (size or len(valid)) >= tokens and model.matmul_mode == EVALUATION_MODE:
            return Evaluator(during)
        final = autotune.final_size(config, tokens, self.tokenizer.size)
        return Evaluator(during, self._evaluate(model.with_shared_parameters(EVALUATION_MODE), self.valid, final))

    def _evaluate(self, network: Network, valid: Corpus, size: int | None) -> Evaluate:
        """Validates this network on so many tokens."""

        def evaluated(watch: Watch, seconds: float = math.inf) -> Evaluation | None:
            return evaluate(network, valid, watch, self.group, size=size, seconds=seconds)

        return evaluated

    def drawing(self, model: Network, config: Config) -> Callable[[], str]:
        """Makes a short sample of a model that is being trained."""
        from ...inference.sampling import Sampler, SamplingParams

        def draw() -> str:
            sampler = Sampler(model, self.tokenizer, config.document_separator)
            return "".join(
                chunk[0] for chunk in sampler.stream(1, 120, "", SamplingParams(temperature=0.8), seed=config.seed)
            )

        return draw

    def steps_of_epochs(self, config: Config, epochs: float) -> int:
        """Steps in so many passes."""
        return autotune.steps_of_epochs(config, epochs, len(self.corpus))

    def steps_within(self, config: Config, seconds_left: Callable[[], float]) -> int:
        """Steps that fit into the time that is left."""
        return autotune.length_within(config, seconds_left, self._valid_tokens, self.tokenizer.size, self.group)[0]

    def eval_every(self, config: Config) -> int:
        """Steps between validations, where that is left open."""
        return autotune.eval_every(config, self._valid_tokens)


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
        progress=callback.reading,
    )
    _tell_skipped(corpus, "the old model does not know them", callback)
    return corpus


def _tell_skipped(corpus: Corpus, why: str, callback: Callback) -> None:
    if corpus.skipped:
        dropped = sum(corpus.skipped.values())
        share = f"{dropped:,} of {dropped + len(corpus):,} ({dropped / (dropped + len(corpus)):.2%})"
        callback.message(f"left out {share}, because {why}: {describe(corpus.skipped)}")


def _split(whole: Corpus, config: Config, callback: Callback) -> tuple[Corpus, Corpus | None]:
    corpus: Corpus = whole
    valid: Corpus | None = None
    if config.valid_file is not None:
        valid = _read_valid_file(config.valid_file, whole, config, callback)
    elif config.valid:
        corpus, valid = split_corpus(whole, config.valid)
    return corpus, valid


def _read_valid_file(path: str, whole: Corpus, config: Config, callback: Callback) -> Corpus:
    corpus = read_corpus([path], separator=config.document_separator, tokenizer=whole.tokenizer, unknown="skip")
    _tell_skipped(corpus, f"{readable(path)} has them and the training text has not", callback)
    return corpus
