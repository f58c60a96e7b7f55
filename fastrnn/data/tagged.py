"""Sequences with a tag for each word: CoNLL-U, and two columns. Readers give a `Record` a sequence as they read it."""

import itertools
from collections.abc import Iterator

from .record import Place, Record, lines
from .sources import Source

_COLUMNS = 10  # of CoNLL-U: ID FORM LEMMA UPOS XPOS FEATS HEAD DEPREL DEPS MISC
_FORM, _UPOS = 1, 3
_NONE = "_"  # CoNLL-U for a value that is not there


def conllu(source: Source, answers: bool) -> Iterator[Record]:
    """FORM and UPOS of each sentence; comments, multiword ranges (1-2) and empty nodes (1.1) are left out.

    https://universaldependencies.org/format.html
    """
    for place, block in _blocks(source):
        words, tags = [], []
        for n, line in enumerate(block):
            if line.startswith("#"):
                continue
            fields = line.split("\t")
            where = Place(place.file, place.line + n)
            if len(fields) != _COLUMNS:
                raise where.error(f"{len(fields)} columns; a CoNLL-U line has {_COLUMNS}, separated by tabs")
            if not fields[0].isdecimal():
                _check_left_out(fields[0], where)
                continue
            words.append(_filled(fields[_FORM], "FORM", where))
            if fields[_UPOS] not in ("", _NONE):
                tags.append(fields[_UPOS])
            elif answers:
                raise where.error("no UPOS; give each word its tag in the fourth column")
        if words:
            yield Record(words, tags if len(tags) == len(words) else None, place, "\n".join(block))
        elif any(not line.startswith("#") for line in block):
            raise place.error("an empty sequence; a sentence has at least one word")


def two_columns(source: Source, answers: bool) -> Iterator[Record]:
    """A token and its tag on each line, a tab or blanks between them; a blank line ends the sequence.

    Without ``answers`` a line may hold a token alone.
    """
    for place, block in _blocks(source):
        words, tags = [], []
        for n, line in enumerate(block):
            where = Place(place.file, place.line + n)
            fields = [field.strip() for field in line.split("\t")] if "\t" in line else line.split()
            if len(fields) != 2 and (answers or len(fields) != 1):
                raise where.error(f"{_count(len(fields))}; a line is a token, a tab or a blank, and its tag")
            words.append(_filled(fields[0], "token", where))
            if len(fields) == 2:
                tags.append(_filled(fields[1], "tag", where))
        yield Record(words, tags if len(tags) == len(words) else None, place, "\n".join(block))


def conllu_or_two_columns(source: Source, answers: bool) -> Iterator[Record]:
    """What standard input holds, told by its first lines; later ones are not waited for."""
    first, rest = b"", source.chunks()
    for chunk in rest:
        first += chunk
        if (decided := _is_conllu(first.decode("utf-8", "replace").split("\n")[:-1])) is not None:
            break
    else:
        decided = is_conllu(first.decode("utf-8", "replace"))
    again = Source(source.name, lambda: itertools.chain([first], rest))
    return (conllu if decided else two_columns)(again, answers)


def is_conllu(text: str) -> bool:
    """Whether this beginning of a file, or sentence, is CoNLL-U and not two columns."""
    return bool(_is_conllu(text.split("\n")))


def _is_conllu(whole_lines: list[str]) -> bool | None:
    """None where the lines so far do not decide: ``# tag`` may be a token and its tag."""
    for line in whole_lines:
        if line.count("\t") == _COLUMNS - 1:
            return True
        line = line.lstrip("\ufeff")
        if line.startswith("# ") and len(line.split()) != 2:
            return True
        if line.strip() and not line.startswith("#"):
            return False
    return None


def _blocks(source: Source) -> Iterator[tuple[Place, list[str]]]:
    """The lines between blank lines, with the place of their first."""
    block: list[str] = []
    start = Place(source.name, 1)
    for place, line in lines(source):
        if line.strip():
            start = start if block else place
            block.append(line)
        elif block:
            yield start, block
            block = []
    if block:
        yield start, block


def _check_left_out(number: str, place: Place) -> None:
    parts = number.replace(".", "-").split("-")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise place.error(f"ID {number!r}; it must be a number, a range such as 1-2, or an empty node such as 1.1")


def _filled(field: str, name: str, place: Place) -> str:
    if not field:
        raise place.error(f"the {name} is empty; give it or leave the line out")
    return field


def _count(columns: int) -> str:
    return "one column" if columns == 1 else f"{columns} columns"
