"""Fakes of the library that the commands call: they note what they are asked, and answer at once."""

import math
import sys
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from fastrnn.errors import InputError


class FakeTokenizer:
    """Knows every character but ``#``; a token is a character."""

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
    chunks: list[list[str]]

    def __init__(self) -> None:
        self.tokenizer = FakeTokenizer()
        self.tokenizer.unknown = self.unknown
        self.config = SimpleNamespace(document_separator=None, valid=0.1, task=self.task)

    @classmethod
    def load(cls, path: str, threads: int | None = None, exact: bool = False) -> "FakeModel":
        cls.asked = {"load": path, "threads": threads}
        return cls()

    def sample(self, length: int, **settings: Any) -> str:
        return "a sample\n"

    def sample_stream(self, **settings: Any) -> Iterator[list[str]]:
        self.asked.update(settings)
        for letter in self.letters:
            yield [f"{letter}{index}" for index in range(settings.get("count", 1))]

    def score(self, lines: Iterable[str], unknown: str = "error") -> Iterator[Any]:
        for line in lines:
            yield SimpleNamespace(text=line, chars=len(line), unknown=0, logprob=-2.0 * len(line), bits_per_char=2.885)

    def completions(self, text: str, **settings: Any) -> list[tuple[str, float]]:
        self.asked.update(settings, text=text)
        return [("e", math.log(0.75)), ("\x1b", math.log(0.25))]


def fake_model(monkeypatch: pytest.MonkeyPatch) -> type[FakeModel]:
    """Put `FakeModel` in the place of the library's."""
    for name in ("letters", "task", "unknown"):
        monkeypatch.setattr(FakeModel, name, getattr(FakeModel, name))
    module = types.ModuleType("fastrnn.inference.language_model")
    module.LanguageModel = FakeModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fastrnn.inference.language_model", module)
    models = types.ModuleType("fastrnn.inference.load")
    models.load = FakeModel.load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fastrnn.inference.load", models)
    return FakeModel


def result(run: Path | str = "runs/x", **changes: Any) -> SimpleNamespace:
    """What training returns."""
    values = {
        "run": str(run), "steps": 10, "chars": 640, "seconds": 2.0, "chars_per_s": 320.0, "train_nats": 2.0,
        "valid_nats": 2.5, "valid_bits": 3.6, "best_step": 8, "stopped": "done", "signal": None,
        "task": "language-model", "tokens": "chars", "metrics": {}, "inputs": (), "split": True,
        "unigram_nats": 3.0, "start": "our ",
    }  # fmt: skip
    return SimpleNamespace(**(values | changes))


class FakeTraining(types.ModuleType):
    """Stands in for `fastrnn.training.api`."""

    def __init__(self, answer: Any) -> None:
        super().__init__("fastrnn.training.api")
        self.answer = answer
        self.asked: dict[str, Any] = {}

    def train(self, inputs: Any, config: Any, out: Any, *, init_from: Any = None, **_: Any) -> Any:
        self.asked = {"inputs": tuple(inputs), "config": config, "out": out, "init_from": init_from}
        return self.answer

    def resume(self, run: Any, changes: Any, inputs: Any = (), **_: Any) -> Any:
        self.asked = {"run": run, "changes": changes, "inputs": tuple(inputs)}
        return self.answer
