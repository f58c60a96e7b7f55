"""Progress of a run as stored in checkpoints, and the choice of the best state."""

import dataclasses
import math
from typing import Any

from ..checkpoint.safetensors_file import FormatError
from ..checkpoint.validation import check_progress
from ..errors import CheckpointError
from ..inference.evaluation import Evaluation, rank

# Field -> its key in a checkpoint of version 1, where the two differ.
_KEYS = {"evals_since_best": "waited", "nonfinite_steps": "bad_steps", "rollbacks": "returns"}


@dataclasses.dataclass
class TrainerState:
    """Progress of a run; JSON stores it exactly."""

    step: int = 0
    updates: int = 0
    chars: int = 0
    seconds: float = 0.0
    smoothed: float | None = None
    train_total: float = 0.0  # losses since the last evaluation
    train_count: int = 0
    train_nats: float | None = None  # mean loss between the last two evaluations
    evaluated: int = -1  # step of the last evaluation
    valid_nats: float | None = None
    best_nats: float | None = None
    best_step: int = 0
    evals_since_best: int = 0  # evaluations since the best
    lr_scale: float = 1.0
    nonfinite_steps: int = 0
    rollbacks: int = 0
    plateau: dict[str, Any] | None = None
    metrics: dict[str, float] | None = None  # of the best state; language models have none

    def to_dict(self) -> dict[str, Any]:
        """Convert to a mapping for JSON; the reverse of `from_dict`."""
        mapping = {_KEYS.get(name, name): value for name, value in dataclasses.asdict(self).items()}
        if self.metrics is None:
            del mapping["metrics"]
        return mapping

    @classmethod
    def from_dict(cls, mapping: dict[str, Any]) -> "TrainerState":
        """The reverse of `to_dict`. Raises `CheckpointError` for other names or types."""
        names = {_KEYS.get(f.name, f.name) for f in dataclasses.fields(cls)}
        try:
            if set(mapping) | {"metrics"} != names:
                raise TypeError
            check_progress(mapping)
        except (TypeError, FormatError):
            raise CheckpointError("its record of progress is damaged; use another copy") from None
        fields = {key: name for name, key in _KEYS.items()}
        return cls(**{fields.get(key, key): value for key, value in mapping.items()})

    def judge(self, measured: Evaluation | None) -> bool:
        """Record an evaluation; return whether its state is the best so far. Without validation data the last one is.

        The best state has the lowest validation loss, or, for tasks with right and wrong answers, the highest accuracy
        (in trials up to 3 points more than by the loss, which rises again while accuracy still improves). Accuracy is
        rounded to whole per cent, since a smaller difference may be chance; among equals the loss decides.
        """
        if measured is None:
            self.best_step = self.step
            return True
        finite = all(map(math.isfinite, (measured.nats, *measured.metrics.values())))
        self.valid_nats = measured.nats if math.isfinite(measured.nats) else None
        best = None if self.best_nats is None else rank(self.metrics or {}, self.best_nats)
        if finite and (best is None or rank(measured.metrics, measured.nats) < best):
            self.best_nats, self.best_step, self.evals_since_best = measured.nats, self.step, 0
            self.metrics = measured.metrics or None
            return True
        self.evals_since_best += 1
        return False
