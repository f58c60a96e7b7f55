"""Labelled data in folders: select the files to read, and detect whether folders or files are the classes."""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from ....errors import escape, join_first
from ...text.files import expand
from ...text.sources import Report, Source
from ..example import Location

# Files that accompany data. Names that could also be a class are recognised in capitals only.
_NOTICES = re.compile(r"(?i:readme)|LICEN[CS]E|COPYING|NOTICE|CHANGELOG|CHANGES|AUTHORS|CITATION|CONTRIBUTING|Thumbs")
# Folders that hold parts of the data, not classes.
_PARTS = re.compile(
    r"(train|test|valid|validation|val|dev|eval|(part|fold|split|shard|batch)[-_]?\d*)(ing)?", re.IGNORECASE
)
_MAX_LISTED = 5  # names in a message


@dataclass(frozen=True)
class Document(Source):
    """A file in a class folder, read as one example; ``label`` is the name of the folder."""

    label: str = ""


def folder_sources(
    folder: str,
    is_readable: Callable[[str], bool],
    is_class_file: Callable[[str], bool],
    classes: bool | None,
    report: Report,
) -> list[Source]:
    """Return the files of a folder that a task reads; files of class folders as `Document`.

    Args:
        folder: Name of the folder.
        is_readable: Whether the task reads a file of this name.
        is_class_file: Whether a file of this name is a class of its own (classify and generate).
        classes: Whether the folders are the classes; None to detect it from the arrangement of the files.
        report: Callback for remarks on the classes found and the files left out.
    """
    kept: list[Source] = []
    left_out: list[Source] = []
    for source in expand([folder], "bytes"):
        is_notice = _NOTICES.fullmatch(PurePath(source.name).name.partition(".")[0]) is not None
        is_read = classes is True or is_readable(source.name)
        (kept if is_read and not is_notice else left_out).append(source)

    class_files = kept if classes is True else [source for source in kept if is_class_file(source.name)]
    if classes is True or (classes is None and _are_class_folders(folder, class_files)):
        # Files above the class folders, such as a list of names, are not examples.
        documents = {source.name: _as_document(source) for source in _in_leaf_folders(class_files)}
        strays = {source.name for source in class_files} - set(documents)
        left_out += [source for source in kept if source.name in strays]
        kept = [documents.get(source.name, source) for source in kept if source.name not in strays]
        _report_classes(folder, list(documents.values()), report)
    if left_out:
        _report_left_out(folder, left_out, report)
    return kept


def _report_classes(folder: str, documents: Sequence[Document], report: Report) -> None:
    counts = Counter(document.label for document in documents)
    listed = join_first([f"{escape(label)} ({count:,})" for label, count in counts.most_common()], _MAX_LISTED)
    report(f"{Location(folder)}: each folder is a class, each file an example: {listed}")


def _report_left_out(folder: str, sources: Sequence[Source], report: Report) -> None:
    listed = join_first([escape(os.path.relpath(source.name, folder)) for source in sources], _MAX_LISTED)
    report(f"{Location(folder)}: left out {listed}: not examples, by their name or folder")


def _are_class_folders(folder: str, files: Sequence[Source]) -> bool:
    """Whether the files are in several folders that are neither splits of the data nor hold the same class files."""
    stems: dict[str, set[str]] = {}
    for source in _in_leaf_folders(files):
        stems.setdefault(_folder_of(source), set()).add(PurePath(source.name).name.partition(".")[0])
    # Files directly in the folder have no class folder.
    stems.pop(os.path.normpath(folder), None)
    names = {os.path.basename(path) for path in stems}
    if len(names) < 2 or all(_PARTS.fullmatch(name) for name in names):
        return False
    same = all(found == next(iter(stems.values())) for found in stems.values())
    # The same names in every folder (train/pos.txt, test/pos.txt) are class files; with digits they number documents.
    return not same or any(any(map(str.isdecimal, stem)) for found in stems.values() for stem in found)


def _as_document(source: Source) -> Document:
    label = os.path.basename(os.path.abspath(os.path.dirname(source.name))).strip()
    return Document(source.name, source.chunks, label=label)


def _in_leaf_folders(files: Sequence[Source]) -> list[Source]:
    """Return the files in leaf folders, those without files in a folder below; other files accompany the classes."""
    above = {str(parent) for folder in set(map(_folder_of, files)) for parent in PurePath(folder).parents}
    return [source for source in files if _folder_of(source) not in above]


def _folder_of(source: Source) -> str:
    return os.path.normpath(os.path.dirname(source.name))
