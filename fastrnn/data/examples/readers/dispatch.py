"""Open files, folders and standard input for a supervised task, and read their examples."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ....errors import ConfigError, InputError, escape, quote
from ....plain import to_plain
from ...text.files import Paths, expand, normalize_inputs
from ...text.sources import Report, Source, ignore_report, peek
from ..example import Example, ExampleSet, Location
from ..streaming import StreamedItems
from . import arrays, csv_columns, formats, labelled_table, series, text_pairs
from .csv_table import Table
from .fields import ANY_FIELDS, Fields
from .folders import Document, folder_sources
from .formats import FOLDERS, ending_of

TASKS = ("tag", "classify", "generate", "translate", "forecast", "regress")

_MANY_FILES = 10  # class files from which on each may be one example rather than a class


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
    exact: csv_columns.Columns | None = None
    missing: str | None = None
    fields: Fields = ANY_FIELDS
    format: str | None = None
    usual_format: str | None = None
    report: Report = ignore_report

    def suffix_of(self, name: str) -> str:
        """The ending that selects the reader of a file."""
        return formats.resolve_suffix(name, self.task, self.format, self.usual_format)


@dataclass(frozen=True)
class Stream:
    """The examples of one source, read on demand.

    Attributes:
        records: The set's columns, header and remarks, without its items.
        items: The examples: `StreamedItems` for standard input, else an iterator.
    """

    records: ExampleSet
    items: Iterable[Example]


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
        task: One of `TASKS`.
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
    if answers and task == "classify":
        _report_many_labels(items, options.report)
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


def _report_many_labels(items: list[Example], report: Report) -> None:
    """Report class files about as many as the examples: files may be the examples, and folders the classes."""
    files = {item.place.file for item in items}
    if len(files) >= _MANY_FILES and len(items) < 2 * len(files):
        labels = len({item.y for item in items})
        if labels > len(files) // 2:
            report(
                f"{len(files):,} files give {labels:,} labels: each file is a class of its name, each line an example; "
                f"for a folder a class name the folder above, or use --format {FOLDERS}"
            )


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
    if options.task not in TASKS:
        raise ConfigError(f"task {quote(options.task)} has no records (choices: {', '.join(TASKS)})")
    known = formats.list_formats(options.task)
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
    return text_pairs.swap_input_and_answer(examples) if options.task == "generate" else examples


def _open_file(source: Source, options: ReadOptions) -> Stream:
    stream = _open_source(source, options)
    return replace(stream, items=StreamedItems(stream.items)) if ending_of(source.name) == "-" else stream


def _open_source(source: Source, options: ReadOptions) -> Stream:
    task = options.task
    ending = options.suffix_of(source.name)
    if task == "classify" and ending == "-":
        # Standard input has no name: a CSV is recognised by its first line.
        start, source = peek(source)
        if labelled_table.is_table(start, _table_fields(options), options.answers):
            return _open_labelled_table(source, options)

    reader = formats.find_reader(task, ending, options.fields)
    if reader is not None:
        examples = reader(source, options.answers)
        return Stream(ExampleSet(task, [], options.answers), _require_examples(examples, source))
    if not formats.is_numeric(task, ending):
        raise Location(source.name).error(
            f"{task} does not read this kind of file; it reads {_describe_endings(task)}; "
            "--format names the format of other files"
        )
    if ending in (".npz", ".idx"):
        return _open_arrays(source, ending, options)
    if task == "classify":
        return _open_labelled_table(source, options)
    if task == "forecast":
        return _open_series(source, options)
    return _open_regression_table(source, options)


def _open_labelled_table(source: Source, options: ReadOptions) -> Stream:
    table = labelled_table.open_table(source, options.answers, _table_fields(options))
    records = ExampleSet(
        options.task, [], options.answers, table.inputs, header=table.header, delimiter=table.delimiter
    )
    return Stream(records, _require_examples(table.records, source))


def _table_fields(options: ReadOptions) -> Fields:
    inputs = options.exact.inputs if options.exact is not None else ()
    return replace(options.fields, columns=options.columns, inputs=inputs)


def _open_series(source: Source, options: ReadOptions) -> Stream:
    table = Table(source)
    columns = options.exact or series.choose_forecast_columns(table, options.columns)
    example = series.read_series(table, columns, options.missing)
    return Stream(_table_set(table, columns, options), iter([example]))


def _open_regression_table(source: Source, options: ReadOptions) -> Stream:
    # Prediction answers the rows of a pipe as they arrive, so it cannot scan them all first.
    table = Table(source, whole=options.answers or ending_of(source.name) != "-")
    columns = options.exact or csv_columns.choose_regression_columns(table, options.columns)
    examples = csv_columns.read_regression_rows(table, columns, options.answers)
    return Stream(_table_set(table, columns, options), examples)


def _table_set(table: Table, columns: csv_columns.Columns, options: ReadOptions) -> ExampleSet:
    return ExampleSet(
        options.task,
        [],
        options.answers,
        columns.inputs,
        columns.outputs,
        table.raw_header,
        tuple(table.remarks),
    )


def _open_arrays(source: Source, ending: str, options: ReadOptions) -> Stream:
    if ending == ".npz":
        loaded = arrays.load_npz(source, options.answers)
    else:
        loaded = arrays.load_idx(source, _find_label_source(source, options))
    is_classification = options.task == "classify"
    make = arrays.make_classification_examples if is_classification else arrays.make_regression_examples
    return Stream(ExampleSet(options.task, [], options.answers), make(loaded, Location(source.name)))


def _find_label_source(images: Source, options: ReadOptions) -> Source | None:
    """The file of labels: the one in ``options``, or the one beside the images with MNIST's name for it."""
    if options.labels is not None:
        return expand([options.labels])[0]
    folder, name = os.path.split(images.name)
    # MNIST pairs t10k-images-idx3-ubyte with t10k-labels-idx1-ubyte.
    beside = os.path.join(folder, name.replace("images-idx3", "labels-idx1").replace("images.idx3", "labels.idx1"))
    if beside != images.name and os.path.isfile(beside):
        return expand([beside])[0]
    if options.answers:
        raise Location(images.name).error("no labels; name their idx file with --labels")
    return None


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
    has_class_files = options.task in formats.CLASS_FILE_TASKS
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


def _require_examples(examples: Iterable[Example], source: Source) -> Iterator[Example]:
    """The examples as they are read; an error at the end if all lines were blank."""
    count = 0
    for example in examples:
        count += not example.is_blank
        yield example
    if not count:
        raise Location(source.name).error("no example in it; give at least one")
