"""What training tells whoever watches it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..config import Config


@dataclass(frozen=True)
class TrainStart:
    """A run begins: its folder, its size, its data in words, and what was chosen for it and why."""

    run: str
    parameters: int
    data: tuple[str, ...]
    config: Config
    choices: tuple[str, ...]


@dataclass(frozen=True)
class StepEnd:
    """A training step is done. ``nats`` is smoothed; seconds_left an estimate."""

    step: int
    steps: int
    epoch: float
    nats: float
    lr: float
    chars_per_s: float
    seconds_left: float
    grad_norm: float


@dataclass(frozen=True)
class Planned:
    """After ``step`` the number of steps has become ``steps``, to keep a time budget."""

    step: int
    steps: int


@dataclass(frozen=True)
class EvaluateEnd:
    """A validation is done: mean losses, whether it is the best so far, a short fresh sample, the task's metrics."""

    step: int
    train_nats: float
    valid_nats: float | None
    valid_bits: float | None
    best: bool
    sample: str
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What a run came to. ``stopped``: "done", "patience" or "signal" (then ``signal`` is its number).

    ``chars``: the positions that were learnt from, of ``tokens`` chars, bytes or words; ``valid_bits``: None for
    forecast and regress, whose loss is half a squared error; ``metrics``: those of the best state, by
    `fastrnn.inference.metrics`; ``inputs``: the names of the data; ``split``: whether a part of it was kept to validate
    on. Of a language model also ``unigram_nats``, the loss of predicting by frequencies alone, on what the best state
    was measured on; and ``start``, a frequent beginning of its text.
    """

    run: str
    steps: int
    chars: int
    seconds: float
    chars_per_s: float
    train_nats: float
    valid_nats: float | None
    valid_bits: float | None
    best_step: int
    stopped: str
    signal: int | None = None
    task: str = "language-model"
    tokens: str = "chars"
    metrics: Mapping[str, float] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    split: bool = True
    unigram_nats: float | None = None
    start: str = ""


class Callback:
    """Watches nothing; a display overrides what it shows. ``samples``: whether it wants one with every validation."""

    samples = False

    def message(self, text: str) -> None: ...

    def reading(self, done: int, total: int | None) -> None:
        """So many bytes of the data are read, of ``total`` where that is known."""

    def on_train_start(self, start: TrainStart) -> None: ...

    def on_step(self, step: StepEnd) -> None: ...

    def planned(self, planned: Planned) -> None: ...

    def validation_mode(self, share: float) -> None:
        """A validation is under way; so much of it is done, from 0 to 1."""

    def on_evaluate(self, evaluated: EvaluateEnd) -> None: ...

    def on_train_end(self, result: Result) -> None: ...
