"""Where a run is: what a checkpoint tells of it, and which of its states is the best."""

import dataclasses
import math
from typing import Any

from ..errors import CheckpointError
from .evaluate import Evaluation, rank
from .notes import check_progress
from .tensorfile import Damaged


@dataclasses.dataclass
class Progress:
    """Where a run is. JSON keeps it exactly."""

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
    waited: int = 0  # evaluations since the best
    lr_scale: float = 1.0
    bad_steps: int = 0
    returns: int = 0
    plateau: dict[str, Any] | None = None
    metrics: dict[str, float] | None = None  # of the best state; language models have none

    def to_mapping(self) -> dict[str, Any]:
        """What JSON can hold, for `from_mapping`."""
        mapping = dataclasses.asdict(self)
        if self.metrics is None:
            del mapping["metrics"]
        return mapping

    @classmethod
    def from_mapping(cls, mapping: dict[str, Any]) -> "Progress":
        """The reverse of `to_mapping`. Raises `CheckpointError` for other names or types."""
        names = {f.name for f in dataclasses.fields(cls)}
        try:
            if set(mapping) | {"metrics"} != names:
                raise TypeError
            check_progress(mapping)
        except (TypeError, Damaged):
            raise CheckpointError("its record of progress is damaged; use another copy") from None
        return cls(**mapping)

    def judge(self, measured: Evaluation | None) -> bool:
        """Note an evaluation; whether its state is the best so far. Without validation the latest is.

        The best is that with the lowest validation loss; where answers are right or wrong, that with most of them right
        (in trials up to 3 points more than by the loss, which grows again while accuracy still does). Their share is
        rounded to whole per cent, since a smaller difference may be chance; among equals the loss decides.
        """
        if measured is None:
            self.best_step = self.step
            return True
        finite = all(map(math.isfinite, (measured.nats, *measured.metrics.values())))
        self.valid_nats = measured.nats if math.isfinite(measured.nats) else None
        best = None if self.best_nats is None else rank(self.metrics or {}, self.best_nats)
        if finite and (best is None or rank(measured.metrics, measured.nats) < best):
            self.best_nats, self.best_step, self.waited = measured.nats, self.step, 0
            self.metrics = measured.metrics or None
            return True
        self.waited += 1
        return False
