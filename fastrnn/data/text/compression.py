"""Decompression of texts: gzip, bzip2, xz and Zstandard by their first bytes, zip archives by their name.

Memory stays bounded: compressed and decompressed data pass in chunks of at most `CHUNK` bytes.
"""

import bz2
import importlib
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ...errors import InputError
from .sources import CHUNK


class _Decompressor(Protocol):
    """The interface that `bz2`, `lzma` and `compression.zstd` share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _GzipDecompressor:
    """`zlib` with the interface of the others."""

    def __init__(self) -> None:
        self._object = zlib.decompressobj(31)  # 31: expect a gzip header and trailer

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def needs_input(self) -> bool:
        return not self._object.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._object.decompress(self._object.unconsumed_tail + data, max(0, max_length))


@dataclass(frozen=True)
class _Format:
    """A compressed format.

    Attributes:
        name: Name in messages.
        suffix: Ending of file names.
        magic: First bytes of every file.
        open: Returns a new decompressor. Raises `ImportError` if this Python lacks it.
    """

    name: str
    suffix: str
    magic: bytes
    open: Callable[[], _Decompressor]


def _open_zstd() -> _Decompressor:
    made: _Decompressor = importlib.import_module("compression.zstd").ZstdDecompressor()  # Python 3.14 and newer
    return made


_FORMATS = (
    _Format("gzip", ".gz", b"\x1f\x8b", _GzipDecompressor),
    # "BZh", the block size, and the magic number of a block: text may well begin with "BZh"
    *(_Format("bzip2", ".bz2", b"BZh%d1AY&SY" % size, bz2.BZ2Decompressor) for size in range(1, 10)),
    _Format("xz", ".xz", b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ)),
    _Format("Zstandard", ".zst", b"\x28\xb5\x2f\xfd", _open_zstd),
)
SUFFIXES = tuple(dict.fromkeys(format.suffix for format in _FORMATS))
ZIP_SUFFIX = ".zip"


def is_compressed(path: str) -> bool:
    """Whether a file name has the ending of a compressed format."""
    return path.lower().endswith((*SUFFIXES, ZIP_SUFFIX))


def strip_suffix(path: str) -> str:
    """Return a file name without the ending of its compressed format."""
    suffix = next((suffix for suffix in SUFFIXES if path.lower().endswith(suffix)), "")
    return path[: len(path) - len(suffix)]


def read_chunks(read: Callable[[int], bytes], name: str, path: str = "") -> Iterator[bytes]:
    """Yield the bytes from ``read``, decompressed if they start like a compressed format.

    Args:
        read: Returns at most that many bytes; none at the end.
        name: Name of the text in messages.
        path: File name; its ending must agree with the content.

    Raises:
        InputError: The data is damaged, is not in the format of its name, or this Python cannot read it.
    """
    first = read(CHUNK)
    # A pipe may deliver a few bytes at a time. Wait for more only while they may begin a magic number: a short line of
    # a live pipe must be passed on before the next one arrives.
    while first and (missing := _count_missing(first)) and (more := read(missing)):
        first += more

    format = next((format for format in _FORMATS if first.startswith(format.magic)), None)
    expected = next((format for format in _FORMATS if path.lower().endswith(format.suffix)), None)
    chunks = _prepend(first, iter(lambda: read(CHUNK), b""))
    if format is not None:
        yield from _decompress(chunks, format, name)
    elif expected is not None and first:
        raise InputError(f"{name}: not {expected.name}, despite its name; rename it if it is plain text")
    else:
        yield from chunks


def _count_missing(first: bytes) -> int:
    """Return how many bytes must follow to tell whether ``first`` begins one of the magic numbers."""
    return max((len(format.magic) - len(first) for format in _FORMATS if format.magic.startswith(first)), default=0)


def _prepend(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _decompress(chunks: Iterable[bytes], format: _Format, name: str) -> Iterator[bytes]:
    """Yield decompressed chunks; concatenated streams are joined, zero padding between them is skipped."""
    try:
        stream: _Decompressor | None = None
        for chunk in chunks:
            data = chunk
            while data or (stream is not None and not stream.needs_input):
                # Streams may be concatenated (gzip -c a b), and tape archives pad them with zeros.
                if stream is None:
                    data = data.lstrip(b"\0")
                    stream = format.open() if data else None
                    continue
                # Bounded: a small file may unpack to more than fits into memory.
                yield stream.decompress(data, CHUNK)
                data = b""
                if stream.eof:
                    data, stream = stream.unused_data, None
    except ImportError:
        raise InputError(
            f"{name}: {format.name} needs Python 3.14 or newer; decompress the file, or use gzip or xz"
        ) from None
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise InputError(f"{name}: damaged {format.name}: {error}") from None
    except Exception as error:  # compression.zstd.ZstdError, which older versions of Python lack
        if type(error).__name__ != "ZstdError":
            raise
        raise InputError(f"{name}: damaged {format.name}: {error}") from None
    if stream is not None:
        raise InputError(f"{name}: damaged {format.name}: it ends too early")


def list_members(path: str, name: str) -> list[str]:
    """Return the files in a zip archive, sorted by path, without hidden files. Raises `InputError` for none."""
    with _open_zip(path, name) as archive:
        found = sorted(
            (info.filename for info in archive.infolist() if not info.is_dir() and not _is_hidden(info.filename)),
            # By parts, as a folder is read: files of a folder stay together.
            key=lambda member: member.split("/"),
        )
    if not found:
        raise InputError(f"{name}: no file in this zip archive; give one that holds text files")
    return found


def read_member(path: str, member: str, name: str) -> Iterator[bytes]:
    """Yield the bytes of a file in a zip archive. Raises `InputError`."""
    with _open_zip(path, name) as archive:
        try:
            with archive.open(member) as file:
                yield from read_chunks(file.read, f"{name}/{member}", member)
        except RuntimeError:  # NotImplementedError for an unknown method, else the file needs a password
            raise InputError(f"{name}/{member}: encrypted, or compressed in an unknown way; unpack it") from None
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise InputError(f"{name}/{member}: damaged zip: {error}") from None


def _open_zip(path: str, name: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError(f"{name}: damaged zip: {error}") from None
    except OSError as error:
        raise InputError(f"{name}: cannot read this file: {error.strerror or error}") from None


def _is_hidden(member: str) -> bool:
    """Whether a path has a hidden part, or is in the folder in which macOS keeps metadata."""
    return any(part.startswith(".") or part == "__MACOSX" for part in member.split("/"))
