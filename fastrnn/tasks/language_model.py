"""language-model: predict each token of a text from those before it."""

from ..inference.language_model import LanguageModel
from . import Task


class LanguageModelTask(Task):
    """One text, read in streams; its network is `fastrnn.nn.network.Network`."""

    name = "language-model"
    predictor_class = LanguageModel


TASK = LanguageModelTask()
