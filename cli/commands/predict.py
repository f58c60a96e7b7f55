"""``fastrnn predict``."""

from typing import TYPE_CHECKING, Any

import click

from fastrnn.task_specs import TASK_SPECS, list_tasks_with_command_option

from .. import command_base, options
from ..output import note_terminal_input

if TYPE_CHECKING:
    from fastrnn.inference.predictors import TaskModel

AS_TRAINED = dict.fromkeys(("label", "text", "missing"), "as in training") | {"format": "by name"}
# options that only some tasks use (`TaskSpec.command_options`)
TASK_OPTIONS = ("beam", "steps", "missing", "probabilities", "text")


@command_base.command("fastrnn predict runs/tags words.txt")
@options.model_argument
@click.argument("inputs", metavar="[INPUT]...", nargs=-1, type=options.INPUT)
@click.option("--beam", metavar="N", type=int, default=1, help="Beam width for translations.  [default: 1]")
@click.option("--steps", metavar="N", type=int, help="Number of rows to forecast.  [default: the horizon]")
@click.option(
    "--probabilities",
    is_flag=True,
    help="Add the probability of each prediction (translate: log-probability in nats); with --jsonl, of every label.",
)
@options.config_options("text", "format", "missing", "encoding", "threads", section="Options", defaults=AS_TRAINED)
@options.jsonl_option("each example")
@click.pass_context
def command(
    context: click.Context,
    /,
    model: str,
    inputs: tuple[str, ...],
    beam: int,
    steps: int | None,
    probabilities: bool,
    threads: int | None,
    as_jsonl: bool,
    **reading: Any,
) -> None:
    """Predict labels, tags, translations or values.

    INPUT is as in `train`, with or without labels; - or no INPUT is standard input. Each example is written to standard
    output in the format of its input with a column added: the tag, the label (before the text if there was no label),
    the translation, or the outputs; files with the same columns become one table. A blank line stays blank; the files
    of class folders become JSON Lines. forecast prints the predicted rows, with the file name if there are several
    files. Examples are processed as they arrive.
    """
    from fastrnn.inference.predictors import TaskModel

    if not inputs:
        inputs = ("-",)
        note_terminal_input()
    loaded = TaskModel.load(model, threads=threads)
    _check_options(context, reading, loaded.task)
    if probabilities and not loaded.has_probabilities:
        raise click.UsageError("--probabilities: this model predicts numbers, not labels; leave it out")
    if TASK_SPECS[loaded.task].output == "series":
        _forecast(loaded, inputs, steps, reading, as_jsonl)
        return
    _predict_examples(loaded, inputs, reading, beam, probabilities, as_jsonl)


def _check_options(context: click.Context, reading: dict[str, Any], task: str) -> None:
    """Raise `click.UsageError` for an option that the task would ignore."""
    for name in TASK_OPTIONS:
        if name not in TASK_SPECS[task].command_options:
            tasks = " or ".join(list_tasks_with_command_option(name))
            options.refuse_unused(context, reading, [name], f"{{}} is for models for {tasks}; this one is for {task}")


def _predict_examples(
    model: "TaskModel",
    inputs: tuple[str, ...],
    reading: dict[str, Any],
    beam: int,
    with_probabilities: bool,
    as_jsonl: bool,
) -> None:
    from .. import prediction_writers
    from ..inputs import note_remarks
    from ..output import note, write

    writer = prediction_writers.PredictionWriter(model, with_probabilities)
    for stream in model.open(inputs, report=note, **reading):
        note_remarks(stream.layout)
        predictions = model.predict(stream.items, beam, logprobs=with_probabilities)
        if as_jsonl:
            lines = prediction_writers.format_json(model, predictions, with_probabilities)
        else:
            lines = writer.format(predictions, stream.layout)
        for piece in lines:
            write(piece)


def _forecast(
    model: "TaskModel", inputs: tuple[str, ...], steps: int | None, reading: dict[str, Any], as_jsonl: bool
) -> None:
    from .. import prediction_writers
    from ..inputs import note_remarks
    from ..output import note, write

    examples = model.read_examples(inputs, needs_targets=False, report=note, **reading)
    note_remarks(examples)
    show = prediction_writers.format_forecasts_json if as_jsonl else prediction_writers.format_forecasts
    ahead = model.forecast(examples, steps if steps is not None else model.vocabulary.horizon)
    for piece in show(model, examples.items, ahead):
        write(piece)
