"""Recurrent sequence models, trained and sampled fast on CPUs and GPUs.

Example:
    import fastrnn

    run = fastrnn.train(["text.txt"], fastrnn.Config(for_="1m"), out="my-run")
    model = fastrnn.load("my-run")
    print(model.sample(200, prime="The ", temperature=0.8, seed=1))
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import Config
    from .data.examples.readers.formats import read_examples
    from .data.text.corpus import corpus_from_text, read_corpus
    from .errors import FastRNNError
    from .inference.language_model import LanguageModel
    from .inference.load import load
    from .inference.predictors import TaskModel
    from .inference.sampling import SamplingParams
    from .tasks.classify import ClassificationModel
    from .tasks.forecast import ForecastingModel
    from .tasks.generate import ConditionalModel
    from .tasks.regress import RegressionModel
    from .tasks.tag import TaggingModel
    from .tasks.translate import TranslationModel
    from .training.api import resume, train
    from .training.callbacks import Callback

    __version__: str

__all__ = [
    "Callback",
    "ClassificationModel",
    "ConditionalModel",
    "Config",
    "FastRNNError",
    "ForecastingModel",
    "LanguageModel",
    "RegressionModel",
    "SamplingParams",
    "TaggingModel",
    "TaskModel",
    "TranslationModel",
    "corpus_from_text",
    "load",
    "read_corpus",
    "read_examples",
    "resume",
    "train",
]

# Imported on first use, because `fastrnn --help` needs neither NumPy nor Numba.
# The imports for type checkers above name the same modules.
_MODULES = {
    "Callback": ".training.callbacks",
    "ClassificationModel": ".tasks.classify",
    "ConditionalModel": ".tasks.generate",
    "Config": ".config",
    "FastRNNError": ".errors",
    "ForecastingModel": ".tasks.forecast",
    "LanguageModel": ".inference.language_model",
    "RegressionModel": ".tasks.regress",
    "SamplingParams": ".inference.sampling",
    "TaggingModel": ".tasks.tag",
    "TaskModel": ".inference.predictors",
    "TranslationModel": ".tasks.translate",
    "corpus_from_text": ".data.text.corpus",
    "load": ".inference.load",
    "read_corpus": ".data.text.corpus",
    "read_examples": ".data.examples.readers.formats",
    "resume": ".training.api",
    "train": ".training.api",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


# Hidden from type checkers: with it, any attribute of the package would have type Any.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return importlib.import_module("importlib.metadata").version("fastrnn")
        if name in _MODULES:
            return getattr(importlib.import_module(_MODULES[name], __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
