"""What a user leaves open is chosen here, from the corpus, the budget, and the measured speed of this machine."""

import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np

from .. import backend
from ..config import Config, parse_duration
from ..data.windows import Window
from ..nn.network import Network
from ..nn.products import validating
from ..nn.shapes import GATES
from ..parallel.group import ALONE, Group
from .optimizers import Optimizer

DEFAULT_BUDGET = "3m"
_LADDER = (64, 96, 128, 192, 256, 384, 512, 768, 1024)
_MEASURED = 512  # hidden units of the model whose speed is measured before a size is chosen
_SEEN = 2.3  # training positions that a model should see for each of its recurrent weights
_SHARE = 0.96  # of the time that is left, for steps and evaluations; what speed varies takes the rest
_SAVING = 0.3  # seconds to write the two checkpoints of an evaluation
_SHORT = 300_000  # tokens, below which a text is short
_LARGEST = 512  # hidden units that every text is worth
_WEIGHTS = 2.5  # recurrent weights for each token of the text that more units may have
_MOST_EPOCHS = 12  # more passes only learn the text by heart: measured on 100 kB, 465 kB and 1.1 MB
_EVALUATION_COST = 0.4  # of a position, against one trained position


@dataclasses.dataclass(frozen=True)
class Plan:
    """A complete configuration, and in words what was chosen and why.

    ``most_steps``: as many make sense if the machine turns out to be faster; 0: not more than planned.
    """

    config: Config
    choices: tuple[str, ...]
    most_steps: int = 0


class Clock:
    """The time budget of a run, counted from the start of the command; the same for all processes of a group."""

    def __init__(self, budget: float | None, group: Group = ALONE) -> None:
        self.budget, self.group, self._started = budget, group, time.monotonic()

    def left(self) -> float:
        """Seconds; in a group all ask together, and hear what is left for the one that started first."""
        return -self.group.most(-self.here())[0]

    def here(self) -> float:
        """Seconds that are left for this process."""
        return math.inf if self.budget is None else self.budget - (time.monotonic() - self._started)


def plan(config: Config, tokens: int, valid_tokens: int, vocab: int, clock: Clock) -> Plan:
    """Fill in what ``config`` leaves open, for a training text of so many tokens."""
    choices: list[str] = []
    batch = config.batch or _batch(tokens, config.seq, clock.group.size)
    config = config.replace(batch=batch, for_=None, precision=config.precision or _precision(config, clock.group))
    if config.precision == "bfloat16":
        choices.append("precision bfloat16: this processor multiplies it fast")
    if config.hidden is None:
        hidden = _hidden(config, tokens, vocab, clock)
        choices.append(f"hidden {hidden}: for a text of {tokens:,} tokens and the time there is")
        config = config.replace(hidden=hidden)
    steps = _steps(config, tokens, valid_tokens, vocab, clock)
    epochs, most = steps * batch * config.seq / tokens, _most_epochs(config, tokens)
    if config.steps is None:
        enough = "; more passes only learn the text by heart (--epochs forces them)" if epochs > most - 0.5 else ""
        choices.append(f"steps {steps}: {epochs:.1f} epochs{enough}")
    config = config.replace(steps=steps, epochs=None)
    if config.lr is None:
        config = config.replace(lr=_learning_rate(config))
        choices.append(f"lr {config.lr:g}")
    if config.dropout is None:
        config = config.replace(dropout=_dropout(epochs))
        choices.append(f"dropout {config.dropout:g}: for {epochs:.1f} epochs")
    if config.warmup is None:
        config = config.replace(warmup=min(100, steps // 10))
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
    """Seconds that a training step takes, and the evaluation of as many tokens."""

    step: float
    evaluation: float


def measure(config: Config, hidden: int, vocab: int, most: float = 0.6, group: Group = ALONE) -> Speed:
    """On random tokens with a model of its own, after first calls that compile: medians of at most so many seconds.

    In a group all measure together, each with its part of the streams, and the slowest counts.
    """
    config = config.replace(hidden=hidden)
    assert config.batch is not None
    lo, hi = group.part(config.batch)
    network = Network.from_config(config, vocab)
    optimizer, validation = Optimizer(network, config), network.sibling(validating(network.products))
    rng = np.random.default_rng(0)
    network.kernels.copy(network.parameters.flat, rng.uniform(-0.05, 0.05, network.parameters.flat.size))
    x, y = (rng.integers(0, vocab, (config.seq, hi - lo)).astype(np.int32) for _ in range(2))
    state = network.initial_state(hi - lo)
    keep = 1.0 if config.dropout == 0 else 0.9

    window = Window(x, y, None)

    def step() -> None:
        nats = network.learn(window, state, keep)
        group.average(network.gradients.flat, nats, window)
        optimizer.step(1e-9, optimizer.gradient_norm())

    evaluation = _median_seconds(lambda: validation.loss(x, y, None, state), most / 4, group)
    return Speed(_median_seconds(step, most, group), evaluation)


def _median_seconds(call: Callable[[], object], most: float, group: Group) -> float:
    call()
    times: list[float] = []
    end = time.monotonic() + most
    while len(times) < 3 or (len(times) < 30 and group.most(time.monotonic() < end)[0]):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return group.most(float(np.median(times)))[0]


def _batch(tokens: int, seq: int, processes: int = 1) -> int:
    """32 streams; 16 for a short text, which needs more updates a pass; fewer when there are not 16 windows of them.

    More if else a process had fewer than 8: with less its products are too thin to be fast.
    """
    usual = max(32 if tokens >= _SHORT else 16, 8 * processes if processes > 1 else 0)
    return max(1, min(usual, (tokens - 1) // (16 * seq)))


def _precision(config: Config, group: Group = ALONE) -> str:
    """bfloat16 products where every processor has them: the same loss (see the README) in less time."""
    lacking = group.most(not backend.load(config.device).TARGET.bfloat16_fast)[0]
    return "float32" if lacking else "bfloat16"


def _hidden(config: Config, tokens: int, vocab: int, clock: Clock) -> int:
    """The largest size that sees enough text within the budget."""
    assert config.batch is not None
    if clock.budget is None:
        return 512 if tokens >= _SHORT else 256
    measured = measure(config, _MEASURED, vocab, 0.2, clock.group).step
    rate = _work(config, _MEASURED, vocab) * config.batch * config.seq / measured
    fitting = [_LADDER[0]]
    for hidden in _LADDER:
        chars = rate * max(clock.left(), 1.0) / _work(config, hidden, vocab)
        weights = _recurrent(hidden, config.layers)
        if chars >= _SEEN * weights and (hidden <= _LARGEST or weights <= _WEIGHTS * tokens):
            fitting.append(hidden)
    return fitting[-1]


def _work(config: Config, hidden: int, vocab: int) -> float:
    """Multiply-adds a token."""
    gates = GATES[config.cell]
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


def _steps(config: Config, tokens: int, valid_tokens: int, vocab: int, clock: Clock) -> int:
    assert config.batch is not None
    assert config.hidden is not None
    if config.steps is not None:
        return config.steps
    if config.epochs is not None:
        return steps_of_epochs(config, config.epochs, tokens)
    within = steps_within(config, clock.left, valid_tokens, vocab, clock.group)
    return min(within, steps_of_epochs(config, _most_epochs(config, tokens), tokens))


def steps_of_epochs(config: Config, epochs: float, tokens: int) -> int:
    """Steps in so many passes over a training text of ``tokens``."""
    assert config.batch is not None
    return max(1, math.ceil(epochs * max(1, tokens // config.batch // config.seq)))


def steps_within(
    config: Config, seconds_left: Callable[[], float], valid_tokens: int, vocab: int, group: Group = ALONE
) -> int:
    """Steps that fit, evaluations included, into the time that is left when a few have been measured."""
    assert config.batch is not None
    assert config.hidden is not None
    speed = measure(config, config.hidden, vocab, group=group)
    evaluation = valid_tokens / (config.batch * config.seq) * speed.evaluation + _SAVING
    left = seconds_left() * _SHARE
    return max(1, int(max(left - min(12 * evaluation, 0.2 * left), speed.step) / speed.step))


def _learning_rate(config: Config) -> float:
    assert config.hidden is not None
    base = {"adamw": 4e-3, "rmsprop": 1e-3, "adagrad": 1e-2, "momentum": 0.1, "sgd": 1.0}[config.optimizer]
    if config.cell.startswith("rnn"):
        base /= 4
    return base * min(1.0, math.sqrt(512 / config.hidden)) / math.sqrt(config.layers)


def _dropout(epochs: float) -> float:
    """None for a text seen once, 0.4 for seven epochs, at most a half."""
    return round(min(0.5, max(0.0, math.log2(max(epochs, 1.0)) / 7)), 2)


def eval_every(config: Config, valid_tokens: int) -> int:
    """10 to 40 evaluations, as many as a twentieth of the training pays for."""
    assert config.batch is not None
    assert config.steps is not None
    affordable = 0.05 * config.steps * config.batch * config.seq / max(1.0, valid_tokens * _EVALUATION_COST)
    return max(1, round(config.steps / min(40, max(10, affordable))))
