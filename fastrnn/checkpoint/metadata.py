"""Checkpoint metadata as JSON: configuration, vocabulary, progress, corpus; all sizes are bounded.

Each function raises `FormatError` with a message that does not name the file, `ConfigError` or `InputError`.
"""

import math
from collections.abc import Mapping
from typing import Any

from ..config import Config
from ..data.examples.schema import TaskSchema, schema_from_dict
from ..data.text.tokenizers import Tokenizer, tokenizer_from_dict
from ..nn.spec import ModelSpec, model_spec
from ..task_specs import TASK_SPECS
from . import safe_json
from .safetensors_file import FormatError
from .validation import check_sizes

# The vocabulary of a model: maps texts or examples to ids, and outputs back.
Encoding = Tokenizer | TaskSchema
Shapes = Mapping[str, tuple[int, ...]]

# metadata key -> the most values its JSON may hold; a vocabulary gets more for a larger model
VALUES = {"config": 200, "tokenizer": 200, "progress": 1000, "corpus": 100_000}
# the most bytes of its JSON; a vocabulary is limited by the length of the header alone
_LENGTHS = {"config": 1 << 16, "progress": 1 << 20, "corpus": 1 << 23}
# A word or a label takes some hundred bytes of memory: _ENTRIES of them are allowed in any model,
# and one more for each _ENTRY bytes of the model.
_ENTRIES, _ENTRY = 100_000, 200


def spec_for(config: Config, encoding: Encoding) -> ModelSpec:
    """Return the input and output sizes of a model for this configuration's task and this vocabulary."""
    if isinstance(encoding, TaskSchema):
        return model_spec(encoding, config.task)
    return ModelSpec(config.task, tokens=encoding.size)


def check_tokens(config: Config, encoding: Encoding) -> None:
    """Raise `FormatError` unless the vocabulary is of the kind that the configuration names."""
    name = "task" if TASK_SPECS[config.task].is_supervised else "tokens"
    wanted = getattr(config, name)
    found = encoding.task if isinstance(encoding, TaskSchema) and name == "task" else encoding.kind
    if found != wanted:
        raise FormatError(f"its vocabulary is of {found}, but its config has {name} = {wanted}")


def parse_object(texts: Mapping[str, str], key: str, more_values: int = 0) -> dict[str, Any]:
    """Parse the JSON object under a metadata key."""
    if len(texts[key]) > _LENGTHS.get(key, math.inf):
        raise FormatError(f"its {key} is damaged (more than {_LENGTHS[key]} bytes); use another copy")
    try:
        value = safe_json.parse(texts[key], values=VALUES[key] + more_values)
    except ValueError as error:
        raise FormatError(f"its {key} is damaged ({error}); use another copy") from None
    if not isinstance(value, dict):
        raise FormatError(f"its {key} is damaged (not an object); use another copy")
    return value


def parse_config(texts: Mapping[str, str]) -> Config:
    """Parse the configuration and check that it has a size."""
    mapping = {"tokens": "chars"} | parse_object(texts, "config")  # the default of old files
    config = Config.from_dict(mapping, "its config")
    check_sizes(config)
    return config


def parse_encoding(texts: Mapping[str, str], shapes: Shapes, config: Config) -> Encoding:
    """Parse the vocabulary, whose size is bounded by the shapes of the tensors in the file."""
    if not TASK_SPECS[config.task].is_supervised:
        return _parse_tokenizer(texts, shapes)
    # Counted before the vocabulary is built: its memory is bounded by the size of the file.
    most = _max_columns(shapes)
    mapping = parse_object(texts, "tokenizer", most)
    entries = max([_count_entries(mapping.get(name)) for name in ("tokens", "characters", "target", "labels")])
    if entries > most:
        raise FormatError(f"its vocabulary has {entries} entries, more than its tensors allow; use another copy")
    return schema_from_dict(mapping)


def serialize_object(key: str, mapping: Mapping[str, Any], more_values: int = 0) -> str:
    """Serialize a mapping for `parse_object`."""
    try:
        text = safe_json.dump(mapping, values=VALUES[key] + more_values)
    except ValueError as error:
        raise FormatError(f"its {key} cannot be kept as JSON: {error}") from None
    if len(text) > _LENGTHS.get(key, math.inf):
        raise FormatError(f"its {key} is too long: {len(text)} bytes of JSON, at most {_LENGTHS[key]} are allowed")
    return text


def serialize_encoding(encoding: Encoding, shapes: Shapes) -> str:
    """Serialize a vocabulary for `parse_encoding`."""
    most = _max_columns(shapes) if isinstance(encoding, TaskSchema) else _max_entries(shapes)
    if encoding.size > most and encoding.kind != "chars":
        raise FormatError(f"a vocabulary of {encoding.size} is too large for so small a model; use a larger --hidden")
    return serialize_object("tokenizer", encoding.to_dict(), most)


def _parse_tokenizer(texts: Mapping[str, str], shapes: Shapes) -> Tokenizer:
    """Parse the vocabulary of a language model; ``out.bias`` has one number for each token."""
    bias = shapes.get("out.bias")
    if bias is None or len(bias) != 1:
        raise FormatError("tensor 'out.bias' is missing or not a vector; use another copy")
    size = bias[0]
    mapping = parse_object(texts, "tokenizer", min(size, _max_entries(shapes)))
    tokens = mapping.get("chars", mapping.get("words"))
    found = len(tokens) if isinstance(tokens, (str, list)) else size
    if found == size:  # compared first: a vocabulary takes ten times the memory of its text
        tokenizer = tokenizer_from_dict(mapping)
        found = tokenizer.size
    if found != size:
        raise FormatError(f"its vocabulary has {found} tokens, its output {size}; use another copy")
    return tokenizer


def _max_columns(shapes: Shapes) -> int:
    """Return an upper bound of a task vocabulary's entries."""
    # Each token or label has a row or column of a tensor; each dense input has a mean as well.
    return min(2 * sum(sum(shape) for shape in shapes.values() if math.prod(shape)), _max_entries(shapes))


def _max_entries(shapes: Shapes) -> int:
    """Return the most words or labels allowed in a model of this size."""
    return _ENTRIES + 4 * sum(math.prod(shape) for shape in shapes.values()) // _ENTRY


def _count_entries(table: Any) -> int:
    """Return the number of symbols or labels of a table, counted without creating them.

    Creating them takes ten times the memory of the text.
    """
    if isinstance(table, str):
        return table.count("\n") + 1
    known = table.get("known") if isinstance(table, dict) else None
    if not isinstance(known, str):
        return 0
    return len(known) if table.get("unit") == "chars" else known.count("\n") + 1
