"""Texts with a label, with numbers or with another text: class files, documents, tab-separated files and JSON.

JSON holds one object per line, or all of them in one array.
"""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import numpy as np

from ...text.compression import strip_suffix
from ...text.sources import Source, peek
from ..example import LARGEST, Example, JsonExample, Location, read_lines
from .delimited import (
    ANY_FIELDS,
    Fields,
    Header,
    Row,
    describe_count,
    find_header,
    make_blank_example,
    make_unique_name,
    read_tsv_rows,
    report_columns,
    require_text,
)

# First lines of translation files that name the columns.
_PAIR_HEADERS = {("source", "target"), ("src", "tgt"), ("src", "trg"), ("input", "output"), ("source", "translation")}
BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"  # a byte order mark and blanks
_MAX_GIVEN = 4096  # numbers in a "given" vector
_FORM = 'a line is {"label": ..., "text": ...}'
_JSON_BLANKS = re.compile(r"[ \t\n\r]*")


def read_class_file(source: Source, needs_targets: bool) -> Iterator[Example]:
    """Yield one example per line, labelled by the file name without its ending. Without ``needs_targets``: no label."""
    label = PurePath(strip_suffix(source.name)).stem.strip() if needs_targets else None
    for place, line in read_lines(source):
        if line.strip():
            yield Example(line, label, place, line)
        elif not needs_targets:
            yield make_blank_example(place, line)


def read_document(source: Source, label: str, needs_targets: bool) -> Example:
    """Read a whole file as one example."""
    text = "\n".join(line for _, line in read_lines(source)).strip("\n")
    place = Location(source.name)
    if not text.strip():
        raise place.error("an empty file; write its text, or remove it")
    # Predictions are written one line per example, so a text with line breaks is kept as JSON.
    value = {"file": source.name, **({"label": label} if needs_targets else {}), "text": text}
    return JsonExample(text, label if needs_targets else None, place, json.dumps(value, ensure_ascii=False))


def read_labelled_tsv(source: Source, needs_targets: bool, fields: Fields = ANY_FIELDS) -> Iterator[Example]:
    """Read label TAB text, or the columns named in a header. Without ``needs_targets`` a line may hold a text alone."""
    rows = read_tsv_rows(source)
    # Blank lines may precede a header; prediction copies them to its output.
    blank: list[Row] = []
    first = next(rows, None)
    while first is not None and first.is_blank:
        blank.append(first)
        first = next(rows, None)
    if not needs_targets:
        yield from (make_blank_example(row.place, row.raw) for row in blank)
    if first is None:
        return

    header = find_header(first, fields, needs_targets)
    if header is None:
        yield from _parse_plain_rows(itertools.chain([first], rows), needs_targets, fields, source)
        return
    report_columns(header, first.place, source.report)
    yield from parse_named_rows(first, rows, header, needs_targets, "\t")


def parse_named_rows(
    first: Row, rows: Iterator[Row], header: Header, needs_targets: bool, delimiter: str
) -> Iterator[Example]:
    """Yield the examples of a table with a header, after the header of the predictions unless ``needs_targets``."""
    if header.is_data:
        rows = itertools.chain([first], rows)
    elif not needs_targets:
        yield make_header_example(first, header, delimiter)
    for row in rows:
        if row.is_blank:
            if not needs_targets:
                yield make_blank_example(row.place, row.raw)
            continue
        if len(row.fields) != len(header.names):
            raise row.place.error(f"{describe_count(len(row.fields))}, but the first line has {len(header.names)}")
        yield _parse_named_row(row, header, needs_targets)


def make_header_example(first: Row, header: Header, delimiter: str) -> Example:
    """Return a blank example with the header of the predictions: ``label`` first, or ``predicted`` last."""
    if header.label is None:
        names = [make_unique_name("label", header.names), first.raw]
    else:
        names = [first.raw, make_unique_name("predicted", header.names)]
    return make_blank_example(first.place, delimiter.join(names))


def _parse_named_row(row: Row, header: Header, needs_targets: bool) -> Example:
    assert header.text is not None
    text = require_text(row.fields[header.text], "text", row.place)
    return Example(text, get_label(row, header, needs_targets), row.place, row.raw)


def get_label(row: Row, header: Header, needs_targets: bool) -> str | None:
    """Return the label of a row, stripped of blanks; with ``needs_targets`` it must not be empty."""
    if header.label is None:
        return None
    label = row.fields[header.label].strip()
    if needs_targets:
        require_text(label, "label", row.place)
    # Vocabularies store labels as lines.
    if "\n" in label:
        raise row.place.error("the label holds a line break; give it a plain name")
    return label


def _parse_plain_rows(rows: Iterator[Row], needs_targets: bool, fields: Fields, source: Source) -> Iterator[Example]:
    """Yield rows without a header: label, text, and earlier predictions if the labels of a model are known."""
    has_reported = False
    for row in rows:
        if row.is_blank:
            if not needs_targets:
                yield make_blank_example(row.place, row.raw)
            continue
        if len(row.fields) == 1 and not needs_targets:
            yield _parse_single_field(row, "text")
            continue
        # The output of predict can be its input again: known labels and probabilities after the second column.
        more = row.fields[2:]
        if more and fields.are_predictions(more):
            if not has_reported:
                source.report(f"{row.place}: the columns after the second are read as predictions and left out")
            has_reported = True
            more = []
        label, text = _parse_label_and_text([*row.fields[:2], *more], row.place, needs_targets)
        yield Example(text, label or None, row.place, row.raw if label else text)


def read_tsv_pairs(source: Source, needs_targets: bool) -> Iterator[Example]:
    """Read source TAB target. Without ``needs_targets`` a line may hold a source alone."""
    is_first = True
    for row in read_tsv_rows(source):
        if row.is_blank:
            if not needs_targets:
                yield make_blank_example(row.place, row.raw)
            continue
        if is_first and tuple(field.strip().lower() for field in row.fields) in _PAIR_HEADERS:
            source.report(f"{row.place}: read as column names, not as an example")
            if not needs_targets:
                yield make_blank_example(row.place, f"{row.raw}\tpredicted")
        elif len(row.fields) == 1 and not needs_targets:
            yield _parse_single_field(row, "source")
        else:
            _check_two_fields(row.fields, "source", "target", row.place)
            x = require_text(row.fields[0], "source", row.place)
            y = require_text(row.fields[1], "target", row.place)
            yield Example(x, y, row.place, row.raw)
        is_first = False


def swap_input_and_target(examples: Iterator[Example]) -> Iterator[Example]:
    """Turn labelled texts into examples of generate: the label becomes the input, the text the target."""
    for example in examples:
        yield Example(example.y, example.x, example.place, example.raw)


def _parse_single_field(row: Row, name: str) -> Example:
    return Example(require_text(row.fields[0], name, row.place), None, row.place, row.raw)


def _parse_label_and_text(fields: list[str], place: Location, needs_targets: bool) -> tuple[str, str]:
    """Return the label, stripped of blanks, and the text; without ``needs_targets`` the label may be empty."""
    _check_two_fields(fields, "label", "text", place)
    label = fields[0].strip()  # blanks around it are not part of a label
    if needs_targets:
        require_text(label, "label", place)
    return label, require_text(fields[1], "text", place)


def _check_two_fields(fields: list[str], first: str, second: str, place: Location) -> None:
    if len(fields) != 2:
        raise place.error(f"{describe_count(len(fields))}; a line is {first}, a tab, {second}")


def read_labelled_jsonl(source: Source, needs_targets: bool, fields: Fields = ANY_FIELDS) -> Iterator[Example]:
    """Read ``{"label": ..., "text": ...}`` from each line; other keys are ignored."""
    for place, line, value in _parse_lines(source):
        if value is not None:
            yield _parse_labelled_object(place, line, value, needs_targets, fields)
        elif not needs_targets:
            yield make_blank_example(place, line)


def read_labelled_json(source: Source, needs_targets: bool, fields: Fields = ANY_FIELDS) -> Iterator[Example]:
    """Read a JSON array of such objects, or one object per line. ``raw`` holds each object on a line of its own."""
    start, source = peek(source)
    if not start.lstrip(BEFORE_JSON).startswith(b"["):
        yield from read_labelled_jsonl(source, needs_targets, fields)
        return
    for place, value in _parse_array(source):
        yield _parse_labelled_object(place, json.dumps(value, ensure_ascii=False), value, needs_targets, fields)


def _parse_labelled_object(
    place: Location, line: str, value: dict[str, Any], needs_targets: bool, fields: Fields
) -> Example:
    label_key = _choose_key(value, fields.label, "label", fields.required)
    text_key = _choose_key(value, fields.text, "text", fields.required)
    form = f'a line is {{"{label_key}": ..., "{text_key}": ...}}'
    label = value.get(label_key)
    if label is None and needs_targets:
        raise place.error(f'no "{label_key}"; {form}{_suggest_option(value, fields.label, "label")}')
    if not needs_targets:  # prediction does not use the label, so any value will do
        label = None if label is None else str(label)
        return JsonExample(_get_text(value, place, text_key, form), label, place, line)
    return JsonExample(_get_text(value, place, text_key, form), _parse_label(label, place), place, line)


def _choose_key(value: dict[str, Any], wanted: str | None, default: str, required: bool) -> str:
    return wanted if wanted is not None and (required or wanted in value) else default


def _suggest_option(value: dict[str, Any], wanted: str | None, option: str) -> str:
    """Return advice to name another key, if the object has others."""
    return "" if wanted is not None or len(value) < 2 else f"; --{option} names another key"


def read_conditioned_jsonl(source: Source, needs_targets: bool, fields: Fields = ANY_FIELDS) -> Iterator[Example]:
    """Read ``{"given": [numbers], "text": ...}`` or ``{"label": ..., "text": ...}`` from each line."""
    before = None
    for place, line, value in _parse_lines(source):
        if value is None:
            continue
        label_key = _choose_key(value, fields.label, "label", fields.required)
        text_key = _choose_key(value, fields.text, "text", fields.required)
        key = label_key if label_key != "label" else _find_condition_key(value, before, place)
        before = key
        form = f'a line is {{"{key}": ..., "{text_key}": ...}}'
        if value.get(key) is None:
            raise place.error(f'no "{key}"; {form}{_suggest_option(value, fields.label, "label")}')
        form += _suggest_option(value, fields.text, "text")
        given = value[key]
        x = _parse_vector(given, place, key) if isinstance(given, list) else _parse_label(given, place)
        text = _get_text(value, place, text_key, form) if needs_targets or text_key in value else None
        yield Example(x, text, place, line)


def _find_condition_key(value: dict[str, Any], before: str | None, place: Location) -> str:
    """Return "given" or "label", whichever the object has. Raises `InputError` if earlier lines have the other."""
    keys = [key for key in ("given", "label") if value.get(key) is not None]
    if len(keys) > 1:
        raise place.error('both "given" and "label"; a text is written from one of them')
    if not keys:
        advice = _suggest_option(value, None, "label")
        raise place.error(f'neither "given" nor "label"; a line is {{"given": [numbers], "text": ...}}{advice}')
    if before not in (None, keys[0]):
        raise place.error(f'has "{keys[0]}" where the lines before have "{before}"; use one of them throughout')
    return keys[0]


def _parse_lines(source: Source) -> Iterator[tuple[Location, str, dict[str, Any] | None]]:
    """Yield location, line and object of each line; None for a blank line."""
    for place, line in read_lines(source):
        if not line.strip():
            yield place, line, None
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise place.error('not JSON; a line is one object such as {"label": ..., "text": ...}') from None
        yield place, line, _check_object(value, place)


def _parse_array(source: Source) -> Iterator[tuple[Location, dict[str, Any]]]:
    """Yield the objects of a JSON array, each with the line where it starts. The whole file is held in memory."""
    text = "\n".join(line for _, line in read_lines(source))
    decoder = json.JSONDecoder()
    at = text.index("[") + 1
    line = 1
    counted = 0  # line breaks before this position are counted in `line`
    while True:
        at = _skip_blanks(text, at)
        line += text.count("\n", counted, at)
        counted = at
        place = Location(source.name, line)
        if text[at : at + 1] == "]":
            break
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            raise place.error('not JSON; the file is an array of objects such as {"label": ..., "text": ...}') from None
        yield place, _check_object(value, place)

        at = _skip_blanks(text, at)
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != "]":
            here = Location(source.name, line + text.count("\n", counted, at))
            raise here.error("not JSON; separate the objects of an array by commas, and end it with ]")
    if text[at + 1 :].strip():
        raise place.error("not JSON; remove the text after the array")


def _skip_blanks(text: str, at: int) -> int:
    found = _JSON_BLANKS.match(text, at)
    return at if found is None else found.end()


def _check_object(value: Any, place: Location) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise place.error('not a JSON object; a line is {"label": ..., "text": ...}')
    return value


def _get_text(value: dict[str, Any], place: Location, key: str = "text", form: str = _FORM) -> str:
    text = value.get(key)
    if not isinstance(text, str):
        raise place.error(f'no "{key}" that is a string; {form}')
    try:
        # JSON escapes such as \ud800 make strings that UTF-8 cannot encode.
        text.encode()
    except UnicodeEncodeError:
        raise place.error(f'the "{key}" holds half of a surrogate pair; write whole characters') from None
    return require_text(text, key, place)


def _parse_label(label: Any, place: Location) -> str:
    if isinstance(label, bool) or not isinstance(label, (str, int)):
        raise place.error(f"the label is {json.dumps(label)}; it must be a string or a whole number")
    text = require_text(str(label), "label", place).strip()
    if not text.isprintable():
        raise place.error("the label has characters that cannot be printed; give it a plain name")
    return text


def _parse_vector(given: list[Any], place: Location, key: str) -> np.ndarray[Any, Any]:
    valid = [isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) <= LARGEST for v in given]
    if not valid or not all(valid) or len(valid) > _MAX_GIVEN:
        raise place.error(f'"{key}" must be a list of 1 to {_MAX_GIVEN} finite numbers')
    return np.array(given, np.float64)
