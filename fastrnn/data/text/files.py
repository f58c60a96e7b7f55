"""Expansion of input names to sources, reading of files, and UTF-8 decoding.

An input is a file, a folder, a quoted glob, ``-`` for standard input, or the name of a built-in or fetched corpus.
Compressed files are decompressed, and the files of a zip archive are read like those of a folder (`compression`). Byte
order marks and carriage returns are kept.
"""

import glob
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from ...errors import InputError, escape, nearest, quote
from .compression import ZIP_SUFFIX, is_compressed, list_members, read_chunks, read_member
from .decoding import HEAD, detect_encoding
from .sources import BUILTIN, Source, builtin_sources, to_utf8

# One or several of: a file, a folder, a glob, ``-``, the name of a corpus.
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
_LONGEST, _LONGEST_LINE = 4096, 255  # longest path, and longest name in it, in characters
_SNIFFED = 8192  # bytes examined to distinguish text from other files in a folder


def normalize_inputs(inputs: Paths) -> list[str]:
    """Return the inputs as a list of names. Raises `InputError` for anything else."""
    several: Any = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    if isinstance(several, bytes | Mapping) or not isinstance(several, Iterable) or hasattr(several, "columns"):
        raise InputError(f"a value of type {type(inputs).__name__} instead of file names; give names or paths")
    found = [os.fspath(name) if isinstance(name, os.PathLike) else name for name in several]
    for name in found:
        if not isinstance(name, str):
            raise InputError(f"a value of type {type(name).__name__} instead of a file name; give names or paths")
    return found


class _Reading(NamedTuple):
    """How inputs are read: the token unit, the encoding, and what is left out with the reasons."""

    tokens: str
    encoding: str | None
    left_out: list[str]


def expand(
    inputs: Sequence[str], tokens: str = "chars", left_out: list[str] | None = None, encoding: str | None = None
) -> list[Source]:
    """Return the sources of all inputs, in the order given; folders and globs are sorted by path.

    ``encoding``: encoding of files and standard input, converted to UTF-8; corpora are UTF-8 already.

    Folders omit hidden files and, unless ``tokens`` is ``"bytes"``, files with a NUL byte near their start. The latter,
    and linked folders, are appended to ``left_out`` with the reason. Raises `InputError` if an input is missing or has
    no text.
    """
    if list(inputs).count("-") > 1:
        raise InputError("standard input (-) can be read only once; give - once")
    reading = _Reading(tokens, encoding, left_out if left_out is not None else [])
    return [source for name in inputs for source in _expand_one(name, reading)]


def _expand_one(name: str, reading: _Reading) -> list[Source]:
    if name == "-":
        return [to_utf8(Source("standard input", _read_standard_input), reading.encoding)]
    if os.path.isdir(name):
        return _expand_folder(name, reading)
    if os.path.lexists(name):  # files win over corpora of the same name
        return _expand_file(name, reading)
    if name in BUILTIN:
        return builtin_sources(name)
    fetched = _find_downloaded(name)
    if fetched is not None:
        return [source for path in fetched for source in _files(path)]
    # Users pass the text itself where a name belongs, in Python above all: say so instead of "no such file".
    if len(name) > (_LONGEST_LINE if "\n" in name else _LONGEST):
        raise InputError(
            f"{quote(name)} is a text, not a file name; write it to a file and name that, or in Python use "
            "corpus_from_text"
        )
    if glob.has_magic(name):
        return _expand_glob(name, reading)
    raise InputError(f"{escape(name) or '(empty)'}: no such file or folder{_near(name)}")


def _find_downloaded(name: str) -> list[str] | None:
    """See `fastrnn.data.catalog.corpus_paths`; the catalog is imported only for names that are no file."""
    from ..catalog import corpus_paths

    return corpus_paths(name)


def is_missing(name: str) -> bool:
    """Whether `expand` finds no input of this name."""
    known = name == "-" or os.path.lexists(name) or name in BUILTIN or _find_downloaded(name) is not None
    return not known and not (glob.has_magic(name) and glob.glob(name, recursive=True))


def _expand_folder(folder: str, reading: _Reading) -> list[Source]:
    sources: list[Source] = []
    reasons: list[str] = []
    for path in _walk(folder, reasons):
        sources += _keep_texts(_files(path, reading.encoding), reading.tokens, reasons)
    if not sources:
        why = f" (left out: {escape(reasons[0])})" if reasons else ""
        raise InputError(f"{escape(folder)}: no text in this folder{why}; give one that holds text files")
    reading.left_out.extend(reasons)
    return sources


def _expand_glob(pattern: str, reading: _Reading) -> list[Source]:
    sources: dict[str, Source] = {}
    for path in sorted(glob.glob(pattern, recursive=True), key=_parts):
        found = _expand_folder(path, reading) if os.path.isdir(path) else _expand_file(path, reading)
        sources |= {os.path.normpath(source.name): source for source in found}
    if not sources:
        raise InputError(f"{escape(pattern)}: no file matches this pattern")
    reading.left_out[:] = dict.fromkeys(reading.left_out)  # a pattern such as ** finds a file in each folder above it
    return list(sources.values())


def _expand_file(path: str, reading: _Reading) -> list[Source]:
    """Return a named file, whether it is text or not, or the texts in a zip archive."""
    found = _files(path, reading.encoding)
    # A file is read whatever it holds, because it was named; only the members of an archive are chosen.
    if len(found) == 1:
        return found
    sources = _keep_texts(found, reading.tokens, reading.left_out)
    if not sources:
        raise InputError(f"{escape(path)}: no text in this zip archive; give one that holds text files")
    return sources


def _files(path: str, encoding: str | None = None) -> list[Source]:
    """Return a file as a source, or each file of a zip archive, converted to UTF-8."""
    if path.lower().endswith(ZIP_SUFFIX) and os.path.isfile(path):
        name = escape(path)
        members = list_members(path, name)
        found = [Source(f"{path}/{member}", partial(read_member, path, member, name)) for member in members]
    else:
        found = [Source(path, partial(_read_file, path), size=_size(path))]
    return [to_utf8(source, encoding) for source in found]


def _keep_texts(sources: list[Source], tokens: str, left_out: list[str]) -> list[Source]:
    """Return the sources that are text; the others are appended to ``left_out`` with the reason."""
    kept = []
    for source in sources:
        reason = None if tokens == "bytes" else _no_text(source)
        if reason is None:
            kept.append(source)
        else:
            left_out.append(f"{source.name} ({reason})")
    return kept


def _size(path: str) -> int | None:
    """Return the size of a file in bytes; None if it is compressed or not a regular file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) and not is_compressed(path) else None


def _walk(folder: str, left_out: list[str]) -> list[str]:
    """Return all files under a folder, sorted by path, except hidden files and hidden folders.

    Links to folders may form a cycle, so they are not followed but appended to ``left_out``.
    """

    def fail(error: OSError) -> None:
        raise InputError(f"{escape(str(error.filename))}: cannot read this folder: {error.strerror}")

    paths = []
    for inner, folders, files in os.walk(folder, onerror=fail):
        folders[:] = [f for f in folders if not f.startswith(".")]
        links = [os.path.join(inner, f) for f in sorted(folders) if os.path.islink(os.path.join(inner, f))]
        left_out += [f"{link} (a link to a folder)" for link in links]
        paths += [os.path.join(inner, f) for f in files if not f.startswith(".")]
    return sorted((p for p in paths if os.path.isfile(p)), key=_parts)


def _parts(path: str) -> list[str]:
    """Return the sort key of a path, which keeps the files of a folder together."""
    return path.split(os.sep)


def _no_text(source: Source) -> str | None:
    """Return the reason why a source is not read as text, or None."""
    seen = b""
    for chunk in source.chunks():
        seen += chunk[:_SNIFFED]
        if len(seen) >= _SNIFFED:
            break
    encoding = detect_encoding(seen[:HEAD])
    if encoding is not None:
        from .encodings import describe_wide_encoding

        return f"{encoding}, not UTF-8: --encoding {describe_wide_encoding(seen[:HEAD], encoding)}"
    return "not text: it has NUL bytes" if b"\0" in seen[:_SNIFFED] else None


def _near(name: str) -> str:
    """Return a suggestion for a missing file: the file or corpus with the most similar name."""
    from ..catalog import CORPORA

    folder, base = os.path.split(name)  # a corpus has no folder
    try:
        known = os.listdir(folder or ".")
    except (OSError, ValueError):
        known = []
    return escape(nearest(base, known if folder else [*known, *BUILTIN, *CORPORA]))


def _read_file(path: str) -> Iterator[bytes]:
    name = escape(path)
    try:
        with open(path, "rb") as file:
            before = os.fstat(file.fileno())
            # Of a pipe `read1` returns what has arrived instead of waiting for more.
            read = file.read if stat.S_ISREG(before.st_mode) else file.read1
            yield from read_chunks(read, name, path)
            _check_unchanged(before, os.fstat(file.fileno()), file.tell() if file.seekable() else 0, name)
    except OSError as error:
        raise InputError(f"{name}: cannot read this file: {error.strerror or error}") from None


def _check_unchanged(before: os.stat_result, after: os.stat_result, read: int, name: str) -> None:
    """Raise `InputError` if the file was rewritten or truncated while it was read."""
    # A file that only grew, as a log does, is read as it was at one moment; any other change may give a mixture.
    rewritten = after.st_mtime_ns != before.st_mtime_ns and after.st_size <= before.st_size
    if stat.S_ISREG(after.st_mode) and (rewritten or after.st_size < read):
        raise InputError(f"{name}: it changed while it was read; try again when no program writes to it")


def _read_standard_input() -> Iterator[bytes]:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise InputError("standard input is closed; give a file")
    stream = getattr(stream, "raw", stream)  # has no lock that a thread still reading at the program's end would hold
    try:
        yield from read_chunks(getattr(stream, "read1", stream.read), "standard input")
    except OSError as error:
        raise InputError(f"cannot read standard input: {error.strerror or error}") from None
