"""File formats of the supervised tasks: `read_examples` selects the opener of each file by its ending.

An `Opener` turns a source and `ReadOptions` into a `Stream` of examples; each task has a table of them.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from ....errors import ConfigError, InputError, escape
from ....plain import check_encoding, to_plain
from ....task_specs import get_supervised_task
from ...text.compression import strip_suffix
from ...text.files import Paths, expand, normalize_inputs
from ...text.sources import Report, Source, ignore_report, peek, to_utf8
from ..batching import StreamedItems
from ..example import Example, ExampleSet, Location
from . import arrays, csv_columns, labelled_table, text_pairs
from .csv_columns import Columns
from .csv_table import Table
from .delimited import ANY_FIELDS, Fields
from .folders import Document, folder_sources
from .text_pairs import BEFORE_JSON

FOLDERS = "folders"  # the format in which each folder is a class
_ARRAYS = (".npz", ".idx")  # endings of files that are not text
_UNNAMED = (*_ARRAYS, ".txt")  # endings of files without columns or keys
Reader = Callable[[Source, bool], Iterator[Example]]  # reader(source, needs_targets)
FieldReader = Callable[[Source, bool, Fields], Iterator[Example]]  # reader(source, needs_targets, fields)
ArrayReader = Callable[[arrays.Arrays, Location], Iterator[Example]]


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading examples.

    Attributes:
        task: Task to read the examples for.
        needs_targets: Whether every example must have a target.
        columns: Names or globs of the columns of a table.
        labels: Name of the file of labels of an idx file.
        model_columns: Columns of a table, as a trained model requires them.
        missing: Policy for missing values of a series: "interpolate", "last", "drop", or None to refuse them.
        fields: Columns of label and text (classify, generate).
        format: Format of all files, whatever their names: an ending without its dot, or `FOLDERS`.
        usual_format: Format of files whose names have no known ending.
        report: Callback for remarks about the data.
        encoding: Encoding of texts; None is UTF-8.
    """

    task: str
    needs_targets: bool = True
    columns: str | None = None
    labels: str | None = None
    model_columns: Columns | None = None
    missing: str | None = None
    fields: Fields = ANY_FIELDS
    format: str | None = None
    usual_format: str | None = None
    report: Report = ignore_report
    encoding: str | None = None

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
        layout: The columns, header and remarks of the examples; a set without items.
        items: The examples: `StreamedItems` for standard input, else an iterator.
    """

    layout: ExampleSet
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


def make_stream(examples: Iterable[Example], source: Source, options: ReadOptions) -> Stream:
    """Make a stream of examples that a reader yields; an error at the end if all lines were blank."""
    return Stream(ExampleSet(options.task, [], options.needs_targets), require_examples(examples, source))


def open_with(reader: Reader) -> Opener:
    """The opener that uses this reader."""
    return lambda source, options: make_stream(reader(source, options.needs_targets), source, options)


def open_with_fields(reader: FieldReader) -> Opener:
    """The opener that uses this reader, which needs to know the columns or keys of label and text."""
    return lambda source, options: make_stream(reader(source, options.needs_targets, options.fields), source, options)


def open_labelled_table(source: Source, options: ReadOptions) -> Stream:
    """Open a table with a column of labels, and one of texts or several of numbers."""
    table = labelled_table.open_table(source, options.needs_targets, _table_fields(options))
    layout = ExampleSet(
        options.task, [], options.needs_targets, table.inputs, header=table.header, delimiter=table.delimiter
    )
    return Stream(layout, require_examples(table.examples, source))


def starts_with_table(start: bytes, options: ReadOptions) -> bool:
    """Whether this is the start of a table that `open_labelled_table` reads."""
    return labelled_table.is_table(start, _table_fields(options), options.needs_targets)


def _table_fields(options: ReadOptions) -> Fields:
    inputs = options.model_columns.inputs if options.model_columns is not None else ()
    return replace(options.fields, columns=options.columns, inputs=inputs)


def read_json_or(source: Source, needs_targets: bool, read_json: Reader, read_other: Reader) -> Iterator[Example]:
    """Read JSON if the source starts with a brace or bracket, else with the other reader."""
    first, source = peek(source)
    is_json = first.lstrip(BEFORE_JSON).startswith((b"{", b"["))
    return (read_json if is_json else read_other)(source, needs_targets)


def make_table_set(table: Table, columns: Columns, options: ReadOptions) -> ExampleSet:
    """The set of a table's examples, without its items."""
    return ExampleSet(
        options.task,
        [],
        options.needs_targets,
        columns.inputs,
        columns.outputs,
        table.raw_header,
        tuple(table.remarks),
    )


def open_arrays(make_examples: ArrayReader) -> Opener:
    """The opener of .npz and idx files whose arrays ``make_examples`` converts."""

    def open_source(source: Source, options: ReadOptions) -> Stream:
        if options.suffix_of(source.name) == ".npz":
            loaded = arrays.load_npz(source, options.needs_targets)
        else:
            loaded = arrays.load_idx(source, _find_label_source(source, options))
        return Stream(ExampleSet(options.task, [], options.needs_targets), make_examples(loaded, Location(source.name)))

    return open_source


def _find_label_source(images: Source, options: ReadOptions) -> Source | None:
    """The file of labels: the one in ``options``, or the one beside the images with MNIST's name for it."""
    if options.labels is not None:
        return expand([options.labels])[0]
    folder, name = os.path.split(images.name)
    # MNIST pairs t10k-images-idx3-ubyte with t10k-labels-idx1-ubyte.
    beside = os.path.join(folder, name.replace("images-idx3", "labels-idx1").replace("images.idx3", "labels.idx1"))
    if beside != images.name and os.path.isfile(beside):
        return expand([beside])[0]
    if options.needs_targets:
        raise Location(images.name).error("no labels; name their idx file with --labels")
    return None


def require_examples(examples: Iterable[Example], source: Source) -> Iterator[Example]:
    """The examples as they are read; an error at the end if all lines were blank."""
    count = 0
    for example in examples:
        # Blank lines count as no example, but prediction needs them to keep its place.
        count += not example.is_blank
        yield example
    if not count:
        raise Location(source.name).error("no example in it; give at least one")


def read_examples(
    inputs: Paths,
    task: str,
    *,
    columns: str | None = None,
    labels: str | None = None,
    needs_targets: bool = True,
    model_columns: csv_columns.Columns | None = None,
    **more: Any,
) -> ExampleSet:
    """Read every example of files, folders, globs or ``-`` for a supervised task.

    Args:
        inputs: Names of files and folders, globs, or ``-`` for standard input.
        task: Name of a supervised task.
        columns: Comma-separated names or globs of CSV columns: the series to forecast, the targets of regress, or
            the numbers to classify by.
        labels: The file of labels for idx files.
        needs_targets: Whether every example must have a target; False for prediction.
        model_columns: The columns of a trained model (`TaskSchema.columns`), instead of ``columns``.
        **more: Further fields of `ReadOptions`.

    Raises:
        InputError: For invalid data; the message names file and line.
        ConfigError: For an unknown task or format.
    """
    inputs = normalize_inputs(inputs)
    options = ReadOptions(task, needs_targets, columns, labels, model_columns, **more)
    streams = open_examples(inputs, options)
    parts = [replace(stream.layout, items=[item for item in stream.items if not item.is_blank]) for stream in streams]
    items = [item for part in parts for item in part.items]

    if not items:
        raise InputError(f"{escape(', '.join(inputs[:3]))}: no example in it; give at least one")
    _check_same_kind(items)
    _check_same_columns(parts)
    if needs_targets:
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


def open_examples(inputs: Paths, options: ReadOptions) -> list[Stream]:
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
        streams.append(Stream(ExampleSet(options.task, [], options.needs_targets), _read_documents(documents, options)))
    return streams


def _check_task_and_format(options: ReadOptions) -> None:
    for name in ("columns", "labels"):
        if getattr(options, name) is not None:
            to_plain(name, getattr(options, name), str)
    if options.encoding is not None:
        check_encoding("encoding", options.encoding)
    known = list_formats(options.task)  # raises for a task without examples
    if options.format is not None and options.format not in known:
        raise ConfigError(f"{options.task} does not read format {options.format!r} (choices: {', '.join(known)})")


def _check_source_options(sources: Sequence[Source], options: ReadOptions) -> None:
    """Refuse options that none of the sources can use."""
    if not sources:
        raise InputError("no data was given; name a file, a folder or -")
    endings = [options.suffix_of(source.name) for source in sources]
    if options.labels is not None and ".idx" not in endings:
        raise ConfigError("labels is the file of labels of an idx file; none is read here: leave it out")
    wanted = next((name for name in ("label", "text") if getattr(options.fields, name) is not None), None)
    if options.fields.required and wanted and all(ending in _UNNAMED for ending in endings):
        options.report(f"{wanted} has no effect: it names a column or a JSON key, and these files have none")
    if options.encoding is not None and all(ending in _ARRAYS for ending in endings):
        raise ConfigError("encoding is that of texts; arrays have none: leave it out")
    if options.columns is not None and all(ending == ".npz" for ending in endings):
        raise ConfigError("columns names columns of a CSV; arrays have none: leave it out")


def _read_documents(sources: Sequence[Document], options: ReadOptions) -> Iterator[Example]:
    examples = (text_pairs.read_document(source, source.label, options.needs_targets) for source in sources)
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
        found += [replace(_convert(source, options), report=options.report) for source in sources]
    return found


def _convert(source: Source, options: ReadOptions) -> Source:
    """Return the source in UTF-8; arrays have no encoding."""
    is_text = options.suffix_of(source.name) not in _ARRAYS
    return to_utf8(source, options.encoding) if is_text else source


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
    return not is_label_file and is_supported(options.task, ending)


def _describe_endings(task: str) -> str:
    return ", ".join(list_endings(task)) + " (each also compressed: .gz, .bz2, .xz, .zst)"
