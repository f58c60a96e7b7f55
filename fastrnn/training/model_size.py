"""Automatic choice of the size of a language model, from the text, the time and the measured speed.

From the trials "Size and length", "Size with n-grams" and "Layers" of docs/internals/autotuning.md.
"""

from collections.abc import Callable

from ..cells import CELLS
from ..config import Config
from ..data.text.ngrams import NGrams
from . import timing
from .hyperparameters import matrices_per_gate, steps_of_epochs
from .time_budget import TimeBudget

SHORT = 300_000  # tokens; below this a text is short
_LADDER = (64, 96, 128, 192, 256, 320, 384, 448, 512, 640, 768, 1024)  # hidden units
# Layers and hidden units of a normed cell for a text that is not short: from some size on, two layers learn more than
# one with as many weights.
_SIZES = [(1, 64), (1, 96), (1, 128), (1, 192), (1, 256)]
_SIZES += [(2, 192), (2, 256), (2, 320), (2, 384), (2, 448), (2, 512), (2, 640)]
# The same for models that read n-grams.
_NGRAM_SIZES = [(1, 320) if size == (2, 192) else size for size in _SIZES]
# A small model is timed first, and the large one only if the time allows it.
_PROBED = 128  # hidden units of the small model
_MEASURED = 512  # hidden units of the large model
_PROBE_SHARE = 0.05  # of the time left, for timing the large model
_TOKENS_PER_WEIGHT = 8.0  # training positions per recurrent weight that a model should see, and
_LEAST_TOKENS_PER_WEIGHT = 2.3  # fewer for a larger one, where such a model would overfit before the time is over
_NGRAM_TOKENS_PER_WEIGHT = 22.0  # for a model that reads n-grams,
_NGRAM_EPOCHS = 2.6  # unless it reads the text more often
_LEAST_STEPS = 300  # a model that gets fewer is replaced by a smaller one
_LARGEST = 1_300_000  # recurrent weights allowed for every text, a quarter of them for a short one
_WEIGHTS = 2.5  # recurrent weights per token of the text allowed beyond that
_MOST_EPOCHS = 12  # more would overfit: measured on 100 kB, 465 kB and 1.1 MB


def choose_size(
    config: Config,
    tokens: int,
    vocab: int,
    budget: TimeBudget,
    smaller_batch: bool,
    ngrams: NGrams | None = None,
) -> Config:
    """Choose the largest size that gets enough text and `_LEAST_STEPS` steps within the budget.

    Args:
        config: Configuration without ``hidden``.
        tokens: Tokens of the training text.
        vocab: V.
        budget: The time budget.
        smaller_batch: Whether the batch may shrink if even the smallest size gets fewer steps.
        ngrams: N-grams for timing a model that reads some; None: it reads none.
    """
    assert config.batch is not None
    possible = [(config.layers or 1, hidden) for hidden in _LADDER]
    if config.layers is None and CELLS[config.cell].is_normed and tokens >= SHORT:
        possible = _SIZES

    def of_sizes(possible: list[tuple[int, int]]) -> list[Config]:
        return [config.replace(layers=layers, hidden=hidden) for layers, hidden in possible]

    sizes = of_sizes(possible)
    if budget.seconds is None:
        steps = config.steps or steps_of_epochs(config, config.epochs or 1.0, tokens)
        seen = steps * config.batch * config.seq
        most = _LARGEST if tokens >= SHORT else _LARGEST // 4
        fitting = [size for size in sizes if recurrent_weights(size) <= most]
        return _largest_seeing(tokens, lambda size: seen, fitting or sizes[:1])
    least = _LEAST_STEPS * config.seq  # positions of a stream
    if ngrams and tokens >= SHORT:
        with_ngrams = of_sizes(_NGRAM_SIZES if possible is _SIZES else possible)
        chars_within = _measure_chars(config, vocab, budget, ngrams)
        size = _size_with_ngrams(tokens, chars_within, with_ngrams)
        if size is not None and chars_within(size) >= least * config.batch:
            return size
    chars_within = _measure_chars(config, vocab, budget)

    def is_possible(size: Config) -> bool:
        assert size.batch is not None
        fits_text = recurrent_weights(size) <= max(_LARGEST, _WEIGHTS * tokens)
        return fits_text and chars_within(size) >= least * size.batch

    size = _largest_seeing(tokens, chars_within, [size for size in sizes if is_possible(size)] or sizes[:1])
    batch = config.batch
    while smaller_batch and chars_within(size) < least * batch and batch >= 16 * budget.group.size:
        batch //= 2
    return size.replace(batch=divisor_up_to(batch, config.streams))


def _largest_seeing(tokens: int, chars: Callable[[Config], float], sizes: list[Config]) -> Config:
    """Choose the largest of ``sizes`` that sees enough in ``chars(size)`` training positions, or the smallest."""

    def largest(seen: float) -> Config:
        fitting = [size for size in sizes if chars(size) >= seen * recurrent_weights(size)]
        return max(fitting, key=recurrent_weights, default=sizes[0])

    size = largest(_TOKENS_PER_WEIGHT)
    overfits = chars(size) > most_epochs(size, tokens) * tokens
    return largest(_LEAST_TOKENS_PER_WEIGHT) if overfits else size


def _size_with_ngrams(tokens: int, chars: Callable[[Config], float], sizes: list[Config]) -> Config | None:
    """Choose one of ascending ``sizes`` for a model that reads n-grams; None where it would read the text too often.

    N-grams hold much of what more weights would learn, so that more steps of a smaller model are worth more. But one
    that reads the text many times memorises it: then a larger one is better, or the rule for models without n-grams.
    """
    enough = [size for size in sizes if chars(size) >= _NGRAM_TOKENS_PER_WEIGHT * recurrent_weights(size)]
    for size in sizes[len(enough) - 1 :] if enough else []:
        if chars(size) <= _NGRAM_EPOCHS * tokens:
            return size if chars(size) >= _TOKENS_PER_WEIGHT * recurrent_weights(size) else None
    return None


def _measure_chars(
    config: Config, vocab: int, budget: TimeBudget, ngrams: NGrams | None = None
) -> Callable[[Config], float]:
    """Return a function: the training positions of a size within the time left, from the measured speed (collective).

    A small model is timed, and a large one if the time allows it. Positions are taken to cost as much as their
    multiply-adds; with ``ngrams``, whose cost matters in small models, a constant time more.
    """
    assert config.batch is not None
    positions = config.batch * config.seq

    def step_seconds(size: Config, most: float) -> float:
        return timing.measure_speed(size, vocab, most, budget.group, ngrams=ngrams).step

    sizes = [config.replace(layers=config.layers or 1, hidden=hidden) for hidden in (_PROBED, _MEASURED)]
    small, large = (multiply_adds(size, vocab) for size in sizes)
    seconds, more = step_seconds(sizes[0], 0.1), 0.0
    each = seconds / small
    if 3 * large * each < _PROBE_SHARE * budget.left():
        slow = step_seconds(sizes[1], 0.2)
        each = slow / large
        if ngrams:
            each = max(slow - seconds, 0.0) / (large - small)
            more = max(seconds - each * small, 0.0)
    left = max(budget.left(), 1.0)
    return lambda size: left * positions / max(more + each * multiply_adds(size, vocab), 1e-9)


def multiply_adds(config: Config, vocab: int) -> float:
    """Multiply-adds per token."""
    assert config.hidden is not None
    return CELLS[config.cell].gate_count * recurrent_weights(config) / 4 + config.hidden * vocab


def recurrent_weights(config: Config) -> int:
    """Recurrent weights of an LSTM of this size: without input table and output layer."""
    assert config.hidden is not None
    return 4 * matrices_per_gate(config) * config.hidden**2


def most_epochs(config: Config, tokens: int) -> float:
    """Return the number of epochs after which a model of this size overfits.

    Fewer the more weights there are per token, except for a short text, whose epochs have few steps.
    """
    each = recurrent_weights(config) / tokens
    return _MOST_EPOCHS if tokens < SHORT else _MOST_EPOCHS * min(1.0, each**-0.5)


def divisor_up_to(most: int, number: int | None) -> int:
    """Return the largest divisor of ``number`` up to ``most``; ``most`` if there is no number."""
    if number is None:
        return most
    return next(divisor for divisor in range(most, 0, -1) if number % divisor == 0)
