"""``fastrnn info``."""

from typing import TYPE_CHECKING, Any

from fastrnn.task_specs import TASK_SPECS

from .. import command_base, options

if TYPE_CHECKING:
    from fastrnn.checkpoint.checkpoint import Checkpoint


@command_base.command("fastrnn info runs/try")
@options.newest_model_argument
@options.json_option
def command(model: str, as_json: bool) -> None:
    """Show a model's architecture and training run.

    The file is checked from end to end: its sizes, its numbers and its digest.
    """
    from fastrnn.checkpoint.checkpoint import load
    from fastrnn.checkpoint.run_dir import model_path

    from .. import output

    path = model_path(model)
    checkpoint = load(path)
    if as_json:
        output.write_json(_facts(str(path), checkpoint))
    else:
        output.write_figures(_rows(str(path), checkpoint))


def _facts(path: str, checkpoint: "Checkpoint") -> dict[str, Any]:
    config = checkpoint.config
    return {
        "file": path,
        "task": config.task,
        "cell": config.cell,
        "layers": config.layers,
        "hidden": config.hidden,
        "parameters": sum(array.size for array in checkpoint.parameters.values()),
        "tokens": checkpoint.tokenizer.kind,
        "vocabulary": checkpoint.tokenizer.size,
        "resumable": checkpoint.resumable,
        "progress": checkpoint.progress,
        "corpus": checkpoint.corpus,
        "config": checkpoint.config.to_dict(),
    }


def _rows(path: str, checkpoint: "Checkpoint") -> list[tuple[str, str]]:
    from ..display import size
    from ..formatting import duration, loss, metrics, plural, unit

    facts, progress, task = _facts(path, checkpoint), checkpoint.progress, checkpoint.config.task
    tokens = checkpoint.tokenizer.kind
    parameters = plural(facts["parameters"], "parameter")
    rows = [
        ("file", path),
        ("task", task),
        ("model", f"{size(checkpoint.config)}, {parameters} ({checkpoint.config.precision})"),
        *_data(checkpoint),
    ]
    if progress:
        steps, time = plural(progress.get("step", 0), "step"), duration(progress.get("seconds"))
        rows += [
            ("trained", f"{steps}, {progress.get('chars', 0):,} {unit(task, tokens)} in {time}"),
            ("train", loss(progress.get("train_nats"), task)),
            ("valid", loss(progress.get("valid_nats"), task)),
        ]
        if progress.get("metrics"):
            rows.append(("best", metrics(progress["metrics"])))
    settings = " ".join(f"{key}={value}" for key, value in facts["config"].items())
    return [*rows, ("resumable", "yes" if facts["resumable"] else "no"), ("settings", settings)]


def _data(checkpoint: "Checkpoint") -> list[tuple[str, str]]:
    """Describe the training data: text and vocabulary, or examples and their sizes."""
    from fastrnn.data.examples.schema import TaskSchema

    from ..formatting import plural

    tokenizer, corpus = checkpoint.tokenizer, checkpoint.corpus
    inputs = " ".join("standard input" if name == "-" else name for name in corpus.get("inputs", ())) or "-"
    if not isinstance(tokenizer, TaskSchema):
        return [
            ("vocabulary", f"{tokenizer.size:,} {tokenizer.kind}"),
            ("text", f"{inputs}, {corpus.get('tokens', 0):,} {tokenizer.kind}"),
        ]
    signature = checkpoint.signature
    sizes = ("tokens", "characters", "features", "labels", "target_tokens")
    spec = TASK_SPECS[tokenizer.task]
    names = {n: n.replace("_", " ") for n in sizes}
    if not tokenizer.labels:
        names["labels"] = "outputs" if spec.has_numeric_loss else "numbers given"
    known = ", ".join(f"{getattr(signature, n):,} {names[n]}" for n in sizes if getattr(signature, n))
    records = plural(corpus.get("records", 0), spec.example_noun)
    return [("vocabulary", known), ("data", f"{inputs}, {records}")]
