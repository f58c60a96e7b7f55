"""What a user leaves open is chosen here, from the corpus, the budget, and the measured speed of this machine."""

import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np

from ..cells import CELLS
from ..config import Config, parse_duration
from ..data.text.bptt import Window, evaluation_layout, evaluation_seq
from ..distributed.communicator import SINGLE_PROCESS, Communicator
from ..kernels import backend
from ..nn.matmul_mode import EVALUATION_MODE
from ..nn.network import Network
from .optimizers import Optimizer

DEFAULT_BUDGET = "3m"
_LADDER = (64, 96, 128, 192, 256, 384, 512, 768, 1024)
_MEASURED = 512  # hidden units of the model whose speed is measured before a size is chosen
_SEEN = 2.3  # training positions that a model should see for each of its recurrent weights
_PROBED = 128  # hidden units of a small model, measured first: it says whether the larger one is worth its time
_PROBE_SHARE = 0.05  # of the time that is left, for measuring the larger one
_SHARE = 0.97  # of the time that is left, for steps and evaluations; what speed varies takes the rest
_EVALUATIONS, _MOST_EVALUATIONS = 10, 40  # of a run
_VALIDATION = 0.02  # of the time that is left, for the evaluations while training
FINAL_SHARE = 0.015  # the same for the exact one of the whole validation text at the end
_SAVED_BYTES = 5e8  # a second, that checkpoints are put together and written with
_BYTES = 24  # of the two checkpoints of an evaluation, for each parameter
_LEAST_STEPS = 300  # that a model must be given, or a smaller one is chosen
_HARDLY = 200  # steps after which a model is hardly trained
_SHORT = 300_000  # tokens, below which a text is short
_LARGEST = 512  # hidden units that every text is worth
_WEIGHTS = 2.5  # recurrent weights for each token of the text that more units may have
_MOST_EPOCHS = 12  # more passes only learn the text by heart: measured on 100 kB, 465 kB and 1.1 MB
# Where no time budget asks for measuring, so that a run depends on its settings alone:
_EVALUATION_COST = 0.4  # of a token, evaluated with the products of training, against one trained token
_EXACT_COST = 0.8  # the same, evaluated exactly
_FREE_WORK = 2e11  # multiply-adds of a final evaluation that are always worth it: some seconds
_LEAST_SIZE = 4096  # tokens of an evaluation that are always worth it
MOST_SIZE = 1 << 18  # tokens of the largest evaluation while training


@dataclasses.dataclass(frozen=True)
class Plan:
    """A complete configuration, and in words what was chosen and why.

    ``most_steps``: as many make sense if the machine turns out to be faster; 0: not more than planned.
    """

    config: Config
    choices: tuple[str, ...]
    most_steps: int = 0


class TimeBudget:
    """The time budget of a run; the same for all processes of a group. ``started``: where it counts from, by
    `time.monotonic`; now, if that is not given."""

    def __init__(
        self, budget: float | None, group: Communicator = SINGLE_PROCESS, started: float | None = None
    ) -> None:
        self.budget, self.group = budget, group
        self._started = time.monotonic() if started is None else started

    def left(self) -> float:
        """Seconds; in a group all ask together, and hear what is left for the one that started first."""
        return -self.group.all_reduce_max(-self.seconds_left_here())[0]

    def seconds_left_here(self) -> float:
        """Seconds that are left for this process."""
        return math.inf if self.budget is None else self.budget - (time.monotonic() - self._started)


def plan(config: Config, tokens: int, valid_tokens: int, vocab: int, clock: TimeBudget) -> Plan:
    """Fill in what ``config`` leaves open, for a training text of so many tokens."""
    choices: list[str] = []
    chosen = config.batch is None
    batch = config.batch or _batch(tokens, config.seq, clock.group.size)
    config = config.replace(batch=batch, for_=None, precision=config.precision or _precision(config, clock.group))
    if config.precision == "bfloat16":
        choices.append("precision bfloat16: this processor multiplies it fast")
    if config.hidden is None:
        config = _with_hidden(config, tokens, vocab, clock, smaller_batch=chosen)
        choices.append(f"hidden {config.hidden}: for a text of {tokens:,} tokens and the time there is")
        if config.batch != batch:
            choices.append(f"batch {config.batch}: more steps within the time")
    assert config.batch is not None
    steps, size = _length(config, tokens, valid_tokens, vocab, clock)
    epochs, most = steps * config.batch * config.seq / tokens, _most_epochs(config, tokens)
    if config.steps is None:
        enough = "; more passes only learn the text by heart (--epochs forces them)" if epochs > most - 0.5 else ""
        choices.append(f"steps {steps}: {epochs:.1f} epochs{enough}")
        if clock.budget is not None and hardly_trained(steps):
            choices.append(too_few(steps))
    config = config.replace(steps=steps, epochs=None, eval_size=config.eval_size or size)
    if config.lr is None:
        config = config.replace(lr=_learning_rate(config))
        choices.append(f"lr {config.lr:g}")
    if config.dropout is None:
        config = config.replace(dropout=_dropout(epochs))
        choices.append(f"dropout {config.dropout:g}: for {epochs:.1f} epochs")
    if config.warmup is None:
        config = config.replace(warmup=usual_warmup(steps))
    if config.eval_every is None:
        config = config.replace(eval_every=eval_every(config, valid_tokens))
    return Plan(config, tuple(choices), steps_of_epochs(config, most, tokens))


def budget_of(config: Config) -> float | None:
    """Seconds, when the length of the run is a time: the one asked for, or the default when nothing is."""
    if config.steps is not None or config.epochs is not None:
        return None
    return parse_duration(config.for_ or DEFAULT_BUDGET)


@dataclasses.dataclass(frozen=True)
class Speed:
    """Seconds that a training step takes, and an evaluation of a text, for each token of it: of a ``part`` with the
    products of training, and of the ``whole``, exactly."""

    step: float
    part: float = 0.0
    whole: float = 0.0
    parameters: int = 0


def measure(
    config: Config,
    hidden: int,
    vocab: int,
    most: float = 0.6,
    group: Communicator = SINGLE_PROCESS,
    valid_tokens: int = 0,
) -> Speed:
    """On random tokens with a model of its own, after first calls that compile: medians of at most so many seconds.

    In a group all measure together, each with its part of the streams, and the slowest counts. ``valid_tokens``: of
    the text whose evaluation is measured, if any.
    """
    config = config.replace(hidden=hidden)
    assert config.batch is not None
    lo, hi = group.shard(config.batch)
    network = Network.from_config(config, vocab)
    optimizer = Optimizer(network, config)
    rng = np.random.default_rng(0)
    network.kernels.copy(network.parameters.flat, rng.uniform(-0.05, 0.05, network.parameters.flat.size))
    x, y = (rng.integers(0, vocab, (config.seq, hi - lo)).astype(np.int32) for _ in range(2))
    state = network.initial_state(hi - lo)
    keep = 1.0 if config.dropout == 0 else 0.9

    window = Window(x, y, None)

    def step() -> None:
        nats = network.train_step_gradients(window, state, keep)
        group.all_reduce_gradients(network.gradients.flat, nats, window)
        optimizer.step(1e-9, optimizer.gradient_norm())

    def evaluation(matmul_mode: str, size: int) -> float:
        """Seconds a token of a validation text of which so many are scored."""
        layout, other = evaluation_layout(valid_tokens, size), network.with_shared_parameters(matmul_mode)
        seq = min(evaluation_seq(layout.streams, vocab), layout.steps)
        streams = -(-layout.streams // group.size)
        ids, none = rng.integers(0, vocab, (2, seq, streams)).astype(np.int32), other.initial_state(streams)
        seconds = _median_seconds(lambda: other.loss(ids[0], ids[1], None, none), most / 4, group)
        return seconds * layout.steps / seq / min(size, valid_tokens)

    seconds = _median_seconds(step, most, group)
    if valid_tokens < 2:
        return Speed(seconds, parameters=network.parameters.flat.size)
    part = evaluation(network.matmul_mode, min(MOST_SIZE, max(1, valid_tokens - 1)))
    return Speed(seconds, part, evaluation(EVALUATION_MODE, valid_tokens), network.parameters.flat.size)


def _median_seconds(call: Callable[[], object], most: float, group: Communicator) -> float:
    call()
    times: list[float] = []
    end = time.monotonic() + most
    while not times or (len(times) < 30 and group.all_reduce_max(time.monotonic() < end)[0]):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return group.all_reduce_max(float(np.median(times)))[0]


def _batch(tokens: int, seq: int, processes: int = 1) -> int:
    """32 streams; 16 for a short text, which needs more updates a pass; fewer when there are not 16 windows of them.

    More if else a process had fewer than 8: with less its products are too thin to be fast.
    """
    usual = max(32 if tokens >= _SHORT else 16, 8 * processes if processes > 1 else 0)
    return max(1, min(usual, (tokens - 1) // (16 * seq)))


def _precision(config: Config, group: Communicator = SINGLE_PROCESS) -> str:
    """bfloat16 products where every processor has them: the same loss (see the README) in less time."""
    lacking = group.all_reduce_max(not backend.load(config.device).TARGET.bfloat16_fast)[0]
    return "float32" if lacking else "bfloat16"


def _with_hidden(config: Config, tokens: int, vocab: int, clock: TimeBudget, smaller_batch: bool) -> Config:
    """The largest size that sees enough text within the budget, and some hundred steps.

    ``smaller_batch``: where the smallest one gets fewer steps than that, it may have fewer streams.
    """
    assert config.batch is not None
    streams = config.batch
    largest = _LARGEST if tokens >= _SHORT else _LARGEST // 2
    if clock.budget is None:
        steps = config.steps or steps_of_epochs(config, config.epochs or 1.0, tokens)
        fits = [h for h in _LADDER if _sees_enough(config, h, steps * streams * config.seq) and h <= largest]
        return config.replace(hidden=max(fits, default=_LADDER[0]))
    rate = _rate(config, vocab, clock)
    left = max(clock.left(), 1.0)

    def fitting(hidden: int) -> bool:
        chars, weights = rate * left / _work(config, hidden, vocab), _recurrent(hidden, config.layers)
        enough = chars >= _LEAST_STEPS * streams * config.seq and _sees_enough(config, hidden, chars)
        return enough and (hidden <= _LARGEST or weights <= _WEIGHTS * tokens)

    hidden = max(filter(fitting, _LADDER), default=_LADDER[0])
    batch, chars = streams, rate * left / _work(config, hidden, vocab)
    while smaller_batch and chars < _LEAST_STEPS * batch * config.seq and batch >= 16 * clock.group.size:
        batch //= 2
    return config.replace(hidden=hidden, batch=batch)


def _sees_enough(config: Config, hidden: int, chars: float) -> bool:
    """Whether so many training positions are enough for a model of this size."""
    return chars >= _SEEN * _recurrent(hidden, config.layers)


def _rate(config: Config, vocab: int, clock: TimeBudget) -> float:
    """Multiply-adds a second in training, measured with a model as large as the time allows."""
    assert config.batch is not None
    positions = config.batch * config.seq

    def measured(hidden: int, most: float) -> float:
        seconds = measure(config, hidden, vocab, most, clock.group).step
        return _work(config, hidden, vocab) * positions / seconds

    rate = measured(_PROBED, 0.1)
    large = _work(config, _MEASURED, vocab) * positions / rate
    return measured(_MEASURED, 0.2) if 3 * large < _PROBE_SHARE * clock.left() else rate


def _work(config: Config, hidden: int, vocab: int) -> float:
    """Multiply-adds a token."""
    gates = CELLS[config.cell].gate_count
    return gates * hidden * hidden * (2 * config.layers - 1) + hidden * vocab


def _recurrent(hidden: int, layers: int) -> int:
    """Weights of an LSTM of this size, but for the ends."""
    return 4 * hidden * hidden * (2 * layers - 1)


def _most_epochs(config: Config, tokens: int) -> float:
    """Passes after which a model of this size only learns the text by heart: fewer the more weights there are for each
    token, except of a short text, whose passes have few steps."""
    assert config.hidden is not None
    each = _recurrent(config.hidden, config.layers) / tokens
    return _MOST_EPOCHS if tokens < _SHORT else _MOST_EPOCHS * min(1.0, each**-0.5)


def _length(config: Config, tokens: int, valid_tokens: int, vocab: int, clock: TimeBudget) -> tuple[int, int | None]:
    """Steps of the run, and tokens of an evaluation while it trains."""
    if config.steps is not None or config.epochs is not None:
        steps = config.steps or steps_of_epochs(config, config.epochs or 0.0, tokens)
        return steps, usual_size(config.replace(steps=steps, epochs=None), valid_tokens)
    steps, size = length_within(config, clock.left, valid_tokens, vocab, clock.group)
    return min(steps, steps_of_epochs(config, _most_epochs(config, tokens), tokens)), size


def steps_of_epochs(config: Config, epochs: float, tokens: int) -> int:
    """Steps in so many passes over a training text of ``tokens``."""
    assert config.batch is not None
    return max(1, math.ceil(epochs * max(1, tokens // config.batch // config.seq)))


def length_within(
    config: Config,
    seconds_left: Callable[[], float],
    valid_tokens: int,
    vocab: int,
    group: Communicator = SINGLE_PROCESS,
) -> tuple[int, int | None]:
    """Steps, and tokens of an evaluation, that fit into the time that is left when a few have been measured."""
    assert config.batch is not None
    assert config.hidden is not None
    speed = measure(config, config.hidden, vocab, group=group, valid_tokens=valid_tokens)
    left = max(0.0, seconds_left())
    size = config.eval_size or _affordable_size(config, speed, left, valid_tokens)
    used = min(size or 0, valid_tokens)
    most = left * _SHARE - min(left * FINAL_SHARE, valid_tokens * speed.whole)
    saving = speed.parameters * _BYTES / _SAVED_BYTES
    evaluation = used * (speed.whole if used == valid_tokens else speed.part) + saving
    steps = max(1, int(most / speed.step))
    for _ in range(3):  # how often it evaluates depends on the steps, and they on that
        every = config.eval_every or eval_every(config.replace(steps=steps, eval_size=size), valid_tokens)
        evaluations = -(-steps // every)
        steps = max(1, int((most - evaluations * evaluation) / speed.step))
    return steps, size


def _affordable_size(config: Config, speed: Speed, left: float, valid_tokens: int) -> int | None:
    """Tokens that the evaluations while training may have, by measured times; None where there are none."""
    if not valid_tokens:
        return None
    seconds = _VALIDATION * left
    steps = max(1, int(left / speed.step))
    whole = config.replace(steps=steps, eval_size=valid_tokens)
    if valid_tokens <= MOST_SIZE and steps / eval_every(whole, valid_tokens) * valid_tokens * speed.whole <= seconds:
        return valid_tokens
    return max(1, min(MOST_SIZE, valid_tokens - 1, int(seconds / _EVALUATIONS / speed.part)))


def usual_size(config: Config, valid_tokens: int) -> int | None:
    """The same without measuring: for a run whose length is no time."""
    assert config.batch is not None
    assert config.steps is not None
    if not valid_tokens:
        return None
    affordable = _VALIDATION * config.steps * config.batch * config.seq / _EVALUATION_COST / _EVALUATIONS
    return min(valid_tokens, MOST_SIZE, max(_LEAST_SIZE, int(affordable)))


def final_size(config: Config, valid_tokens: int, vocab: int) -> int:
    """Tokens of the exact evaluation at the end: all, unless that took long beside the training."""
    assert config.batch is not None
    assert config.steps is not None
    assert config.hidden is not None
    affordable = FINAL_SHARE * config.steps * config.batch * config.seq / _EXACT_COST
    return min(valid_tokens, int(max(affordable, _FREE_WORK / _work(config, config.hidden, vocab))))


def usual_warmup(steps: int) -> int:
    """Steps of the warm-up of a run, where that is left open."""
    return min(100, steps // 10)


def with_steps(config: Config, steps: int, done: int, evaluate_every: Callable[[Config], int]) -> Config:
    """The same run with another number of steps, after ``done`` of them; what followed from the old number follows."""
    assert config.steps is not None
    changed = config.replace(steps=steps)
    if config.eval_every == evaluate_every(config):
        changed = changed.replace(eval_every=evaluate_every(changed))
    if config.warmup == usual_warmup(config.steps) and done < config.warmup:
        changed = changed.replace(warmup=usual_warmup(steps))
    return changed


def hardly_trained(steps: int) -> bool:
    """Whether a model has seen too little to be of use."""
    return steps < _HARDLY


def too_few(steps: int) -> str:
    """What to say of a time budget that allows only so many steps."""
    return f"only {steps:,} {'step' if steps == 1 else 'steps'}: hardly trained; give more time with --for"


def _learning_rate(config: Config) -> float:
    assert config.hidden is not None
    base = {"adamw": 4e-3, "rmsprop": 1e-3, "adagrad": 1e-2, "momentum": 0.1, "sgd": 1.0}[config.optimizer]
    base *= CELLS[config.cell].learning_rate_factor
    return base * min(1.0, math.sqrt(512 / config.hidden)) / math.sqrt(config.layers)


def _dropout(epochs: float) -> float:
    """None for a text seen once, 0.4 for seven epochs, at most a half."""
    return round(min(0.5, max(0.0, math.log2(max(epochs, 1.0)) / 7)), 2)


def eval_every(config: Config, valid_tokens: int) -> int:
    """10 evaluations, or up to 40 of the whole validation text, as many as their share of the training pays for."""
    assert config.batch is not None
    assert config.steps is not None
    count = float(_EVALUATIONS)
    if valid_tokens and (config.eval_size is None or config.eval_size >= valid_tokens):
        used = min(valid_tokens, MOST_SIZE)
        affordable = _VALIDATION * config.steps * config.batch * config.seq / (used * _EVALUATION_COST)
        count = min(_MOST_EVALUATIONS, max(_EVALUATIONS, affordable))
    return max(1, round(config.steps / count))
