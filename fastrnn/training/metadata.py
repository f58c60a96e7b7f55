"""The texts of a checkpoint as JSON: configuration, vocabulary, progress, corpus; what is read is bounded first.

Each function raises `Damaged` with a message that does not name the file, `ConfigError` or `InputError`.
"""

from collections.abc import Mapping
from typing import Any

from ..config import Config
from ..data.tokens import Tokenizer, tokenizer_from_mapping
from ..data.vocabulary import Vocabulary, vocabulary_from_mapping
from ..nn.signature import Signature
from . import strict_json
from .checks import check_sizes
from .tensorfile import Damaged

# What turns texts or records into ids, and answers back.
Encoding = Tokenizer | Vocabulary
Shapes = Mapping[str, tuple[int, ...]]

# metadata key -> the most values its JSON may hold; a vocabulary may hold more, as its tensors are large
VALUES = {"config": 200, "tokenizer": 200, "progress": 100_000, "corpus": 200_000}
_CONFIG_LENGTH = 1 << 16


def signature_of(config: Config, encoding: Encoding) -> Signature:
    """The sizes that a vocabulary gives a model of this configuration's task."""
    if isinstance(encoding, Vocabulary):
        return encoding.signature(config.task)
    return Signature(config.task, tokens=encoding.size)


def check_tokens(config: Config, encoding: Encoding) -> None:
    """The vocabulary is of the kind that the configuration says."""
    if config.task == "language-model":
        wanted, found = config.tokens, encoding.kind
    else:
        wanted, found = config.task, encoding.task if isinstance(encoding, Vocabulary) else encoding.kind
    if found != wanted:
        name = "tokens" if config.task == "language-model" else "task"
        raise Damaged(f"its vocabulary is of {found}, but its config says {name} = {wanted}")


def parsed(texts: Mapping[str, str], key: str, more_values: int = 0) -> dict[str, Any]:
    """The object under a metadata key."""
    try:
        value = strict_json.parse(texts[key], values=VALUES[key] + more_values)
    except ValueError as error:
        raise Damaged(f"its {key} is damaged ({error}); use another copy") from None
    if not isinstance(value, dict):
        raise Damaged(f"its {key} is damaged (not an object); use another copy")
    return value


def parsed_config(texts: Mapping[str, str]) -> Config:
    """The configuration; it has a size."""
    if len(texts["config"]) > _CONFIG_LENGTH:
        raise Damaged(f"its config is damaged (more than {_CONFIG_LENGTH} bytes); use another copy")
    config = Config.from_mapping(parsed(texts, "config"), "its config")
    check_sizes(config)
    return config


def parsed_encoding(texts: Mapping[str, str], shapes: Shapes, config: Config) -> Encoding:
    """The vocabulary; what is built of it is bounded by the shapes of the tensors that the file really holds."""
    if config.task == "language-model":
        return _tokenizer(texts, shapes)
    columns = _columns(shapes)
    mapping = parsed(texts, "tokenizer", columns)
    entries = max([_entries(mapping.get(name)) for name in ("tokens", "characters", "target", "labels")])
    if entries > columns:
        raise Damaged(f"its vocabulary has {entries} entries, more than its tensors bear; use another copy")
    return vocabulary_from_mapping(mapping)


def written(key: str, mapping: Mapping[str, Any], more_values: int = 0) -> str:
    """The text for `parsed`."""
    try:
        return strict_json.dump(mapping, values=VALUES[key] + more_values)
    except ValueError as error:
        raise Damaged(f"its {key} cannot be kept as JSON: {error}") from None


def written_encoding(encoding: Encoding, shapes: Shapes) -> str:
    """The text for `parsed_encoding`."""
    more = _columns(shapes) if isinstance(encoding, Vocabulary) else encoding.size
    return written("tokenizer", encoding.to_mapping(), more)


def _tokenizer(texts: Mapping[str, str], shapes: Shapes) -> Tokenizer:
    """A language model's. The file holds one number of ``out.bias`` a token."""
    bias = shapes.get("out.bias")
    if bias is None or len(bias) != 1:
        raise Damaged("tensor 'out.bias' is missing or no vector; use another copy")
    size = bias[0]
    mapping = parsed(texts, "tokenizer", size)
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
    return 2 * sum(sum(shape) for shape in shapes.values())


def _entries(table: Any) -> int:
    """How many symbols or labels a table will have: counted before they are made, which takes ten times the memory."""
    if isinstance(table, str):
        return table.count("\n") + 1
    known = table.get("known") if isinstance(table, dict) else None
    if not isinstance(known, str):
        return 0
    return len(known) if table.get("unit") == "chars" else known.count("\n") + 1
