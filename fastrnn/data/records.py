"""Inputs of the labelled tasks to records: which reader takes which file is in the table `READERS`."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePath

from ..errors import ConfigError, InputError
from ..message import quoted
from ..plain import to_plain
from . import dense, labelled, series_reader, tables, tagged
from .arriving import Arriving
from .characters import readable
from .csv_table import Table
from .record import Place, Record, Records
from .sources import Source
from .text import Paths, expand, names_of

Reader = Callable[[Source, bool], Iterator[Record]]

TASKS = ("tag", "classify", "generate", "translate", "forecast", "regress")


def _labelled(source: Source, answers: bool) -> Iterator[Record]:
    """Standard input: JSON Lines if it starts with a brace, else TSV."""
    return _by_start(source, answers, labelled.jsonl_labelled, labelled.tsv_labelled)


def _given(source: Source, answers: bool) -> Iterator[Record]:
    return _by_start(source, answers, labelled.jsonl_given, _label_and_text)


def _by_start(source: Source, answers: bool, json_lines: Reader, other: Reader) -> Iterator[Record]:
    chunks = source.chunks()
    first = next(chunks, b"")
    again = Source(source.name, lambda: itertools.chain([first], chunks))
    reader = json_lines if first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else other
    return reader(again, answers)


def _class_as_given(source: Source, answers: bool) -> Iterator[Record]:
    return labelled.turned(labelled.class_file(source, True))


_label_and_text: Reader = partial(labelled.tsv_pairs, names=("label", "text"))

# Task -> ending of the file's name (without .gz) -> reader; "-" is standard input. Tables and arrays are read apart.
READERS: dict[str, dict[str, Reader]] = {
    "tag": {
        ".conllu": tagged.conllu,
        ".txt": tagged.two_columns,
        ".tsv": tagged.two_columns,
        ".conll": tagged.two_columns,
        ".bio": tagged.two_columns,
        "-": tagged.conllu_or_two_columns,
    },
    "classify": {
        ".tsv": labelled.tsv_labelled,
        ".jsonl": labelled.jsonl_labelled,
        ".txt": labelled.class_file,
        "-": _labelled,
    },
    "generate": {".tsv": _label_and_text, ".jsonl": labelled.jsonl_given, ".txt": _class_as_given, "-": _given},
    "translate": {".tsv": labelled.tsv_pairs, ".txt": labelled.tsv_pairs, "-": labelled.tsv_pairs},
}
_DENSE = {
    "classify": (".npz", ".idx"),
    "forecast": (".csv", "-"),
    "regress": (".csv", ".npz", "-"),
}


@dataclass(frozen=True)
class Reading:
    """How records are read. ``columns``: names or globs of a table; ``exact``: its columns, when a model knows them.

    ``missing``: what is done about missing values of a series: "interpolate", "last", "drop", or None to refuse them.
    """

    task: str
    answers: bool = True
    columns: str | None = None
    labels: str | None = None
    exact: tables.Columns | None = None
    missing: str | None = None


def read_records(
    inputs: Paths,
    task: str,
    *,
    columns: str | None = None,
    labels: str | None = None,
    answers: bool = True,
    exact: tables.Columns | None = None,
    missing: str | None = None,
) -> Records:
    """Read every record of files, folders, globs or ``-`` for a labelled task.

    ``columns``: comma-separated names or globs of CSV columns (forecast: the series; regress: what to predict).
    ``exact``: the columns of a trained model (`Vocabulary.columns`), instead. ``labels``: the file of labels for idx
    files. ``answers=False``: for prediction, where the answer may be missing. ``missing``: as in `Reading`. Raises
    `InputError` that names file and line, `ConfigError` for an unknown task.
    """
    inputs, reading = names_of(inputs), Reading(task, answers, columns, labels, exact, missing)
    streams = open_records(inputs, reading)
    parts = [replace(stream.records, items=list(stream.items)) for stream in streams]
    items = [record for part in parts for record in part.items]
    if not items:
        raise InputError(f"{readable(', '.join(inputs[:3]))}: no example in it; give at least one")
    _check_kinds(items)
    for part in parts[1:]:
        if (part.inputs, part.outputs) != (parts[0].inputs, parts[0].outputs):
            raise part.items[0].place.error(f"other columns than those of {parts[0].items[0].place.file}")
    return replace(parts[0], items=items, remarks=tuple(line for part in parts for line in part.remarks))


def _check_kinds(items: list[Record]) -> None:
    """Texts and arrays are not learnt from together."""
    for record in items:
        if isinstance(record.x, str) != isinstance(items[0].x, str):
            kinds = ("a text or label", "numbers")
            has, had = kinds if isinstance(record.x, str) else kinds[::-1]
            raise record.place.error(f"{has} where the examples before have {had}; give one kind")


@dataclass(frozen=True)
class Stream:
    """The records of one source as they are read: ``records`` has everything but the items.

    ``items``: of standard input `Arriving`, else an iterator.
    """

    records: Records
    items: Iterable[Record]


def open_records(inputs: Paths, reading: Reading) -> list[Stream]:
    """The sources of a task, opened but not read, for prediction that streams. Raises `InputError`, `ConfigError`."""
    for name in ("columns", "labels"):
        if getattr(reading, name) is not None:
            to_plain(name, getattr(reading, name), str)
    if reading.task not in TASKS:
        raise ConfigError(f"task {quoted(reading.task)} has no records (choices: {', '.join(TASKS)})")
    sources = _sources(names_of(inputs), reading)
    if not sources:
        raise InputError("no data was given; name a file, a folder or -")
    if reading.labels is not None and not any(ending_of(source.name) == ".idx" for source in sources):
        raise ConfigError("labels is the file of labels of an idx file; none is read here: leave it out")
    if reading.columns is not None and all(ending_of(source.name) == ".npz" for source in sources):
        raise ConfigError("columns names columns of a CSV; arrays have none: leave it out")
    return [_live(_open(source, reading), source) for source in sources]


def _live(stream: Stream, source: Source) -> Stream:
    return replace(stream, items=Arriving(stream.items)) if ending_of(source.name) == "-" else stream


def _open(source: Source, reading: Reading) -> Stream:
    task, answers = reading.task, reading.answers
    ending = ending_of(source.name)
    empty = Records(task, [], answers)
    if ending in READERS.get(task, {}):
        return Stream(empty, _refuse_empty(READERS[task][ending](source, answers), source))
    if ending not in _DENSE.get(task, ()):
        raise Place(source.name).error(f"{task} does not read this kind of file; it reads {_known(task)}")
    if ending in (".npz", ".idx"):
        return _open_arrays(source, ending, reading)
    return _open_table(source, reading)


def _open_table(source: Source, reading: Reading) -> Stream:
    forecasts = reading.task == "forecast"
    # rows that come one by one from a pipe are predicted as they come
    table = Table(source, whole=forecasts or reading.answers or ending_of(source.name) != "-")
    choose = series_reader.forecast_columns if forecasts else tables.regression_columns
    columns = reading.exact or choose(table, reading.columns)
    items = iter([series_reader.series(table, columns, reading.missing)] if forecasts else [])
    if not forecasts:
        items = tables.regression_rows(table, columns, reading.answers)
    header, remarks = table.raw_header, tuple(table.remarks)
    return Stream(Records(reading.task, [], reading.answers, columns.inputs, columns.outputs, header, remarks), items)


def _open_arrays(source: Source, ending: str, reading: Reading) -> Stream:
    place = Place(source.name)
    if ending == ".npz":
        arrays = dense.npz_arrays(source, reading.answers)
    else:
        arrays = dense.idx_arrays(source, _label_source(source, reading))
    make = dense.classes if reading.task == "classify" else dense.regressions
    return Stream(Records(reading.task, [], reading.answers), make(arrays, place))


def _label_source(images: Source, reading: Reading) -> Source | None:
    """The file of labels: the one named, or the one beside the images whose name says so."""
    if reading.labels is not None:
        return expand([reading.labels])[0]
    folder, name = os.path.split(images.name)
    beside = os.path.join(folder, name.replace("images-idx3", "labels-idx1").replace("images.idx3", "labels.idx1"))
    if beside != images.name and os.path.isfile(beside):
        return expand([beside])[0]
    if reading.answers:
        raise Place(images.name).error("no labels; name their idx file with --labels")
    return None


def _sources(inputs: Sequence[str], reading: Reading) -> list[Source]:
    """The sources of the inputs; of a folder, those that the task reads, idx files of labels left out."""
    found = []
    for name in inputs:
        sources = [dense.refuse_arrays(source) if name == "-" else source for source in expand([name], "bytes")]
        if os.path.isdir(name):
            sources = [s for s in sources if _belongs(s.name, reading.task)]
            if not sources:
                raise Place(name).error(f"no file for {reading.task} in this folder; it reads {_known(reading.task)}")
        found += sources
    return found


def _belongs(name: str, task: str) -> bool:
    ending = ending_of(name)
    if ending == ".idx" and "label" in os.path.basename(name):
        return False
    return ending in READERS.get(task, {}) or ending in _DENSE.get(task, ())


def ending_of(name: str) -> str:
    """What decides the reader: ``.tsv``, ``.idx`` (also of names such as ``t10k-images-idx3-ubyte``), ``-``."""
    if name == "standard input":
        return "-"
    path = PurePath(name.lower().removesuffix(".gz"))
    if any(mark in path.name for mark in ("-idx", ".idx")):
        return ".idx"
    return path.suffix


def _known(task: str) -> str:
    endings = [e for e in (*READERS.get(task, ()), *_DENSE.get(task, ())) if e != "-"]
    return ", ".join(endings) + " (each also with .gz)"


def _refuse_empty(records: Iterable[Record], source: Source) -> Iterator[Record]:
    count = 0
    for record in records:
        count += 1
        yield record
    if not count:
        raise Place(source.name).error("no example in it; give at least one")
