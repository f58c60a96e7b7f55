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

from ..config import MOMENTS, Config
from ..errors import CheckpointError, ConfigError, InputError
from ..nn.spec import ModelSpec, parameter_shapes
from .atomic import write_atomic
from .metadata import (
    VALUES,
    Encoding,
    check_tokens,
    parsed,
    parsed_config,
    parsed_encoding,
    signature_of,
    written,
    written_encoding,
)
from .safetensors_file import Array, Damaged, encode, layout, read_header, read_tensors, shown
from .validation import (
    check_corpus,
    check_digests,
    check_finite,
    check_progress,
    check_shapes,
    metadata_digest,
    tensor_digest,
)

__all__ = ["Checkpoint", "Encoding", "check_readable", "from_bytes", "load", "save", "signature_of", "to_bytes"]

FORMAT, VERSION = "fastrnn", "1"

_KEYS = {"format", "version", *VALUES, "digest", "metadata_digest"}
_MESSAGE_LENGTH = 300


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything a run needs to go on; a model exported for use only has neither `optimizer` nor `state`.

    tokenizer: the vocabulary; a labelled task's knows its labels and columns too.
    parameters: torch name -> array, as `nn.signature.parameter_shapes` has it.
    optimizer: name from `MOMENTS` -> (N,), N the number of parameters.
    state: name from `nn.shapes.STATES` -> (L, B, H); empty for the labelled tasks, whose records are whole.
    progress, corpus: what the loop wants back, as JSON has it (texts as keys, no NaN, at most 8 deep).
    All arrays have the type that `config.precision` names.
    """

    config: Config
    tokenizer: Encoding
    parameters: dict[str, Array]
    optimizer: dict[str, Array]
    state: dict[str, Array]
    progress: dict[str, Any]
    corpus: dict[str, Any]

    @property
    def signature(self) -> ModelSpec:
        """What goes in and out of the model."""
        return signature_of(self.config, self.tokenizer)

    @property
    def resumable(self) -> bool:
        """Whether training can go on from here."""
        if self.config.task == "language-model":
            return bool(self.state)
        return bool(self.optimizer) or not MOMENTS[self.config.optimizer]


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
        check_tokens(checkpoint.config, checkpoint.tokenizer)
        shapes = {key: (value.shape, value.dtype) for key, value in tensors.items()}
        check_shapes(shapes, checkpoint.config, checkpoint.signature)
        check_finite(tensors)
        check_progress(checkpoint.progress)
        check_corpus(checkpoint.corpus)
        return encode(tensors, _texts(checkpoint, tensors))
    except Damaged as error:
        raise CheckpointError(f"{name}: refusing to write this checkpoint: {error}") from None


def check_readable(checkpoint: Checkpoint, name: str = "model") -> None:
    """Raises `CheckpointError` unless everything but the tensors would be read as it is written.

    For use before training: of the parameters only the shapes count.
    """
    shapes = {key: array.shape for key, array in checkpoint.parameters.items()}
    try:
        texts = _described(checkpoint, shapes)
        config = parsed_config(texts)
        progress, corpus = parsed(texts, "progress"), parsed(texts, "corpus")
        check_progress(progress)
        check_corpus(corpus)
        again = Checkpoint(config, parsed_encoding(texts, shapes, config), {}, {}, {}, progress, corpus)
        if _described(again, shapes) != texts or again.tokenizer != checkpoint.tokenizer:
            raise Damaged("it would be read as another")
    except (Damaged, ConfigError, InputError) as error:
        raise CheckpointError(f"{name}: this model could not be read again once it is trained: {error}") from None


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
    config = parsed_config(texts)
    shapes = {name: entry.shape for name, entry in entries.items() if not name.startswith(("optimizer.", "state."))}
    tokenizer = parsed_encoding(texts, shapes, config)
    check_tokens(config, tokenizer)
    signature = signature_of(config, tokenizer)
    check_shapes({key: (entry.shape, entry.dtype) for key, entry in entries.items()}, config, signature)
    progress, corpus = parsed(texts, "progress"), parsed(texts, "corpus")
    check_progress(progress)
    check_corpus(corpus)
    tensors = read_tensors(file, entries)
    check_digests(tensors, texts)
    check_finite(tensors)
    tensors = {key: tensor.astype(config.dtype, copy=False) for key, tensor in tensors.items()}
    parameters = {key: tensors[key] for key in parameter_shapes(config, signature)}
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


def _texts(checkpoint: Checkpoint, tensors: Mapping[str, Array]) -> dict[str, str]:
    """The metadata."""
    shapes = {name: array.shape for name, array in checkpoint.parameters.items()}
    described = _described(checkpoint, shapes)
    texts = {"format": FORMAT, "version": VERSION, **described, "digest": tensor_digest(tensors)}
    return texts | {"metadata_digest": metadata_digest(texts)}


def _described(checkpoint: Checkpoint, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """What `VALUES` names, as JSON."""
    return {
        "config": written("config", checkpoint.config.to_mapping()),
        "tokenizer": written_encoding(checkpoint.tokenizer, shapes),
        "progress": written("progress", checkpoint.progress),
        "corpus": written("corpus", checkpoint.corpus),
    }


def _part(tensors: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
