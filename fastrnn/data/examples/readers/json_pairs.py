"""Texts with a label, or with numbers they are generated from, as JSON objects: one per line, or in one array."""

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...text.sources import Source, peek
from ..example import LARGEST, Example, Location, read_lines
from .delimited import make_blank_example, require_text
from .fields import ANY_FIELDS, Fields

BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"  # a byte order mark and blanks
_MAX_GIVEN = 4096  # numbers in a "given" vector
_FORM = 'a line is {"label": ..., "text": ...}'
_JSON_BLANKS = re.compile(r"[ \t\n\r]*")


def read_labelled_jsonl(source: Source, answers: bool, fields: Fields = ANY_FIELDS) -> Iterator[Example]:
    """Read ``{"label": ..., "text": ...}`` from each line; other keys are ignored."""
    for place, line, value in _parse_lines(source):
        if value is not None:
            yield _parse_labelled_object(place, line, value, answers, fields)
        elif not answers:
            yield make_blank_example(place, line)


def read_labelled_json(source: Source, answers: bool, fields: Fields = ANY_FIELDS) -> Iterator[Example]:
    """Read a JSON array of such objects, or one object per line. ``raw`` holds each object on a line of its own."""
    start, source = peek(source)
    if not start.lstrip(BEFORE_JSON).startswith(b"["):
        yield from read_labelled_jsonl(source, answers, fields)
        return
    for place, value in _parse_array(source):
        yield _parse_labelled_object(place, json.dumps(value, ensure_ascii=False), value, answers, fields)


def _parse_labelled_object(place: Location, line: str, value: dict[str, Any], answers: bool, fields: Fields) -> Example:
    label_key = _choose_key(value, fields.label, "label", fields.required)
    text_key = _choose_key(value, fields.text, "text", fields.required)
    form = f'a line is {{"{label_key}": ..., "{text_key}": ...}}'
    label = value.get(label_key)
    if label is None and answers:
        raise place.error(f'no "{label_key}"; {form}{_suggest_option(value, fields.label, "label")}')
    if not answers:  # prediction does not use the label, so any value will do
        label = None if label is None else str(label)
        return Example(_get_text(value, place, text_key, form), label, place, line)
    return Example(_get_text(value, place, text_key, form), _parse_label(label, place), place, line)


def _choose_key(value: dict[str, Any], wanted: str | None, default: str, required: bool) -> str:
    return wanted if wanted is not None and (required or wanted in value) else default


def _suggest_option(value: dict[str, Any], wanted: str | None, option: str) -> str:
    """Return advice to name another key, if the object has others."""
    return "" if wanted is not None or len(value) < 2 else f"; --{option} names another key"


def read_conditioned_jsonl(source: Source, answers: bool) -> Iterator[Example]:
    """Read ``{"given": [numbers], "text": ...}`` or ``{"label": ..., "text": ...}`` from each line."""
    before = None
    for place, line, value in _parse_lines(source):
        if value is None:
            continue
        key = _find_condition_key(value, before, place)
        before = key
        given = value[key]
        x = _parse_vector(given, place) if isinstance(given, list) else _parse_label(given, place)
        yield Example(x, _get_text(value, place) if answers or "text" in value else None, place, line)


def _find_condition_key(value: dict[str, Any], before: str | None, place: Location) -> str:
    """Return "given" or "label", whichever the object has. Raises `InputError` if earlier lines have the other."""
    keys = [key for key in ("given", "label") if value.get(key) is not None]
    if len(keys) > 1:
        raise place.error('both "given" and "label"; a text is written from one of them')
    if not keys:
        raise place.error('neither "given" nor "label"; a line is {"given": [numbers], "text": ...}')
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


def _parse_vector(given: list[Any], place: Location) -> np.ndarray[Any, Any]:
    valid = [isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) <= LARGEST for v in given]
    if not valid or not all(valid) or len(valid) > _MAX_GIVEN:
        raise place.error(f'"given" must be a list of 1 to {_MAX_GIVEN} finite numbers')
    return np.array(given, np.float64)
