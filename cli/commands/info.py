"""``fastrnn info``."""

from typing import TYPE_CHECKING, Any

from .. import options

if TYPE_CHECKING:
    from fastrnn.training.checkpoint import Checkpoint


@options.command("fastrnn info runs/try")
@options.model_argument
@options.json_option
def command(model: str, as_json: bool) -> None:
    """Tell what a model is and how it was trained.

    The file is checked from end to end: its sizes, its numbers and its digest.
    """
    from fastrnn.training.checkpoint import load
    from fastrnn.training.runfolder import model_path

    from .. import output

    path = model_path(model)
    checkpoint = load(path)
    if as_json:
        output.write_json(_facts(str(path), checkpoint))
    else:
        output.write_figures(_rows(str(path), checkpoint))


def _facts(path: str, checkpoint: "Checkpoint") -> dict[str, Any]:
    shape = checkpoint.shape
    return {
        "file": path,
        "cell": shape.cell,
        "layers": shape.layers,
        "hidden": shape.hidden,
        "parameters": sum(array.size for array in checkpoint.parameters.values()),
        "tokens": checkpoint.tokenizer.kind,
        "vocabulary": checkpoint.tokenizer.size,
        "resumable": bool(checkpoint.state),
        "progress": checkpoint.progress,
        "corpus": checkpoint.corpus,
        "config": checkpoint.config.to_mapping(),
    }


def _rows(path: str, checkpoint: "Checkpoint") -> list[tuple[str, str]]:
    from ..figures import duration, loss, plural

    facts, progress, corpus = _facts(path, checkpoint), checkpoint.progress, checkpoint.corpus
    size = f"{facts['cell']}, {plural(facts['layers'], 'layer')} of {facts['hidden']}"
    rows = [
        ("file", path),
        ("model", f"{size}, {plural(facts['parameters'], 'parameter')} ({checkpoint.config.precision})"),
        ("vocabulary", f"{facts['vocabulary']:,} {facts['tokens']}"),
        ("text", f"{' '.join(corpus.get('inputs', ())) or '-'}, {corpus.get('tokens', 0):,} {facts['tokens']}"),
    ]
    if progress:
        steps, time = plural(progress.get("step", 0), "step"), duration(progress.get("seconds"))
        rows += [
            ("trained", f"{steps}, {progress.get('chars', 0):,} {facts['tokens']} in {time}"),
            ("train", loss(progress.get("train_nats"))),
            ("valid", loss(progress.get("valid_nats"))),
        ]
    settings = " ".join(f"{key}={value}" for key, value in facts["config"].items())
    return [*rows, ("resumable", "yes" if facts["resumable"] else "no"), ("settings", settings)]
