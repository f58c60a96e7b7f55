"""``fastrnn info``."""

import os
from typing import TYPE_CHECKING, Any

import click

from fastrnn.task_specs import TASK_SPECS

from .. import command_base, options

if TYPE_CHECKING:
    from fastrnn.checkpoint.checkpoint import Checkpoint


_PACKAGES = ("fastrnn", "numpy", "numba", "llvmlite", "click", "rich")


def _system_rows() -> list[tuple[str, str]]:
    import os
    import platform
    from importlib.metadata import version

    from fastrnn.kernels import backend
    from fastrnn.os_compat import user_data_folder

    kernels = backend.load("cpu")
    target = kernels.TARGET
    precision = "bfloat16 products" if target.bfloat16_fast else "float32"
    variables = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("FASTRNN_")]
    return [
        *((name, version(name)) for name in _PACKAGES),
        ("python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("system", platform.platform()),
        ("processor", f"{platform.machine()}, {target.name}; default precision {precision}"),
        ("threads", f"{kernels.default_threads()} of {os.cpu_count()} logical processors"),
        ("kernel cache", str(kernels.KERNELS or "none")),
        ("data folder", str(user_data_folder() or "none")),
        ("variables", " ".join(variables) or "none of FASTRNN_* is set"),
    ]


@command_base.command("fastrnn info runs/try")
@click.argument("model", type=options.MODEL, required=False)
@click.option(
    "--system",
    is_flag=True,
    help="Show versions, processor and folders instead of a model, for a bug report.",
)
@options.json_option
def command(model: str | None, system: bool, as_json: bool) -> None:
    """Show a model's architecture and training run.

    MODEL is a run folder or a model file; by default the newest run in runs. The file is checked from end to end: its
    sizes, its numbers and its digest.
    """
    from .. import output

    if system:
        if model is not None:
            output.note("--system shows this machine, not a model: MODEL has no effect")
        rows = _system_rows()
        if as_json:
            output.write_json(dict(rows))
        else:
            output.write_figures(rows)
        return
    from fastrnn.checkpoint.checkpoint import load
    from fastrnn.checkpoint.run_dir import model_path

    named = options.newest_run(model)
    path = model_path(named)
    checkpoint = load(path)
    facts = _facts(str(path), checkpoint)
    # A run is resumed from its last checkpoint: the best one holds only the model.
    if not checkpoint.resumable and os.path.isdir(named):
        facts["resumable"] = _is_resumable(named)
    if as_json:
        output.write_json(facts)
    else:
        output.write_figures(_rows(facts, checkpoint))


def _is_resumable(run: str) -> bool:
    from fastrnn.checkpoint.checkpoint import load
    from fastrnn.checkpoint.run_dir import RunFolder
    from fastrnn.errors import CheckpointError

    try:
        return load(RunFolder(run).last).resumable
    except CheckpointError:
        return False


def _facts(path: str, checkpoint: "Checkpoint") -> dict[str, Any]:
    config = checkpoint.config
    return {
        "file": path,
        "task": config.task,
        "cell": config.cell,
        "layers": config.layers,
        "hidden": config.hidden,
        "parameters": sum(array.size for array in checkpoint.parameters.values()),
        "tokens": _token_kind(checkpoint),
        "vocabulary": checkpoint.tokenizer.size,
        "resumable": checkpoint.resumable,
        "progress": checkpoint.progress,
        "corpus": checkpoint.corpus,
        "config": checkpoint.config.to_dict(),
    }


def _token_kind(checkpoint: "Checkpoint") -> str | None:
    """Return "chars", "words" or "bytes", the unit of the model's texts; None if it has none, or no choice of them."""
    from fastrnn.data.examples.schema import TaskSchema

    tokenizer, config = checkpoint.tokenizer, checkpoint.config
    if not isinstance(tokenizer, TaskSchema):
        return tokenizer.kind
    has_texts = tokenizer.tokens is not None or tokenizer.target is not None
    return config.tokens if has_texts and "tokens" in TASK_SPECS[config.task].options else None


def _rows(facts: dict[str, Any], checkpoint: "Checkpoint") -> list[tuple[str, str]]:
    from ..display import size
    from ..formatting import duration, loss, metrics, plural, unit

    progress, task = checkpoint.progress, checkpoint.config.task
    tokens = checkpoint.tokenizer.kind
    parameters = plural(facts["parameters"], "parameter")
    rows = [
        ("file", facts["file"]),
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
    model = checkpoint.spec
    sizes = ("tokens", "characters", "features", "labels", "target_tokens")
    spec = TASK_SPECS[tokenizer.task]
    names = {n: n.replace("_", " ") for n in sizes}
    if not tokenizer.labels:
        names["labels"] = "outputs" if spec.has_numeric_loss else "numbers given"
    known = ", ".join(f"{getattr(model, n):,} {names[n]}" for n in sizes if getattr(model, n))
    examples = plural(corpus.get("records", 0), spec.example_noun)
    return [("vocabulary", known), ("data", f"{inputs}, {examples}")]
