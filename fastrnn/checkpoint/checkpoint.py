"""Checkpoints: one safetensors file with the full state of a run, validated before use.

Tensors: the parameters under their torch names; the moments of the optimizer as ``optimizer.m`` and so
on (flat, as long as all parameters together); the carried state as ``state.h`` (L, B, H). Metadata, all
strings: ``format``, ``version``; as JSON ``config``, ``tokenizer``, ``progress``, ``corpus``; then
``digest`` of the tensors and ``metadata_digest`` of the other metadata (see `metadata`). The file
contains no code. A run resumes from it bit for bit.
"""

import io
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..config import MOMENTS, Config
from ..errors import CheckpointError, ConfigError, InputError
from ..nn.spec import ModelSpec, parameter_shapes
from ..task_specs import TASK_SPECS
from .atomic import write_atomic
from .metadata import (
    VALUES,
    Encoding,
    check_corpus,
    check_digests,
    check_finite,
    check_progress,
    check_shapes,
    check_tokens,
    metadata_digest,
    parse_config,
    parse_encoding,
    parse_object,
    serialize_encoding,
    serialize_object,
    spec_for,
    tensor_digest,
)
from .safetensors_file import Array, FormatError, check_layout, encode, quote_untrusted, read_header, read_tensors

__all__ = ["Checkpoint", "Encoding", "check_readable", "from_bytes", "load", "save", "spec_for", "to_bytes"]

FORMAT = "fastrnn"
VERSION = "1"

_KEYS = {"format", "version", *VALUES, "digest", "metadata_digest"}
_MESSAGE_LENGTH = 300  # a damaged file must not fill the screen


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The full state of a run. All arrays have the type `config.dtype`.

    A model for use, such as the best one of a run, has neither `optimizer` nor `state`.

    Attributes:
        config: The configuration of the run.
        tokenizer: The vocabulary; for a labelled task also its labels and columns.
        parameters: torch name -> array, with the shapes of `nn.spec.parameter_shapes`.
        optimizer: Name from `MOMENTS` -> (N,), N the number of parameters.
        state: "h" or "c" -> (L, B, H), and "before" if the model reads n-grams, see `fastrnn.nn.network`; empty for the
            labelled tasks, whose examples start from zero.
        progress: The trainer's counters, losses and random state, as a JSON object.
        corpus: Names, sizes and fingerprint of the training data, as a JSON object.
    """

    config: Config
    tokenizer: Encoding
    parameters: dict[str, Array]
    optimizer: dict[str, Array]
    state: dict[str, Array]
    progress: dict[str, Any]
    corpus: dict[str, Any]

    @property
    def spec(self) -> ModelSpec:
        """The input and output sizes of the model."""
        return spec_for(self.config, self.tokenizer)

    def model_only(self) -> "Checkpoint":
        """Return the model without the state that only training needs."""
        return replace(self, optimizer={}, state={})

    @property
    def resumable(self) -> bool:
        """Whether training can be resumed from this checkpoint."""
        if not TASK_SPECS[self.config.task].is_supervised:
            return bool(self.state)
        # The examples of the labelled tasks start from zero: only the moments are needed, if there are any.
        return bool(self.optimizer) or not MOMENTS[self.config.optimizer]


def save(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically: after a crash the file is the old checkpoint or the new one.

    Raises `OutputError` for a file that cannot be written, `CheckpointError` for an invalid checkpoint
    (NaN, wrong shapes).
    """
    write_atomic(path, to_bytes(checkpoint, os.fspath(path)))


def load(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a model file.

    Raises `CheckpointError` for a file that is missing, unreadable, damaged, foreign or of another version.
    """
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
    """Decode a checkpoint; `name` is used in messages. Raises `CheckpointError`."""
    return _read(io.BytesIO(data), len(data), name)


def to_bytes(checkpoint: Checkpoint, name: str = "model") -> bytes:
    """Encode a checkpoint; equal checkpoints give equal bytes.

    Raises `CheckpointError` for a checkpoint that `from_bytes` would refuse.
    """
    tensors = dict(checkpoint.parameters)
    tensors |= {f"optimizer.{key}": value for key, value in checkpoint.optimizer.items()}
    tensors |= {f"state.{key}": value for key, value in checkpoint.state.items()}
    # The digest is of the bytes in the file, which are little-endian on every machine.
    tensors = {key: np.asarray(value, value.dtype.newbyteorder("<"), order="C") for key, value in tensors.items()}

    # The same checks as for reading: a file that could not be loaded must not replace a good one.
    try:
        check_tokens(checkpoint.config, checkpoint.tokenizer)
        shapes = {key: (value.shape, value.dtype) for key, value in tensors.items()}
        check_shapes(shapes, checkpoint.config, checkpoint.spec)
        check_finite(tensors)
        check_progress(checkpoint.progress)
        check_corpus(checkpoint.corpus)
        return encode(tensors, _build_metadata(checkpoint, tensors))
    except FormatError as error:
        raise CheckpointError(f"{name}: refusing to write this checkpoint: {error}") from None


def check_readable(checkpoint: Checkpoint, name: str = "model") -> None:
    """Raise `CheckpointError` unless all metadata survive a round trip through JSON.

    Used before training, to fail early: of the parameters only the shapes matter.
    """
    shapes = {key: array.shape for key, array in checkpoint.parameters.items()}
    try:
        texts = _serialize_fields(checkpoint, shapes)
        config = parse_config(texts)
        progress = parse_object(texts, "progress")
        corpus = parse_object(texts, "corpus")
        check_progress(progress)
        check_corpus(corpus)
        # Values that JSON changes (tuples, keys that are not strings) show when it is serialized again.
        again = Checkpoint(config, parse_encoding(texts, shapes, config), {}, {}, {}, progress, corpus)
        if _serialize_fields(again, shapes) != texts or again.tokenizer != checkpoint.tokenizer:
            raise FormatError("it would be read back differently")
    except (FormatError, ConfigError, InputError) as error:
        raise CheckpointError(f"{name}: this model could not be read again once it is trained: {error}") from None


def _check_regular(name: str) -> None:
    """Raise `CheckpointError` unless this is a regular file: a pipe would block, a device never end."""
    try:
        mode = os.stat(name).st_mode
    except ValueError:
        raise CheckpointError(f"{name!a}: not the name of a file; give a run folder or a .safetensors file") from None
    if not stat.S_ISREG(mode):
        found = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise CheckpointError(f"{name}: {found}; give a run folder or a .safetensors file")


def _read(file: io.BufferedIOBase, size: int, name: str) -> Checkpoint:
    """Read a checkpoint; every error becomes a `CheckpointError` of one line that names the file."""
    try:
        return _parse(file, size)
    except (FormatError, ConfigError, InputError) as error:
        # Names and values from the file can hold line breaks.
        message = " ".join(str(error).split())
        if len(message) > _MESSAGE_LENGTH:
            message = message[: _MESSAGE_LENGTH - 3] + "..."
        raise CheckpointError(f"{name}: {message}") from None


def _parse(file: io.BufferedIOBase, size: int) -> Checkpoint:
    header = read_header(file, size)
    texts = header.metadata
    _check_origin(texts)

    # Everything that the header describes is checked before memory is allocated for a tensor.
    entries = check_layout(header)
    config = parse_config(texts)
    shapes = {name: entry.shape for name, entry in entries.items() if not name.startswith(("optimizer.", "state."))}
    tokenizer = parse_encoding(texts, shapes, config)
    check_tokens(config, tokenizer)
    spec = spec_for(config, tokenizer)
    check_shapes({key: (entry.shape, entry.dtype) for key, entry in entries.items()}, config, spec)
    progress = parse_object(texts, "progress")
    corpus = parse_object(texts, "corpus")
    check_progress(progress)
    check_corpus(corpus)

    # The digests come before the values: a damaged tensor is reported as damage, not as NaN.
    tensors = read_tensors(file, entries)
    check_digests(tensors, texts)
    check_finite(tensors)
    # To the byte order of this machine.
    tensors = {key: tensor.astype(config.dtype, copy=False) for key, tensor in tensors.items()}
    return Checkpoint(
        config,
        tokenizer,
        parameters={key: tensors[key] for key in parameter_shapes(config, spec)},
        optimizer=_select_prefix(tensors, "optimizer."),
        state=_select_prefix(tensors, "state."),
        progress=progress,
        corpus=corpus,
    )


def _check_origin(texts: Mapping[str, str]) -> None:
    if texts.get("format") != FORMAT:
        raise FormatError("a safetensors file, but not made by fastrnn; give a model that `fastrnn train` wrote")
    version = texts.get("version", "")
    if version != VERSION:
        raise FormatError(
            f"a fastrnn model of version {quote_untrusted(version, 20)}; this fastrnn reads version {VERSION}"
        )
    # Unknown keys too: ignoring one could change the meaning of the model.
    for key in sorted(texts.keys() ^ _KEYS):
        raise FormatError(
            f"metadata {quote_untrusted(key)} {'is missing' if key in _KEYS else 'is unknown'}; use another copy"
        )


def _build_metadata(checkpoint: Checkpoint, tensors: Mapping[str, Array]) -> dict[str, str]:
    """Return all metadata of the file, with both digests."""
    shapes = {name: array.shape for name, array in checkpoint.parameters.items()}
    fields = _serialize_fields(checkpoint, shapes)
    texts = {"format": FORMAT, "version": VERSION, **fields, "digest": tensor_digest(tensors)}
    return texts | {"metadata_digest": metadata_digest(texts)}


def _serialize_fields(checkpoint: Checkpoint, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Return the metadata that `VALUES` names, as JSON."""
    return {
        "config": serialize_object("config", checkpoint.config.to_dict()),
        "tokenizer": serialize_encoding(checkpoint.tokenizer, shapes),
        "progress": serialize_object("progress", checkpoint.progress),
        "corpus": serialize_object("corpus", checkpoint.corpus),
    }


def _select_prefix(tensors: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
