"""What training tells whoever watches it."""

from dataclasses import dataclass

from ..config import Config


@dataclass(frozen=True)
class Start:
    """A run begins: its folder, its size, and what was chosen for it and why."""

    run: str
    parameters: int
    tokens: int
    vocab: int
    steps: int
    per_epoch: int
    config: Config
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Step:
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
class Evaluated:
    """A validation is done: mean losses, whether it is the best so far, and a short fresh sample."""

    step: int
    train_nats: float
    valid_nats: float | None
    valid_bits: float | None
    best: bool
    sample: str


@dataclass(frozen=True)
class Result:
    """What a run came to. ``stopped``: "done", "patience" or "signal" (then ``signal`` is its number)."""

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


class Reporter:
    """Watches nothing; a display overrides what it shows. ``samples``: whether it wants one with every validation."""

    samples = False

    def message(self, text: str) -> None: ...

    def started(self, start: Start) -> None: ...

    def step(self, step: Step) -> None: ...

    def evaluated(self, evaluated: Evaluated) -> None: ...

    def finished(self, result: Result) -> None: ...
