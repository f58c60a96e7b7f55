"""Texts with a label, and pairs of texts: class files, TSV, JSON Lines. Readers give `Record`s as they read."""

import json
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import numpy as np

from .record import LARGEST, Place, Record, lines
from .sources import Source

_MOST_GIVEN = 4096  # numbers in a "given" vector


def class_file(source: Source, answers: bool) -> Iterator[Record]:
    """One example a line; the file's name without its ending is the label of all. Without ``answers``: no label."""
    label = PurePath(source.name.removesuffix(".gz")).stem if answers else None
    for place, line in lines(source):
        if line.strip():
            yield Record(line, label, place, line)


def tsv_labelled(source: Source, answers: bool) -> Iterator[Record]:
    """label TAB text. Without ``answers`` a line may hold a text alone."""
    for place, fields in _rows(source):
        if len(fields) == 1 and not answers:
            yield Record(_filled(fields[0], "text", place), None, place, fields[0])
            continue
        label, text = _two(fields, "label", "text", place)
        yield Record(text, label, place, "\t".join(fields))


def tsv_pairs(source: Source, answers: bool, names: tuple[str, str] = ("source", "target")) -> Iterator[Record]:
    """source TAB target. Without ``answers`` a line may hold a source alone."""
    for place, fields in _rows(source):
        if len(fields) == 1 and not answers:
            yield Record(_filled(fields[0], names[0], place), None, place, fields[0])
            continue
        x, y = _two(fields, *names, place)
        yield Record(x, y, place, "\t".join(fields))


def jsonl_labelled(source: Source, answers: bool) -> Iterator[Record]:
    """``{"label": ..., "text": ...}`` on each line; other keys are left alone."""
    for place, line, value in _objects(source):
        label = value.get("label")
        if label is None and answers:
            raise place.error('no "label"; a line is {"label": ..., "text": ...}')
        yield Record(_text(value, place), None if label is None else _label(label, place), place, line)


def jsonl_given(source: Source, answers: bool) -> Iterator[Record]:
    """``{"given": [numbers], "text": ...}`` or ``{"label": ..., "text": ...}`` on each line."""
    before = None
    for place, line, value in _objects(source):
        key = _given_key(value, before, place)
        given, before = value[key], key
        x = _vector(given, place) if isinstance(given, list) else _label(given, place)
        yield Record(x, _text(value, place) if answers or "text" in value else None, place, line)


def _given_key(value: dict[str, Any], before: str | None, place: Place) -> str:
    """ "given" or "label", whichever is there: the same as on the lines before."""
    keys = [key for key in ("given", "label") if value.get(key) is not None]
    if len(keys) > 1:
        raise place.error('both "given" and "label"; a text is written from one of them')
    if not keys:
        raise place.error('neither "given" nor "label"; a line is {"given": [numbers], "text": ...}')
    if before not in (None, keys[0]):
        raise place.error(f'has "{keys[0]}" where the lines before have "{before}"; use one of them throughout')
    return keys[0]


def turned(records: Iterator[Record]) -> Iterator[Record]:
    """Labelled texts the other way round, for generate: the label is given, the text is the answer."""
    for record in records:
        yield Record(record.y, record.x, record.place, record.raw)


def _rows(source: Source) -> Iterator[tuple[Place, list[str]]]:
    for place, line in lines(source):
        if line.strip():
            yield place, line.split("\t")


def _two(fields: list[str], first: str, second: str, place: Place) -> tuple[str, str]:
    if len(fields) != 2:
        count = "one column" if len(fields) == 1 else f"{len(fields)} columns"
        raise place.error(f"{count}; a line is {first}, a tab, {second}")
    return _filled(fields[0], first, place), _filled(fields[1], second, place)


def _filled(field: str, name: str, place: Place) -> str:
    if not field.strip():
        raise place.error(f"the {name} is empty; give it or leave the line out")
    return field


def _objects(source: Source) -> Iterator[tuple[Place, str, dict[str, Any]]]:
    for place, line in lines(source):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise place.error('not JSON; a line is one object such as {"label": ..., "text": ...}') from None
        if not isinstance(value, dict):
            raise place.error('not a JSON object; a line is {"label": ..., "text": ...}')
        yield place, line, value


def _text(value: dict[str, Any], place: Place) -> str:
    text = value.get("text")
    if not isinstance(text, str):
        raise place.error('no "text" that is a string; a line is {"label": ..., "text": ...}')
    try:
        text.encode()
    except UnicodeEncodeError:
        raise place.error('the "text" holds half of a surrogate pair; write whole characters') from None
    return _filled(text, "text", place)


def _label(label: Any, place: Place) -> str:
    if isinstance(label, bool) or not isinstance(label, (str, int)):
        raise place.error(f"the label is {json.dumps(label)}; it must be a string or a whole number")
    text = _filled(str(label), "label", place)
    if not text.isprintable():
        raise place.error("the label has characters that cannot be printed; give it a plain name")
    return text


def _vector(given: list[Any], place: Place) -> np.ndarray[Any, Any]:
    sound = [isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) <= LARGEST for v in given]
    if not sound or not all(sound) or len(sound) > _MOST_GIVEN:
        raise place.error(f'"given" must be a list of 1 to {_MOST_GIVEN} finite numbers')
    return np.array(given, np.float64)
