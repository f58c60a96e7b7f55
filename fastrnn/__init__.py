"""fastrnn: recurrent sequence models, trained and sampled at the speed of the chip.

import fastrnn

run = fastrnn.train(["text.txt"], fastrnn.Config(for_="1m"), out="my-run")
model = fastrnn.load("my-run")
print(model.sample(200, prime="The ", temperature=0.8, seed=1))
"""

import importlib
from typing import Any

__all__ = [
    "Config", "FastRNNError", "LanguageModel", "TaskModel", "corpus_from_text", "load", "read_corpus", "read_records",
    "resume", "train",
]  # fmt: skip

# Loaded on first use: the command line's --help needs none of NumPy, Numba and the rest.
_PLACES = {
    "Config": ".config",
    "FastRNNError": ".errors",
    "LanguageModel": ".inference.language_model",
    "TaskModel": ".inference.predictors",
    "load": ".inference.load",
    "corpus_from_text": ".data.text.corpus",
    "read_corpus": ".data.text.corpus",
    "read_records": ".data.examples.readers.dispatch",
    "train": ".training.api",
    "resume": ".training.api",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("fastrnn")
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
