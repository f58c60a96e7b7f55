"""What a checkpoint tells of a run beside its model: the types of its progress and of where its data came from.

Both functions raise `Damaged` with a message that does not name the file. Names that are not known here are let pass.
"""

import math
from collections.abc import Mapping
from typing import Any

from .tensorfile import Damaged

# whole numbers -> the least that each may be
_PROGRESS = {"step": 0, "updates": 0, "chars": 0, "train_count": 0, "evaluated": -1, "best_step": 0, "waited": 0,
             "bad_steps": 0, "returns": 0}  # fmt: skip
_CORPUS = {"tokens": 0, "records": 0}
_ALWAYS = ("seconds", "train_total", "lr_scale")
_SOMETIMES = ("smoothed", "train_nats", "valid_nats", "best_nats")


def check_progress(progress: Mapping[str, Any]) -> None:
    """Counts are counts, losses and times are numbers, or None where there is none yet."""
    _check_counts("progress", progress, _PROGRESS)
    metrics = progress.get("metrics") or {}
    numbers = [progress[name] for name in _ALWAYS if name in progress]
    numbers += [progress[name] for name in _SOMETIMES if progress.get(name) is not None]
    sound = isinstance(metrics, dict) and isinstance(progress.get("plateau") or {}, dict)
    if not sound or not all(map(_is_number, [*numbers, *metrics.values()])):
        raise Damaged("its progress is damaged (not the types that it has); use another copy")


def check_corpus(corpus: Mapping[str, Any]) -> None:
    """Sizes are counts; the inputs are texts."""
    _check_counts("corpus", corpus, _CORPUS)
    inputs = corpus.get("inputs", [])
    sound = isinstance(inputs, list) and all(isinstance(name, str) for name in inputs)
    if not sound or not isinstance(corpus.get("fingerprint", ""), str):
        raise Damaged("its corpus is damaged (not the types that it has); use another copy")


def _check_counts(key: str, mapping: Mapping[str, Any], least: Mapping[str, int]) -> None:
    for name in mapping.keys() & least.keys():
        if type(mapping[name]) is not int or not least[name] <= mapping[name] < 2**63:
            raise Damaged(f"its {key} is damaged ({name} is no count); use another copy")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
