"""Limits of the settings, and checks of settings that must fit each other or the task.

All raise `ConfigError` with what would be right. `fastrnn.config` applies them.
"""

import json
import math
import string
from collections.abc import Collection
from typing import TYPE_CHECKING

from .cells import CELLS, GATED_CELLS
from .errors import ConfigError, nearest, quote
from .plain import format_number
from .task_specs import TASK_SPECS, list_tasks_with_option

if TYPE_CHECKING:
    from .config import Config

MAX_STEPS = 10**12
_MAX_SECONDS = 36500 * 86400  # a hundred years: more is a mistake in the unit
_MAX_BYTES = 60_000  # maximum size as JSON: a reader accepts 65,536 bytes, automatic choices need the rest
# name -> (minimum, maximum, whether the minimum itself is excluded)
LIMITS: dict[str, tuple[float, float, bool]] = {
    "layers": (1, 64, False),
    "horizon": (1, 65536, False),
    "hidden": (1, 16384, False),
    "slow_units": (0, 1, False),
    "ngrams": (0, 1_000_000, False),
    "min_count": (1, MAX_STEPS, False),
    "valid": (0, 0.9, False),
    "batch": (1, 65536, False),
    "streams": (1, 2**31 - 1, False),
    "reset_every": (0, MAX_STEPS, False),
    "seq": (1, 65536, False),
    "lr": (0, 10, True),
    "vocab_lr": (0, 100, True),
    "beta1": (0, 0.9999999, False),
    "beta2": (0, 0.9999999, False),
    "weight_decay": (0, 10, False),
    "warmup": (0, MAX_STEPS, False),
    "final_lr": (0, 1, False),
    "clip": (0, 1e30, False),
    "dropout": (0, 0.95, False),
    "weight_dropout": (0, 0.95, False),
    "epochs": (0, MAX_STEPS, True),
    "steps": (0, MAX_STEPS, True),
    "eval_every": (1, MAX_STEPS, False),
    "eval_size": (1, 10**12, False),
    "save_every": (1, MAX_STEPS, False),
    "patience": (1, MAX_STEPS, False),
    "seed": (0, 2**63 - 1, False),
    "threads": (1, 1024, False),
}
# setting that is an error for tasks without it (`TaskSpec.options`) -> its description in the message
TASK_SETTINGS = {
    "columns": "names columns of a table",
    "missing": "is the treatment of missing values of a series",
    "horizon": "is the number of rows to forecast",
    "labels": "is the file of labels of an idx file",
    "label": "names the column or key of the label",
    "text": "names the column or key of the text",
    "format": "is the format of labelled data",
    "document_separator": "separates documents of a text",
    "ngrams": "adds frequent n-grams to the inputs of a language model",
    "out_bias": "is the initial bias of a language model's output layer",
    "streams": "divides a text into parts that are read in turn",
    "reset_every": "sets the state that is carried through a text to zero",
}


def parse_duration(text: str) -> float:
    """Parse ``90``, ``90s``, ``3m`` or ``3min``, ``1.5h`` or ``2d`` into seconds. Raises `ConfigError`."""
    units = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
    number = text.rstrip(string.ascii_letters)
    try:
        seconds = float(number) * units[text[len(number) :].lower()]
    except (ValueError, KeyError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ConfigError(f"for: {quote(text)} is not a duration; write 90s, 3m, 1.5h or 2d")
    if seconds > _MAX_SECONDS:
        raise ConfigError(f"for: {quote(text)} is longer than {_MAX_SECONDS // 86400}d; give less")
    return seconds


def check_choice(name: str, value: str | None, choices: Collection[str]) -> None:
    """Check that a value is one of the choices."""
    if value is not None and value not in choices:
        raise ConfigError(f"{name} {quote(value)} is unknown{nearest(value, choices)} (choices: {', '.join(choices)})")


def check_limits(name: str, value: float | None, low: float, high: float, open_low: bool) -> None:
    """Check that a value lies between its limits; ``open_low``: and is not the lower one."""
    if value is None:
        return
    if not low <= value <= high or (open_low and value == low):
        least = f"greater than {format_number(low)}" if open_low else f"at least {format_number(low)}"
        most = "" if high == math.inf else f" and at most {format_number(high)}"
        raise ConfigError(f"{name} is {format_number(value)}; it must be {least}{most}")


def check_streams(config: "Config") -> None:
    """Check that the streams of a text can be read ``batch`` at a time."""
    if config.streams is not None and config.batch is not None and config.streams % config.batch:
        less = config.streams // config.batch * config.batch
        multiples = f"{less} or {less + config.batch}" if less else f"{config.batch}"
        raise ConfigError(f"streams is {config.streams}, not a multiple of batch {config.batch}; give {multiples}")


def check_size(config: "Config") -> None:
    """Check that a saved configuration can be read again: see `fastrnn.checkpoint.metadata`."""
    if len(json.dumps(config.to_dict())) > _MAX_BYTES:
        texts = {key: value for key, value in config.to_dict().items() if isinstance(value, str)}
        longest = max(texts, key=lambda key: len(texts[key]))
        raise ConfigError(
            f"{longest} has {len(texts[longest]):,} characters; that is too long to be stored in a model file"
        )


def check_task(config: "Config") -> None:
    """Check that the settings are compatible with the task."""
    task = config.task
    spec = TASK_SPECS[task]
    for name, description in TASK_SETTINGS.items():
        if getattr(config, name) is not None and name not in spec.options:
            tasks = " or ".join(list_tasks_with_option(name))
            raise ConfigError(f"{name} {description}; it requires --task {tasks}, not {task}")
    if config.bidirectional and spec.no_bidirectional is not None:
        raise ConfigError(f"bidirectional is not possible with --task {task}: {spec.no_bidirectional}")
    if not CELLS[config.cell].is_recurrent and spec.needs_recurrent_cell:
        raise ConfigError(
            f"cell {config.cell} keeps no state from step to step; --task {task} needs one: use a recurrent cell"
        )
    if config.slow_units and not CELLS[config.cell].is_gated:
        cells = ", ".join(GATED_CELLS)
        raise ConfigError(f"cell {config.cell} has no gate that keeps its state; slow_units requires {cells}")
    if config.tokens == "bytes" and not spec.takes_bytes:
        raise ConfigError("tokens bytes requires --task language-model; use chars or words")
    if config.tokens == "bytes" and config.encoding is not None:
        raise ConfigError("encoding is for tokens chars and words; tokens bytes reads every byte as it is")
