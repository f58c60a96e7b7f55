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
from ..spec import ModelSpec
from .base import Model, SupervisedModel
from .seq2seq import ConditionalDecoder, ConditionalGenerator, EncoderDecoder
from .sequence_models import Classifier, ForecastModel, PerStepModel, SymbolTagger
from .tagger import Tagger

__all__ = [
    "Classifier",
    "ConditionalDecoder",
    "ConditionalGenerator",
    "EncoderDecoder",
    "ForecastModel",
    "Model",
    "PerStepModel",
    "SupervisedModel",
    "SymbolTagger",
    "Tagger",
    "build",
]  # fmt: skip

_MODELS: dict[str, type[SupervisedModel]] = {
    "tag": Tagger,
    "classify": Classifier,
    "generate": ConditionalGenerator,
    "translate": EncoderDecoder,
    "forecast": ForecastModel,
    "regress": PerStepModel,
}


def build(config: Config, signature: ModelSpec, threads: int | None = None) -> SupervisedModel:
    """The model of a labelled task, its parameters all zero. Raises `ConfigError`, `BackendError`."""
    if signature.task not in _MODELS:
        raise ConfigError(f"task {signature.task!r} has no model of its own; use {', '.join(_MODELS)}")
    symbols = signature.task == "tag" and not signature.characters
    return (SymbolTagger if symbols else _MODELS[signature.task])(config, signature, threads)
