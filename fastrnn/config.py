"""Configuration of a run: every setting, its default and its limits.

`Config` is flat: each field is a key of ``config.toml`` and an option of ``fastrnn train``. A field that is ``None``
is chosen from the data and the budget when training starts (`fastrnn.training.autotune`). The configuration saved in
the run folder has no ``None`` left that would change the result. Defaults are defined only here.
"""

import dataclasses
import functools
import tomllib
import types
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from .cells import CELLS
from .config_checks import LIMITS, check_choice, check_limits, check_size, check_streams, check_task, parse_duration
from .errors import ConfigError, nearest, quote
from .plain import check_encoding, to_plain
from .task_specs import TASK_SPECS

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
        check_task(self)
        check_streams(self)
        check_size(self)

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


def key_of(field: str) -> str:
    """Return the configuration key of a field: its name without the underscore that avoids a Python keyword."""
    return field.rstrip("_")


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
            check_choice(name, value, _CHOICES[name])
        if name in LIMITS:
            check_limits(name, value, *LIMITS[name])
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
