"""The models of the supervised tasks.

| task | model |
| --- | --- |
| tag | characters -> bidirectional stack, joined to word embedding -> stack -> softmax per step |
| tag of single characters | one-hot -> stack -> softmax per step |
| classify | stack -> final output of each direction and mean over time -> softmax |
| regress | stack -> numbers or bits per step; one output per example where T is 1 |
| forecast | stack -> numbers from the final output |
| generate | condition -> initial state of a language model |
| translate | stack -> final states -> initial state of a language model |
"""

from ...config import Config
from ...errors import ConfigError
from ...task_specs import get_supervised_task, list_supervised_tasks
from ..spec import ModelSpec
from .base import SupervisedModel
from .seq2seq import ConditionalDecoder, ConditionalGenerator, EncoderDecoder
from .sequence_models import Classifier, FinalOutputModel, PerStepModel, SymbolTagger, Tagger

__all__ = [
    "Classifier",
    "ConditionalDecoder",
    "ConditionalGenerator",
    "EncoderDecoder",
    "FinalOutputModel",
    "PerStepModel",
    "SupervisedModel",
    "SymbolTagger",
    "Tagger",
    "build",
]  # fmt: skip


def build(config: Config, spec: ModelSpec, threads: int | None = None) -> SupervisedModel:
    """Return the model of a supervised task; its parameters are zero.

    Args:
        config: Configuration with ``hidden`` set.
        spec: Sizes of inputs and outputs.
        threads: Number of threads; default: that of ``config``.

    Raises:
        ConfigError: The task has no model here, or the cell does not support it.
        BackendError: The device is not available or does not support the task.
    """
    if spec.task not in list_supervised_tasks():
        raise ConfigError(f"task {spec.task!r} has no model of its own; use {', '.join(list_supervised_tasks())}")
    return get_supervised_task(spec.task).choose_model(spec)(config, spec, threads=threads)
