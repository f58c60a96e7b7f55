"""Inputs of the labelled tasks to records: which reader takes which file is in the table `READERS`."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePath
from typing import Any

from ....errors import ConfigError, InputError
from ....message import quoted
from ....plain import to_plain
from ...text.decoding import readable
from ...text.files import Paths, expand, names_of
from ...text.line_ends import Tell, silent
from ...text.sources import Source, peek
from ..example import Example, ExampleSet, Location
from ..streaming import StreamedItems
from . import arrays, conll, csv, labelled_table, series, text_pairs
from .csv_table import Table
from .fields import ANY_FIELDS, Fields
from .folders import Document, folder_sources

Reader = Callable[..., Iterator[Example]]  # of a source, and whether answers must be there

TASKS = ("tag", "classify", "generate", "translate", "forecast", "regress")


_CLASS_FILES = ("classify", "generate")  # tasks for which the name of a .txt file or folder is a label
_MANY_FILES = 10


def _labelled(source: Source, answers: bool, fields: Fields = ANY_FIELDS) -> Iterator[Example]:
    """Standard input: JSON if it starts with a brace or bracket, else TSV."""
    return _by_start(source, answers, partial(text_pairs.json_labelled, fields=fields),
                     partial(text_pairs.tsv_labelled, fields=fields))  # fmt: skip


def _given(source: Source, answers: bool) -> Iterator[Example]:
    return _by_start(source, answers, text_pairs.jsonl_given, _label_and_text)


def _by_start(source: Source, answers: bool, json_lines: Reader, other: Reader) -> Iterator[Example]:
    first, source = peek(source)
    return (json_lines if first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")) else other)(source, answers)


def _class_as_given(source: Source, answers: bool) -> Iterator[Example]:
    return text_pairs.turned(text_pairs.class_file(source, True))


def _label_and_text(source: Source, answers: bool, fields: Fields = ANY_FIELDS) -> Iterator[Example]:
    return text_pairs.turned(text_pairs.tsv_labelled(source, True, fields))


_COLUMN_FORMATS = (".txt", ".tsv", ".conll", ".bio", ".iob", ".iob2", ".bioes", ".iobes")

# Task -> ending of the file's name (without .gz) -> reader; "-" is standard input. Tables and arrays are read apart.
READERS: dict[str, dict[str, Reader]] = {
    "tag": {
        ".conllu": conll.conllu,
        ".conllup": conll.conllu_plus,
        **dict.fromkeys(_COLUMN_FORMATS, conll.two_columns),
        "-": conll.conllu_or_two_columns,
    },
    "classify": {
        ".tsv": text_pairs.tsv_labelled,
        ".jsonl": text_pairs.jsonl_labelled,
        ".ndjson": text_pairs.jsonl_labelled,
        ".json": text_pairs.json_labelled,
        ".txt": text_pairs.class_file,
        "-": _labelled,
    },
    "generate": {
        ".tsv": _label_and_text,
        ".jsonl": text_pairs.jsonl_given,
        ".ndjson": text_pairs.jsonl_given,
        ".txt": _class_as_given,
        "-": _given,
    },
    "translate": {".tsv": text_pairs.tsv_pairs, ".txt": text_pairs.tsv_pairs, "-": text_pairs.tsv_pairs},
}
_DENSE = {
    "classify": (".csv", ".npz", ".idx"),
    "forecast": (".csv", "-"),
    "regress": (".csv", ".npz", "-"),
}
# Readers that ask which columns or keys hold label and text, and those that know predicted tags.
_WITH_FIELDS: tuple[Any, ...] = (
    text_pairs.tsv_labelled, text_pairs.jsonl_labelled, text_pairs.json_labelled, _labelled, _label_and_text,
)  # fmt: skip
_WITH_KNOWN: tuple[Any, ...] = (conll.two_columns, conll.conllu_or_two_columns)
FOLDERS = "folders"  # the format in which each folder is a class


@dataclass(frozen=True)
class ReadOptions:
    """How records are read.

    Attributes:
        task: Task that the records are for.
        answers: Whether each must have its answer.
        columns: Names or globs of the columns of a table.
        labels: Name of the file of labels of an idx file.
        exact: Columns of a table, where a model knows them.
        missing: What is done about missing values of a series: "interpolate", "last", "drop", or None to refuse them.
        fields: Columns of label and text (classify, generate).
        format: Format of all files, whatever their names: an ending without its dot, or `FOLDERS`.
        usual_format: Format of files whose names tell none.
        tell: Is told what the user should know about the data.
    """

    task: str
    answers: bool = True
    columns: str | None = None
    labels: str | None = None
    exact: csv.Columns | None = None
    missing: str | None = None
    fields: Fields = ANY_FIELDS
    format: str | None = None
    usual_format: str | None = None
    tell: Tell = silent


def read_records(
    inputs: Paths,
    task: str,
    *,
    columns: str | None = None,
    labels: str | None = None,
    answers: bool = True,
    exact: csv.Columns | None = None,
    **more: Any,
) -> ExampleSet:
    """Read every record of files, folders, globs or ``-`` for a labelled task.

    ``columns``: comma-separated names or globs of CSV columns (forecast: the series; regress: what to predict;
    classify: the numbers). ``exact``: the columns of a trained model (`TaskSchema.columns`), instead. ``labels``: the
    file of labels for idx files. ``answers=False``: for prediction, where the answer may be missing. ``more``: further
    fields of `ReadOptions`. Raises `InputError` that names file and line, `ConfigError` for an unknown task.
    """
    inputs, reading = names_of(inputs), ReadOptions(task, answers, columns, labels, exact, **more)
    streams = open_records(inputs, reading)
    parts = [
        replace(stream.records, items=[record for record in stream.items if not record.is_blank]) for stream in streams
    ]
    items = [record for part in parts for record in part.items]
    if not items:
        raise InputError(f"{readable(', '.join(inputs[:3]))}: no example in it; give at least one")
    _check_kinds(items)
    for part in parts[1:]:
        if (part.inputs, part.outputs) != (parts[0].inputs, parts[0].outputs):
            raise part.items[0].place.error(f"other columns than those of {parts[0].items[0].place.file}")
    if answers and task == "classify":
        _tell_many_labels(items, reading.tell)
    return replace(parts[0], items=items, remarks=tuple(line for part in parts for line in part.remarks))


def _tell_many_labels(items: list[Example], tell: Tell) -> None:
    """Report class files that are as many as the examples: they may be examples, and folders the classes."""
    files = {record.place.file for record in items}
    if len(files) >= _MANY_FILES and len(items) < 2 * len(files):
        labels = len({record.y for record in items})
        if labels > len(files) // 2:
            tell(
                f"{len(files):,} files give {labels:,} labels: each file is a class of its name, each line an example; "
                f"for a folder a class name the folder above, or use --format {FOLDERS}"
            )


def _check_kinds(items: list[Example]) -> None:
    """Texts and arrays are not learnt from together."""
    for record in items:
        if isinstance(record.x, str) != isinstance(items[0].x, str):
            kinds = ("a text or label", "numbers")
            has, had = kinds if isinstance(record.x, str) else kinds[::-1]
            raise record.place.error(f"{has} where the examples before have {had}; give one kind")


@dataclass(frozen=True)
class Stream:
    """The records of one source as they are read: ``records`` has everything but the items.

    ``items``: of standard input `StreamedItems`, else an iterator.
    """

    records: ExampleSet
    items: Iterable[Example]


def open_records(inputs: Paths, reading: ReadOptions) -> list[Stream]:
    """The sources of a task, opened but not read, for prediction that streams. Raises `InputError`, `ConfigError`."""
    for name in ("columns", "labels"):
        if getattr(reading, name) is not None:
            to_plain(name, getattr(reading, name), str)
    if reading.task not in TASKS:
        raise ConfigError(f"task {quoted(reading.task)} has no records (choices: {', '.join(TASKS)})")
    _check_format(reading)
    sources = _sources(names_of(inputs), reading)
    if not sources:
        raise InputError("no data was given; name a file, a folder or -")
    if reading.labels is not None and not any(_ending(source.name, reading) == ".idx" for source in sources):
        raise ConfigError("labels is the file of labels of an idx file; none is read here: leave it out")
    if reading.columns is not None and all(_ending(source.name, reading) == ".npz" for source in sources):
        raise ConfigError("columns names columns of a CSV; arrays have none: leave it out")
    files = [source for source in sources if not isinstance(source, Document)]
    streams = [_live(_open(source, reading), source) for source in files]
    documents = [source for source in sources if isinstance(source, Document)]
    if documents:
        streams.append(Stream(ExampleSet(reading.task, [], reading.answers), _documents(documents, reading)))
    return streams


def _documents(sources: Sequence[Document], reading: ReadOptions) -> Iterator[Example]:
    records = (text_pairs.document(source, source.label, reading.answers) for source in sources)
    return text_pairs.turned(records) if reading.task == "generate" else records


def _live(stream: Stream, source: Source) -> Stream:
    return replace(stream, items=StreamedItems(stream.items)) if ending_of(source.name) == "-" else stream


def _check_format(reading: ReadOptions) -> None:
    """Raises `ConfigError` for a format that the task does not read."""
    known = formats_of(reading.task)
    if reading.format is not None and reading.format not in known:
        raise ConfigError(f"{reading.task} does not read format {reading.format!r} (choices: {', '.join(known)})")


def formats_of(task: str) -> tuple[str, ...]:
    """The formats that a task reads: endings without their dots, and `FOLDERS`."""
    endings = [ending[1:] for ending in (*READERS.get(task, ()), *_DENSE.get(task, ())) if ending != "-"]
    return (*endings, *([FOLDERS] if task in _CLASS_FILES else []))


def _open(source: Source, reading: ReadOptions) -> Stream:
    task, answers, ending = reading.task, reading.answers, _ending(source.name, reading)
    if task == "classify" and ending == "-":
        start, source = peek(source)
        if labelled_table.is_table(start, _table_fields(reading), answers):
            return _open_labelled_table(source, reading)
    if ending in READERS.get(task, {}):
        reader = READERS[task][ending]
        if reader in _WITH_FIELDS:
            reader = partial(reader, fields=reading.fields)
        elif reader in _WITH_KNOWN:
            reader = partial(reader, known=reading.fields.known)
        return Stream(ExampleSet(task, [], answers), _refuse_empty(reader(source, answers), source))
    if ending not in _DENSE.get(task, ()):
        raise Location(source.name).error(
            f"{task} does not read this kind of file; it reads {_known(task)}; --format names the format of other files"
        )
    if ending in (".npz", ".idx"):
        return _open_arrays(source, ending, reading)
    if task == "classify":
        return _open_labelled_table(source, reading)
    return _open_table(source, reading)


def _open_labelled_table(source: Source, reading: ReadOptions) -> Stream:
    table = labelled_table.open_table(source, reading.answers, _table_fields(reading))
    records = ExampleSet(
        reading.task, [], reading.answers, table.inputs, header=table.header, delimiter=table.delimiter
    )
    return Stream(records, _refuse_empty(table.records, source))


def _table_fields(reading: ReadOptions) -> Fields:
    inputs = reading.exact.inputs if reading.exact is not None else ()
    return replace(reading.fields, columns=reading.columns, inputs=inputs)


def _open_table(source: Source, reading: ReadOptions) -> Stream:
    forecasts = reading.task == "forecast"
    # rows that come one by one from a pipe are predicted as they come
    table = Table(source, whole=forecasts or reading.answers or ending_of(source.name) != "-")
    choose = series.forecast_columns if forecasts else csv.regression_columns
    columns = reading.exact or choose(table, reading.columns)
    items = iter([series.series(table, columns, reading.missing)] if forecasts else [])
    if not forecasts:
        items = csv.regression_rows(table, columns, reading.answers)
    header, remarks = table.raw_header, tuple(table.remarks)
    return Stream(
        ExampleSet(reading.task, [], reading.answers, columns.inputs, columns.outputs, header, remarks), items
    )


def _open_arrays(source: Source, ending: str, reading: ReadOptions) -> Stream:
    place = Location(source.name)
    if ending == ".npz":
        loaded = arrays.npz_arrays(source, reading.answers)
    else:
        loaded = arrays.idx_arrays(source, _label_source(source, reading))
    make = arrays.classes if reading.task == "classify" else arrays.regressions
    return Stream(ExampleSet(reading.task, [], reading.answers), make(loaded, place))


def _label_source(images: Source, reading: ReadOptions) -> Source | None:
    """The file of labels: the one named, or the one beside the images whose name says so."""
    if reading.labels is not None:
        return expand([reading.labels])[0]
    folder, name = os.path.split(images.name)
    beside = os.path.join(folder, name.replace("images-idx3", "labels-idx1").replace("images.idx3", "labels.idx1"))
    if beside != images.name and os.path.isfile(beside):
        return expand([beside])[0]
    if reading.answers:
        raise Location(images.name).error("no labels; name their idx file with --labels")
    return None


def _sources(inputs: Sequence[str], reading: ReadOptions) -> list[Source]:
    """The sources of the inputs; of a folder, those that the task reads, idx files of labels left out."""
    task, found = reading.task, []
    classes = None if reading.format is None else reading.format == FOLDERS
    for name in inputs:
        if os.path.isdir(name):
            sources = folder_sources(
                name,
                lambda path: _belongs(path, reading),
                lambda path: task in _CLASS_FILES and _ending(path, reading) == ".txt",
                classes if task in _CLASS_FILES else False,
                reading.tell,
            )
            if not sources:
                raise Location(name).error(f"no file for {task} in this folder; it reads {_known(task)}")
        else:
            sources = [arrays.refuse_arrays(source) if name == "-" else source for source in expand([name], "bytes")]
        found += [replace(source, tell=reading.tell) for source in sources]
    return found


def _belongs(name: str, reading: ReadOptions) -> bool:
    ending = _ending(name, reading)
    if ending == ".idx" and "label" in os.path.basename(name):
        return False
    return ending in READERS.get(reading.task, {}) or ending in _DENSE.get(reading.task, ())


def _ending(name: str, reading: ReadOptions) -> str:
    """The ending that decides the reader: of the format that was given, of the name, or of the usual format."""
    if reading.format is not None:
        return ".txt" if reading.format == FOLDERS else f".{reading.format}"
    ending = ending_of(name)
    known = ending in READERS.get(reading.task, {}) or ending in _DENSE.get(reading.task, ())
    if reading.usual_format in (None, FOLDERS) or known:
        return ending
    return f".{reading.usual_format}"


def ending_of(name: str) -> str:
    """What decides the reader: ``.tsv``, ``.idx`` (also of names such as ``t10k-images-idx3-ubyte``), ``-``."""
    if name == "standard input" or _is_pipe(name):
        return "-"
    path = PurePath(name.lower().removesuffix(".gz"))
    if any(mark in path.name for mark in ("-idx", ".idx")):
        return ".idx"
    return path.suffix


def _is_pipe(name: str) -> bool:
    """Whether this is a pipe, such as the shell's ``<(command)``; its content tells the format."""
    if PurePath(name).suffix and not name.startswith("/dev/"):
        return False
    try:
        return stat.S_ISFIFO(os.stat(name).st_mode)
    except (OSError, ValueError):
        return False


def _known(task: str) -> str:
    endings = [e for e in (*READERS.get(task, ()), *_DENSE.get(task, ())) if e != "-"]
    return ", ".join(endings) + " (each also with .gz)"


def _refuse_empty(records: Iterable[Example], source: Source) -> Iterator[Example]:
    count = 0
    for record in records:
        count += not record.is_blank
        yield record
    if not count:
        raise Location(source.name).error("no example in it; give at least one")
