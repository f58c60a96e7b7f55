"""The texts of a checkpoint as JSON: configuration, vocabulary, progress, corpus; what is read is bounded first.

Each function raises `Damaged` with a message that does not name the file, `ConfigError` or `InputError`.
"""

import math
from collections.abc import Mapping
from typing import Any

from ..config import Config
from ..data.examples.schema import TaskSchema, schema_from_mapping
from ..data.text.tokenizers import Tokenizer, tokenizer_from_mapping
from ..nn.spec import ModelSpec, model_spec
from . import safe_json
from .safetensors_file import Damaged
from .validation import check_sizes

# What turns texts or records into ids, and answers back.
Encoding = Tokenizer | TaskSchema
Shapes = Mapping[str, tuple[int, ...]]

# metadata key -> the most values its JSON may hold; a vocabulary may hold more, as its tensors are large
VALUES = {"config": 200, "tokenizer": 200, "progress": 1000, "corpus": 100_000}
# the most bytes of its JSON; that of a vocabulary has what the file's header may have
_LENGTHS = {"config": 1 << 16, "progress": 1 << 20, "corpus": 1 << 23}
# A word or a label takes some hundred bytes of memory: so many in any model, and one more for so many bytes of it.
_ENTRIES, _ENTRY = 100_000, 200


def signature_of(config: Config, encoding: Encoding) -> ModelSpec:
    """The sizes that a vocabulary gives a model of this configuration's task."""
    if isinstance(encoding, TaskSchema):
        return model_spec(encoding, config.task)
    return ModelSpec(config.task, tokens=encoding.size)


def check_tokens(config: Config, encoding: Encoding) -> None:
    """The vocabulary is of the kind that the configuration says."""
    if config.task == "language-model":
        wanted, found = config.tokens, encoding.kind
    else:
        wanted, found = config.task, encoding.task if isinstance(encoding, TaskSchema) else encoding.kind
    if found != wanted:
        name = "tokens" if config.task == "language-model" else "task"
        raise Damaged(f"its vocabulary is of {found}, but its config says {name} = {wanted}")


def parsed(texts: Mapping[str, str], key: str, more_values: int = 0) -> dict[str, Any]:
    """The object under a metadata key."""
    if len(texts[key]) > _LENGTHS.get(key, math.inf):
        raise Damaged(f"its {key} is damaged (more than {_LENGTHS[key]} bytes); use another copy")
    try:
        value = safe_json.parse(texts[key], values=VALUES[key] + more_values)
    except ValueError as error:
        raise Damaged(f"its {key} is damaged ({error}); use another copy") from None
    if not isinstance(value, dict):
        raise Damaged(f"its {key} is damaged (not an object); use another copy")
    return value


def parsed_config(texts: Mapping[str, str]) -> Config:
    """The configuration; it has a size."""
    mapping = {"tokens": "chars"} | parsed(texts, "config")  # the unit that is meant where none is written
    config = Config.from_mapping(mapping, "its config")
    check_sizes(config)
    return config


def parsed_encoding(texts: Mapping[str, str], shapes: Shapes, config: Config) -> Encoding:
    """The vocabulary; what is built of it is bounded by the shapes of the tensors that the file really holds."""
    if config.task == "language-model":
        return _tokenizer(texts, shapes)
    most = _columns(shapes)
    mapping = parsed(texts, "tokenizer", most)
    entries = max([_entries(mapping.get(name)) for name in ("tokens", "characters", "target", "labels")])
    if entries > most:
        raise Damaged(f"its vocabulary has {entries} entries, more than its tensors bear; use another copy")
    return schema_from_mapping(mapping)


def written(key: str, mapping: Mapping[str, Any], more_values: int = 0) -> str:
    """The text for `parsed`."""
    try:
        text = safe_json.dump(mapping, values=VALUES[key] + more_values)
    except ValueError as error:
        raise Damaged(f"its {key} cannot be kept as JSON: {error}") from None
    if len(text) > _LENGTHS.get(key, math.inf):
        raise Damaged(f"its {key} is too long: {len(text)} bytes of JSON, at most {_LENGTHS[key]} are allowed")
    return text


def written_encoding(encoding: Encoding, shapes: Shapes) -> str:
    """The text for `parsed_encoding`."""
    most = _columns(shapes) if isinstance(encoding, TaskSchema) else _most_entries(shapes)
    if encoding.size > most and encoding.kind != "chars":
        raise Damaged(f"a vocabulary of {encoding.size} is too large for so small a model; use a larger --hidden")
    return written("tokenizer", encoding.to_mapping(), most)


def _tokenizer(texts: Mapping[str, str], shapes: Shapes) -> Tokenizer:
    """A language model's. The file holds one number of ``out.bias`` a token."""
    bias = shapes.get("out.bias")
    if bias is None or len(bias) != 1:
        raise Damaged("tensor 'out.bias' is missing or no vector; use another copy")
    size = bias[0]
    mapping = parsed(texts, "tokenizer", min(size, _most_entries(shapes)))
    tokens = mapping.get("chars", mapping.get("words"))
    found = len(tokens) if isinstance(tokens, (str, list)) else size
    if found == size:  # looked at first, since a vocabulary takes ten times the memory of its text
        tokenizer = tokenizer_from_mapping(mapping)
        found = tokenizer.size
    if found != size:
        raise Damaged(f"its vocabulary has {found} tokens, its output {size}; use another copy")
    return tokenizer


def _columns(shapes: Shapes) -> int:
    """More than a vocabulary has entries: each token or label has a row or column, each dense input a mean besides."""
    return min(2 * sum(sum(shape) for shape in shapes.values() if math.prod(shape)), _most_entries(shapes))


def _most_entries(shapes: Shapes) -> int:
    """How many words or labels may be made for a model of this size."""
    return _ENTRIES + 4 * sum(math.prod(shape) for shape in shapes.values()) // _ENTRY


def _entries(table: Any) -> int:
    """How many symbols or labels a table will have: counted before they are made, which takes ten times the memory."""
    if isinstance(table, str):
        return table.count("\n") + 1
    known = table.get("known") if isinstance(table, dict) else None
    if not isinstance(known, str):
        return 0
    return len(known) if table.get("unit") == "chars" else known.count("\n") + 1
