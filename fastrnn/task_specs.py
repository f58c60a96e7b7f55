"""The tasks: what settings, messages and commands need to know of each, in the table `TASK_SPECS`.

To add a task:

1. Add its `TaskSpec` to `TASK_SPECS`.
2. Write the module that the spec names, with a subclass of `fastrnn.tasks.SupervisedTask` and an instance of it
   called ``TASK``: how to read, check and encode examples, the model, the metric, and the class that predicts.

`tests/tasks/test_toy_task.py` does this for a toy task. This module imports neither NumPy nor Numba, so that
``fastrnn --help`` starts quickly; `get_task` imports a task's module on first use.
"""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import ConfigError, quote

if TYPE_CHECKING:
    from .tasks import SupervisedTask, Task


@dataclass(frozen=True)
class TrainingDefaults:
    """Defaults of a training run: the dropout rate, and the steps and epochs after which more hardly helped in trials.

    A model that learns a rule needs many steps and no dropout; one that learns words from a few thousand sentences
    overfits after a few epochs. The trials used the lectures' examples and public data.
    """

    dropout: float
    steps: int
    epochs: float


@dataclass(frozen=True)
class TaskSpec:
    """Properties of one task.

    Args:
        module: Dotted path of the module that implements the task, see `fastrnn.tasks`.
        is_supervised: Whether the data are examples with targets, independent of each other; a language model reads
            one text instead and carries its state from window to window.
        example_noun: What messages call an example.
        options: Fields of `Config` that only some tasks use, and this is one of them.
        command_options: Options of ``fastrnn predict`` and ``sample`` that only some tasks use, likewise.
        formats: Values of ``--format`` that the task reads.
        takes_bytes: Whether tokens may be bytes.
        chooses_tokens: Whether characters or words are chosen from the texts if ``tokens`` is not set.
        embeds_words: Whether input tokens that are words select embeddings; other tokens are one-hot.
        reads_spelling: Whether the model reads the characters of each word.
        no_bidirectional: Why layers cannot be bidirectional; None if they can.
        needs_recurrent_cell: Whether a cell without state cannot do the task.
        has_numeric_loss: Whether the loss is half a squared error, which has no unit; else it is in nats.
        writes_text: Whether the targets are texts that a decoder writes; their loss is per symbol.
        decodes_to_validate: Whether validation decodes token by token, which is slow: it then uses fewer examples.
        cell: Name of the default cell.
        defaults: Defaults of training, None if they are chosen otherwise.
        word_defaults: The same where tokens are words; None for `defaults`.
        output: Kind of the predictions: "label", "tags", "text", "numbers", "series"; None if there are none.
        json_key: Name of a prediction in JSON.
        hints: Commands to suggest after training; RUN, DATA, START and LABEL are placeholders.
    """

    module: str
    is_supervised: bool = True
    example_noun: str = "example"
    options: tuple[str, ...] = ("format",)
    command_options: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    takes_bytes: bool = False
    chooses_tokens: bool = False
    embeds_words: bool = False
    reads_spelling: bool = False
    no_bidirectional: str | None = None
    needs_recurrent_cell: bool = False
    has_numeric_loss: bool = False
    writes_text: bool = False
    decodes_to_validate: bool = False
    cell: str = "lstm"
    defaults: TrainingDefaults | None = None
    word_defaults: TrainingDefaults | None = None
    output: str | None = None
    json_key: str = ""
    hints: tuple[str, ...] = ("predict RUN DATA", "eval RUN DATA --split valid")

    @property
    def supports_dense_cell(self) -> bool:
        """Whether a cell without state can do the task."""
        return not (self.needs_recurrent_cell or self.reads_spelling)


TASK_SPECS: dict[str, TaskSpec] = {
    "language-model": TaskSpec(
        module="fastrnn.tasks.language_model",
        is_supervised=False,
        cell="lstm-norm",  # learns most per minute: docs/internals/autotuning.md
        options=("document_separator", "tokens", "min_count", "streams", "reset_every", "seq", "out_bias", "ngrams"),
        takes_bytes=True,
        no_bidirectional="a language model predicts what comes next; a backward layer would have read it already",
        needs_recurrent_cell=True,
        hints=(
            "sample RUN --length 1000 --temperature 0.7",
            "eval RUN DATA --split valid",
            "complete RUN START",
        ),
    ),
    "tag": TaskSpec(
        module="fastrnn.tasks.tag",
        options=("format", "min_count"),
        command_options=("probabilities",),
        formats=("bio", "conll", "conllu", "conllup", "iob2", "tsv", "txt"),
        reads_spelling=True,
        defaults=TrainingDefaults(dropout=0.4, steps=2000, epochs=30),
        output="tags",
        json_key="tags",
    ),
    "classify": TaskSpec(
        module="fastrnn.tasks.classify",
        options=("columns", "labels", "label", "text", "format", "tokens", "min_count"),
        command_options=("probabilities", "text"),
        formats=("csv", "folders", "idx", "json", "jsonl", "ndjson", "npz", "tsv", "txt"),
        chooses_tokens=True,
        embeds_words=True,
        defaults=TrainingDefaults(dropout=0.4, steps=6000, epochs=25),
        word_defaults=TrainingDefaults(dropout=0.6, steps=6000, epochs=4),
        output="label",
        json_key="label",
    ),
    "generate": TaskSpec(
        module="fastrnn.tasks.generate",
        options=("label", "text", "format", "tokens", "min_count"),
        command_options=("given",),
        formats=("folders", "jsonl", "ndjson", "tsv", "txt"),
        no_bidirectional="what is generated comes one token after the other; a backward layer would have read it "
        "already",
        needs_recurrent_cell=True,
        writes_text=True,
        defaults=TrainingDefaults(dropout=0.1, steps=12000, epochs=20),
        hints=("sample RUN --given LABEL --count 10", "eval RUN DATA --split valid"),
    ),
    "translate": TaskSpec(
        module="fastrnn.tasks.translate",
        options=("format", "tokens", "min_count"),
        command_options=("beam", "probabilities"),
        formats=("tsv", "txt"),
        embeds_words=True,
        needs_recurrent_cell=True,
        writes_text=True,
        decodes_to_validate=True,
        defaults=TrainingDefaults(dropout=0.1, steps=15000, epochs=60),
        output="text",
        json_key="translation",
        hints=("predict RUN DATA --beam 4", "eval RUN DATA --split valid"),
    ),
    "forecast": TaskSpec(
        module="fastrnn.tasks.forecast",
        example_noun="window",
        options=("columns", "missing", "horizon", "format", "seq"),
        command_options=("steps", "missing"),
        formats=("csv",),
        has_numeric_loss=True,
        defaults=TrainingDefaults(dropout=0.1, steps=3000, epochs=60),
        output="series",
        hints=("predict RUN DATA --steps 100", "eval RUN DATA --split valid"),
    ),
    "regress": TaskSpec(
        module="fastrnn.tasks.regress",
        options=("columns", "format"),
        command_options=("probabilities",),
        formats=("csv", "npz"),
        has_numeric_loss=True,
        defaults=TrainingDefaults(dropout=0.0, steps=6000, epochs=200),
        output="numbers",
        json_key="outputs",
    ),
}


def list_supervised_tasks() -> tuple[str, ...]:
    """Return the names of the supervised tasks."""
    return tuple(name for name, spec in TASK_SPECS.items() if spec.is_supervised)


def list_tasks_with_option(option: str) -> tuple[str, ...]:
    """Return the names of the tasks that use a field of `Config`."""
    return tuple(name for name, spec in TASK_SPECS.items() if option in spec.options)


def list_tasks_with_command_option(option: str) -> tuple[str, ...]:
    """Return the names of the tasks that use an option of ``fastrnn predict`` or ``sample``."""
    return tuple(name for name, spec in TASK_SPECS.items() if option in spec.command_options)


def get_task(name: str) -> "Task":
    """Return the implementation of a task, whose module is imported on first use.

    Raises `ConfigError` for an unknown name.
    """
    if name not in TASK_SPECS:
        raise ConfigError(f"task {quote(name)} is unknown (choices: {', '.join(TASK_SPECS)})")
    task: Task = importlib.import_module(TASK_SPECS[name].module).TASK
    return task


def get_supervised_task(name: str) -> "SupervisedTask":
    """Return the implementation of a supervised task. Raises `ConfigError` for another name."""
    if name not in list_supervised_tasks():
        raise ConfigError(f"task {quote(name)} has no examples (choices: {', '.join(list_supervised_tasks())})")
    task: SupervisedTask = importlib.import_module(TASK_SPECS[name].module).TASK
    return task
