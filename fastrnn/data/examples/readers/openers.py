"""Openers shared by several tasks: functions from a source and `ReadOptions` to a `Stream` of examples."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from ...text.files import expand
from ...text.sources import Source, peek
from ..example import Example, ExampleSet, Location
from . import arrays, labelled_table
from .csv_columns import Columns
from .csv_table import Table
from .fields import Fields
from .formats import Opener, ReadOptions, Stream
from .json_pairs import BEFORE_JSON

Reader = Callable[[Source, bool], Iterator[Example]]  # reader(source, answers)
FieldReader = Callable[[Source, bool, Fields], Iterator[Example]]  # reader(source, answers, fields)
ArrayReader = Callable[[arrays.Arrays, Location], Iterator[Example]]


def make_stream(examples: Iterable[Example], source: Source, options: ReadOptions) -> Stream:
    """Make a stream of examples that a reader yields; an error at the end if all lines were blank."""
    return Stream(ExampleSet(options.task, [], options.answers), require_examples(examples, source))


def open_with(reader: Reader) -> Opener:
    """The opener that uses this reader."""
    return lambda source, options: make_stream(reader(source, options.answers), source, options)


def open_with_fields(reader: FieldReader) -> Opener:
    """The opener that uses this reader, which needs to know the columns or keys of label and text."""
    return lambda source, options: make_stream(reader(source, options.answers, options.fields), source, options)


def open_labelled_table(source: Source, options: ReadOptions) -> Stream:
    """Open a table with a column of labels, and one of texts or several of numbers."""
    table = labelled_table.open_table(source, options.answers, _table_fields(options))
    records = ExampleSet(
        options.task, [], options.answers, table.inputs, header=table.header, delimiter=table.delimiter
    )
    return Stream(records, require_examples(table.records, source))


def starts_with_table(start: bytes, options: ReadOptions) -> bool:
    """Whether this is the start of a table that `open_labelled_table` reads."""
    return labelled_table.is_table(start, _table_fields(options), options.answers)


def _table_fields(options: ReadOptions) -> Fields:
    inputs = options.exact.inputs if options.exact is not None else ()
    return replace(options.fields, columns=options.columns, inputs=inputs)


def read_json_or(source: Source, answers: bool, read_json: Reader, read_other: Reader) -> Iterator[Example]:
    """Read JSON if the source starts with a brace or bracket, else with the other reader."""
    first, source = peek(source)
    is_json = first.lstrip(BEFORE_JSON).startswith((b"{", b"["))
    return (read_json if is_json else read_other)(source, answers)


def make_table_set(table: Table, columns: Columns, options: ReadOptions) -> ExampleSet:
    """The set of a table's examples, without its items."""
    return ExampleSet(
        options.task,
        [],
        options.answers,
        columns.inputs,
        columns.outputs,
        table.raw_header,
        tuple(table.remarks),
    )


def open_arrays(make_examples: ArrayReader) -> Opener:
    """The opener of .npz and idx files whose arrays ``make_examples`` converts."""

    def open_source(source: Source, options: ReadOptions) -> Stream:
        if options.suffix_of(source.name) == ".npz":
            loaded = arrays.load_npz(source, options.answers)
        else:
            loaded = arrays.load_idx(source, _find_label_source(source, options))
        return Stream(ExampleSet(options.task, [], options.answers), make_examples(loaded, Location(source.name)))

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
    if options.answers:
        raise Location(images.name).error("no labels; name their idx file with --labels")
    return None


def require_examples(examples: Iterable[Example], source: Source) -> Iterator[Example]:
    """The examples as they are read; an error at the end if all lines were blank."""
    count = 0
    for example in examples:
        count += not example.is_blank
        yield example
    if not count:
        raise Location(source.name).error("no example in it; give at least one")
