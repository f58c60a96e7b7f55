"""``fastrnn eval``."""

import dataclasses
import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from fastrnn.config import Config
from fastrnn.task_specs import TASK_SPECS, list_tasks_with_option

from .. import command_base, formatting, options, output
from ..inputs import check_encoding_option, read_corpus_for
from ..output import escape_name
from .predict import AS_TRAINED

if TYPE_CHECKING:
    from fastrnn.data.examples.example import ExampleSet
    from fastrnn.data.text.corpus import Corpus
    from fastrnn.inference.dynamic import DynamicSettings
    from fastrnn.inference.evaluation import Evaluation
    from fastrnn.inference.language_model import LanguageModel
    from fastrnn.inference.predictors import TaskModel
_MOST = 30  # maximum number of labels in a printed confusion matrix
_NAMES = {"mae": "mean absolute error", "mse": "mean squared error"}


@command_base.command("fastrnn eval runs/try python-reference --split valid")
@options.model_argument
@click.argument("texts", metavar="DATA...", nargs=-1, required=True, type=options.TEXT)
@click.option(
    "--split",
    type=click.Choice(["all", "train", "valid"]),
    default="all",
    help="Part of the data, split as in the model's training run.  [default: all]",
)
@options.unknown_option
@click.option("--dynamic", is_flag=True, help="Also evaluate a copy of a language model that learns while it reads.")
@options.value_option("--lr", float, "Learning rate of --dynamic.", "0.001")
@options.value_option("--decay", float, "Share of the way back to the trained weights after each window.", "0.001")
@options.value_option("--seq", int, "Tokens per window of --dynamic.", "64")
@options.config_options(
    "labels", "label", "text", "format", "missing", "encoding", "threads", section="Options", defaults=AS_TRAINED
)
@options.json_option
@click.pass_context
def command(
    context: click.Context,
    /,
    model: str,
    texts: tuple[str, ...],
    split: str,
    unknown: str,
    dynamic: bool,
    as_json: bool,
    threads: int | None,
    **values: Any,
) -> None:
    """Evaluate a model on data.

    For a language model DATA is a text: every character except the first of each file is predicted once. Prints the
    mean loss in nats and bits, and the perplexity exp(nats). For a labelled task DATA is as in `train`, and the
    predictions are compared with its labels: accuracy, precision, recall and F1 per label and the confusion matrix;
    share of exact translations; errors of numbers in their own units. Labels unknown to the model count as errors.

    --dynamic adds the figures of dynamic evaluation (Krause et al. 2018), after the others and under names of their
    own: a copy of the model reads DATA in one stream of windows, and each window is scored before the copy learns
    from it. The model does not change. It is slower: each window takes a step of training.
    """
    from fastrnn.inference.dynamic import DynamicSettings
    from fastrnn.inference.load import load
    from fastrnn.inference.predictors import TaskModel

    from ..output import note

    settings = options.drop_unset({name: values.pop(name) for name in ("lr", "decay", "seq")})
    if settings and not dynamic:
        raise click.UsageError(f"--{next(iter(settings))} is for --dynamic; add it, or leave this option out")
    learning = DynamicSettings(**settings) if dynamic else None

    loaded = load(model, threads=threads)
    _check_options(context, values, loaded.config.task)
    if isinstance(loaded, TaskModel):
        if unknown != "error":
            raise click.UsageError("--unknown is for language models; labelled tasks always accept unknown symbols")
        if dynamic:
            raise click.UsageError(f"--dynamic is for language models; this one is for {loaded.task}")
        examples = loaded.read_examples(texts, values.pop("labels"), report=note, **values)
        _evaluate_task(loaded, examples, split, as_json)
    else:
        check_encoding_option(context, values, loaded.tokenizer.kind)
        corpus = _part(read_corpus_for(loaded, texts, unknown, values["encoding"]), split, loaded.config)
        _evaluate_text(loaded, corpus, learning, as_json)


def _check_options(context: click.Context, values: dict[str, Any], task: str) -> None:
    """Raise `click.UsageError` for an option that the task would ignore."""
    for name in ("labels", "missing", "label", "text", "format"):
        if name not in TASK_SPECS[task].options:
            tasks = " or ".join(list_tasks_with_option(name))
            reason = f"{{}} is for models for {tasks}; this one is for {task}"
            if not TASK_SPECS[task].is_supervised and name in ("label", "text", "format"):  # of many tasks
                reason = "{} is for models of labelled data; this one is a language model"
            options.refuse_unused(context, values, [name], reason)


def _evaluate_task(model: "TaskModel", examples: "ExampleSet", split: str, as_json: bool) -> None:
    from fastrnn.data.examples.dataset import EncodedExamples, describe_unseen_labels

    from ..inputs import note_remarks

    note_remarks(examples)
    data = model.part(model.encode(examples), split)
    figures = model.evaluate(data)
    if "unseen" in figures and isinstance(data, EncodedExamples):
        output.note(describe_unseen_labels({label: data.unseen[label] for label in figures["unseen"]}))
    if as_json:
        output.write_json(figures)
    else:
        _write_evaluation(figures, model.task, model.vocabulary.binary)


def _evaluate_text(
    loaded: "LanguageModel", corpus: "Corpus", settings: "DynamicSettings | None", as_json: bool
) -> None:
    """Evaluate a language model; ``settings``: those of a dynamic evaluation, None for none."""
    kind = loaded.tokenizer.kind
    static = loaded.evaluate(corpus)
    learning = None if settings is None else _evaluate_dynamic(loaded, corpus, settings)
    if as_json:
        values = {"chars": static.chars, **_json_loss(static), "unit": kind}
        if settings is not None and learning is not None:
            values["dynamic"] = {**_json_loss(learning), **dataclasses.asdict(settings)}
        output.write_json(values)
        return

    rows = [(kind, f"{static.chars:,}"), *_loss_rows(static, kind)]
    if settings is not None and learning is not None:
        rows += [(f"dynamic {name}", value) for name, value in _loss_rows(learning, kind)]
        shown = f"lr {settings.lr:g}, decay {settings.decay:g}, windows of {settings.seq:,}"
        rows.append(("dynamic settings", shown))
    output.write_figures(rows)


def _evaluate_dynamic(loaded: "LanguageModel", corpus: "Corpus", settings: "DynamicSettings") -> "Evaluation":
    """The dynamic evaluation, with a line of its progress on a terminal."""
    start = time.monotonic()
    with output.ProgressLine() as line:

        def show(share: float, nats: float) -> None:
            left = (time.monotonic() - start) * (1 - share) / share
            line.show(
                lambda: f"dynamic evaluation: {share:.0%}  {formatting.loss(nats)}  {formatting.duration(left)} left"
            )

        return loaded.evaluate_dynamic(corpus, progress=show, **dataclasses.asdict(settings))


def _loss_rows(result: "Evaluation", kind: str) -> list[tuple[str, str]]:
    one = kind.removesuffix("s")
    return [
        (f"nats per {one}", f"{result.nats:.4f}"),
        (f"bits per {one}", f"{result.bits:.4f}"),
        ("perplexity", f"{result.perplexity:.4f}"),
    ]


def _json_loss(result: "Evaluation") -> dict[str, Any]:
    return {"nats_per_char": result.nats, "bits_per_char": result.bits, "perplexity": result.perplexity}


def _part(corpus: "Corpus", split: str, config: Config) -> "Corpus":
    from fastrnn.data.text.corpus import split_corpus

    if split == "all":
        return corpus
    if config.valid_file is not None or config.valid == 0:
        raise click.UsageError(f"this model's training text was not split: --split {split} means nothing; leave it out")
    train, tail = split_corpus(corpus, config.valid)
    if tail is None:
        raise click.UsageError("this text is too short to be split; leave out --split")
    return train if split == "train" else tail


def _write_evaluation(evaluation: Mapping[str, Any], task: str, binary: bool = False) -> None:
    """Write metrics; for labels also precision, recall, F1 and the confusion matrix."""
    rows = [
        ("examples", formatting.number(evaluation["records"])),
        ("scored", formatting.number(evaluation["positions"])),
    ]
    rows += _loss(evaluation["loss"], task, binary)
    for name in ("accuracy", "exact", "mae", "mse"):
        if name in evaluation:
            rows.append((_NAMES.get(name, name), formatting.metric(name, evaluation[name])))
    for name in ("persistence", "yesterday"):
        if name in evaluation:
            rows.append((name, formatting.metrics(evaluation[name])))
    output.write_figures(rows)
    if "labels" in evaluation:
        output.write("\n" + _by_label(evaluation["labels"]))
        if "unseen" in evaluation:
            output.write("\n" + _align([["not in training", "count"], *(
                [label, f"{count:,}"] for label, count in evaluation["unseen"].items())]))  # fmt: skip
        if len(evaluation["labels"]) <= _MOST:
            output.write("\n" + _confusion(list(evaluation["labels"]), evaluation["confusion"]))


def _loss(loss: float, task: str, binary: bool) -> list[tuple[str, str]]:
    """Format the loss with its unit; add the perplexity for generated text.

    ``binary``: the outputs of a regress model are bits.
    """
    spec = TASK_SPECS[task]
    if spec.has_numeric_loss and not binary:
        return [("loss", f"{loss:.4f}  (half squared error of scaled numbers)")]
    if spec.writes_text:
        return [("loss", f"{formatting.loss(loss)} per symbol"), ("perplexity", f"{math.exp(min(loss, 700)):.4f}")]
    return [("loss", f"{loss:.4f} nats")]


def _by_label(labels: Mapping[str, Mapping[str, float]]) -> str:
    lines = [["label", "precision", "recall", "F1", "count"]]
    for label, of in labels.items():
        lines.append([label, *(f"{of[name]:.3f}" for name in ("precision", "recall", "f1")), f"{of['count']:,}"])
    return _align(lines)


def _confusion(labels: list[str], counts: list[list[int]]) -> str:
    """Format the confusion matrix: rows are true labels, columns predictions, a dot is zero."""
    lines = [["true \\ predicted", *labels]]
    for label, row in zip(labels, counts, strict=True):
        lines.append([label, *(f"{count:,}" if count else "." for count in row)])
    return _align(lines)


def _align(lines: list[list[str]]) -> str:
    lines = [[escape_name(field) for field in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "  ".join([line[0].ljust(widths[0]), *(f.rjust(w) for f, w in zip(line[1:], widths[1:], strict=True))]) + "\n"
        for line in lines
    )
