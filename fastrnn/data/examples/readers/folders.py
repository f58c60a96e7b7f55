"""Labelled data in folders: which files are read, and whether the folders or the files are the classes."""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from ...text.decoding import readable
from ...text.files import expand
from ...text.line_ends import Tell
from ...text.sources import Source
from ..example import Location

# Files that accompany data. Those that could be a class too are recognised in capitals only.
_NOTICES = re.compile(r"(?i:readme)|LICEN[CS]E|COPYING|NOTICE|CHANGELOG|CHANGES|AUTHORS|CITATION|CONTRIBUTING|Thumbs")
# Folders that hold parts of the data, not classes.
_PARTS = re.compile(
    r"(train|test|valid|validation|val|dev|eval|(part|fold|split|shard|batch)[-_]?\d*)(ing)?", re.IGNORECASE
)
_SHOWN = 5  # names in a message


@dataclass(frozen=True)
class Document(Source):
    """A file of a class folder: one example. ``label``: the folder's name."""

    label: str = ""


def folder_sources(
    folder: str, reads: Callable[[str], bool], is_class_file: Callable[[str], bool], classes: bool | None, tell: Tell
) -> list[Source]:
    """The files of a folder that a task reads; files of class folders as `Document`.

    Args:
        folder: Name of the folder.
        reads: Whether the task reads a file of this name.
        is_class_file: Whether the name alone makes a file a class (of classify and generate).
        classes: Whether its folders are the classes; None: by how the files lie.
        tell: Is told what the folders are taken for, and which files are left out.
    """
    sources = expand([folder], "bytes")
    kept: list[Source] = []
    left: list[Source] = []
    for source in sources:
        is_notice = _NOTICES.fullmatch(PurePath(source.name).name.partition(".")[0]) is not None
        is_read = classes is True or reads(source.name)
        (kept if is_read and not is_notice else left).append(source)

    class_files = kept if classes is True else [source for source in kept if is_class_file(source.name)]
    if classes is True or (classes is None and _are_classes(folder, class_files)):
        documents = {source.name: _document(source) for source in _deepest(class_files)}
        strays = {source.name for source in class_files} - set(documents)
        left += [source for source in kept if source.name in strays]
        kept = [documents.get(source.name, source) for source in kept if source.name not in strays]
        counts = Counter(document.label for document in documents.values())
        listed = ", ".join(f"{label} ({count:,})" for label, count in counts.most_common(_SHOWN))
        more = f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
        tell(f"{Location(folder)}: each folder is a class, each file an example: {readable(listed)}{more}")
    if left:
        names = [os.path.relpath(source.name, folder) for source in left]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        tell(f"{Location(folder)}: left out {readable(', '.join(names[:_SHOWN]))}{more}")
    return kept


def _are_classes(folder: str, files: Sequence[Source]) -> bool:
    """Whether files lie in several folders that are neither parts of the data nor hold the same class files."""
    stems: dict[str, set[str]] = {}
    for source in _deepest(files):
        stems.setdefault(_folder_of(source), set()).add(PurePath(source.name).name.partition(".")[0])
    stems.pop(os.path.normpath(folder), None)
    names = {os.path.basename(path) for path in stems}
    if len(names) < 2 or all(_PARTS.fullmatch(name) for name in names):
        return False
    same = all(found == next(iter(stems.values())) for found in stems.values())
    return not same or any(any(map(str.isdecimal, stem)) for found in stems.values() for stem in found)


def _document(source: Source) -> Document:
    label = os.path.basename(os.path.abspath(os.path.dirname(source.name))).strip()
    return Document(source.name, source.chunks, label=label)


def _deepest(files: Sequence[Source]) -> list[Source]:
    """The files in folders that have no folder with files below them: others accompany the classes."""
    above = {str(parent) for folder in set(map(_folder_of, files)) for parent in PurePath(folder).parents}
    return [source for source in files if _folder_of(source) not in above]


def _folder_of(source: Source) -> str:
    return os.path.normpath(os.path.dirname(source.name))
