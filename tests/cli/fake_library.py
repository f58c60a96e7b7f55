"""Fakes of the library for the commands: they record their arguments and answer at once.

They are checked against the signatures of what they stand for (`fakes`).
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from fakes import check_class, replace

from fastrnn.data.text.tokenizers import CharTokenizer
from fastrnn.errors import InputError
from fastrnn.inference import language_model, load
from fastrnn.inference.language_model import LanguageModel, LineScore
from fastrnn.training import api
from fastrnn.training.callbacks import Result


class FakeTokenizer:
    """Stands in for `CharTokenizer`; knows every character but ``#``."""

    kind = "chars"
    unknown: int | None = None

    def encode(self, text: str, unknown: str = "error") -> list[str]:
        if unknown == "error" and "#" in text:
            raise InputError("# is not known")
        return [c for c in text if c != "#"]

    def decode(self, ids: list[str]) -> str:
        return "".join(ids)


class FakeModel:
    """Stands in for `fastrnn.inference.language_model.LanguageModel`; its samples are ``a0b0c0...``, ``a1b1c1...``."""

    corpus: ClassVar[dict[str, Any]] = {}
    letters: ClassVar[str] = "abc"
    task: ClassVar[str] = "language-model"
    unknown: ClassVar[int | None] = None

    asked: dict[str, Any]

    def __init__(self) -> None:
        self.tokenizer = FakeTokenizer()
        self.tokenizer.unknown = self.unknown
        self.config = SimpleNamespace(document_separator=None, valid=0.1, task=self.task)

    @classmethod
    def load(cls, path: str, threads: int | None = None, exact: bool = False, **_: Any) -> "FakeModel":
        cls.asked = {"load": path, "threads": threads}
        return cls()

    def sample(self, length: int, **settings: Any) -> str:
        return "a sample\n"

    def sample_stream(self, **settings: Any) -> Iterator[list[str]]:
        self.asked.update(settings)
        for letter in self.letters:
            yield [f"{letter}{index}" for index in range(settings.get("count", 1))]

    def score(self, lines: Iterable[str], unknown: str = "error") -> Iterator[LineScore]:
        for line in lines:
            yield LineScore(text=line, chars=len(line), logprob=-2.0 * len(line))

    def completions(self, text: str, **settings: Any) -> list[tuple[str, float]]:
        self.asked.update(settings, text=text)
        return [("e", math.log(0.75)), ("\x1b", math.log(0.25))]


def fake_model(monkeypatch: pytest.MonkeyPatch) -> type[FakeModel]:
    """Put `FakeModel` in the place of `LanguageModel` and of what `load` returns."""
    check_class(FakeTokenizer, CharTokenizer)
    check_class(FakeModel, LanguageModel, own=("asked", "letters", "task", "unknown"))
    for name in ("letters", "task", "unknown"):
        monkeypatch.setattr(FakeModel, name, getattr(FakeModel, name))
    replace(monkeypatch, load, "load", FakeModel.load)
    monkeypatch.setattr(language_model, "LanguageModel", FakeModel)
    return FakeModel


def result(run: Path | str = "runs/x", **changes: Any) -> Result:
    """The result of a training run."""
    values = {
        "run": str(run), "steps": 10, "chars": 640, "seconds": 2.0, "chars_per_s": 320.0, "train_nats": 2.0,
        "valid_nats": 2.5, "valid_bits": 3.6, "best_step": 8, "stopped": "done", "signal": None,
        "task": "language-model", "tokens": "chars", "metrics": {}, "inputs": (), "split": True,
        "unigram_nats": 3.0, "start": "our ", "xz_nats": None,
    }  # fmt: skip
    return Result(**(values | changes))


class FakeTraining:
    """Stands in for `train` and `resume` of `fastrnn.training.api`: every run is done at once, with this result."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Result) -> None:
        self.answer = answer
        self.asked: dict[str, Any] = {}
        replace(monkeypatch, api, "train", self.train)
        replace(monkeypatch, api, "resume", self.resume)

    def train(self, inputs: Any, config: Any, out: Any, *, init_from: Any = None, **_: Any) -> Result:
        self.asked = {"inputs": tuple(inputs), "config": config, "out": out, "init_from": init_from}
        return self.answer

    def resume(self, run: Any, changes: Any, inputs: Any = (), **_: Any) -> Result:
        self.asked = {"run": run, "changes": changes, "inputs": tuple(inputs)}
        return self.answer
