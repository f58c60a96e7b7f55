"""What a run learns from: the one place where training asks which task it has."""

from collections.abc import Callable
from typing import Any, Protocol

from ...checkpoint.checkpoint import Encoding
from ...config import Config
from ...distributed.communicator import SINGLE_PROCESS, Communicator
from ...errors import InputError
from ...inference.evaluation import Evaluator
from ...nn.models import Model
from .. import autotune
from ..callbacks import Callback
from ..trainer import TrainingData


class Task(Protocol):
    """Data, read and split, and what a model of it is made of. Texts and records are two kinds of it.

    ``tokenizer``: what turns the data into ids. ``about``: inputs, fingerprint and size, for the checkpoint.
    ``group``: the processes that share the windows. ``tokens``: what a text is cut into, chosen if that was left open.
    """

    tokens: str
    about: dict[str, Any]
    group: Communicator

    @property
    def tokenizer(self) -> Encoding: ...

    def tell_unknown(self, callback: Callback) -> None:
        """Report what an old model's vocabulary lacks. Raises `InputError` where that is most of the data."""

    def describe(self, config: Config) -> list[str]:
        """The data and the length of a run on it, in words."""

    def plan(self, config: Config, clock: autotune.TimeBudget) -> autotune.Plan:
        """What ``config`` leaves open."""

    def model(self, config: Config) -> Model:
        """A model for this data, its parameters all zero."""

    def windows(self, config: Config) -> TrainingData:
        """What the steps of a run read."""

    def evaluator(self, model: Any, config: Config) -> Evaluator | None:
        """Validates a model that is being trained; None if nothing was kept for that."""

    def drawing(self, model: Any, config: Config) -> Callable[[], str] | None:
        """Shows what a model that is being trained makes."""

    def steps_of_epochs(self, config: Config, epochs: float) -> int:
        """Steps in so many passes."""

    def steps_within(self, config: Config, seconds_left: Callable[[], float]) -> int:
        """Steps that fit, validations included, into the time that is left when a few have been measured."""

    def statistics(self) -> dict[str, Any]:
        """Fields of `Result` that the data alone gives."""

    def eval_every(self, config: Config) -> int:
        """Steps between validations, where that is left open."""


def read(inputs: Any, config: Config, encoding: Any, callback: Callback, group: Communicator = SINGLE_PROCESS) -> Task:
    """Read and split the data of a task. ``encoding``: an old model's vocabulary to keep, or None.

    In a group the first process reads, and sends it to the others. Raises `InputError`.
    """
    if group.size > 1 and isinstance(inputs, list | tuple) and "-" in inputs:
        raise InputError("standard input may never end under an MPI launcher; put the data into a file and name that")
    material = group.run_on_rank0(lambda: _read(inputs, config, encoding, callback))
    material.group = group
    return material


def _read(inputs: Any, config: Config, encoding: Any, callback: Callback) -> Task:
    if config.task == "language-model":
        from .language_model import LanguageModelTask

        return LanguageModelTask(inputs, config, encoding, callback)
    from .supervised import SupervisedTask

    return SupervisedTask(inputs, config, encoding, callback)
