"""The safetensors format: named float arrays and string metadata in one file, deterministic bytes.

    8 bytes     N, the length of the header, little-endian
    N bytes     a JSON object: name -> {"dtype", "shape", "data_offsets"},
                and "__metadata__" -> {string: string}
    the rest    the arrays, little-endian, C order, without gaps

Format: https://huggingface.co/docs/safetensors. The package of that name is not used here: it writes
the metadata in an order that changes from process to process, so equal checkpoints would give
different files. This reader also allocates no memory before it has checked the header against the
size of the file.

JSON from untrusted files has bounded depth and number of values, no duplicate keys and finite numbers. The parser of
the standard library builds gigabytes of lists from a few megabytes of brackets, keeps the last of two equal keys and
accepts ``NaN``. A scan that builds nothing checks the bounds before the parser runs.
"""

import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

DEPTH = 8
_DIGITS = 40  # enough for the 128-bit state of a random generator

# A string or a punctuation mark. A string without an end takes the rest of the text, which keeps the
# scan linear.
_MARK = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
Array = npt.NDArray[Any]
MAX_HEADER = 12_000_000  # bytes; more where the tensors are large, because the vocabulary is too
_MAX_VALUES = 20_000
_LONGEST = 100_000_000  # bytes; the limit of the format's own reader
_MAX_DIMENSIONS = 8
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_NOT_OURS = "not a safetensors file; fastrnn reads the models that `fastrnn train` writes"


def parse(text: str, *, values: int, depth: int = DEPTH) -> Any:
    """Parse a JSON text. Raises `ValueError` when it is not JSON or exceeds a bound."""
    check_bounds(text, values=values, depth=depth)
    return json.loads(
        text,
        object_pairs_hook=_check_distinct,
        parse_int=_parse_int,
        parse_float=_parse_float,
        parse_constant=_refuse_constant,
    )


def dump(value: Any, *, values: int, depth: int = DEPTH) -> str:
    """Serialize to ASCII JSON that `parse` accepts with the same bounds.

    Raises `ValueError` for NaN and for an exceeded bound.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    check_bounds(text, values=values, depth=depth)
    return text


def check_bounds(text: str, *, values: int, depth: int) -> None:
    """Raise `ValueError` for nesting deeper than `depth` or possibly more than `values` values."""
    count = level = 0
    for marks, match in enumerate(_MARK.finditer(text)):
        mark = match[0]
        if mark == "[" or mark == "{":
            level += 1
            count += 1
        elif mark == "]" or mark == "}":
            level -= 1
        elif mark == ",":
            count += 1
        if level > depth:
            raise ValueError(f"nested more than {depth} deep")
        if count >= values or marks > 4 * values:  # a value has at most a key, itself or two brackets, and a comma
            raise ValueError(f"more than {values} values")


def _check_distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("duplicate key in one object")
    return mapping


def _parse_int(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _parse_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number beyond the range of float64")
    return number


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


class FormatError(ValueError):
    """The file is damaged, foreign or unsupported; the message does not name the file."""


@dataclass(frozen=True)
class Entry:
    """Type, shape and offset of one array; `start` is in bytes from the first array."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int

    @property
    def stop(self) -> int:
        return self.start + math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Header:
    """A parsed header. The entries in ``unchecked`` are untrusted until `check_layout`."""

    metadata: dict[str, str]
    unchecked: dict[str, Any]
    data_size: int


def encode(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """Encode float32 and float64 arrays, in this order. Raises `FormatError`: header too long."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    parts = []
    position = 0
    for name, tensor in tensors.items():
        part = np.asarray(tensor, tensor.dtype.newbyteorder("<"), order="C")
        stop = position + part.nbytes
        header[name] = {"dtype": _CODES[part.dtype], "shape": list(part.shape), "data_offsets": [position, stop]}
        parts.append(view_bytes(part))
        position = stop

    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)  # keeps the arrays aligned for readers that map the file
    if len(text) > _max_header_length(8 + len(text) + position):
        raise FormatError(f"vocabulary and metadata need a header of {len(text)} bytes: too long for so small a model")
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def read_header(file: io.BufferedIOBase, size: int) -> Header:
    """Read the header of an open file of `size` bytes, up to the first array. Raises `FormatError`."""
    if size == 0:
        raise FormatError("an empty file, not a model")
    # Eight bytes of length and the opening brace: enough to recognize another kind of file.
    start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    if len(start) < 9 or length > _LONGEST or start[8:] != b"{":
        raise FormatError(_NOT_OURS)
    if length > size - 8:
        raise FormatError(f"truncated: the header alone has {length} bytes, the file {size}; use another copy")
    if length > _max_header_length(size):
        raise FormatError(f"the header has {length} of the file's {size} bytes: damaged, or another program's")

    file.seek(8)
    header = _parse_header(file.read(length))
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise FormatError("the header is damaged: its metadata are not texts; use another copy")
    return Header(metadata, header, size - 8 - length)


def check_layout(header: Header) -> dict[str, Entry]:
    """Return the entries of all arrays, in the file's order.

    Raises `FormatError` if arrays overlap, leave a gap or do not fill the file.
    """
    entries = {name: _parse_entry(name, described) for name, described in header.unchecked.items()}
    # Sorted by position; an empty array comes before the array that starts at the same position.
    entries = dict(sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop)))
    position = 0
    for name, entry in entries.items():
        if entry.start != position:
            raise FormatError(f"tensor {quote_untrusted(name)} overlaps another or leaves a gap; use another copy")
        position = entry.stop

    if position > header.data_size:
        missing = position - header.data_size
        raise FormatError(f"truncated: {missing} bytes of its tensors are missing; use another copy")
    if position < header.data_size:
        raise FormatError(f"{header.data_size - position} bytes follow the last tensor; use another copy")
    return entries


def read_tensors(file: io.BufferedIOBase, entries: Mapping[str, Entry]) -> dict[str, Array]:
    """Read the little-endian arrays that `check_layout` returned, from the start of the first one.

    Raises `FormatError`.
    """
    tensors: dict[str, Array] = {}
    for name, entry in entries.items():
        try:
            tensor = np.empty(entry.shape, entry.dtype)
        except MemoryError:
            size = entry.stop - entry.start
            raise FormatError(f"tensor {quote_untrusted(name)} needs {size} bytes of memory") from None
        if file.readinto(view_bytes(tensor)) != tensor.nbytes:
            raise FormatError("it became shorter while it was read; try again")
        tensors[name] = tensor
    return tensors


def quote_untrusted(text: str, most: int = 60) -> str:
    """Return a string of an untrusted file, quoted, escaped and shortened for a message of one line."""
    return ascii(text if len(text) <= most else text[: most - 3] + "...")


def view_bytes(tensor: Array) -> memoryview:
    """Return the bytes of a C-contiguous array, not copied."""
    return tensor.reshape(-1).view(np.uint8).data


def _max_header_length(size: int) -> int:
    """Return the longest header accepted in a file of ``size`` bytes.

    It is MAX_HEADER and 3/8 of the tensors' bytes: a parsed header takes several times its length.
    """
    return min((8 * MAX_HEADER + 3 * size) // 11, _LONGEST)


def _parse_header(raw: bytes) -> dict[str, Any]:
    # All strings must be ASCII without escapes: one escaped character in a long string would make
    # Python store it with four bytes for each character.
    if not raw.isascii() or (b"\\u" in raw and b"\\u" in raw.replace(b"\\\\", b"")):
        raise FormatError("the header has characters that fastrnn never writes: damaged, or another program's")
    try:
        header: dict[str, Any] = parse(raw.decode("ascii"), values=_MAX_VALUES)
    except ValueError as error:
        raise FormatError(f"the header is damaged ({error}); use another copy") from None
    return header


def _parse_entry(name: str, described: Any) -> Entry:
    quoted = quote_untrusted(name)
    if not isinstance(described, dict) or described.keys() != {"dtype", "shape", "data_offsets"}:
        raise FormatError(f"tensor {quoted} is described wrongly; use another copy")
    code, shape, offsets = described["dtype"], described["shape"], described["data_offsets"]
    if not isinstance(code, str) or code not in _DTYPES:
        raise FormatError(
            f"tensor {quoted} has type {quote_untrusted(str(code))}; it must be one of {', '.join(_DTYPES)}"
        )
    if not _is_size_list(shape) or len(shape) > _MAX_DIMENSIONS or not _is_size_list(offsets) or len(offsets) != 2:
        raise FormatError(f"tensor {quoted} has an impossible shape or place; use another copy")
    entry = Entry(_DTYPES[code], tuple(shape), offsets[0])
    if entry.stop != offsets[1]:
        raise FormatError(f"tensor {quoted} has a size that does not match its shape; use another copy")
    return entry


def _is_size_list(value: Any) -> bool:
    """Whether this is a list of integers in the range of file sizes."""
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)
