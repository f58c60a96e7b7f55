"""Texts with a label and pairs of texts: class files, documents and tab-separated files, read line by line."""

import itertools
import json
from collections.abc import Iterator
from pathlib import PurePath

from ...text.compression import strip_suffix
from ...text.sources import Source
from ..example import Example, Location, read_lines
from .delimited import Row, describe_count, make_blank_example, read_tsv_rows, require_text
from .fields import ANY_FIELDS, Fields, Header, find_header, make_unique_name, report_columns

# First lines of translation files that name the columns.
_PAIR_HEADERS = {("source", "target"), ("src", "tgt"), ("src", "trg"), ("input", "output"), ("source", "translation")}


def read_class_file(source: Source, answers: bool) -> Iterator[Example]:
    """Yield one example per line; the file name without its ending is the label. Without ``answers``: no label."""
    label = PurePath(strip_suffix(source.name)).stem.strip() if answers else None
    for place, line in read_lines(source):
        if line.strip():
            yield Example(line, label, place, line)
        elif not answers:
            yield make_blank_example(place, line)


def read_document(source: Source, label: str, answers: bool) -> Example:
    """Read a whole file as one example."""
    text = "\n".join(line for _, line in read_lines(source)).strip("\n")
    place = Location(source.name)
    if not text.strip():
        raise place.error("an empty file; write its text, or remove it")
    # Predictions are written one line per example, so a text with line breaks is kept as JSON.
    value = {"file": source.name, **({"label": label} if answers else {}), "text": text}
    return Example(text, label if answers else None, place, json.dumps(value, ensure_ascii=False))


def read_labelled_tsv(source: Source, answers: bool, fields: Fields = ANY_FIELDS) -> Iterator[Example]:
    """Read label TAB text, or the columns named in a header. Without ``answers`` a line may hold a text alone."""
    rows = read_tsv_rows(source)
    # Blank lines may precede a header; prediction copies them to its output.
    blank: list[Row] = []
    first = next(rows, None)
    while first is not None and first.is_blank:
        blank.append(first)
        first = next(rows, None)
    if not answers:
        yield from (make_blank_example(row.place, row.raw) for row in blank)
    if first is None:
        return

    header = find_header(first, fields, answers)
    if header is None:
        yield from _parse_plain_rows(itertools.chain([first], rows), answers, fields, source)
        return
    report_columns(header, first.place, source.report)
    yield from parse_named_rows(first, rows, header, answers, "\t")


def parse_named_rows(
    first: Row, rows: Iterator[Row], header: Header, answers: bool, delimiter: str
) -> Iterator[Example]:
    """Yield the examples of a table with a header; without ``answers`` preceded by the header of the predictions."""
    if header.is_data:
        rows = itertools.chain([first], rows)
    elif not answers:
        yield make_header_example(first, header, delimiter)
    for row in rows:
        if row.is_blank:
            if not answers:
                yield make_blank_example(row.place, row.raw)
            continue
        if len(row.fields) != len(header.names):
            raise row.place.error(f"{describe_count(len(row.fields))}, but the first line has {len(header.names)}")
        yield _parse_named_row(row, header, answers)


def make_header_example(first: Row, header: Header, delimiter: str) -> Example:
    """Return a blank example with the header of the predictions: ``label`` first, or ``predicted`` last."""
    if header.label is None:
        names = [make_unique_name("label", header.names), first.raw]
    else:
        names = [first.raw, make_unique_name("predicted", header.names)]
    return make_blank_example(first.place, delimiter.join(names))


def _parse_named_row(row: Row, header: Header, answers: bool) -> Example:
    assert header.text is not None
    text = require_text(row.fields[header.text], "text", row.place)
    return Example(text, get_label(row, header, answers), row.place, row.raw)


def get_label(row: Row, header: Header, answers: bool) -> str | None:
    """Return the label of a row, stripped of blanks; with ``answers`` it must not be empty."""
    if header.label is None:
        return None
    label = row.fields[header.label].strip()
    if answers:
        require_text(label, "label", row.place)
    # Vocabularies store labels as lines.
    if "\n" in label:
        raise row.place.error("the label holds a line break; give it a plain name")
    return label


def _parse_plain_rows(rows: Iterator[Row], answers: bool, fields: Fields, source: Source) -> Iterator[Example]:
    """Yield rows without a header: label, text, and earlier predictions if the labels of a model are known."""
    has_reported = False
    for row in rows:
        if row.is_blank:
            if not answers:
                yield make_blank_example(row.place, row.raw)
            continue
        if len(row.fields) == 1 and not answers:
            yield _parse_single_field(row, "text")
            continue
        # The output of predict can be its input again: known labels and probabilities after the second column.
        more = row.fields[2:]
        if more and fields.are_predictions(more):
            if not has_reported:
                source.report(f"{row.place}: the columns after the second are read as predictions and left out")
            has_reported = True
            more = []
        label, text = _parse_label_and_text([*row.fields[:2], *more], row.place, answers)
        yield Example(text, label or None, row.place, row.raw if label else text)


def read_tsv_pairs(source: Source, answers: bool) -> Iterator[Example]:
    """Read source TAB target. Without ``answers`` a line may hold a source alone."""
    is_first = True
    for row in read_tsv_rows(source):
        if row.is_blank:
            if not answers:
                yield make_blank_example(row.place, row.raw)
            continue
        if is_first and tuple(field.strip().lower() for field in row.fields) in _PAIR_HEADERS:
            source.report(f"{row.place}: read as column names, not as an example")
            if not answers:
                yield make_blank_example(row.place, f"{row.raw}\tpredicted")
        elif len(row.fields) == 1 and not answers:
            yield _parse_single_field(row, "source")
        else:
            _check_two_fields(row.fields, "source", "target", row.place)
            x = require_text(row.fields[0], "source", row.place)
            y = require_text(row.fields[1], "target", row.place)
            yield Example(x, y, row.place, row.raw)
        is_first = False


def swap_input_and_answer(examples: Iterator[Example]) -> Iterator[Example]:
    """Turn labelled texts into examples of generate: the label becomes the input, the text the target."""
    for example in examples:
        yield Example(example.y, example.x, example.place, example.raw)


def _parse_single_field(row: Row, name: str) -> Example:
    return Example(require_text(row.fields[0], name, row.place), None, row.place, row.raw)


def _parse_label_and_text(fields: list[str], place: Location, answers: bool) -> tuple[str, str]:
    """Return the label, stripped of blanks, and the text; without ``answers`` the label may be empty."""
    _check_two_fields(fields, "label", "text", place)
    label = fields[0].strip()  # blanks around it are not part of a label
    if answers:
        require_text(label, "label", place)
    return label, require_text(fields[1], "text", place)


def _check_two_fields(fields: list[str], first: str, second: str, place: Location) -> None:
    if len(fields) != 2:
        raise place.error(f"{describe_count(len(fields))}; a line is {first}, a tab, {second}")
