"""Arrays in idx files (MNIST's format) and NumPy's .npz files. Headers are validated before memory is allocated."""

import math
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from ....errors import InputError
from ...text.sources import Source
from ..example import LARGEST, Example, Location

Array = npt.NDArray[Any]

_MAX_BYTES = 1 << 31  # of one array
_MAX_DIMS = 4
_MAGIC_NUMBERS = (b"PK\x03\x04", b"\0\0")  # of .npz and idx; no text starts with these
# https://www.fon.hum.uva.nl/praat/manual/IDX_file_format.html: big-endian numbers
_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@dataclass(frozen=True, eq=False)
class Arrays:
    """The arrays of one file: x (N, ...), and y (N, ...) or None."""

    x: Array
    y: Array | None


def refuse_arrays(source: Source) -> Source:
    """Return standard input that raises `InputError` on reading if it turns out to be a file of arrays."""

    # A pipe can be read once: the first bytes are checked on their way to the reader.
    def chunks() -> Iterator[bytes]:
        rest = source.chunks()
        first = next(rest, b"")
        if first.startswith(_MAGIC_NUMBERS):
            raise Location(source.name).error("arrays (.npz, idx) cannot come from standard input; name their file")
        yield first
        yield from rest

    return replace(source, chunks=chunks)


def read_idx(source: Source) -> Array:
    """Read an idx file into an array of native byte order. Raises `InputError`."""
    place = Location(source.name)
    data = bytearray()
    dims: tuple[int, ...] | None = None
    chunks = source.chunks()
    wanted = 4
    # The buffer grows with the data that arrive, not by the declared size: a damaged header may declare gigabytes.
    for chunk in chunks:
        data += chunk
        if dims is None and len(data) >= wanted:
            wanted = _parse_idx_magic(bytes(data[:4]), place)
            # Byte 2 is the type of the numbers, byte 3 the number of dimensions, whose sizes follow.
            if len(data) >= wanted:
                dims = struct.unpack(f">{data[3]}I", data[4:wanted])
                wanted += _check_size(dims, np.dtype(_IDX_TYPES[data[2]]), place)
        # One byte too many is enough for the error: the rest of a compressed file may have no end.
        if dims is not None and len(data) > wanted:
            break
    if dims is None or len(data) < wanted:
        raise place.error(f"truncated: {len(data)} bytes of {wanted} that its header promises; get it again")
    if len(data) > wanted:
        raise place.error(f"more than the {wanted} bytes that its header promises; get it again")
    dtype = np.dtype(_IDX_TYPES[data[2]])
    header = 4 + 4 * len(dims)
    found: Array = np.frombuffer(data, dtype, offset=header).reshape(dims)
    return found.astype(dtype.newbyteorder("="), copy=False)


def load_idx(images: Source, labels: Source | None) -> Arrays:
    """Load an idx file of examples (N, ...) and one of their labels (N,)."""
    x = read_idx(images)
    _check_dims(x, Location(images.name), "the examples")
    if labels is None:
        return Arrays(x, None)
    y = read_idx(labels)
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise Location(labels.name).error(f"an array of shape {y.shape}, but labels are one whole number each")
    if len(y) != len(x):
        raise Location(labels.name).error(f"{len(y)} labels for {len(x)} examples; give the file that belongs to them")
    return Arrays(x, y)


def load_npz(source: Source, needs_targets: bool) -> Arrays:
    """Load ``x`` and ``y`` of an .npz file. Pickled objects are refused."""
    place = Location(source.name)
    data = bytearray()
    for chunk in source.chunks():
        data += chunk
        # zipfile must seek, which pipes and gzip streams cannot do, so the file is held in memory.
        if len(data) > _MAX_BYTES:
            raise place.error(f"more than {_MAX_BYTES >> 30} GiB; split it into several files")
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = {name.removesuffix(".npy"): name for name in archive.namelist()}
            # Prediction needs no y; training and evaluation do.
            for name in ("x", "y") if needs_targets else ("x",):
                if name not in names:
                    found = ", ".join(sorted(names)[:8]) or "nothing"
                    raise place.error(f"no array {name!r}; it holds {found}: save it with np.savez(..., x=x, y=y)")
            x = _read_member(archive, names["x"], place)
            y = _read_member(archive, names["y"], place) if "y" in names else None
    except InputError:
        raise
    except Exception as error:  # zipfile raises many types for damaged files
        raise place.error(f"not a sound .npz file ({error}); save it with np.savez") from None
    _check_dims(x, place, "x")
    if y is not None and (y.ndim == 0 or len(y) != len(x)):
        raise place.error(f"x has {len(x)} examples and y {len(y) if y.ndim else 'none'}; make them equal")
    return Arrays(x, y)


def make_classification_examples(arrays: Arrays, place: Location) -> Iterator[Example]:
    """Yield one example per row: x (T, F), and as label the whole number or text in y (N,)."""
    y = arrays.y
    if y is not None and (y.ndim != 1 or y.dtype.kind not in "iubU"):
        wanted = "labels are one whole number or text for each example"
        advice = ": save it as y.astype(int)" if y.ndim == 1 and y.dtype.kind == "f" else ""
        raise place.error(f"y is {y.dtype} of shape {y.shape}; {wanted}{advice}")
    for i, x in enumerate(_split_sequences(arrays.x, place, "x")):
        yield Example(x, None if y is None else str(y[i].item()).strip(), place)


def make_regression_examples(arrays: Arrays, place: Location) -> Iterator[Example]:
    """Yield one example per row: x (T, F) and y (T, K), T = 1 if x is (N, F).

    Steps at the end whose x is all NaN are padding.
    """
    x, y = arrays.x, arrays.y
    if y is not None and (y.ndim != x.ndim or y.shape[:-1] != x.shape[:-1] or y.dtype.kind not in "iufb"):
        raise place.error(f"x has shape {x.shape} and y {y.shape} of {y.dtype}; y is (N, K) or (N, T, K) as x is")
    targets = None if y is None else y.astype(np.float64).reshape(len(y), -1, y.shape[-1])
    for i, steps in enumerate(_split_sequences(x, place, "x")):
        # Padding steps have been cut off x, and go from y with them.
        target = None if targets is None else targets[i, : len(steps)]
        if target is not None and not (np.abs(target[~np.isnan(target)]) <= LARGEST).all():
            raise place.error(f"y[{i}] is not finite; NaN means that a target is not scored")
        yield Example(steps, target, place)


def _split_sequences(x: Array, place: Location, name: str) -> Iterator[Array]:
    """Yield each example as (T, F): (N, F) is one step, further dimensions are flattened into the features."""
    steps = x.reshape(len(x), 1, -1) if x.ndim == 2 else x.reshape(len(x), x.shape[1], -1)
    # Integers cannot be NaN, so there is no padding to cut off and nothing to check.
    if x.dtype.kind != "f":
        yield from steps
        return
    for i, one in enumerate(steps):
        # Only trailing all-NaN steps are padding; NaN before them is an error.
        filled = np.flatnonzero(~np.isnan(one).all(axis=1))
        length = int(filled[-1]) + 1 if filled.size else 0
        if not length:
            raise place.error(f"{name}[{i}] is an empty sequence; leave it out")
        bad = ~(np.abs(one[:length]) <= LARGEST)
        if bad.any():
            step, feature = np.argwhere(bad)[0]
            shown = one[step, feature]
            raise place.error(f"{name}[{i}, {step}, {feature}] is {shown}; every number must be finite")
        yield one[:length]


def _parse_idx_magic(magic: bytes, place: Location) -> int:
    if magic[:2] != b"\0\0" or magic[2] not in _IDX_TYPES or not 1 <= magic[3] <= _MAX_DIMS:
        raise place.error(f"not an idx file (it starts with 0x{magic.hex()}); give one such as images-idx3-ubyte.gz")
    return 4 + 4 * magic[3]


def _check_size(dims: tuple[int, ...], dtype: np.dtype[Any], place: Location) -> int:
    size = math.prod(dims) * dtype.itemsize
    if 0 in dims:
        raise place.error(f"an array of shape {dims}; give at least one example")
    if size > _MAX_BYTES:
        raise place.error(f"its header declares {size:,} bytes; at most {_MAX_BYTES:,} are read")
    return size


def _read_member(archive: zipfile.ZipFile, name: str, place: Location) -> Array:
    """Read one array of an .npz file, after checking that its header agrees with its size."""
    info = archive.getinfo(name)
    with archive.open(info) as file:
        try:
            shape, dtype, start = _read_npy_header(file)
        except Exception:  # a header is Python text, and its parser raises many types
            raise place.error(f"{name} is not a NumPy array; save it with np.savez") from None
    if dtype.hasobject or dtype.kind not in "iufbUS":
        how = "x.astype(float), ragged rows padded with NaN"
        if name == "y.npy":
            how = "y.astype(str), or y.astype(float) where these are numbers"
        raise place.error(f"{name} holds {dtype}; only numbers and texts can be read, not objects: save it as {how}")
    # A zip member that unpacks to more than its array is refused before it is unpacked.
    size = _check_size(shape, dtype, place) if shape else dtype.itemsize
    if info.file_size != start + size:
        raise place.error(f"{name} has {info.file_size} bytes where its header promises {start + size}; save it again")
    with archive.open(info) as file:
        # Pickles can run code when they are loaded.
        found: Array = npy.read_array(file, allow_pickle=False)
    return _to_native(found, name, place)


def _to_native(array: Array, name: str, place: Location) -> Array:
    """Convert to native byte order, bytes to text, and floats of unusual sizes to float32 or float64."""
    if array.dtype.kind == "S":
        try:
            return np.char.decode(array, "utf-8")
        except UnicodeDecodeError:
            raise place.error(f"{name} holds bytes that are not UTF-8; save it as y.astype(str)") from None
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # an infinite value is reported with its position later
            return array.astype(np.float32 if array.itemsize <= 4 else np.float64, copy=False)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _read_npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return shape, type, and offset of the data."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(version)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype, file.tell()


def _check_dims(x: Array, place: Location, name: str) -> None:
    if not 2 <= x.ndim <= _MAX_DIMS or x.dtype.kind not in "iufb":
        raise place.error(f"{name}: {x.dtype} of shape {x.shape}; give numbers as (N, F) or (N, T, F)")
