"""From a file to the model that it holds, whatever its task."""

import os

from ..checkpoint.checkpoint import load as load_checkpoint
from ..checkpoint.run_dir import model_path
from ..plain import check_path
from .language_model import LanguageModel
from .predictors import TaskModel


def load(path: str | os.PathLike[str], threads: int | None = None, exact: bool = False) -> LanguageModel | TaskModel:
    """The model of a run folder (its best one) or of a file. Raises `CheckpointError`.

    ``exact``: texts are drawn with the weights as they are, not rounded to bfloat16.
    """
    checkpoint = load_checkpoint(model_path(check_path("path", path)))
    kind = LanguageModel if checkpoint.config.task == "language-model" else TaskModel
    return kind(checkpoint, threads, exact)
