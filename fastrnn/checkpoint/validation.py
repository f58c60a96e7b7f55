"""Validation of checkpoints, before use and before writing: types, shapes, finite numbers, digests.

Each function raises `FormatError` with a message that does not name the file.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..cells import CELLS
from ..config import MOMENTS, Config
from ..nn.spec import ModelSpec, parameter_shapes
from ..task_specs import TASK_SPECS
from .safetensors_file import Array, FormatError, quote_untrusted, view_bytes

_CHUNK = 1 << 20  # numbers tested at a time, so that no second copy of a large tensor is made

# integer field -> its least value
_PROGRESS = {"step": 0, "updates": 0, "chars": 0, "train_count": 0, "evaluated": -1, "best_step": 0, "waited": 0,
             "bad_steps": 0, "returns": 0}  # fmt: skip
_CORPUS = {"tokens": 0, "records": 0}
# numbers
_ALWAYS = ("seconds", "train_total", "lr_scale")
# numbers, or None before the first evaluation
_SOMETIMES = ("smoothed", "train_nats", "valid_nats", "best_nats")


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
        assert config.hidden is not None
        shapes |= {f"state.{part}": (config.layers, config.batch, config.hidden) for part in CELLS[config.cell].states}
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
        digest.update(texts[key].encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
