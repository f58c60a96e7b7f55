"""The safetensors container: named float arrays and texts in one file; the same content gives the same bytes.

    8 bytes     N, the length of the header, little-endian
    N bytes     a JSON object: name -> {"dtype", "shape", "data_offsets"}, and "__metadata__" -> {text: text}
    the rest    the arrays, little-endian, C order, without gaps

Format: https://huggingface.co/docs/safetensors. The package of that name is not used here: it writes the metadata in
an order that changes from process to process, so that equal checkpoints would give different files; and this reader
allocates nothing on the word of a header: every claim is first held against the size of the file.
"""

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import safe_json

Array = npt.NDArray[Any]

MAX_HEADER = 12_000_000  # bytes; more where the tensors are large, since a vocabulary is
_MAX_VALUES = 20_000
_LONGEST = 100_000_000  # bytes; the limit of the format's own reader
_MAX_DIMENSIONS = 8
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_NOT_OURS = "not a safetensors file; fastrnn reads the models that `fastrnn train` writes"


class Damaged(ValueError):
    """The bytes are not what they should be; the message does not name the file."""


@dataclass(frozen=True)
class Entry:
    """Where one array lies: `start` is counted in bytes from the first array."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int

    @property
    def stop(self) -> int:
        return self.start + math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Header:
    """The metadata, and what the header claims about each array: claims until `layout` has checked them."""

    metadata: dict[str, str]
    claims: dict[str, Any]
    data_size: int


def encode(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file with these float32 or float64 arrays, in this order. Raises `Damaged`: too long a header."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    parts, position = [], 0
    for name, tensor in tensors.items():
        part = np.asarray(tensor, tensor.dtype.newbyteorder("<"), order="C")
        stop = position + part.nbytes
        header[name] = {"dtype": _CODES[part.dtype], "shape": list(part.shape), "data_offsets": [position, stop]}
        parts.append(octets(part))
        position = stop
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)  # keeps the arrays aligned for readers that map the file
    if len(text) > _most_header(8 + len(text) + position):
        raise Damaged(f"vocabulary and notes need a header of {len(text)} bytes: too long for so small a model")
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def read_header(file: io.BufferedIOBase, size: int) -> Header:
    """The header of an open file of `size` bytes; the file is left at the first array. Raises `Damaged`."""
    if size == 0:
        raise Damaged("an empty file, not a model")
    start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    if len(start) < 9 or length > _LONGEST or start[8:] != b"{":
        raise Damaged(_NOT_OURS)
    if length > size - 8:
        raise Damaged(f"truncated: the header alone has {length} bytes, the file {size}; use another copy")
    if length > _most_header(size):
        raise Damaged(f"the header has {length} of the file's {size} bytes: damaged, or another program's")
    file.seek(8)
    header = _parse_header(file.read(length))
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise Damaged("the header is damaged: its metadata are not texts; use another copy")
    return Header(metadata, header, size - 8 - length)


def layout(header: Header) -> dict[str, Entry]:
    """The checked place of every array, in the file's order: no gap, no overlap, nothing after. Raises `Damaged`."""
    entries = {name: _entry(name, claim) for name, claim in header.claims.items()}
    entries = dict(sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop)))
    position = 0
    for name, entry in entries.items():
        if entry.start != position:
            raise Damaged(f"tensor {shown(name)} overlaps another or leaves a gap; use another copy")
        position = entry.stop
    if position > header.data_size:
        raise Damaged(f"truncated: {position - header.data_size} bytes of its tensors are missing; use another copy")
    if position < header.data_size:
        raise Damaged(f"{header.data_size - position} bytes follow the last tensor; use another copy")
    return entries


def read_tensors(file: io.BufferedIOBase, entries: Mapping[str, Entry]) -> dict[str, Array]:
    """The little-endian arrays of a file that stands at its first one, as `layout` found them. Raises `Damaged`."""
    tensors: dict[str, Array] = {}
    for name, entry in entries.items():
        try:
            tensor = np.empty(entry.shape, entry.dtype)
        except MemoryError:
            raise Damaged(f"tensor {shown(name)} needs {entry.stop - entry.start} bytes of memory") from None
        if file.readinto(octets(tensor)) != tensor.nbytes:
            raise Damaged("it became shorter while it was read; try again")
        tensors[name] = tensor
    return tensors


def shown(text: str, most: int = 60) -> str:
    """A text from a stranger's file, quoted, escaped and cut for a message of one line."""
    return ascii(text if len(text) <= most else text[: most - 3] + "...")


def octets(tensor: Array) -> memoryview:
    """The bytes of a C-contiguous array, not copied."""
    return tensor.reshape(-1).view(np.uint8).data


def _most_header(size: int) -> int:
    """How long the header of a file of ``size`` bytes may be: what is made of it takes some times its length."""
    return min((8 * MAX_HEADER + 3 * size) // 11, _LONGEST)  # MAX_HEADER and 3/8 of the tensors' bytes


def _parse_header(raw: bytes) -> dict[str, Any]:
    # All texts in it are ASCII; one escape in a long text would give it four bytes for each character.
    if not raw.isascii() or (b"\\u" in raw and b"\\u" in raw.replace(b"\\\\", b"")):
        raise Damaged("the header has characters that fastrnn never writes: damaged, or another program's")
    try:
        header: dict[str, Any] = safe_json.parse(raw.decode("ascii"), values=_MAX_VALUES)
    except ValueError as error:
        raise Damaged(f"the header is damaged ({error}); use another copy") from None
    return header


def _entry(name: str, claim: Any) -> Entry:
    if not isinstance(claim, dict) or claim.keys() != {"dtype", "shape", "data_offsets"}:
        raise Damaged(f"tensor {shown(name)} is described wrongly; use another copy")
    code, shape, offsets = claim["dtype"], claim["shape"], claim["data_offsets"]
    if not isinstance(code, str) or code not in _DTYPES:
        raise Damaged(f"tensor {shown(name)} has type {shown(str(code))}; it must be one of {', '.join(_DTYPES)}")
    if not _sizes(shape) or len(shape) > _MAX_DIMENSIONS or not _sizes(offsets) or len(offsets) != 2:
        raise Damaged(f"tensor {shown(name)} has an impossible shape or place; use another copy")
    entry = Entry(_DTYPES[code], tuple(shape), offsets[0])
    if entry.stop != offsets[1]:
        raise Damaged(f"tensor {shown(name)} has not the size that its shape needs; use another copy")
    return entry


def _sizes(value: Any) -> bool:
    """Whether this is a list of whole numbers that could count bytes of a file."""
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)
