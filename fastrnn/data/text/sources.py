"""Text sources: a name and its bytes, read in chunks. The built-in corpora come with Python itself."""

import importlib
import itertools
import os
import re
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ...errors import InputError

CHUNK = 1 << 20
_GROUP = 5  # words; a passage is repeated if it shares such groups with earlier ones
_MAX_REPEATED = 0.1  # share of a paragraph's groups

# Called with the number of bytes read so far, and the total number or None if that is unknown.
ReadingProgress = Callable[[int, int | None], None]
# Called with each message of a reader to the user.
Report = Callable[[str], None]


def ignore_report(_message: str) -> None:
    """Ignore a message."""


@dataclass(frozen=True)
class Source:
    """One text: ``chunks()`` reads its bytes from the start. Reading raises `InputError`.

    Attributes:
        name: Name of the text in messages.
        chunks: Returns an iterator over the bytes.
        size: Number of bytes, None if unknown.
        report: Receives the readers' messages to the user about this text.
    """

    name: str
    chunks: Callable[[], Iterator[bytes]]
    size: int | None = None
    report: Report = ignore_report


def to_utf8(source: Source, encoding: str | None) -> Source:
    """Return a source whose bytes are converted from this encoding to UTF-8; None is UTF-8.

    Reading raises `InputError` with the offset of the first invalid byte.
    """
    if encoding is None:
        return source
    from .encodings import convert

    return replace(source, chunks=lambda: convert(source.chunks(), encoding, source.name), size=None)


def attach_progress(sources: Sequence[Source], progress: ReadingProgress) -> list[Source]:
    """Return the same sources, which call ``progress`` as they are read."""
    sizes = [source.size for source in sources]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    read = 0

    def chunks(source: Source) -> Iterator[bytes]:
        nonlocal read
        for chunk in source.chunks():
            # Counted once the reader asks for the next one: then this chunk has been encoded.
            yield chunk
            read += len(chunk)
            progress(read, total)

    return [replace(source, chunks=partial(chunks, source)) for source in sources]


def peek(source: Source) -> tuple[bytes, Source]:
    """Return the first chunk of a source, and a source of all its bytes that can be read only once."""
    chunks = source.chunks()
    first = next(chunks, b"")
    return first, replace(source, chunks=lambda: itertools.chain([first], chunks))


def python_docs() -> list[Source]:
    """Return the language reference of CPython's ``help()``, its topics in alphabetical order."""
    topics = _load_topics("python-docs")
    return [_in_memory("python-docs", "\n".join(topics))]


def python_reference() -> list[Source]:
    """Return the same topics without tables and without passages that an earlier topic has.

    Of `python_docs` 8% are tables, and 27% of its last tenth lies in spans of 32 characters that the part
    before contains; of this text 2% does. So its end measures how well a model generalizes.
    """
    seen: set[tuple[str, ...]] = set()
    texts = (_keep_new_paragraphs(topic, seen) for topic in _load_topics("python-reference"))
    return [_in_memory("python-reference", "\n\n\n".join(text for text in texts if text) + "\n")]


def _load_topics(corpus: str) -> list[str]:
    try:
        topics = importlib.import_module("pydoc_data.topics").topics
    except (ImportError, AttributeError):
        raise InputError(f"this Python carries no pydoc_data.topics for {corpus}; give a text of your own") from None
    return [topics[name] for name in sorted(topics)]


def _keep_new_paragraphs(topic: str, seen: set[tuple[str, ...]]) -> str:
    """Return the paragraphs of a topic that are neither tables nor repetitions.

    ``seen``: all groups of `_GROUP` words of the paragraphs kept so far, updated here. Empty if only the title is
    left.
    """
    kept = []
    for paragraph in re.split(r"\n[ \t]*\n", topic.strip("\n")):
        words = paragraph.split()
        # A paragraph of fewer words is one group: short ones repeat, too.
        groups = [tuple(words[i : i + _GROUP]) for i in range(max(1, len(words) - _GROUP + 1))]
        is_repeated = sum(group in seen for group in groups) > _MAX_REPEATED * len(groups)
        if not is_repeated and not any(map(_is_table_row, paragraph.split("\n"))):
            seen.update(groups)
            kept.append(paragraph)
    return "\n\n".join(kept) if len(kept) > 1 else ""


def _is_table_row(line: str) -> bool:
    text = line.strip()
    return text != "" and text[0] in "+|" and text[-1] in "+|"


def _in_memory(name: str, text: str) -> Source:
    return Source(name, lambda: iter([text.encode("utf-8")]))


def python_source() -> list[Source]:
    """Return the source code of the standard library without its tests, one source per file, sorted by path."""
    root = Path(sysconfig.get_path("stdlib"))
    paths = [p for p in _python_files(root) if _is_utf8(p)]
    if not paths:
        raise InputError("this Python carries no standard library source for python-source; give a text of your own")
    return [Source(f"python-source/{p.relative_to(root).as_posix()}", partial(_whole, p)) for p in paths]


BUILTIN = {
    "python-reference": "the Python language reference as prose, about 308,000 characters of English",
    "python-docs": "the same with its tables and repetitions, about 465,000 characters",
    "python-source": "the source of Python's standard library, more than 10 million characters",
}
DEFAULT_CORPUS = "python-reference"  # of commands that are given no text
_SOURCES: dict[str, Callable[[], list[Source]]] = {
    "python-reference": python_reference,
    "python-docs": python_docs,
    "python-source": python_source,
}
_LEFT_OUT = frozenset({"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"})


def builtin_sources(name: str) -> list[Source]:
    """Return the sources of a name in `BUILTIN`. Raises `InputError` if this Python lacks them."""
    return _SOURCES[name]()


def _python_files(root: Path) -> list[Path]:
    """Return all ``.py`` files under a folder except tests and installed packages, sorted by path."""
    paths = []
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f not in _LEFT_OUT and not f.startswith(".")]
        paths += [Path(folder, f) for f in files if f.endswith(".py")]
    return sorted(paths, key=lambda p: p.relative_to(root).as_posix())


def _whole(path: Path) -> Iterator[bytes]:
    try:
        yield path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read this file: {error.strerror}") from None


def _is_utf8(path: Path) -> bool:
    try:
        path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return True
