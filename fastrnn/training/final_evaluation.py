"""The exact evaluation of the best state after the last step, on all validation data."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..checkpoint.atomic import write_atomic
from ..checkpoint.checkpoint import Checkpoint, load, to_bytes
from ..errors import CheckpointError, OutputError
from ..inference.evaluation import Evaluation
from .run_log import RunOutput
from .trainer import Trainer


def evaluate_best(
    trainer: Trainer, evaluate: Callable[[], Evaluation | None], output: RunOutput, elapsed: Callable[[], float]
) -> Evaluation | None:
    """Evaluate the best state of a run; write the result to the log and to its checkpoint (collective).

    Args:
        trainer: Its parameters are those of the last step again afterwards.
        evaluate: Evaluates the trainer's model; returns None if it was interrupted.
        output: The run folder, log and callback.
        elapsed: Returns the seconds of the run so far, for the log.

    Returns:
        The evaluation; None if it was interrupted, or if the checkpoint of the best state cannot be loaded.
    """
    group = trainer.group
    loaded: list[Checkpoint] = []  # filled on rank 0 only
    if not group.run_on_rank0(lambda: _load_best(output, loaded)):
        return None
    # The best state is loaded into the trainer's own parameters, which needs no second model.
    parameters, kernels = trainer.model.parameters, trainer.model.kernels
    last = np.array(kernels.to_host(parameters.flat))
    for best in loaded:
        parameters.assign(best.parameters)
    group.broadcast(parameters.flat)
    start = time.monotonic()
    try:
        mine = evaluate()
    finally:
        kernels.copy(parameters.flat, last)
    took = time.monotonic() - start
    if group.all_reduce_max(mine is None)[0]:
        return None
    found = group.run_on_rank0(lambda: mine)
    assert found is not None

    def record() -> None:
        output.log.write({"event": "final", "step": trainer.progress.best_step, "valid_nats": found.nats,
                          **found.metrics, "scored": found.chars, "took": took, "seconds": elapsed()})  # fmt: skip
        _write_figures(loaded[0], found, output)

    group.run_on_rank0(record)
    return found


def _load_best(output: RunOutput, loaded: list[Checkpoint]) -> bool:
    try:
        loaded.append(load(output.folder.best))
    except CheckpointError as error:
        output.callback.message(f"{error}; its loss is that of the last validation while training")
        return False
    return True


def _write_figures(best: Checkpoint, found: Evaluation, output: RunOutput) -> None:
    """Write the figures of the evaluation to the checkpoint of the best state."""
    if not found.whole:
        output.callback.message(
            f"validated on {found.chars:,} positions at the end: all would take more than their share of the time"
        )
    if not math.isfinite(found.nats):
        return
    figures: dict[str, Any] = {"valid_nats": found.nats, "best_nats": found.nats}
    figures |= {"metrics": found.metrics} if found.metrics else {}
    best = dataclasses.replace(best, progress=best.progress | figures)
    path = output.folder.best
    try:
        write_atomic(path, to_bytes(best, str(path)))
    except OutputError as error:
        output.callback.message(f"{error}; the file keeps the figures of the last validation while training")
