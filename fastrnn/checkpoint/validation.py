"""What a checkpoint tells of a run beside its model: the types of its progress and of where its data came from.

Both functions raise `Damaged` with a message that does not name the file. Names that are not known here are let pass.

What a checkpoint must be before it is believed, or written: names, shapes, types, finite numbers, digests.

Each function raises `Damaged` with a message that does not name the file.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..cells import CELLS
from ..config import MOMENTS, Config
from ..nn.spec import ModelSpec, parameter_shapes
from .safetensors_file import Array, Damaged, octets, shown

# whole numbers -> the least that each may be
_PROGRESS = {"step": 0, "updates": 0, "chars": 0, "train_count": 0, "evaluated": -1, "best_step": 0, "waited": 0,
             "bad_steps": 0, "returns": 0}  # fmt: skip
_CORPUS = {"tokens": 0, "records": 0}
_ALWAYS = ("seconds", "train_total", "lr_scale")
_SOMETIMES = ("smoothed", "train_nats", "valid_nats", "best_nats")


def check_progress(progress: Mapping[str, Any]) -> None:
    """Counts are counts, losses and times are numbers, or None where there is none yet."""
    _check_counts("progress", progress, _PROGRESS)
    metrics = progress.get("metrics") or {}
    numbers = [progress[name] for name in _ALWAYS if name in progress]
    numbers += [progress[name] for name in _SOMETIMES if progress.get(name) is not None]
    sound = isinstance(metrics, dict) and isinstance(progress.get("plateau") or {}, dict)
    if not sound or not all(map(_is_number, [*numbers, *metrics.values()])):
        raise Damaged("its progress is damaged (not the types that it has); use another copy")


def check_corpus(corpus: Mapping[str, Any]) -> None:
    """Sizes are counts; the inputs are texts."""
    _check_counts("corpus", corpus, _CORPUS)
    inputs = corpus.get("inputs", [])
    sound = isinstance(inputs, list) and all(isinstance(name, str) for name in inputs)
    if not sound or not isinstance(corpus.get("fingerprint", ""), str):
        raise Damaged("its corpus is damaged (not the types that it has); use another copy")


def _check_counts(key: str, mapping: Mapping[str, Any], least: Mapping[str, int]) -> None:
    for name in mapping.keys() & least.keys():
        if type(mapping[name]) is not int or not least[name] <= mapping[name] < 2**63:
            raise Damaged(f"its {key} is damaged ({name} is no count); use another copy")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


_CHUNK = 1 << 20  # numbers looked at together: no second copy of a large tensor


def check_sizes(config: Config) -> None:
    """A configuration that decides shapes has a size."""
    if config.hidden is None:
        raise Damaged("its config lacks hidden, the number of hidden units")


def expected_shapes(config: Config, signature: ModelSpec, names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Every tensor's shape by its name; moments and state are expected, all of them, if one of their kind is there."""
    check_sizes(config)
    shapes = dict(parameter_shapes(config, signature))
    count = sum(math.prod(sizes) for sizes in shapes.values())
    kinds = {name.partition(".")[0] for name in names}
    if "optimizer" in kinds:
        shapes |= {f"optimizer.{moment}": (count,) for moment in MOMENTS[config.optimizer]}
    if "state" in kinds and config.task == "language-model":  # records start from a state of their own
        if config.batch is None:
            raise Damaged("its config lacks batch, the number of streams in its state")
        assert config.hidden is not None
        shapes |= {f"state.{part}": (config.layers, config.batch, config.hidden) for part in CELLS[config.cell].states}
    return shapes


def check_shapes(actual: Mapping[str, tuple[tuple[int, ...], Any]], config: Config, signature: ModelSpec) -> None:
    """Holds name -> (shape, dtype) against what the configuration and the vocabulary ask for."""
    expected = expected_shapes(config, signature, actual)
    dtype = np.dtype(config.dtype).newbyteorder("<")
    for name in expected:
        if name not in actual:
            raise Damaged(f"tensor {name!r} is missing; use another copy")
    for name, (shape, found) in actual.items():
        if name not in expected:
            raise Damaged(f"tensor {shown(name)} is not part of this model: {config.cell}, {config.optimizer}")
        if shape != expected[name]:
            raise Damaged(f"tensor {name!r} has shape {shape}; its config asks for {expected[name]}")
        if found != dtype:
            raise Damaged(f"tensor {name!r} is {found}; its config asks for {config.dtype}")


def check_finite(tensors: Mapping[str, Array]) -> None:
    """No NaN, no infinity."""
    for name, tensor in tensors.items():
        flat = tensor.reshape(-1)
        for start in range(0, flat.size, _CHUNK):
            if not np.isfinite(flat[start : start + _CHUNK]).all():
                raise Damaged(f"tensor {name!r} holds NaN or infinity")


def check_digests(tensors: Mapping[str, Array], texts: Mapping[str, str]) -> None:
    """The tensors' bytes and the metadata are those that were written."""
    if tensor_digest(tensors) != texts["digest"]:
        raise Damaged("damaged: the digest of its tensors does not match; use another copy")
    if metadata_digest(texts) != texts["metadata_digest"]:
        raise Damaged("damaged: the digest of its metadata does not match; use another copy")


def tensor_digest(tensors: Mapping[str, Array]) -> str:
    """BLAKE2b-256, as hexadecimal digits, of name and bytes of every C-contiguous tensor, in the order of the names."""
    digest = hashlib.blake2b(digest_size=32)
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(octets(tensors[name]))
    return digest.hexdigest()


def metadata_digest(texts: Mapping[str, str]) -> str:
    """The same of key and text of all metadata but this digest itself."""
    digest = hashlib.blake2b(digest_size=32)
    for key in sorted(texts.keys() - {"metadata_digest"}):
        digest.update(key.encode())
        digest.update(texts[key].encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
