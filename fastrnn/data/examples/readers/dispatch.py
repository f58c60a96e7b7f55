"""Open files, folders and standard input for a supervised task, and read their examples."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ....errors import ConfigError, InputError, escape
from ....plain import to_plain
from ....task_specs import get_supervised_task
from ...text.files import Paths, expand, normalize_inputs
from ...text.sources import Source
from ..example import Example, ExampleSet, Location
from ..streaming import StreamedItems
from . import arrays, csv_columns, formats, text_pairs
from .folders import Document, folder_sources
from .formats import FOLDERS, ReadOptions, Stream, ending_of


def read_records(
    inputs: Paths,
    task: str,
    *,
    columns: str | None = None,
    labels: str | None = None,
    answers: bool = True,
    exact: csv_columns.Columns | None = None,
    **more: Any,
) -> ExampleSet:
    """Read every example of files, folders, globs or ``-`` for a supervised task.

    Args:
        inputs: Names of files and folders, globs, or ``-`` for standard input.
        task: Name of a supervised task.
        columns: Comma-separated names or globs of CSV columns: the series to forecast, the targets of regress, or
            the numbers to classify by.
        labels: The file of labels for idx files.
        answers: Whether every example must have its answer; False for prediction.
        exact: The columns of a trained model (`TaskSchema.columns`), instead of ``columns``.
        **more: Further fields of `ReadOptions`.

    Raises:
        InputError: For invalid data; the message names file and line.
        ConfigError: For an unknown task or format.
    """
    inputs = normalize_inputs(inputs)
    options = ReadOptions(task, answers, columns, labels, exact, **more)
    streams = open_records(inputs, options)
    parts = [replace(stream.records, items=[item for item in stream.items if not item.is_blank]) for stream in streams]
    items = [item for part in parts for item in part.items]

    if not items:
        raise InputError(f"{escape(', '.join(inputs[:3]))}: no example in it; give at least one")
    _check_same_kind(items)
    _check_same_columns(parts)
    if answers:
        get_supervised_task(task).report_suspicious(items, options.report)
    return replace(parts[0], items=items, remarks=tuple(line for part in parts for line in part.remarks))


def _check_same_kind(items: list[Example]) -> None:
    """Refuse a mixture of texts and arrays: one model cannot learn from both."""
    for item in items:
        if isinstance(item.x, str) != isinstance(items[0].x, str):
            kinds = ("a text or label", "numbers")
            has, had = kinds if isinstance(item.x, str) else kinds[::-1]
            raise item.place.error(f"{has} where the examples before have {had}; give one kind")


def _check_same_columns(parts: list[ExampleSet]) -> None:
    for part in parts[1:]:
        if (part.inputs, part.outputs) != (parts[0].inputs, parts[0].outputs):
            raise part.items[0].place.error(f"other columns than those of {parts[0].items[0].place.file}")


def open_records(inputs: Paths, options: ReadOptions) -> list[Stream]:
    """Open the sources of a task without reading them, for streaming prediction.

    Raises `InputError` for missing or unsuitable files, `ConfigError` for unsuitable options.
    """
    _check_task_and_format(options)
    sources = _expand_inputs(normalize_inputs(inputs), options)
    _check_source_options(sources, options)

    files = [source for source in sources if not isinstance(source, Document)]
    streams = [_open_file(source, options) for source in files]
    documents = [source for source in sources if isinstance(source, Document)]
    if documents:
        streams.append(Stream(ExampleSet(options.task, [], options.answers), _read_documents(documents, options)))
    return streams


def _check_task_and_format(options: ReadOptions) -> None:
    for name in ("columns", "labels"):
        if getattr(options, name) is not None:
            to_plain(name, getattr(options, name), str)
    known = formats.list_formats(options.task)  # raises for a task without examples
    if options.format is not None and options.format not in known:
        raise ConfigError(f"{options.task} does not read format {options.format!r} (choices: {', '.join(known)})")


def _check_source_options(sources: Sequence[Source], options: ReadOptions) -> None:
    """Refuse options that none of the sources can use."""
    if not sources:
        raise InputError("no data was given; name a file, a folder or -")
    endings = [options.suffix_of(source.name) for source in sources]
    if options.labels is not None and ".idx" not in endings:
        raise ConfigError("labels is the file of labels of an idx file; none is read here: leave it out")
    if options.columns is not None and all(ending == ".npz" for ending in endings):
        raise ConfigError("columns names columns of a CSV; arrays have none: leave it out")


def _read_documents(sources: Sequence[Document], options: ReadOptions) -> Iterator[Example]:
    examples = (text_pairs.read_document(source, source.label, options.answers) for source in sources)
    yield from get_supervised_task(options.task).adapt_documents(examples)


def _open_file(source: Source, options: ReadOptions) -> Stream:
    stream = _open_source(source, options)
    return replace(stream, items=StreamedItems(stream.items)) if ending_of(source.name) == "-" else stream


def _open_source(source: Source, options: ReadOptions) -> Stream:
    task = options.task
    opener = get_supervised_task(task).readers.get(options.suffix_of(source.name))
    if opener is None:
        raise Location(source.name).error(
            f"{task} does not read this kind of file; it reads {_describe_endings(task)}; "
            "--format names the format of other files"
        )
    return opener(source, options)


def _expand_inputs(inputs: Sequence[str], options: ReadOptions) -> list[Source]:
    """The sources of the inputs; of a folder, the files that the task reads, except idx files of labels."""
    found: list[Source] = []
    for name in inputs:
        if os.path.isdir(name):
            sources = _expand_folder(name, options)
        else:
            sources = [arrays.refuse_arrays(source) if name == "-" else source for source in expand([name], "bytes")]
        found += [replace(source, report=options.report) for source in sources]
    return found


def _expand_folder(folder: str, options: ReadOptions) -> list[Source]:
    has_class_files = get_supervised_task(options.task).reads_class_files
    classes = None if options.format is None else options.format == FOLDERS
    sources = folder_sources(
        folder,
        lambda path: _is_readable(path, options),
        lambda path: has_class_files and options.suffix_of(path) == ".txt",
        classes if has_class_files else False,
        options.report,
    )
    if not sources:
        raise Location(folder).error(
            f"no file for {options.task} in this folder; it reads {_describe_endings(options.task)}"
        )
    return sources


def _is_readable(name: str, options: ReadOptions) -> bool:
    ending = options.suffix_of(name)
    # Labels are read with their images, not as examples.
    is_label_file = ending == ".idx" and "label" in os.path.basename(name)
    return not is_label_file and formats.is_supported(options.task, ending)


def _describe_endings(task: str) -> str:
    return ", ".join(formats.list_endings(task)) + " (each also compressed: .gz, .bz2, .xz, .zst)"
