"""Loading a model for use, whatever its task."""

import os

from ..checkpoint.checkpoint import load as load_checkpoint
from ..checkpoint.run_dir import model_path
from ..plain import check_path
from ..task_specs import get_task
from .language_model import LanguageModel
from .predictors import TaskModel


def load(path: str | os.PathLike[str], threads: int | None = None, exact: bool = False) -> LanguageModel | TaskModel:
    """Load a trained model.

    Args:
        path: A run folder (its best checkpoint is loaded) or a ``.safetensors`` file.
        threads: The number of threads; None for the default of this machine.
        exact: Sample with float32 weights; by default they are rounded to bfloat16, which is faster.

    Returns:
        A `LanguageModel`, or for the labelled tasks the subclass of `TaskModel` of the model's task.

    Raises:
        CheckpointError: The file is missing, unreadable, damaged or of another version.
    """
    checkpoint = load_checkpoint(model_path(check_path("path", path)))
    model: LanguageModel | TaskModel = get_task(checkpoint.config.task).predictor_class(checkpoint, threads, exact)
    return model
