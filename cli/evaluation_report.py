"""Text report of the evaluation of a labelled task."""

import math
from collections.abc import Mapping
from typing import Any

from fastrnn.task_specs import TASK_SPECS

from . import formatting, output
from .output import escape_name

_MOST = 30  # maximum number of labels in a printed confusion matrix
_NAMES = {"mae": "mean absolute error", "mse": "mean squared error"}


def write_figures(evaluation: Mapping[str, Any], task: str, binary: bool = False) -> None:
    """Write metrics; for labels also precision, recall, F1 and the confusion matrix."""
    rows = [
        ("records", formatting.number(evaluation["records"])),
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
    lines = [["true \\ answered", *labels]]
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
