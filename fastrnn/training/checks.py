"""What a checkpoint must be before it is believed, or written: names, shapes, types, finite numbers, digests.

Each function raises `Damaged` with a message that does not name the file.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..config import Config
from ..nn.shapes import STATES
from ..nn.signature import Signature, parameter_shapes
from .optimizers import MOMENTS
from .tensorfile import Array, Damaged, octets, shown

_CHUNK = 1 << 20  # numbers looked at together: no second copy of a large tensor


def check_sizes(config: Config) -> None:
    """A configuration that decides shapes has a size."""
    if config.hidden is None:
        raise Damaged("its config lacks hidden, the number of hidden units")


def expected_shapes(config: Config, signature: Signature, names: Iterable[str]) -> dict[str, tuple[int, ...]]:
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
        shapes |= {f"state.{part}": (config.layers, config.batch, config.hidden) for part in STATES[config.cell]}
    return shapes


def check_shapes(actual: Mapping[str, tuple[tuple[int, ...], Any]], config: Config, signature: Signature) -> None:
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
