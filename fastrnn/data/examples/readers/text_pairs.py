"""Texts with a label, and pairs of texts: class files, TSV, JSON. Readers give `Example`s as they read."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import numpy as np

from ...text.sources import Source, peek
from ..example import LARGEST, Example, Location, lines
from .delimited import Row, tab_separated
from .fields import ANY_FIELDS, Fields, Header, find_header, free_name, tell_columns

_MOST_GIVEN = 4096  # numbers in a "given" vector
_FORM = 'a line is {"label": ..., "text": ...}'
_BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"  # a byte order mark and blanks
_JSON_BLANKS = re.compile(r"[ \t\n\r]*")
# First lines of translation files that name the columns.
_PAIR_HEADERS = {("source", "target"), ("src", "tgt"), ("src", "trg"), ("input", "output"), ("source", "translation")}


def class_file(source: Source, answers: bool) -> Iterator[Example]:
    """One example a line; the file's name without its ending is the label of all. Without ``answers``: no label."""
    label = PurePath(source.name.removesuffix(".gz")).stem.strip() if answers else None
    for place, line in lines(source):
        if line.strip():
            yield Example(line, label, place, line)
        elif not answers:
            yield _blank(place, line)


def document(source: Source, label: str, answers: bool) -> Example:
    """A whole file as one example; ``raw`` is a JSON object, since the text may hold line breaks."""
    text = "\n".join(line for _, line in lines(source)).strip("\n")
    place = Location(source.name)
    if not text.strip():
        raise place.error("an empty file; write its text, or remove it")
    value = {"file": source.name, **({"label": label} if answers else {}), "text": text}
    return Example(text, label if answers else None, place, json.dumps(value, ensure_ascii=False))


def tsv_labelled(source: Source, answers: bool, fields: Fields = ANY_FIELDS) -> Iterator[Example]:
    """label TAB text, or the columns that a header names. Without ``answers`` a line may hold a text alone."""
    rows = tab_separated(source)
    blank: list[Row] = []
    first = next(rows, None)
    while first is not None and first.is_blank:
        blank.append(first)
        first = next(rows, None)
    if not answers:
        yield from (_blank(row.place, row.raw) for row in blank)
    if first is None:
        return
    header = find_header(first, fields, answers)
    if header is None:
        yield from _plain_rows(itertools.chain([first], rows), answers, fields, source)
        return
    tell_columns(header, first.place, source.tell)
    yield from named_rows(first, rows, header, answers, "\t")


def named_rows(first: Row, rows: Iterator[Row], header: Header, answers: bool, delimiter: str) -> Iterator[Example]:
    """The examples below a header. Without ``answers`` the header is a blank record: what is written above them."""
    if header.is_data:
        rows = itertools.chain([first], rows)
    elif not answers:
        yield header_record(first, header, delimiter)
    for row in rows:
        if row.is_blank:
            if not answers:
                yield _blank(row.place, row.raw)
            continue
        if len(row.fields) != len(header.names):
            raise row.place.error(f"{_count(len(row.fields))}, but the first line has {len(header.names)}")
        yield _named_row(row, header, answers)


def header_record(first: Row, header: Header, delimiter: str) -> Example:
    """A blank record of the header with what prediction adds: the label before the columns, or its answer after."""
    if header.label is None:
        return _blank(first.place, delimiter.join([free_name("label", header.names), first.raw]))
    return _blank(first.place, delimiter.join([first.raw, free_name("predicted", header.names)]))


def _named_row(row: Row, header: Header, answers: bool) -> Example:
    assert header.text is not None
    text = _filled(row.fields[header.text], "text", row.place)
    return Example(text, label_of(row, header, answers), row.place, row.raw)


def label_of(row: Row, header: Header, answers: bool) -> str | None:
    """The label of a row without blanks around it; with ``answers`` it must be filled."""
    if header.label is None:
        return None
    label = row.fields[header.label].strip()
    if answers:
        _filled(label, "label", row.place)
    if "\n" in label:
        raise row.place.error("the label holds a line break; give it a plain name")
    return label


def _plain_rows(rows: Iterator[Row], answers: bool, fields: Fields, source: Source) -> Iterator[Example]:
    """Rows without a header: label, text, and where a model's labels are known, what it predicted before."""
    told = False
    for row in rows:
        if row.is_blank:
            if not answers:
                yield _blank(row.place, row.raw)
            continue
        if len(row.fields) == 1 and not answers:
            yield Example(_filled(row.fields[0], "text", row.place), None, row.place, row.raw)
            continue
        more = row.fields[2:]
        if more and fields.are_predictions(more):
            if not told:
                source.tell(f"{row.place}: the columns after the second are read as predictions and left out")
            told = True
            more = []
        label, text = _two([*row.fields[:2], *more], "label", "text", row.place, answers)
        yield Example(text, label or None, row.place, row.raw if label else text)


def tsv_pairs(source: Source, answers: bool, names: tuple[str, str] = ("source", "target")) -> Iterator[Example]:
    """source TAB target. Without ``answers`` a line may hold a source alone."""
    is_first = True
    for row in tab_separated(source):
        if row.is_blank:
            if not answers:
                yield _blank(row.place, row.raw)
            continue
        if is_first and tuple(field.strip().lower() for field in row.fields) in _PAIR_HEADERS:
            source.tell(f"{row.place}: read as column names, not as an example")
            if not answers:
                yield _blank(row.place, f"{row.raw}\tpredicted")
        elif len(row.fields) == 1 and not answers:
            yield Example(_filled(row.fields[0], names[0], row.place), None, row.place, row.raw)
        else:
            x, y = _two(row.fields, *names, row.place, True)
            yield Example(x, y, row.place, row.raw)
        is_first = False


def jsonl_labelled(source: Source, answers: bool, fields: Fields = ANY_FIELDS) -> Iterator[Example]:
    """``{"label": ..., "text": ...}`` on each line; other keys are left alone."""
    for place, line, value in _objects(source):
        if value is None:
            if not answers:
                yield _blank(place, line)
            continue
        yield _labelled_object(place, line, value, answers, fields)


def json_labelled(source: Source, answers: bool, fields: Fields = ANY_FIELDS) -> Iterator[Example]:
    """A JSON array of such objects, or one object a line. ``raw`` is each object on a line of its own."""
    start, source = peek(source)
    if not start.lstrip(_BEFORE_JSON).startswith(b"["):
        yield from jsonl_labelled(source, answers, fields)
        return
    for place, value in json_array(source):
        yield _labelled_object(place, json.dumps(value, ensure_ascii=False), value, answers, fields)


def _labelled_object(place: Location, line: str, value: dict[str, Any], answers: bool, fields: Fields) -> Example:
    label_key, text_key = (_key(value, wanted, key, fields.required)
                           for wanted, key in ((fields.label, "label"), (fields.text, "text")))  # fmt: skip
    form = f'a line is {{"{label_key}": ..., "{text_key}": ...}}'
    label = value.get(label_key)
    if label is None and answers:
        raise place.error(f'no "{label_key}"; {form}{_other_keys(value, fields.label, "label")}')
    if not answers:  # it is not needed, so it may be anything
        label = None if label is None else str(label)
        return Example(_text(value, place, text_key, form), label, place, line)
    return Example(_text(value, place, text_key, form), _label(label, place), place, line)


def _key(value: dict[str, Any], wanted: str | None, usual: str, required: bool) -> str:
    return wanted if wanted is not None and (required or wanted in value) else usual


def _other_keys(value: dict[str, Any], wanted: str | None, option: str) -> str:
    """The option that names another key, if there are others."""
    return "" if wanted is not None or len(value) < 2 else f"; --{option} names another key"


def jsonl_given(source: Source, answers: bool) -> Iterator[Example]:
    """``{"given": [numbers], "text": ...}`` or ``{"label": ..., "text": ...}`` on each line."""
    before = None
    for place, line, value in _objects(source):
        if value is None:
            continue
        key = _given_key(value, before, place)
        given, before = value[key], key
        x = _vector(given, place) if isinstance(given, list) else _label(given, place)
        yield Example(x, _text(value, place) if answers or "text" in value else None, place, line)


def _given_key(value: dict[str, Any], before: str | None, place: Location) -> str:
    """ "given" or "label", whichever is there: the same as on the lines before."""
    keys = [key for key in ("given", "label") if value.get(key) is not None]
    if len(keys) > 1:
        raise place.error('both "given" and "label"; a text is written from one of them')
    if not keys:
        raise place.error('neither "given" nor "label"; a line is {"given": [numbers], "text": ...}')
    if before not in (None, keys[0]):
        raise place.error(f'has "{keys[0]}" where the lines before have "{before}"; use one of them throughout')
    return keys[0]


def turned(records: Iterator[Example]) -> Iterator[Example]:
    """Labelled texts the other way round, for generate: the label is given, the text is the answer."""
    for record in records:
        yield Example(record.y, record.x, record.place, record.raw)


def _blank(place: Location, line: str) -> Example:
    """A line that is not an example; prediction writes it as it is."""
    return Example(None, None, place, line)


def _two(fields: list[str], first: str, second: str, place: Location, both: bool) -> tuple[str, str]:
    """Both fields, the first without blanks around it. Only with ``both`` must the first be filled."""
    if len(fields) != 2:
        raise place.error(f"{_count(len(fields))}; a line is {first}, a tab, {second}")
    if first == "label":
        fields = [fields[0].strip(), fields[1]]
    return _filled(fields[0], first, place) if both else fields[0], _filled(fields[1], second, place)


def _count(columns: int) -> str:
    return "one column" if columns == 1 else f"{columns} columns"


def _filled(field: str, name: str, place: Location) -> str:
    if not field.strip():
        raise place.error(f"the {name} is empty; give it or leave the line out")
    return field


def _objects(source: Source) -> Iterator[tuple[Location, str, dict[str, Any] | None]]:
    """Place, line and object of each line; None for a blank one."""
    for place, line in lines(source):
        if not line.strip():
            yield place, line, None
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise place.error('not JSON; a line is one object such as {"label": ..., "text": ...}') from None
        yield place, line, _object(value, place)


def json_array(source: Source) -> Iterator[tuple[Location, dict[str, Any]]]:
    """The objects of a JSON array, each with the line that it starts in. The whole file is held in memory."""
    text = "\n".join(line for _, line in lines(source))
    decoder = json.JSONDecoder()
    at, line, counted = text.index("[") + 1, 1, 0
    while True:
        at = _skip_blanks(text, at)
        line, counted = line + text.count("\n", counted, at), at
        place = Location(source.name, line)
        if text[at : at + 1] == "]":
            break
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            raise place.error('not JSON; the file is an array of objects such as {"label": ..., "text": ...}') from None
        yield place, _object(value, place)
        at = _skip_blanks(text, at)
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != "]":
            here = Location(source.name, line + text.count("\n", counted, at))
            raise here.error("not JSON; a comma stands between the objects of an array, and ] at its end")
    if text[at + 1 :].strip():
        raise place.error("not JSON; something follows the array")


def _skip_blanks(text: str, at: int) -> int:
    found = _JSON_BLANKS.match(text, at)
    return at if found is None else found.end()


def _object(value: Any, place: Location) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise place.error('not a JSON object; a line is {"label": ..., "text": ...}')
    return value


def _text(value: dict[str, Any], place: Location, key: str = "text", form: str = _FORM) -> str:
    text = value.get(key)
    if not isinstance(text, str):
        raise place.error(f'no "{key}" that is a string; {form}')
    try:
        text.encode()
    except UnicodeEncodeError:
        raise place.error(f'the "{key}" holds half of a surrogate pair; write whole characters') from None
    return _filled(text, key, place)


def _label(label: Any, place: Location) -> str:
    if isinstance(label, bool) or not isinstance(label, (str, int)):
        raise place.error(f"the label is {json.dumps(label)}; it must be a string or a whole number")
    text = _filled(str(label), "label", place).strip()
    if not text.isprintable():
        raise place.error("the label has characters that cannot be printed; give it a plain name")
    return text


def _vector(given: list[Any], place: Location) -> np.ndarray[Any, Any]:
    sound = [isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) <= LARGEST for v in given]
    if not sound or not all(sound) or len(sound) > _MOST_GIVEN:
        raise place.error(f'"given" must be a list of 1 to {_MOST_GIVEN} finite numbers')
    return np.array(given, np.float64)
