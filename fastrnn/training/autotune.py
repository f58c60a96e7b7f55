"""Automatic choice of settings of a language model, from the corpus, the time budget, and the measured speed."""

import dataclasses
from collections.abc import Callable

import numpy as np

from ..config import Config
from ..config_checks import parse_duration
from ..data.text.ngrams import NGrams
from ..distributed.communicator import SINGLE_PROCESS, Communicator
from ..kernels import backend
from .hyperparameters import (
    USUAL,
    choose_streams,
    chooses_weight_dropout,
    count_epochs,
    default_ngrams,
    may_read_ngrams,
    steps_of_epochs,
    with_learning_settings,
    with_regularization,
)
from .model_size import SHORT, choose_size, divisor_up_to, most_epochs
from .run_length import (
    TextSize,
    default_eval_every,
    default_size,
    has_few_steps,
    length_within,
    too_few,
)
from .time_budget import TimeBudget, default_warmup

DEFAULT_BUDGET = "3m"
_TYPICAL = 1000  # n-grams for timing: pairs, and as many triples


@dataclasses.dataclass(frozen=True)
class Plan:
    """A complete configuration, and the choices made with their reasons, one line each.

    ``most_steps``: the number of steps may be raised to this if the machine turns out to be faster; 0: never.
    ``ngrams``: those that the model reads; None: none, or the ones that were given.
    """

    config: Config
    choices: tuple[str, ...]
    most_steps: int = 0
    ngrams: NGrams | None = None


def budget_of(config: Config) -> float | None:
    """Return the time budget in seconds; None if the length is given in steps or epochs."""
    if config.steps is not None or config.epochs is not None:
        return None
    return parse_duration(config.for_ or DEFAULT_BUDGET)


def plan(
    config: Config,
    tokens: int,
    valid_tokens: int,
    vocab: int,
    budget: TimeBudget,
    find_ngrams: Callable[[int], NGrams] | None = None,
) -> Plan:
    """Choose every setting that ``config`` leaves open, for a training text of ``tokens`` tokens.

    ``find_ngrams``: returns at most so many n-grams of the text; None: the model reads none.
    """
    typical = _typical_ngrams(vocab) if find_ngrams is not None and may_read_ngrams(config) else None
    config, choices = _choose_size(config, tokens, vocab, budget, typical)
    config, lines = choose_streams(config, tokens)
    choices += lines

    config, lines = _choose_length(config, TextSize(tokens, valid_tokens, vocab), budget, typical)
    choices += lines
    ngrams = None
    if find_ngrams is not None:
        ngrams = find_ngrams(default_ngrams(config, tokens) if config.ngrams is None else config.ngrams)
        if len(ngrams) and config.ngrams is None:
            choices.append(f"ngrams {len(ngrams):,}: frequent pairs and triples, read beside the single tokens")
        config = config.replace(ngrams=len(ngrams))

    config, lines = _choose_learning_settings(config, tokens)
    choices += lines
    if config.eval_every is None:
        config = config.replace(eval_every=default_eval_every(config, valid_tokens))
    most_steps = steps_of_epochs(config, most_epochs(config, tokens), tokens)
    return Plan(config, tuple(choices), most_steps, ngrams)


def _choose_size(
    config: Config, tokens: int, vocab: int, budget: TimeBudget, ngrams: NGrams | None
) -> tuple[Config, list[str]]:
    """Choose the rows and length of windows, the precision, layers and hidden units; also returns lines on them.

    ``ngrams``: those of the models whose steps are timed.
    """
    lines = []
    smaller_batch = config.batch is None
    longest = max(1, (tokens - 1) // (config.batch or budget.group.size))
    if config.seq == Config.seq > longest:  # only the default: a window that was asked for is an error instead
        config = config.replace(seq=longest)
        lines.append(f"seq {longest}: the training text has {tokens:,} tokens")
    batch = config.batch or divisor_up_to(_batch(tokens, config.seq, budget.group.size), config.streams)
    config = config.replace(batch=batch, for_=None, precision=config.precision or _precision(config, budget.group))
    if config.precision == "bfloat16":
        lines.append("precision bfloat16: bfloat16 is fast on this CPU")

    if config.hidden is None:
        depth = config.layers
        config = choose_size(config, tokens, vocab, budget, smaller_batch=smaller_batch, ngrams=ngrams)
        chosen_size = f"hidden {config.hidden}" if depth else f"layers {config.layers}, hidden {config.hidden}"
        lines.append(f"{chosen_size}: for a text of {tokens:,} tokens and the time there is")
        if config.batch != batch:
            lines.append(f"batch {config.batch}: more steps within the time")
    return config, lines


def _batch(tokens: int, seq: int, processes: int = 1) -> int:
    """Choose the batch size: 32 streams, or 16 for a short text, which needs more updates per epoch.

    Fewer if the text is shorter than 16 windows of them. More if a process would get fewer than 8: matrices with
    fewer rows are too thin to multiply fast.
    """
    usual = max(32 if tokens >= SHORT else 16, 8 * processes if processes > 1 else 0)
    return max(1, min(usual, (tokens - 1) // (16 * seq)))


def _precision(config: Config, group: Communicator = SINGLE_PROCESS) -> str:
    """Choose bfloat16 where it is fast on every rank (collective): the same loss in less time."""
    lacking = group.all_reduce_max(not backend.load(config.device).TARGET.bfloat16_fast)[0]
    return "float32" if lacking else "bfloat16"


def _choose_length(
    config: Config, text: TextSize, budget: TimeBudget, ngrams: NGrams | None
) -> tuple[Config, list[str]]:
    """Choose the steps, and the tokens of an evaluation during training; also returns lines on the steps.

    ``ngrams``: those of the model whose steps are timed.
    """
    given, most = config, most_epochs(config, text.tokens)
    if given.steps is not None or given.epochs is not None:
        steps = given.steps or steps_of_epochs(config, given.epochs or 0.0, text.tokens)
        size = default_size(config.replace(steps=steps, epochs=None), text.valid_tokens)
    else:
        steps, size = length_within(config, budget.left, text, budget.group, ngrams)
        steps = min(steps, steps_of_epochs(config, most, text.tokens))
    config = config.replace(steps=steps, epochs=None, eval_size=config.eval_size or size)
    if given.steps is not None:
        return config, []

    epochs = count_epochs(config, text.tokens)
    is_limited = given.epochs is None and epochs > most - 0.5
    lines = [f"steps {steps:,}: {epochs:.1f} epochs" + "; more would overfit (--epochs forces them)" * is_limited]
    if budget.seconds is not None and has_few_steps(steps):
        lines.append(too_few(steps))
    return config, lines


def _typical_ngrams(vocab: int) -> NGrams:
    """Return some n-grams for timing: the time of a step hardly depends on which ones a model reads, or how many."""
    pairs = np.arange(min(vocab * vocab, _TYPICAL))
    return NGrams(vocab, np.concatenate([pairs, (vocab + pairs) * vocab]))


def _choose_learning_settings(given: Config, tokens: int) -> tuple[Config, list[str]]:
    """Choose learning rates, momentum, dropout, weight decay, warm-up and output bias for the steps of ``given``.

    Also returns lines on them.
    """
    assert given.steps is not None
    config = with_learning_settings(given, tokens)
    config = with_regularization(config, given, tokens)
    if config.warmup is None:
        config = config.replace(warmup=default_warmup(given.steps))

    lines = []
    for name in ("lr", "vocab_lr", "beta1"):
        if getattr(given, name) is None and getattr(config, name) != USUAL.get(name):
            lines.append(f"{name} {getattr(config, name):g}")
    if given.out_bias is None and config.out_bias == "unigram":
        lines.append("out_bias unigram: the logarithm of each token's frequency")
    epochs = count_epochs(given, tokens)
    for name, chosen in (("dropout", given.dropout is None), ("weight_dropout", chooses_weight_dropout(given))):
        if chosen:
            lines.append(f"{name} {getattr(config, name):g}: as usual for {epochs:.1f} epochs of this text")
    if given.weight_decay is None and config.weight_decay:
        lines.append(f"weight_decay {config.weight_decay:g}")
    return config, lines
