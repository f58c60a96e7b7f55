"""A checkpoint: one safetensors file, enough to go on bit for bit, and believed only after it was checked.

Tensors: the model under its torch names, the optimiser's moments as ``optimizer.m`` and the like (flat, as long as the
model), the carried state as ``state.h`` (L, B, H). Metadata, all texts: ``format``, ``version``, then JSON: ``config``,
``tokenizer``, ``progress``, ``corpus``; then ``digest`` of the tensors and ``metadata_digest`` of the other metadata,
as `checks` computes them. No pickle, no code.
"""

import io
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import Config
from ..data.tokens import Tokenizer, tokenizer_from_mapping
from ..errors import CheckpointError, ConfigError, InputError
from ..nn.shapes import ModelShape, parameter_shapes
from . import strict_json
from .atomic import write_atomic
from .checks import check_digests, check_finite, check_shapes, metadata_digest, model_shape, tensor_digest
from .tensorfile import Array, Damaged, Entry, encode, layout, read_header, read_tensors, shown

FORMAT, VERSION = "fastrnn", "1"

# metadata key -> the most values its JSON may hold; a vocabulary may hold as many more as it has tokens
_VALUES = {"config": 200, "tokenizer": 200, "progress": 100_000, "corpus": 200_000}
_KEYS = {"format", "version", *_VALUES, "digest", "metadata_digest"}
_CONFIG_LENGTH = 1 << 16
_MESSAGE_LENGTH = 300


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything a run needs to go on; a model exported for use only has neither `optimizer` nor `state`.

    parameters: torch name -> array, as `nn.shapes.parameter_shapes` has it.
    optimizer: name from `MOMENTS` -> (N,), N the number of parameters.
    state: name from `nn.shapes.STATES` -> (L, B, H).
    progress, corpus: what the loop wants back, as JSON has it (texts as keys, no NaN, at most 8 deep).
    All arrays have the type that `config.precision` names.
    """

    config: Config
    tokenizer: Tokenizer
    parameters: dict[str, Array]
    optimizer: dict[str, Array]
    state: dict[str, Array]
    progress: dict[str, Any]
    corpus: dict[str, Any]

    @property
    def shape(self) -> ModelShape:
        return model_shape(self.config, self.tokenizer.size)


def save(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Replaces the file at once: whatever happens, it is the old checkpoint or the new one.

    Raises `OutputError` when it cannot be written, `CheckpointError` when it must not be (NaN, wrong shapes).
    """
    write_atomic(path, to_bytes(checkpoint, os.fspath(path)))


def load(path: str | os.PathLike[str]) -> Checkpoint:
    """Reads a model file. Raises `CheckpointError`: missing, unreadable, damaged, foreign, of another version."""
    name = os.fspath(path)
    try:
        _check_regular(name)
        with open(name, "rb") as file:
            return _read(file, os.fstat(file.fileno()).st_size, name)
    except FileNotFoundError:
        raise CheckpointError(f"{name}: no such model; give a run folder or a .safetensors file") from None
    except OSError as error:
        raise CheckpointError(f"{name}: cannot read this model: {error.strerror}") from None


def from_bytes(data: bytes, name: str = "model") -> Checkpoint:
    """The checkpoint in the bytes of a file; `name` stands in the messages. Raises `CheckpointError`."""
    return _read(io.BytesIO(data), len(data), name)


def to_bytes(checkpoint: Checkpoint, name: str = "model") -> bytes:
    """The file's bytes, the same for equal checkpoints. Raises `CheckpointError` for what could not be read again."""
    tensors = dict(checkpoint.parameters)
    tensors |= {f"optimizer.{key}": value for key, value in checkpoint.optimizer.items()}
    tensors |= {f"state.{key}": value for key, value in checkpoint.state.items()}
    tensors = {key: np.asarray(value, value.dtype.newbyteorder("<"), order="C") for key, value in tensors.items()}
    try:
        _check_tokens(checkpoint.config, checkpoint.tokenizer)
        shapes = {key: (value.shape, value.dtype) for key, value in tensors.items()}
        check_shapes(shapes, checkpoint.config, checkpoint.tokenizer.size)
        check_finite(tensors)
        return encode(tensors, _texts(checkpoint, tensors))
    except Damaged as error:
        raise CheckpointError(f"{name}: refusing to write this checkpoint: {error}") from None


def _check_regular(name: str) -> None:
    """Refuses what `open` would wait for or never see the end of: a pipe, a device."""
    try:
        mode = os.stat(name).st_mode
    except ValueError:
        raise CheckpointError(f"{name!a}: not the name of a file; give a run folder or a .safetensors file") from None
    if not stat.S_ISREG(mode):
        found = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise CheckpointError(f"{name}: {found}; give a run folder or a .safetensors file")


def _read(file: io.BufferedIOBase, size: int, name: str) -> Checkpoint:
    try:
        return _checked(file, size)
    except (Damaged, ConfigError, InputError) as error:
        message = " ".join(str(error).split())
        if len(message) > _MESSAGE_LENGTH:
            message = message[: _MESSAGE_LENGTH - 3] + "..."
        raise CheckpointError(f"{name}: {message}") from None


def _checked(file: io.BufferedIOBase, size: int) -> Checkpoint:
    header = read_header(file, size)
    texts = header.metadata
    _check_origin(texts)
    entries = layout(header)
    config = _config(texts)
    tokenizer = _tokenizer(texts, entries)
    _check_tokens(config, tokenizer)
    check_shapes({key: (entry.shape, entry.dtype) for key, entry in entries.items()}, config, tokenizer.size)
    progress, corpus = _mapping(texts, "progress"), _mapping(texts, "corpus")
    tensors = read_tensors(file, entries)
    check_digests(tensors, texts)
    check_finite(tensors)
    tensors = {key: tensor.astype(config.dtype, copy=False) for key, tensor in tensors.items()}
    parameters = {key: tensors[key] for key in parameter_shapes(model_shape(config, tokenizer.size))}
    return Checkpoint(
        config, tokenizer, parameters, _part(tensors, "optimizer."), _part(tensors, "state."), progress, corpus
    )


def _check_origin(texts: Mapping[str, str]) -> None:
    if texts.get("format") != FORMAT:
        raise Damaged("a safetensors file, but not made by fastrnn; give a model that `fastrnn train` wrote")
    version = texts.get("version", "")
    if version != VERSION:
        raise Damaged(f"a fastrnn model of version {shown(version, 20)}; this fastrnn reads version {VERSION}")
    for key in sorted(texts.keys() ^ _KEYS):
        raise Damaged(f"metadata {shown(key)} {'is missing' if key in _KEYS else 'is unknown'}; use another copy")


def _mapping(texts: Mapping[str, str], key: str, more_values: int = 0) -> dict[str, Any]:
    try:
        value = strict_json.parse(texts[key], values=_VALUES[key] + more_values)
    except ValueError as error:
        raise Damaged(f"its {key} is damaged ({error}); use another copy") from None
    if not isinstance(value, dict):
        raise Damaged(f"its {key} is damaged (not an object); use another copy")
    return value


def _config(texts: Mapping[str, str]) -> Config:
    if len(texts["config"]) > _CONFIG_LENGTH:
        raise Damaged(f"its config is damaged (more than {_CONFIG_LENGTH} bytes); use another copy")
    config = Config.from_mapping(_mapping(texts, "config"), "its config")
    model_shape(config, 1)
    return config


def _tokenizer(texts: Mapping[str, str], entries: Mapping[str, Entry]) -> Tokenizer:
    """The vocabulary. The file really holds one number of ``out.bias`` a token: that bounds what is parsed."""
    bias = entries.get("out.bias")
    if bias is None or len(bias.shape) != 1:
        raise Damaged("tensor 'out.bias' is missing or no vector; use another copy")
    size = bias.shape[0]
    mapping = _mapping(texts, "tokenizer", size)
    tokens = mapping.get("chars", mapping.get("words"))
    found = len(tokens) if isinstance(tokens, (str, list)) else size
    if found == size:  # looked at first, since a vocabulary takes ten times the memory of its text
        tokenizer = tokenizer_from_mapping(mapping)
        found = tokenizer.size
    if found != size:
        raise Damaged(f"its vocabulary has {found} tokens, its output {size}; use another copy")
    return tokenizer


def _check_tokens(config: Config, tokenizer: Tokenizer) -> None:
    if tokenizer.kind != config.tokens:
        raise Damaged(f"its vocabulary is of {tokenizer.kind}, but its config says tokens = {config.tokens}")


def _texts(checkpoint: Checkpoint, tensors: Mapping[str, Array]) -> dict[str, str]:
    """The metadata."""
    mappings = {
        "config": checkpoint.config.to_mapping(),
        "tokenizer": checkpoint.tokenizer.to_mapping(),
        "progress": checkpoint.progress,
        "corpus": checkpoint.corpus,
    }
    texts = {"format": FORMAT, "version": VERSION}
    for key, mapping in mappings.items():
        more = checkpoint.tokenizer.size if key == "tokenizer" else 0
        try:
            texts[key] = strict_json.dump(mapping, values=_VALUES[key] + more)
        except ValueError as error:
            raise Damaged(f"its {key} cannot be kept as JSON: {error}") from None
    texts["digest"] = tensor_digest(tensors)
    return texts | {"metadata_digest": metadata_digest(texts)}


def _part(tensors: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
