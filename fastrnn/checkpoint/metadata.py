"""Checkpoint metadata as JSON, and the validation of checkpoints before use and before writing.

Metadata: configuration, vocabulary, progress, corpus; all sizes are bounded. Validation: types, shapes, finite
numbers, digests. Each function raises `FormatError` with a message that does not name the file, `ConfigError` or
`InputError`.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..cells import CELLS
from ..config import MOMENTS, Config
from ..data.text.ngrams import MAX_ORDER
from ..data.text.tokenizers import Tokenizer, tokenizer_from_dict
from ..nn.spec import ModelSpec, model_spec, parameter_shapes
from ..shapes import NGRAM_WEIGHT
from ..task_specs import TASK_SPECS
from . import safetensors_file
from .safetensors_file import Array, FormatError, quote_untrusted, view_bytes

if TYPE_CHECKING:
    from ..data.examples.schema import TaskSchema

_CHUNK = 1 << 20  # numbers tested at a time, so that no second copy of a large tensor is made

# integer field -> its least value
_PROGRESS = {"step": 0, "updates": 0, "chars": 0, "train_count": 0, "evaluated": -1, "best_step": 0, "waited": 0,
             "bad_steps": 0, "returns": 0}  # fmt: skip
_CORPUS = {"tokens": 0, "records": 0}
# numbers
_ALWAYS = ("seconds", "train_total", "lr_scale")
# numbers, or None before the first evaluation
_SOMETIMES = ("smoothed", "train_nats", "valid_nats", "best_nats")
# The vocabulary of a model: maps texts or examples to ids, and outputs back.
Encoding: TypeAlias = "Tokenizer | TaskSchema"
Shapes = Mapping[str, tuple[int, ...]]
# metadata key -> the most values its JSON may hold; a vocabulary gets more for a larger model
VALUES = {"config": 200, "tokenizer": 200, "progress": 1000, "corpus": 100_000}
# the most bytes of its JSON; a vocabulary is limited by the length of the header alone
_LENGTHS = {"config": 1 << 16, "progress": 1 << 20, "corpus": 1 << 23}


def check_progress(progress: Mapping[str, Any]) -> None:
    """Check the types of a run's progress. Raises `FormatError`; unknown names are ignored."""
    _check_counts("progress", progress, _PROGRESS)
    metrics = progress.get("metrics") or {}
    numbers = [progress[name] for name in _ALWAYS if name in progress]
    numbers += [progress[name] for name in _SOMETIMES if progress.get(name) is not None]
    is_valid = isinstance(metrics, dict) and isinstance(progress.get("plateau") or {}, dict)
    if not is_valid or not all(map(_is_number, [*numbers, *metrics.values()])):
        raise FormatError("its progress is damaged (wrong types); use another copy")


def check_corpus(corpus: Mapping[str, Any]) -> None:
    """Check the types of a corpus description. Raises `FormatError`; unknown names are ignored."""
    _check_counts("corpus", corpus, _CORPUS)
    inputs = corpus.get("inputs", [])
    is_valid = isinstance(inputs, list) and all(isinstance(name, str) for name in inputs)
    if not is_valid or not isinstance(corpus.get("fingerprint", ""), str):
        raise FormatError("its corpus is damaged (wrong types); use another copy")


def _check_counts(key: str, mapping: Mapping[str, Any], least: Mapping[str, int]) -> None:
    for name in mapping.keys() & least.keys():
        if type(mapping[name]) is not int or not least[name] <= mapping[name] < 2**63:
            raise FormatError(f"its {key} is damaged ({name} is not a count); use another copy")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def check_sizes(config: Config) -> None:
    """Raise `FormatError` for a configuration without the size that determines the shapes."""
    if config.hidden is None:
        raise FormatError("its config lacks hidden, the number of hidden units")


def expected_shapes(config: Config, spec: ModelSpec, names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of every tensor that a file should hold.

    All moments are expected if one of the names is a moment; likewise for the state.
    """
    check_sizes(config)
    shapes = dict(parameter_shapes(config, spec))
    count = sum(math.prod(sizes) for sizes in shapes.values())
    # A model for use has neither moments nor state; one of a kind without the others is damage.
    kinds = {name.partition(".")[0] for name in names}
    if "optimizer" in kinds:
        shapes |= {f"optimizer.{moment}": (count,) for moment in MOMENTS[config.optimizer]}
    if "state" in kinds and not TASK_SPECS[config.task].is_supervised:  # examples start from zero
        if config.batch is None:
            raise FormatError("its config lacks batch, the number of streams in its state")
        streams = config.streams or config.batch  # files of version 0.1.0 have no other streams
        assert config.hidden is not None
        assert config.layers is not None
        shapes |= {f"state.{part}": (config.layers, streams, config.hidden) for part in CELLS[config.cell].states}
        if spec.ngrams:
            shapes["state.before"] = (1, streams, MAX_ORDER - 1)
    return shapes


def check_shapes(actual: Mapping[str, tuple[tuple[int, ...], Any]], config: Config, spec: ModelSpec) -> None:
    """Compare name -> (shape, dtype) with the configuration and the vocabulary. Raises `FormatError`."""
    expected = expected_shapes(config, spec, actual)
    dtype = np.dtype(config.dtype).newbyteorder("<")
    for name in expected:
        if name not in actual:
            raise FormatError(f"tensor {name!r} is missing; use another copy")
    for name, (shape, found) in actual.items():
        if name not in expected:
            raise FormatError(
                f"tensor {quote_untrusted(name)} is not part of this model: {config.cell}, {config.optimizer}"
            )
        if shape != expected[name]:
            raise FormatError(f"tensor {name!r} has shape {shape}; its config requires {expected[name]}")
        if found != dtype:
            raise FormatError(f"tensor {name!r} is {found}; its config requires {config.dtype}")


def check_finite(tensors: Mapping[str, Array]) -> None:
    """Raise `FormatError` for NaN and infinity."""
    for name, tensor in tensors.items():
        # In chunks: isfinite allocates one byte for each number.
        flat = tensor.reshape(-1)
        for start in range(0, flat.size, _CHUNK):
            if not np.isfinite(flat[start : start + _CHUNK]).all():
                raise FormatError(f"tensor {name!r} holds NaN or infinity")


def check_digests(tensors: Mapping[str, Array], texts: Mapping[str, str]) -> None:
    """Raise `FormatError` unless both digests match the tensors and the metadata."""
    if tensor_digest(tensors) != texts["digest"]:
        raise FormatError("damaged: the digest of its tensors does not match; use another copy")
    if metadata_digest(texts) != texts["metadata_digest"]:
        raise FormatError("damaged: the digest of its metadata does not match; use another copy")


def tensor_digest(tensors: Mapping[str, Array]) -> str:
    """Return the BLAKE2b-256 (hexadecimal) of name and bytes of each C-contiguous tensor, sorted by name."""
    digest = hashlib.blake2b(digest_size=32)
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(view_bytes(tensors[name]))
    return digest.hexdigest()


def metadata_digest(texts: Mapping[str, str]) -> str:
    """Return the BLAKE2b-256 (hexadecimal) of key and value of all metadata but this digest, sorted by key."""
    digest = hashlib.blake2b(digest_size=32)
    for key in sorted(texts.keys() - {"metadata_digest"}):
        digest.update(key.encode())
        # A damaged file may hold lone surrogates, which must lead to another digest and not to an error here.
        digest.update(texts[key].encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


# A word or a label takes some hundred bytes of memory: _ENTRIES of them are allowed in any model,
# and one more for each _ENTRY bytes of the model.
_ENTRIES, _ENTRY = 100_000, 200


def spec_for(config: Config, encoding: Encoding) -> ModelSpec:
    """Return the input and output sizes of a model for this configuration's task and this vocabulary."""
    if isinstance(encoding, Tokenizer):
        return ModelSpec(config.task, tokens=encoding.size, ngrams=len(encoding.ngrams))
    return model_spec(encoding, config.task)


def check_tokens(config: Config, encoding: Encoding) -> None:
    """Raise `FormatError` unless the vocabulary is of the kind that the configuration names."""
    name = "task" if TASK_SPECS[config.task].is_supervised else "tokens"
    wanted = getattr(config, name)
    found = encoding.kind if isinstance(encoding, Tokenizer) or name == "tokens" else encoding.task
    if found != wanted:
        raise FormatError(f"its vocabulary is of {found}, but its config has {name} = {wanted}")


def parse_object(texts: Mapping[str, str], key: str, more_values: int = 0) -> dict[str, Any]:
    """Parse the JSON object under a metadata key."""
    if len(texts[key]) > _LENGTHS.get(key, math.inf):
        raise FormatError(f"its {key} is damaged (more than {_LENGTHS[key]} bytes); use another copy")
    try:
        value = safetensors_file.parse(texts[key], values=VALUES[key] + more_values)
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

    # A model of texts needs nothing of `data.examples`, so it is not imported with this module.
    from ..data.examples.schema import schema_from_dict

    return schema_from_dict(mapping)


def serialize_object(key: str, mapping: Mapping[str, Any], more_values: int = 0) -> str:
    """Serialize a mapping for `parse_object`."""
    try:
        text = safetensors_file.dump(mapping, values=VALUES[key] + more_values)
    except ValueError as error:
        raise FormatError(f"its {key} cannot be kept as JSON: {error}") from None
    if len(text) > _LENGTHS.get(key, math.inf):
        raise FormatError(f"its {key} is too long: {len(text)} bytes of JSON, at most {_LENGTHS[key]} are allowed")
    return text


def serialize_encoding(encoding: Encoding, shapes: Shapes) -> str:
    """Serialize a vocabulary for `parse_encoding`."""
    most = _max_entries(shapes) if isinstance(encoding, Tokenizer) else _max_columns(shapes)
    if encoding.size > most and encoding.kind != "chars":
        raise FormatError(f"a vocabulary of {encoding.size} is too large for so small a model; use a larger --hidden")
    return serialize_object("tokenizer", encoding.to_dict(), most)


def _parse_tokenizer(texts: Mapping[str, str], shapes: Shapes) -> Tokenizer:
    """Parse the vocabulary of a language model; ``out.bias`` has one number for each token."""
    bias = shapes.get("out.bias")
    if bias is None or len(bias) != 1:
        raise FormatError("tensor 'out.bias' is missing or not a vector; use another copy")
    size = bias[0]
    ngrams = max((shape[0] for name, shape in shapes.items() if f".{NGRAM_WEIGHT}_l" in name and shape), default=0)
    mapping = parse_object(texts, "tokenizer", min(size, _max_entries(shapes)) + ngrams)
    tokens = mapping.get("chars", mapping.get("words"))
    found = len(tokens) if isinstance(tokens, (str, list)) else size
    if found == size:  # compared first: a vocabulary takes ten times the memory of its text
        tokenizer = tokenizer_from_dict(mapping)
        found = tokenizer.size
    if found != size:
        raise FormatError(f"its vocabulary has {found} tokens, its output {size}; use another copy")
    if len(tokenizer.ngrams) != ngrams:
        raise FormatError(f"it names {len(tokenizer.ngrams)} n-grams, but has {ngrams} rows of them; use another copy")
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
