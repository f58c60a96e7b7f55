"""File formats of the supervised tasks: the reader for each task and file-name ending, in the table `READERS`."""

import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePath
from typing import Any

from ...text.compression import strip_suffix
from ...text.sources import Source, peek
from ..example import Example
from . import conll, json_pairs, text_pairs
from .fields import ANY_FIELDS, Fields

Reader = Callable[..., Iterator[Example]]  # reader(source, answers)

FOLDERS = "folders"  # the format in which each folder is a class
CLASS_FILE_TASKS = ("classify", "generate")  # the name of a .txt file, or of its folder, is the label
_COLUMN_FORMATS = (".txt", ".tsv", ".conll", ".bio", ".iob", ".iob2", ".bioes", ".iobes")


def _read_labelled_stdin(source: Source, answers: bool, fields: Fields = ANY_FIELDS) -> Iterator[Example]:
    """JSON if standard input starts with a brace or bracket, else TSV."""
    return _read_json_or(
        source,
        answers,
        partial(json_pairs.read_labelled_json, fields=fields),
        partial(text_pairs.read_labelled_tsv, fields=fields),
    )


def _read_conditioned_stdin(source: Source, answers: bool) -> Iterator[Example]:
    return _read_json_or(source, answers, json_pairs.read_conditioned_jsonl, _read_conditioned_tsv)


def _read_json_or(source: Source, answers: bool, read_json: Reader, read_other: Reader) -> Iterator[Example]:
    first, source = peek(source)
    is_json = first.lstrip(json_pairs.BEFORE_JSON).startswith((b"{", b"["))
    return (read_json if is_json else read_other)(source, answers)


def _read_conditioned_class_file(source: Source, answers: bool) -> Iterator[Example]:
    return text_pairs.swap_input_and_answer(text_pairs.read_class_file(source, True))


def _read_conditioned_tsv(source: Source, answers: bool, fields: Fields = ANY_FIELDS) -> Iterator[Example]:
    return text_pairs.swap_input_and_answer(text_pairs.read_labelled_tsv(source, True, fields))


# Task -> ending of the file name (without .gz) -> reader; "-" is standard input.
READERS: dict[str, dict[str, Reader]] = {
    "tag": {
        ".conllu": conll.read_conllu,
        ".conllup": conll.read_conllu_plus,
        **dict.fromkeys(_COLUMN_FORMATS, conll.read_two_columns),
        "-": conll.read_conllu_or_two_columns,
    },
    "classify": {
        ".tsv": text_pairs.read_labelled_tsv,
        ".jsonl": json_pairs.read_labelled_jsonl,
        ".ndjson": json_pairs.read_labelled_jsonl,
        ".json": json_pairs.read_labelled_json,
        ".txt": text_pairs.read_class_file,
        "-": _read_labelled_stdin,
    },
    "generate": {
        ".tsv": _read_conditioned_tsv,
        ".jsonl": json_pairs.read_conditioned_jsonl,
        ".ndjson": json_pairs.read_conditioned_jsonl,
        ".txt": _read_conditioned_class_file,
        "-": _read_conditioned_stdin,
    },
    "translate": {
        ".tsv": text_pairs.read_tsv_pairs,
        ".txt": text_pairs.read_tsv_pairs,
        "-": text_pairs.read_tsv_pairs,
    },
}
# Tables and arrays need the whole `ReadOptions`, not just a source: `dispatch` opens them.
_NUMERIC = {
    "classify": (".csv", ".npz", ".idx"),
    "forecast": (".csv", "-"),
    "regress": (".csv", ".npz", "-"),
}
_TAKE_FIELDS: tuple[Any, ...] = (
    text_pairs.read_labelled_tsv,
    json_pairs.read_labelled_jsonl,
    json_pairs.read_labelled_json,
    _read_labelled_stdin,
    _read_conditioned_tsv,
)
_TAKE_KNOWN_TAGS: tuple[Any, ...] = (conll.read_two_columns, conll.read_conllu_or_two_columns)


def find_reader(task: str, ending: str, fields: Fields) -> Reader | None:
    """The reader for this ending, with the columns or known tags bound; None for tables, arrays and unknown endings."""
    reader = READERS.get(task, {}).get(ending)
    if reader is None:
        return None
    if reader in _TAKE_FIELDS:
        return partial(reader, fields=fields)
    if reader in _TAKE_KNOWN_TAGS:
        return partial(reader, known=fields.known)
    return reader


def is_numeric(task: str, ending: str) -> bool:
    """Whether the task reads this ending as a table or arrays of numbers."""
    return ending in _NUMERIC.get(task, ())


def is_supported(task: str, ending: str) -> bool:
    """Whether the task reads files with this ending."""
    return ending in READERS.get(task, {}) or is_numeric(task, ending)


def list_endings(task: str) -> list[str]:
    """The file-name endings that a task reads."""
    return [ending for ending in (*READERS.get(task, ()), *_NUMERIC.get(task, ())) if ending != "-"]


def list_formats(task: str) -> tuple[str, ...]:
    """The formats that a task reads: endings without their dots, and `FOLDERS`."""
    endings = [ending[1:] for ending in list_endings(task)]
    return (*endings, *([FOLDERS] if task in CLASS_FILE_TASKS else []))


def resolve_suffix(name: str, task: str, format: str | None, usual_format: str | None) -> str:
    """The ending that selects the reader: that of ``format``, else of the name, else of ``usual_format``."""
    if format is not None:
        return ".txt" if format == FOLDERS else f".{format}"
    ending = ending_of(name)
    if usual_format in (None, FOLDERS) or is_supported(task, ending):
        return ending
    return f".{usual_format}"


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
