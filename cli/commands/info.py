"""``fastrnn info``."""

from typing import TYPE_CHECKING, Any

from .. import options

if TYPE_CHECKING:
    from fastrnn.train.checkpoint import Checkpoint


@options.command("fastrnn info runs/try")
@options.model_argument
@options.json_option
def command(model: str, as_json: bool) -> None:
    """Tell what a model is and how it was trained.

    The file is checked from end to end: its sizes, its numbers and its digest.
    """
    from fastrnn.train.checkpoint import load
    from fastrnn.train.runfolder import model_path

    from .. import output

    path = model_path(model)
    facts = _facts(str(path), load(path))
    if as_json:
        output.write_json(facts)
        return
    for name in ("config", "progress", "corpus"):
        facts[name] = _brief(facts[name])
    output.write_figures([(name, f"{v:,}" if isinstance(v, int) else str(v)) for name, v in facts.items()])


def _facts(path: str, checkpoint: "Checkpoint") -> dict[str, Any]:
    shape = checkpoint.shape
    return {
        "file": path,
        "model": f"{shape.cell}, {shape.layers} x {shape.hidden}",
        "parameters": sum(array.size for array in checkpoint.parameters.values()),
        "tokens": checkpoint.tokenizer.kind,
        "vocabulary": checkpoint.tokenizer.size,
        "resumable": bool(checkpoint.state),
        "progress": checkpoint.progress,
        "corpus": checkpoint.corpus,
        "config": checkpoint.config.to_mapping(),
    }


def _brief(mapping: dict[str, Any]) -> str:
    """The simple values of a mapping on one line."""
    pairs = ((key, value) for key, value in mapping.items() if isinstance(value, (str, int, float)))
    return "  ".join(f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in pairs)
