"""Configuration of a run: every setting, its default and its limits.

`Config` is flat: each field is a key of ``config.toml`` and an option of ``fastrnn train``. A field that is ``None``
is chosen from the data and the budget when training starts (`fastrnn.training.autotune`). The configuration saved in
the run folder has no ``None`` left that would change the result. Defaults are defined only here.
"""

import dataclasses
import difflib
import functools
import json
import math
import string
import tomllib
import types
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from .cells import CELLS, GATED_CELLS
from .errors import ConfigError, quote
from .plain import check_encoding, format_number, to_plain
from .task_specs import TASK_SPECS, list_tasks_with_option

ALL_CELLS = tuple(CELLS)
TASKS = tuple(TASK_SPECS)
TOKENS = ("chars", "bytes", "words")
# Optimizer -> names of the moments it stores per parameter.
MOMENTS: dict[str, tuple[str, ...]] = {
    "adamw": ("m", "v"),
    "sgd": (),
    "momentum": ("m",),
    "rmsprop": ("v",),
    "adagrad": ("v",),
}
OPTIMIZERS = tuple(MOMENTS)
USUAL_BETA1 = 0.9
SCHEDULES = ("constant", "linear", "cosine", "plateau")
PRECISIONS = ("float32", "bfloat16", "float64")
DEVICES = ("cpu", "cuda")
MISSING = ("interpolate", "last", "drop")
FORMATS = tuple(sorted({name for spec in TASK_SPECS.values() for name in spec.formats}))
INITS = ("uniform", "orthogonal", "identity")
OUT_BIASES = ("zero", "unigram")


@dataclasses.dataclass(frozen=True)
class Config:
    """Immutable configuration of a model and its training run; `replace` returns a changed copy.

    A field of None is chosen automatically when training starts, unless stated otherwise.

    Args:
        task: Task to train for, one of `TASKS`. Default ``"language-model"``.
        cell: Cell of every layer, one of `ALL_CELLS`; ``"dense"`` is not recurrent. Default ``"lstm-norm"`` for a
            language model, else ``"lstm"``.
        layers: Number of stacked layers. Default None (automatic where ``hidden`` is, for a language model; else 1).
        hidden: Hidden units per layer. Default None (automatic).
        bidirectional: Also process each sequence from its end. Default False.
        init: Initialization of the recurrent weights, one of `INITS`. Default None (``"identity"`` for cell
            ``"rnn-relu"``, else ``"orthogonal"``).
        slow_units: Share of the units of each layer that forget slowly at the start: the bias of the gate that keeps
            the state is log(n), n from 4 to 128 steps. Default None (0.1 for cell ``"lstm-norm"``, else 0).
        ngrams: Number of pairs and triples of tokens that a language model reads as inputs of their own, beside the
            tokens: the most frequent ones of the training text. Default None (automatic for cell ``"lstm-norm"`` and a
            text of characters or bytes, else 0).
        out_bias: Initial bias of a language model's output layer, one of `OUT_BIASES`; ``"unigram"`` is the logarithm
            of each token's frequency in the training text. Default None (``"unigram"`` if ``lr`` is automatic; else
            ``"zero"``).
        columns: Column names or globs of a CSV file, comma-separated. Default None (every numeric column).
        missing: Treatment of missing values of a series, one of `MISSING`. Default None (an error).
        horizon: Number of rows to forecast. Default None (1).
        labels: File of the labels of an idx file. Default None (no file).
        label: Column or JSON key of the label, by name or position from 1. Default None (``"label"``).
        text: Column or JSON key of the text, by name or position from 1. Default None (``"text"``).
        format: Format of labelled data, one of `FORMATS`. Default None (by file name).
        encoding: Encoding of texts, by any of Python's names. Default None (UTF-8).
        tokens: Unit of the text, one of `TOKENS`. Default None (chars; for classify chosen from the texts).
        min_count: With words: rarer words become ``<UNK>``. Default 2.
        document_separator: Text that separates documents; the state is reset there. Default None (no separator).
        valid: Fraction of the data held out for validation. Default 0.1.
        valid_file: File to validate on instead. Default None (use ``valid``).
        batch: Parallel streams of a text, or examples per step. Default None (automatic).
        streams: Streams that a text is divided into, a multiple of ``batch``; each step reads ``batch`` of them, in
            turn. Default None (automatic).
        reset_every: Windows of a stream after which its state is set to zero; 0: only where documents and epochs
            start. Default None (32 with slow units, else 0).
        seq: Time steps per window of truncated BPTT; input rows of a forecast. Default 64.
        optimizer: One of `OPTIMIZERS`. Default ``"adamw"``.
        lr: Peak learning rate. Default None (automatic).
        vocab_lr: Learning rate of token tables and of the output layer's weights, as a multiple of ``lr``. Default None
            (automatic for a language model if ``lr`` is; else 1).
        beta1: Decay rate of the first moment, or momentum. Default None (automatic for a language model if ``lr`` is;
            else 0.9).
        beta2: Decay rate of the second moment. Default 0.99.
        weight_decay: Decoupled weight decay. Default None (automatic: 0 except for a language model of LSTMs).
        schedule: Learning-rate schedule, one of `SCHEDULES`. Default ``"cosine"``.
        warmup: Steps of linear learning-rate warm-up. Default None (automatic).
        final_lr: Final learning rate of linear and cosine schedules, as a fraction of ``lr``. Default 0.02.
        clip: Maximum global norm of the gradient; 0 disables clipping. Default 1.0.
        dropout: Dropout probability between layers and before the output. Default None (automatic).
        weight_dropout: Dropout probability of recurrent weights. Default None (automatic; 0 if ``dropout`` is set).
        epochs: Length of the run in passes over the data. Default None (automatic).
        steps: Length of the run in training steps. Default None (automatic).
        for_: Length of the run as a time budget: 90s, 3m, 1.5h. Default None (automatic).
        eval_every: Steps between validations. Default None (automatic).
        eval_size: Tokens or examples per validation during training. Default None (automatic).
        save_every: Steps between checkpoints. Default None (automatic).
        patience: Stop after this many validations without improvement. Default None (never).
        seed: Random seed. Default 1.
        threads: Number of threads; the result does not depend on it. Default None (one for each fast core).
        precision: One of `PRECISIONS`. Default None (bfloat16 products where they are fast, else float32).
        device: One of `DEVICES`. Default ``"cpu"``.

    At most one of ``epochs``, ``steps`` and ``for_`` may be set.

    Raises:
        ConfigError: A value is invalid, or settings are incompatible.
    """

    # the model
    task: str = "language-model"
    cell: str = ""
    layers: int | None = None
    hidden: int | None = None
    bidirectional: bool = False
    init: str | None = None
    slow_units: float | None = None
    ngrams: int | None = None
    out_bias: str | None = None
    # the data
    columns: str | None = None
    missing: str | None = None
    horizon: int | None = None
    labels: str | None = None
    label: str | None = None
    text: str | None = None
    format: str | None = None
    encoding: str | None = None
    tokens: str | None = None
    min_count: int = 2
    document_separator: str | None = None
    valid: float = 0.1
    valid_file: str | None = None
    # truncated back-propagation through time
    batch: int | None = None
    streams: int | None = None
    reset_every: int | None = None
    seq: int = 64
    # optimisation
    optimizer: str = "adamw"
    lr: float | None = None
    vocab_lr: float | None = None
    beta1: float | None = None
    beta2: float = 0.99
    weight_decay: float | None = None
    schedule: str = "cosine"
    warmup: int | None = None
    final_lr: float = 0.02
    clip: float = 1.0
    dropout: float | None = None
    weight_dropout: float | None = None
    # the length of the run: at most one of the three
    epochs: float | None = None
    steps: int | None = None
    for_: str | None = None
    # evaluation and checkpoints
    eval_every: int | None = None
    eval_size: int | None = None
    save_every: int | None = None
    patience: int | None = None
    # the machine
    seed: int = 1
    threads: int | None = None
    precision: str | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not self.cell and isinstance(self.task, str) and self.task in TASK_SPECS:
            object.__setattr__(self, "cell", TASK_SPECS[self.task].cell)
        if self.layers is None and self.hidden is not None:
            object.__setattr__(self, "layers", 1)
        for name, value in convert_fields({name: getattr(self, name) for name in _hints()}).items():
            object.__setattr__(self, name, value)
        lengths = [key_of(n) for n in ("epochs", "steps", "for_") if getattr(self, n) is not None]
        if len(lengths) > 1:
            raise ConfigError(f"{' and '.join(lengths)} both set the length of the run; give one of them")
        if self.for_ is not None:
            parse_duration(self.for_)
        if self.document_separator == "":
            raise ConfigError("document_separator is empty; give the text that separates documents")
        _check_task(self)
        _check_streams(self)
        _check_length(self)

    def replace(self, **changes: Any) -> "Config":
        """Return a validated copy with some fields changed.

        Args:
            **changes: New values by field name.

        Raises:
            ConfigError: A name is unknown or a value is invalid.
        """
        check_names(changes)
        return dataclasses.replace(self, **changes)

    @property
    def dtype(self) -> str:
        """NumPy dtype of weights and states; with ``precision="bfloat16"`` only matrix products are bfloat16."""
        return self.precision if self.precision == "float64" else "float32"

    @property
    def matmul_mode(self) -> str:
        """Mode of the matrix products of a `Network`: ``"bfloat16"`` or ``"split"``."""
        return "bfloat16" if self.precision == "bfloat16" else "split"

    def to_dict(self) -> dict[str, Any]:
        """Return a mapping with the keys of ``config.toml``, without fields that are ``None``."""
        return {key_of(f.name): v for f in dataclasses.fields(self) if (v := getattr(self, f.name)) is not None}

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any], source: str = "configuration") -> "Config":
        """Create a configuration from the keys of ``config.toml``; inverse of `to_dict`.

        Args:
            mapping: Values by configuration key.
            source: Origin of the mapping, for error messages.

        Raises:
            ConfigError: A key is unknown (the message suggests the nearest) or a value is invalid.
        """
        return cls(**validate_fields(mapping, source))


MAX_STEPS = 10**12
_MAX_SECONDS = 36500 * 86400  # a hundred years: more is a mistake in the unit
_MAX_BYTES = 60_000  # maximum size as JSON: a reader accepts 65,536 bytes, automatic choices need the rest
# name -> (minimum, maximum, whether the minimum itself is excluded)
_LIMITS: dict[str, tuple[float, float, bool]] = {
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
_CHOICES: dict[str, Collection[str]] = {
    "task": TASK_SPECS,
    "cell": ALL_CELLS,
    "missing": MISSING,
    "init": INITS,
    "out_bias": OUT_BIASES,
    "tokens": TOKENS,
    "format": FORMATS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
    "device": DEVICES,
}
# setting that is an error for tasks without it (`TaskSpec.options`) -> its description in the message
_TASK_SETTINGS = {
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


def key_of(field: str) -> str:
    """Return the configuration key of a field: its name without the underscore that avoids a Python keyword."""
    return field.rstrip("_")


def nearest(word: str, known: typing.Iterable[str]) -> str:
    """Return ``"; did you mean X?"`` for the most similar known word, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def check_names(fields: typing.Iterable[str]) -> None:
    """Raise `ConfigError` for a name that is not a field of `Config`."""
    for name in fields:
        if name not in _hints():
            raise ConfigError(f"unknown setting {quote(name)}{nearest(str(name), _hints())}")


def convert_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Convert values to the types of their fields and check their limits. Raises `ConfigError`."""
    plain = {name: _convert_value(key_of(name), value, _hints()[name]) for name, value in fields.items()}
    for name, value in plain.items():
        if name in _CHOICES:
            _check_choice(name, value, _CHOICES[name])
        if name in _LIMITS:
            _check_limits(name, value, *_LIMITS[name])
    if plain.get("encoding") is not None:
        plain["encoding"] = check_encoding("encoding", plain["encoding"])
    return plain


def validate_fields(mapping: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Convert a mapping of configuration keys to field names and values; check names and types."""
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{source}: {quote(mapping)} is not a mapping from keys to values")
    fields = {key_of(f.name): f for f in dataclasses.fields(Config)}
    converted = {}
    for key, value in mapping.items():
        if key not in fields:
            raise ConfigError(f"{source}: unknown key {quote(key)}{nearest(str(key), fields)}")
        field = fields[key].name
        converted[field] = _convert_value(f"{source}: {key}", value, _hints()[field])
    return converted


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


@functools.cache
def _hints() -> dict[str, Any]:
    """Return the type annotation of every field."""
    return typing.get_type_hints(Config)


def _convert_value(name: str, value: Any, hint: Any) -> Any:
    """Convert a value to exactly the type of its field. Raises `ConfigError`."""
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and types.NoneType in allowed:
        return None
    found = to_plain(name, value, allowed[0])
    if isinstance(found, str) and any("\ud800" <= c <= "\udfff" for c in found):
        raise ConfigError(f"{name} is {quote(found)}, which is not valid Unicode; give another text")
    return found


def _check_choice(name: str, value: str | None, choices: Collection[str]) -> None:
    if value is not None and value not in choices:
        raise ConfigError(f"{name} {quote(value)} is unknown{nearest(value, choices)} (choices: {', '.join(choices)})")


def _check_limits(name: str, value: float | None, low: float, high: float, open_low: bool) -> None:
    if value is None:
        return
    if not low <= value <= high or (open_low and value == low):
        least = f"greater than {format_number(low)}" if open_low else f"at least {format_number(low)}"
        most = "" if high == math.inf else f" and at most {format_number(high)}"
        raise ConfigError(f"{name} is {format_number(value)}; it must be {least}{most}")


def _check_streams(config: Config) -> None:
    """Check that the streams of a text can be read ``batch`` at a time."""
    if config.streams is not None and config.batch is not None and config.streams % config.batch:
        less = config.streams // config.batch * config.batch
        multiples = f"{less} or {less + config.batch}" if less else f"{config.batch}"
        raise ConfigError(f"streams is {config.streams}, not a multiple of batch {config.batch}; give {multiples}")


def _check_length(config: Config) -> None:
    """Check that a saved configuration can be read again: see `fastrnn.checkpoint.metadata`."""
    if len(json.dumps(config.to_dict())) > _MAX_BYTES:
        texts = {key: value for key, value in config.to_dict().items() if isinstance(value, str)}
        longest = max(texts, key=lambda key: len(texts[key]))
        raise ConfigError(
            f"{longest} has {len(texts[longest]):,} characters; that is too long to be stored in a model file"
        )


def _check_task(config: Config) -> None:
    """Check that the settings are compatible with the task."""
    task = config.task
    spec = TASK_SPECS[task]
    for name, description in _TASK_SETTINGS.items():
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


def read_config_file(path: str | Path) -> dict[str, Any]:
    """Read field names and values from a TOML file. Raises `ConfigError` that names the file."""
    try:
        with open(path, "rb") as file:
            return validate_fields(tomllib.load(file), str(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this configuration: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


def to_toml(config: Config) -> str:
    """Format ``config.toml``: one ``key = value`` per line."""
    return "".join(f"{key} = {_format_toml_value(value)}\n" for key, value in config.to_dict().items())


def _format_toml_value(value: str | int | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or c in '"\\' or ord(c) == 127 else c for c in value)
        return f'"{escaped}"'
    return repr(value)
