"""Automatic choice of the length of a language model's run, and of the size and number of its evaluations.

From the trials "Size and length" of docs/internals/autotuning.md.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from ..config import Config
from ..config_checks import MAX_STEPS
from ..data.text.ngrams import NGrams
from ..distributed.communicator import SINGLE_PROCESS, Communicator
from . import timing
from .hyperparameters import default_ngrams, ngram_weights
from .model_size import multiply_adds
from .time_budget import FINAL_SHARE

# Shares of the time left.
_TIMED_SHARE, _LONGEST_TIMED = 0.02, 0.6  # for timing steps, at most so many seconds
_PLANNED_SHARE = 0.97  # for steps and evaluations; the rest absorbs variations in speed
_VALIDATION_SHARE = 0.02  # for the evaluations during training
_EVALUATIONS, _MOST_EVALUATIONS = 10, 40  # in a run
_FEWEST_STEPS = 200  # steps; a model with fewer is hardly trained

# Checkpoints, two of which an evaluation may write.
_SAVED_BYTES = 2e8  # per second, for serializing and writing
_BYTES = 16  # per parameter, of both: the last one has two moments beside each
_SAVING_SHARE, _FEWEST_EVALUATIONS = 0.03, 3  # for those of models with n-grams
_NEGLIGIBLE = 0.02  # seconds for writing their n-grams that do not matter

# Without a time budget nothing is timed, so that a run depends on its settings alone.
_USUAL_RATE = 2e10  # multiply-adds per second of training
_EVALUATION_COST = 0.4  # of evaluating a token in the training precision, relative to training on one
_EXACT_COST = 0.8  # of evaluating a token exactly
_FREE_WORK = 2e11  # multiply-adds of a final evaluation that are always allowed: some seconds
_LEAST_SIZE = 4096  # tokens that every evaluation may have
MOST_SIZE = 1 << 18  # tokens of the largest evaluation during training


class TextSize(NamedTuple):
    """Sizes of a text.

    Args:
        tokens: Tokens to train on.
        valid_tokens: Tokens of the validation text, 0 for none.
        vocab: V.
    """

    tokens: int
    valid_tokens: int
    vocab: int


def length_within(
    config: Config,
    seconds_left: Callable[[], float],
    text: TextSize,
    group: Communicator = SINGLE_PROCESS,
    ngrams: NGrams | None = None,
) -> tuple[int, int | None]:
    """Time a few steps; return the steps, and the tokens of an evaluation, that fit into the time left (collective).

    ``ngrams``: those of the timed model; None: the model reads none.
    """
    assert config.batch is not None
    timing_seconds = min(_LONGEST_TIMED, _TIMED_SHARE * max(0.0, seconds_left()))
    evaluated = text.valid_tokens, min(MOST_SIZE, max(1, text.valid_tokens - 1))
    speed = timing.measure_speed(config, text.vocab, timing_seconds, group, evaluated, ngrams)
    other_weights = speed.parameters - ngram_weights(config.replace(ngrams=len(ngrams or ())))

    def of_length(steps: int) -> Config:
        """The configuration with so many steps, and n-grams as for them."""
        planned = config.replace(steps=min(MAX_STEPS, max(1, steps)))
        if ngrams and config.ngrams is None:
            planned = planned.replace(ngrams=default_ngrams(planned, text.tokens))
        return planned

    left = max(0.0, seconds_left())
    size = config.eval_size or _affordable_size(of_length(int(left / speed.step)), speed, left, text.valid_tokens)
    used = min(size or 0, text.valid_tokens)
    training_seconds = left * _PLANNED_SHARE - min(left * FINAL_SHARE, text.valid_tokens * speed.whole)
    planned = of_length(int(training_seconds / speed.step))
    for _ in range(3):  # the number of evaluations depends on the steps, and the steps on it: a fixed-point iteration
        assert planned.steps is not None
        saving = (other_weights + ngram_weights(planned)) * _BYTES / _SAVED_BYTES
        evaluation = used * (speed.whole if used == text.valid_tokens else speed.part) + saving
        every = config.eval_every or default_eval_every(planned.replace(eval_size=size), text.valid_tokens)
        evaluations = -(-planned.steps // every)
        planned = of_length(int((training_seconds - evaluations * evaluation) / speed.step))
    assert planned.steps is not None
    return planned.steps, size


def _affordable_size(planned: Config, speed: timing.Speed, left: float, valid_tokens: int) -> int | None:
    """Return the tokens of an evaluation during training, by measured speed; None without validation text."""
    if not valid_tokens:
        return None
    assert planned.steps is not None
    seconds = _VALIDATION_SHARE * left
    if valid_tokens <= MOST_SIZE:
        evaluations = planned.steps / default_eval_every(planned.replace(eval_size=valid_tokens), valid_tokens)
        if evaluations * valid_tokens * speed.whole <= seconds:
            return valid_tokens
    return max(1, min(MOST_SIZE, valid_tokens - 1, int(seconds / _EVALUATIONS / speed.part)))


def default_size(config: Config, valid_tokens: int) -> int | None:
    """Return the tokens of an evaluation during training without timing, for a length that is not a time."""
    assert config.batch is not None
    assert config.steps is not None
    if not valid_tokens:
        return None
    affordable = _VALIDATION_SHARE * config.steps * config.batch * config.seq / _EVALUATION_COST / _EVALUATIONS
    return min(valid_tokens, MOST_SIZE, max(_LEAST_SIZE, int(affordable)))


def final_size(config: Config, valid_tokens: int, vocab: int) -> int:
    """Return the tokens of the exact evaluation at the end: all, unless that is slow compared with training."""
    assert config.batch is not None
    assert config.steps is not None
    affordable = FINAL_SHARE * config.steps * config.batch * config.seq / _EXACT_COST
    return min(valid_tokens, int(max(affordable, _FREE_WORK / multiply_adds(config, vocab))))


def has_few_steps(steps: int) -> bool:
    """Whether ``steps`` are too few for a useful model."""
    return steps < _FEWEST_STEPS


def too_few(steps: int) -> str:
    """Return a warning about a time budget that allows only ``steps`` steps."""
    return f"only {steps:,} {'step' if steps == 1 else 'steps'}: hardly trained; give more time with --for"


def default_eval_every(config: Config, valid_tokens: int) -> int:
    """Return the default steps between evaluations: 10 in a run, or up to 40 on the whole text if that is cheap."""
    assert config.batch is not None
    assert config.steps is not None
    count = float(_EVALUATIONS)
    if valid_tokens and (config.eval_size is None or config.eval_size >= valid_tokens):
        used = min(valid_tokens, MOST_SIZE)
        affordable = _VALIDATION_SHARE * config.steps * config.batch * config.seq / (used * _EVALUATION_COST)
        count = min(_MOST_EVALUATIONS, max(_EVALUATIONS, affordable))
    return max(1, round(config.steps / min(count, _writable_checkpoints(config))))


def _writable_checkpoints(config: Config) -> float:
    """Return how many evaluations, each of which may write two checkpoints, leave time for training.

    Only where the weights of n-grams make the checkpoints large: they cost little time otherwise.
    """
    if not config.ngrams:
        return math.inf
    seconds = ngram_weights(config) * _BYTES / _SAVED_BYTES
    if seconds < _NEGLIGIBLE:
        return math.inf
    assert config.batch is not None
    assert config.steps is not None
    training = 3 * multiply_adds(config, 0) * config.batch * config.seq * config.steps / _USUAL_RATE
    return max(_FEWEST_EVALUATIONS, _SAVING_SHARE * training / seconds)
