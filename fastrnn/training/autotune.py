"""Automatic choice of settings of a language model, from the corpus, the time budget, and the measured speed."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..cells import CELLS
from ..config import MAX_STEPS, Config, parse_duration
from ..data.text.bptt import Window, evaluation_layout, evaluation_seq, windows_per_epoch
from ..data.text.ngrams import NGrams
from ..distributed.communicator import SINGLE_PROCESS, Communicator
from ..kernels import backend
from ..nn.matmul_mode import EVALUATION_MODE
from ..nn.network import Dropout, Network
from .hyperparameters import (
    USUAL,
    choose_streams,
    chooses_weight_dropout,
    matrices_per_gate,
    may_read_ngrams,
    ngram_weights,
    usual_ngrams,
    with_learning_settings,
    with_regularization,
)
from .timing import FINAL_SHARE, TimeBudget, median_seconds, median_step_seconds

DEFAULT_BUDGET = "3m"
_LADDER = (64, 96, 128, 192, 256, 320, 384, 448, 512, 640, 768, 1024)  # hidden units
# Layers and hidden units of a normed cell for a text that is not short: from some size on, two layers learn more than
# one with as many weights.
_SIZES = [(1, 64), (1, 96), (1, 128), (1, 192), (1, 256)]
_SIZES += [(2, 192), (2, 256), (2, 320), (2, 384), (2, 448), (2, 512), (2, 640)]
# Choice of the size. A small model is timed first, and the large one only if the time allows it.
_PROBED = 128  # hidden units of the small model
_MEASURED = 512  # hidden units of the large model
_PROBE_SHARE = 0.05  # of the time left, for timing the large model
_SEEN_WELL = 8.0  # training positions per recurrent weight that a model should see,
_SEEN = 2.3  # and fewer for a larger one, where a model that sees so many would overfit before the time is over
_LEAST_STEPS = 300  # a model that gets fewer is replaced by a smaller one
_LARGEST = 1_300_000  # recurrent weights allowed for every text, a quarter of them for a short one
_WEIGHTS = 2.5  # recurrent weights per token of the text allowed beyond that
_SHORT = 300_000  # tokens; below this a text is short

# Choice of the length, as shares of the time left.
_TIMED_SHARE, _LONGEST_TIMED = 0.02, 0.6  # for timing steps, at most so many seconds
_PLANNED_SHARE = 0.97  # for steps and evaluations; the rest absorbs variations in speed
_VALIDATION_SHARE = 0.02  # for the evaluations during training
_EVALUATIONS, _MOST_EVALUATIONS = 10, 40  # in a run
_SAVED_BYTES = 2e8  # per second, for serializing and writing checkpoints
_USUAL_RATE = 2e10  # multiply-adds per second of training, where nothing is timed
_SAVING_SHARE, _FEWEST_EVALUATIONS = 0.03, 3  # for checkpoints of models with n-grams
_UNNOTICED = 0.02  # seconds for writing their n-grams that do not matter
_BYTES = 24  # per parameter, of the two checkpoints of an evaluation
_TYPICAL, _DRAWN = 1000, 10_000  # n-grams for timing: pairs, and as many triples; and those drawn for a text
_HARDLY = 200  # steps; a model with fewer is hardly trained
_MOST_EPOCHS = 12  # more would overfit: measured on 100 kB, 465 kB and 1.1 MB

# Without a time budget nothing is timed, so that a run depends on its settings alone.
_EVALUATION_COST = 0.4  # of evaluating a token in the training precision, relative to training on one
_EXACT_COST = 0.8  # of evaluating a token exactly
_FREE_WORK = 2e11  # multiply-adds of a final evaluation that are always allowed: some seconds
_LEAST_SIZE = 4096  # tokens that every evaluation may have
MOST_SIZE = 1 << 18  # tokens of the largest evaluation during training


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


def plan(
    config: Config,
    tokens: int,
    valid_tokens: int,
    vocab: int,
    clock: TimeBudget,
    find_ngrams: Callable[[int], NGrams] | None = None,
) -> Plan:
    """Choose every setting that ``config`` leaves open, for a training text of ``tokens`` tokens.

    ``find_ngrams``: returns at most so many n-grams of the text; None: the model reads none.
    """
    choices: list[str] = []
    smaller_batch = config.batch is None
    longest = max(1, (tokens - 1) // (config.batch or clock.group.size))
    if config.seq == Config.seq > longest:  # only the default: a window that was asked for is an error instead
        config = config.replace(seq=longest)
        choices.append(f"seq {longest}: the training text has {tokens:,} tokens")
    batch = config.batch or _divisor(config.streams, _batch(tokens, config.seq, clock.group.size))
    config = config.replace(batch=batch, for_=None, precision=config.precision or _precision(config, clock.group))
    if config.precision == "bfloat16":
        choices.append("precision bfloat16: bfloat16 is fast on this CPU")
    if config.hidden is None:
        depth = config.layers
        config = _choose_size(config, tokens, vocab, clock, smaller_batch=smaller_batch)
        chosen_size = f"hidden {config.hidden}" if depth else f"layers {config.layers}, hidden {config.hidden}"
        choices.append(f"{chosen_size}: for a text of {tokens:,} tokens and the time there is")
        if config.batch != batch:
            choices.append(f"batch {config.batch}: more steps within the time")
    config, lines = choose_streams(config, tokens)
    choices += lines
    assert config.batch is not None
    reads_ngrams = find_ngrams is not None and may_read_ngrams(config)
    steps, size = _length(config, tokens, valid_tokens, vocab, clock, _typical_ngrams(vocab) if reads_ngrams else None)
    epochs, most = steps * config.batch * config.seq / tokens, _most_epochs(config, tokens)
    if config.steps is None:
        enough = "; more would overfit (--epochs forces them)" if epochs > most - 0.5 else ""
        choices.append(f"steps {steps:,}: {epochs:.1f} epochs{enough}")
        if clock.budget is not None and has_few_steps(steps):
            choices.append(too_few(steps))
    config = config.replace(steps=steps, epochs=None, eval_size=config.eval_size or size)
    ngrams = None
    if find_ngrams is not None:
        ngrams = find_ngrams(usual_ngrams(config, tokens) if config.ngrams is None else config.ngrams)
        if len(ngrams) and config.ngrams is None:
            choices.append(f"ngrams {len(ngrams):,}: frequent pairs and triples, read beside the single tokens")
        config = config.replace(ngrams=len(ngrams))
    given, config = config, with_learning_settings(config, tokens)
    for name in ("lr", "vocab_lr", "beta1"):
        if getattr(given, name) is None and getattr(config, name) != USUAL.get(name):
            choices.append(f"{name} {getattr(config, name):g}")
    if given.out_bias is None and config.out_bias == "unigram":
        choices.append("out_bias unigram: the logarithm of each token's frequency")
    given, config = config, with_regularization(config, config, tokens)
    for name, chosen in (("dropout", given.dropout is None), ("weight_dropout", chooses_weight_dropout(given))):
        if chosen:
            choices.append(f"{name} {getattr(config, name):g}: as usual for {epochs:.1f} epochs of this text")
    if given.weight_decay is None and config.weight_decay:
        choices.append(f"weight_decay {config.weight_decay:g}")
    if config.warmup is None:
        config = config.replace(warmup=usual_warmup(steps))
    if config.eval_every is None:
        config = config.replace(eval_every=eval_every(config, valid_tokens))
    return Plan(config, tuple(choices), steps_of_epochs(config, most, tokens), ngrams)


def _typical_ngrams(vocab: int) -> NGrams:
    """Return some n-grams for timing: the time of a step hardly depends on which ones a model reads, or how many."""
    pairs = np.arange(min(vocab * vocab, _TYPICAL))
    return NGrams(vocab, np.concatenate([pairs, (vocab + pairs) * vocab]))


def budget_of(config: Config) -> float | None:
    """Return the time budget in seconds; None if the length is given in steps or epochs."""
    if config.steps is not None or config.epochs is not None:
        return None
    return parse_duration(config.for_ or DEFAULT_BUDGET)


@dataclasses.dataclass(frozen=True)
class Speed:
    """Seconds of a training step, and seconds per token of an evaluation.

    ``part``: of an evaluation on part of the text in the training precision; ``whole``: of an exact one on all of it.
    """

    step: float
    part: float = 0.0
    whole: float = 0.0
    parameters: int = 0


def measure_speed(
    config: Config,
    vocab: int,
    most: float,
    group: Communicator = SINGLE_PROCESS,
    valid_tokens: int = 0,
    ngrams: NGrams | None = None,
) -> Speed:
    """Time a training step, and an evaluation, of a new model on random tokens (collective).

    ``most``: seconds for the timing of a step. ``valid_tokens``: tokens of the validation text, 0 for none. In a group
    each process has its share of the streams, and the slowest one counts. ``ngrams``: those that the model reads; the
    tokens are then n-grams drawn at random.
    """
    assert config.batch is not None
    row_lo, row_hi = group.shard(config.batch)
    network = Network.from_config(config, vocab, ngrams)
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray[Any, Any]:
        """Ids (T, B)."""
        ids = rng.integers(0, vocab, shape)
        if ngrams:
            drawn = [ngrams.tokens(n) for n in rng.integers(0, len(ngrams), _DRAWN)]
            ids = np.resize(np.concatenate(drawn), shape[::-1]).T
        return np.ascontiguousarray(ids, np.int32)

    x, y = draw(config.seq, row_hi - row_lo), draw(config.seq, row_hi - row_lo)
    resets = np.zeros(x.shape, np.uint8) if config.reset_every else None
    if resets is not None:
        resets[0, 0] = 1  # as in almost every window: with resets a step has a little more to do
    window = Window(x, y, resets)
    # Dropout is chosen later, from the number of steps; a mask takes the same time at any rate.
    drops_weights = config.weight_dropout or (chooses_weight_dropout(config) and CELLS[config.cell].is_gated)
    dropout = Dropout(1.0 if config.dropout == 0 else 0.9, weight_keep_prob=0.9 if drops_weights else 1.0)

    seconds = median_step_seconds(network, config, lambda index: window, row_hi - row_lo, dropout, most, group)
    if valid_tokens < 2:
        return Speed(seconds, parameters=network.parameters.flat.size)

    def evaluation(matmul_mode: str, size: int) -> float:
        """Seconds per token of the validation text, of which ``size`` tokens are scored."""
        layout = evaluation_layout(valid_tokens, size)
        model = network.with_shared_parameters(matmul_mode)
        seq = min(evaluation_seq(layout.streams, vocab), layout.steps)
        streams = -(-layout.streams // group.size)
        ids = draw(seq, streams)
        state = model.initial_state(streams)
        seconds = median_seconds(lambda index: model.loss(ids, ids, None, state), most / 4, group)
        return seconds * layout.steps / seq / min(size, valid_tokens)

    part = evaluation(network.matmul_mode, min(MOST_SIZE, max(1, valid_tokens - 1)))
    return Speed(seconds, part, evaluation(EVALUATION_MODE, valid_tokens), network.parameters.flat.size)


def _batch(tokens: int, seq: int, processes: int = 1) -> int:
    """Choose the batch size: 32 streams, or 16 for a short text, which needs more updates per epoch.

    Fewer if the text is shorter than 16 windows of them. More if a process would get fewer than 8: matrices with
    fewer rows are too thin to multiply fast.
    """
    usual = max(32 if tokens >= _SHORT else 16, 8 * processes if processes > 1 else 0)
    return max(1, min(usual, (tokens - 1) // (16 * seq)))


def _divisor(number: int | None, most: int) -> int:
    """Return the largest divisor of ``number`` up to ``most``; ``most`` if there is no number."""
    if number is None:
        return most
    return next(divisor for divisor in range(most, 0, -1) if number % divisor == 0)


def _precision(config: Config, group: Communicator = SINGLE_PROCESS) -> str:
    """Choose bfloat16 where it is fast on every rank (collective): the same loss in less time."""
    lacking = group.all_reduce_max(not backend.load(config.device).TARGET.bfloat16_fast)[0]
    return "float32" if lacking else "bfloat16"


def _choose_size(config: Config, tokens: int, vocab: int, clock: TimeBudget, smaller_batch: bool) -> Config:
    """Choose the largest size that gets enough text and `_LEAST_STEPS` steps within the budget.

    ``smaller_batch``: the batch may shrink if even the smallest size gets fewer steps.
    """
    assert config.batch is not None
    possible = [(config.layers or 1, hidden) for hidden in _LADDER]
    if config.layers is None and CELLS[config.cell].is_normed and tokens >= _SHORT:
        possible = _SIZES
    sizes = [config.replace(layers=layers, hidden=hidden) for layers, hidden in possible]
    if clock.budget is None:
        seen = (config.steps or steps_of_epochs(config, config.epochs or 1.0, tokens)) * config.batch * config.seq
        most = _LARGEST if tokens >= _SHORT else _LARGEST // 4
        fitting = [size for size in sizes if _recurrent(size) <= most]
        return _largest_seeing(tokens, lambda size: seen, fitting or sizes[:1])
    rate = _rate(config, vocab, clock)
    left = max(clock.left(), 1.0)
    least = _LEAST_STEPS * config.seq  # positions of a stream

    def chars_within(size: Config) -> float:
        return rate * left / _work(size, vocab)

    def is_possible(size: Config) -> bool:
        assert size.batch is not None
        fits_text = _recurrent(size) <= max(_LARGEST, _WEIGHTS * tokens)
        return fits_text and chars_within(size) >= least * size.batch

    size = _largest_seeing(tokens, chars_within, [size for size in sizes if is_possible(size)] or sizes[:1])
    batch = config.batch
    while smaller_batch and chars_within(size) < least * batch and batch >= 16 * clock.group.size:
        batch //= 2
    return size.replace(batch=_divisor(config.streams, batch))


def _largest_seeing(tokens: int, chars: Callable[[Config], float], sizes: list[Config]) -> Config:
    """Choose the largest of ``sizes`` that sees enough in ``chars(size)`` training positions, or the smallest."""

    def largest(seen: float) -> Config:
        return max((size for size in sizes if chars(size) >= seen * _recurrent(size)), key=_recurrent, default=sizes[0])

    size = largest(_SEEN_WELL)
    overfits = chars(size) > _most_epochs(size, tokens) * tokens
    return largest(_SEEN) if overfits else size


def _rate(config: Config, vocab: int, clock: TimeBudget) -> float:
    """Measure the multiply-adds per second of training, with the largest model that the time allows (collective)."""
    assert config.batch is not None
    positions = config.batch * config.seq

    def measure_rate(size: Config, most: float) -> float:
        return _work(size, vocab) * positions / measure_speed(size, vocab, most, clock.group).step

    small, large = (config.replace(hidden=hidden) for hidden in (_PROBED, _MEASURED))
    rate = measure_rate(small, 0.1)
    seconds = _work(large, vocab) * positions / rate
    return measure_rate(large, 0.2) if 3 * seconds < _PROBE_SHARE * clock.left() else rate


def _work(config: Config, vocab: int) -> float:
    """Multiply-adds per token."""
    assert config.hidden is not None
    return CELLS[config.cell].gate_count * _recurrent(config) / 4 + config.hidden * vocab


def _recurrent(config: Config) -> int:
    """Recurrent weights of an LSTM of this size: without input table and output layer."""
    assert config.hidden is not None
    return 4 * matrices_per_gate(config) * config.hidden**2


def _most_epochs(config: Config, tokens: int) -> float:
    """Return the number of epochs after which a model of this size overfits.

    Fewer the more weights there are per token, except for a short text, whose epochs have few steps.
    """
    each = _recurrent(config) / tokens
    return _MOST_EPOCHS if tokens < _SHORT else _MOST_EPOCHS * min(1.0, each**-0.5)


def _length(
    config: Config, tokens: int, valid_tokens: int, vocab: int, clock: TimeBudget, ngrams: NGrams | None
) -> tuple[int, int | None]:
    """Return the steps of the run, and the tokens of an evaluation during training."""
    if config.steps is not None or config.epochs is not None:
        steps = config.steps or steps_of_epochs(config, config.epochs or 0.0, tokens)
        return steps, usual_size(config.replace(steps=steps, epochs=None), valid_tokens)
    steps, size = length_within(config, clock.left, valid_tokens, vocab, clock.group, ngrams)
    return min(steps, steps_of_epochs(config, _most_epochs(config, tokens), tokens)), size


def steps_of_epochs(config: Config, epochs: float, tokens: int) -> int:
    """Return the number of steps of ``epochs`` passes over a training text of ``tokens``."""
    assert config.batch is not None
    per_epoch = windows_per_epoch(tokens, config.batch, config.seq, config.streams or config.batch)
    return max(1, math.ceil(epochs * max(1, per_epoch)))


def length_within(
    config: Config,
    seconds_left: Callable[[], float],
    valid_tokens: int,
    vocab: int,
    group: Communicator = SINGLE_PROCESS,
    ngrams: NGrams | None = None,
) -> tuple[int, int | None]:
    """Time a few steps; return the steps, and the tokens of an evaluation, that fit into the time left (collective)."""
    assert config.batch is not None
    most = min(_LONGEST_TIMED, _TIMED_SHARE * max(0.0, seconds_left()))
    speed = measure_speed(config, vocab, most, group, valid_tokens, ngrams)
    left = max(0.0, seconds_left())
    size = config.eval_size or _affordable_size(config, speed, left, valid_tokens)
    used = min(size or 0, valid_tokens)
    most = left * _PLANNED_SHARE - min(left * FINAL_SHARE, valid_tokens * speed.whole)
    saving = speed.parameters * _BYTES / _SAVED_BYTES
    evaluation = used * (speed.whole if used == valid_tokens else speed.part) + saving
    steps = min(MAX_STEPS, max(1, int(most / speed.step)))
    for _ in range(3):  # the number of evaluations depends on the steps, and the steps on it: a fixed-point iteration
        every = config.eval_every or eval_every(config.replace(steps=steps, eval_size=size), valid_tokens)
        evaluations = -(-steps // every)
        steps = min(MAX_STEPS, max(1, int((most - evaluations * evaluation) / speed.step)))
    return steps, size


def _affordable_size(config: Config, speed: Speed, left: float, valid_tokens: int) -> int | None:
    """Return the tokens of an evaluation during training, by measured speed; None without validation text."""
    if not valid_tokens:
        return None
    seconds = _VALIDATION_SHARE * left
    steps = min(MAX_STEPS, max(1, int(left / speed.step)))
    whole = config.replace(steps=steps, eval_size=valid_tokens)
    if valid_tokens <= MOST_SIZE and steps / eval_every(whole, valid_tokens) * valid_tokens * speed.whole <= seconds:
        return valid_tokens
    return max(1, min(MOST_SIZE, valid_tokens - 1, int(seconds / _EVALUATIONS / speed.part)))


def usual_size(config: Config, valid_tokens: int) -> int | None:
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
    return min(valid_tokens, int(max(affordable, _FREE_WORK / _work(config, vocab))))


def usual_warmup(steps: int) -> int:
    """Return the default number of warm-up steps."""
    return min(100, steps // 10)


def with_steps(config: Config, steps: int, done: int, evaluate_every: Callable[[Config], int]) -> Config:
    """Change the number of steps after ``done`` of them; ``eval_every`` and ``warmup`` follow if they were defaults."""
    assert config.steps is not None
    changed = config.replace(steps=steps)
    if config.eval_every == evaluate_every(config):
        changed = changed.replace(eval_every=evaluate_every(changed))
    if config.warmup == usual_warmup(config.steps) and done < config.warmup:
        changed = changed.replace(warmup=usual_warmup(steps))
    return changed


def has_few_steps(steps: int) -> bool:
    """Whether ``steps`` are too few for a useful model."""
    return steps < _HARDLY


def too_few(steps: int) -> str:
    """Return a warning about a time budget that allows only ``steps`` steps."""
    return f"only {steps:,} {'step' if steps == 1 else 'steps'}: hardly trained; give more time with --for"


def eval_every(config: Config, valid_tokens: int) -> int:
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
    if seconds < _UNNOTICED:
        return math.inf
    assert config.batch is not None
    assert config.steps is not None
    training = 3 * _work(config, 0) * config.batch * config.seq * config.steps / _USUAL_RATE
    return max(_FEWEST_EVALUATIONS, _SAVING_SHARE * training / seconds)
