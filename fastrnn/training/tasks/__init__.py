"""`TrainingTask`: the data of a run and what depends on them; `read` reads them for the task of a configuration."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ...checkpoint.checkpoint import Encoding
from ...config import Config
from ...distributed.communicator import SINGLE_PROCESS, Communicator
from ...errors import InputError
from ...inference.evaluation import Evaluator
from ...nn.network import Model
from ...task_specs import TASK_SPECS
from .. import autotune
from ..callbacks import Callback
from ..time_budget import TimeBudget
from ..trainer import TrainingData


class TrainingTask(Protocol):
    """The data of a run, read and split, and everything that depends on its kind.

    Attributes:
        tokens: Token unit of texts: "chars", "bytes" or "words".
        about: Inputs, fingerprint and size of the data, stored in checkpoints.
        group: The processes that share the batches.
    """

    tokens: str
    about: dict[str, Any]
    group: Communicator

    @property
    def tokenizer(self) -> Encoding:
        """The tokenizer, or the schema of examples, which turns the data into ids."""

    def report_unknown(self, callback: Callback) -> None:
        """Report tokens that the vocabulary of an old model lacks. Raises `InputError` if they are too many."""

    def describe(self, config: Config) -> list[str]:
        """Describe the data and the length of the run, one line each; ``config`` is complete."""

    def plan(self, config: Config, budget: TimeBudget) -> autotune.Plan:
        """Choose every setting that ``config`` leaves open, within the time ``budget``."""

    def model(self, config: Config) -> Model:
        """Build a model for this data, its parameters all zero."""

    def out_bias(self, config: Config) -> np.ndarray[Any, Any] | None:
        """Return the initial bias (V,) of the output layer; None for zeros."""

    def windows(self, config: Config) -> TrainingData:
        """Return the training batches of a run; this process gets its share of each."""

    def evaluator(self, model: Any, config: Config) -> Evaluator | None:
        """Return the evaluator of a model in training; None without validation data."""

    def sample_function(self, model: Any, config: Config) -> Callable[[], str] | None:
        """Return a function that generates a short sample of a model in training; None for tasks without one."""

    def steps_of_epochs(self, config: Config, epochs: float) -> int:
        """Return the number of steps of ``epochs`` passes over the training data."""

    def steps_within(self, config: Config, seconds_left: Callable[[], float]) -> int:
        """Time a few steps; return how many fit, evaluations included, into the time left after that.

        ``seconds_left``: returns the seconds left; every process of the group calls it at the same time.
        """

    def statistics(self, compares: bool) -> dict[str, Any]:
        """Return the fields of `Result` that depend on the data alone; ``compares`` as in `Callback`.

        The first call computes them, which may take a second or two.
        """

    def default_eval_every(self, config: Config) -> int:
        """Return the default number of steps between evaluations."""

    def with_regularization(self, config: Config, given: Config) -> Config:
        """Set dropout and weight decay, where ``given`` leaves them open, to those for the steps of ``config``."""


def read(
    inputs: Any, config: Config, encoding: Any, callback: Callback, group: Communicator = SINGLE_PROCESS
) -> TrainingTask:
    """Read and split the data of a task (collective: rank 0 reads and broadcasts).

    ``encoding``: tokenizer or schema of an old model to keep, or None. Raises `InputError`.
    """
    if group.size > 1 and isinstance(inputs, list | tuple) and "-" in inputs:
        raise InputError("standard input may never end under an MPI launcher; put the data into a file and name that")
    task = group.run_on_rank0(lambda: _read(inputs, config, encoding, callback))
    task.group = group
    return task


def _read(inputs: Any, config: Config, encoding: Any, callback: Callback) -> TrainingTask:
    if not TASK_SPECS[config.task].is_supervised:
        from .language_model import LanguageModelTraining

        return LanguageModelTraining(inputs, config, encoding, callback)
    from .supervised import SupervisedTraining

    return SupervisedTraining(inputs, config, encoding, callback)
