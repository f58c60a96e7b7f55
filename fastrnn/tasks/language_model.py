"""language-model: predict each token of a text from those before it."""

from ..config import Config
from ..inference.language_model import LanguageModel
from ..nn.spec import ModelSpec
from ..shapes import ModelShape, Shapes
from ..shapes import parameter_shapes as model_shapes
from .base import Task


class LanguageModelTask(Task):
    """One text, read in streams; its network is `fastrnn.nn.network.Network`."""

    name = "language-model"
    predictor_class = LanguageModel

    def parameter_shapes(self, config: Config, spec: ModelSpec) -> Shapes:
        assert config.hidden is not None
        return model_shapes(ModelShape(config.cell, config.layers, config.hidden, spec.tokens))


TASK = LanguageModelTask()
