"""A model for every task, put together from the same layers.

| task | model |
| --- | --- |
| tag | letters -> two directions; with the word's embedding -> stack -> softmax at each step; symbols -> stack |
| classify | stack -> last output of each direction, mean over time -> softmax |
| regress | stack -> numbers or bits at each step; one to one where T is 1 |
| forecast | stack -> numbers from the last output |
| generate | what is given -> first state of a language model |
| translate | stack -> its last states -> first state of a language model |
"""

from ...config import Config
from ...errors import ConfigError
from ..signature import Signature
from .labelling import Classifier, EveryStep, Forecaster, SymbolTagger
from .model import Model, TaskNetwork
from .tagger import Tagger
from .writing import Generator, Translator, Writer

__all__ = [
    "Classifier", "EveryStep", "Forecaster", "Generator", "Model", "SymbolTagger", "Tagger", "TaskNetwork",
    "Translator", "Writer", "build",
]  # fmt: skip

_MODELS: dict[str, type[TaskNetwork]] = {
    "tag": Tagger,
    "classify": Classifier,
    "generate": Generator,
    "translate": Translator,
    "forecast": Forecaster,
    "regress": EveryStep,
}


def build(config: Config, signature: Signature, threads: int | None = None) -> TaskNetwork:
    """The model of a labelled task, its parameters all zero. Raises `ConfigError`, `BackendError`."""
    if signature.task not in _MODELS:
        raise ConfigError(f"task {signature.task!r} has no model of its own; use {', '.join(_MODELS)}")
    symbols = signature.task == "tag" and not signature.characters
    return (SymbolTagger if symbols else _MODELS[signature.task])(config, signature, threads)
