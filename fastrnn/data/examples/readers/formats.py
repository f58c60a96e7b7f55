"""File formats of the supervised tasks: how an ending selects the opener of a file, and what that gets and returns."""

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePath

from ....task_specs import get_supervised_task
from ...text.compression import strip_suffix
from ...text.sources import Report, Source, ignore_report
from ..example import Example, ExampleSet
from .csv_columns import Columns
from .fields import ANY_FIELDS, Fields

FOLDERS = "folders"  # the format in which each folder is a class


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading examples.

    Attributes:
        task: Task to read the examples for.
        answers: Whether every example must have its answer.
        columns: Names or globs of the columns of a table.
        labels: Name of the file of labels of an idx file.
        exact: Columns of a table, as a trained model requires them.
        missing: Policy for missing values of a series: "interpolate", "last", "drop", or None to refuse them.
        fields: Columns of label and text (classify, generate).
        format: Format of all files, whatever their names: an ending without its dot, or `FOLDERS`.
        usual_format: Format of files whose names have no known ending.
        report: Callback for remarks about the data.
    """

    task: str
    answers: bool = True
    columns: str | None = None
    labels: str | None = None
    exact: Columns | None = None
    missing: str | None = None
    fields: Fields = ANY_FIELDS
    format: str | None = None
    usual_format: str | None = None
    report: Report = ignore_report

    def suffix_of(self, name: str) -> str:
        """The ending that selects the opener: that of ``format``, else of the name, else of ``usual_format``."""
        if self.format is not None:
            return ".txt" if self.format == FOLDERS else f".{self.format}"
        ending = ending_of(name)
        if self.usual_format in (None, FOLDERS) or is_supported(self.task, ending):
            return ending
        return f".{self.usual_format}"


@dataclass(frozen=True)
class Stream:
    """The examples of one source, read on demand.

    Attributes:
        records: The set's columns, header and remarks, without its items.
        items: The examples: `StreamedItems` for standard input, else an iterator.
    """

    records: ExampleSet
    items: Iterable[Example]


Opener = Callable[[Source, ReadOptions], Stream]


def is_supported(task: str, ending: str) -> bool:
    """Whether the task reads files with this ending."""
    return ending in get_supervised_task(task).readers


def list_endings(task: str) -> list[str]:
    """The file-name endings that a task reads."""
    return [ending for ending in get_supervised_task(task).readers if ending != "-"]


def list_formats(task: str) -> tuple[str, ...]:
    """The formats that a task reads: endings without their dots, and `FOLDERS`."""
    endings = [ending[1:] for ending in list_endings(task)]
    return (*endings, *([FOLDERS] if get_supervised_task(task).reads_class_files else []))


def ending_of(name: str) -> str:
    """The ending of a file name, before that of a compressed format: ``.tsv``, ``-``, ``.idx`` of MNIST's names."""
    if name == "standard input" or _is_pipe(name):
        return "-"
    path = PurePath(strip_suffix(name.lower()))
    # MNIST's files are called t10k-images-idx3-ubyte or t10k-images.idx3-ubyte.
    if any(mark in path.name for mark in ("-idx", ".idx")):
        return ".idx"
    return path.suffix


def _is_pipe(name: str) -> bool:
    """Whether this is a pipe, such as the shell's ``<(command)``; its format is detected from its content."""
    if PurePath(name).suffix and not name.startswith("/dev/"):
        return False
    try:
        return stat.S_ISFIFO(os.stat(name).st_mode)
    except (OSError, ValueError):
        return False
