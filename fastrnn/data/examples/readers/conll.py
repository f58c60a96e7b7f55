"""Sequences with a tag for each word: CoNLL-U, and two columns. Readers give a `Example` a sequence as they read it."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...text.decoding import readable
from ...text.sources import Source
from ..example import Example, Location, lines
from .fields import Fields

_COLUMNS = 10  # of CoNLL-U: ID FORM LEMMA UPOS XPOS FEATS HEAD DEPREL DEPS MISC
_FORM, _UPOS, _MISC = 1, 3, 9
_NONE = "_"  # CoNLL-U for a value that is not there
_BLANKS = re.compile("[ \t]+")
_LONG_SEQUENCE = 500  # tokens; the longest sentence of most treebanks is shorter
_HEADERS = {
    (token, tag) for token in ("token", "word", "words", "form") for tag in ("tag", "label", "tags", "ner", "pos")
}


@dataclass(frozen=True)
class ConlluColumns:
    """Where ID, FORM, UPOS and MISC stand, and how many columns there are; None where there is none."""

    count: int = _COLUMNS
    id: int | None = 0
    form: int = _FORM
    upos: int = _UPOS
    misc: int | None = _MISC

    def is_word(self, line: str) -> bool:
        """Whether a line of a sentence that was read is a word: no comment, range or empty node."""
        return not line.startswith("#") and (self.id is None or line.split("\t")[self.id].strip().isdecimal())


@dataclass(frozen=True, eq=False)
class ConlluRecord(Example):
    """A sentence of CoNLL-U or CoNLL-U Plus."""

    columns: ConlluColumns = ConlluColumns()


def conllu(source: Source, answers: bool) -> Iterator[Example]:
    """FORM and UPOS of each sentence; comments, multiword ranges (1-2) and empty nodes (1.1) are left out.

    https://universaldependencies.org/format.html
    """
    return _sentences(_blocks(source, answers), ConlluColumns(), answers)


def conllu_plus(source: Source, answers: bool) -> Iterator[Example]:
    """CoNLL-U Plus: the first line names the columns, such as ``# global.columns = ID FORM UPOS``.

    https://universaldependencies.org/ext-format.html
    """
    blocks = _blocks(source, answers)
    first = next(((place, block) for place, block in blocks if block), None)
    if first is not None:
        place, block = first
        yield from _sentences(itertools.chain([first], blocks), _declared_columns(block[0], place), answers)


def _sentences(
    blocks: Iterator[tuple[Location, list[str]]], columns: ConlluColumns, answers: bool
) -> Iterator[Example]:
    for place, block in blocks:
        record = _sentence(place, block, columns, answers) if block else _blank(place)
        if not (answers and record.is_blank):
            yield record


def _declared_columns(line: str, place: Location) -> ConlluColumns:
    name, _, declared = line.lstrip("# ").partition("=")
    if name.strip() != "global.columns":
        raise place.error("no column names; a CoNLL-U Plus file starts with '# global.columns = ID FORM UPOS'")
    names = declared.split()
    for wanted in ("FORM", "UPOS"):
        if wanted not in names:
            raise place.error(f"no column {wanted}; there are {', '.join(names) or 'none'}")
    at = {name: i for i, name in enumerate(names)}
    return ConlluColumns(len(names), at.get("ID"), at["FORM"], at["UPOS"], at.get("MISC"))


def _sentence(place: Location, block: list[str], columns: ConlluColumns, answers: bool) -> Example:
    words: list[str] = []
    tags: list[str] = []
    for n, line in enumerate(block):
        where = Location(place.file, place.line + n)
        if line.startswith("#"):
            if words:
                raise where.error("a comment within a sentence; a blank line ends the sentence before it")
            continue
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) != columns.count:
            raise where.error(f"{len(fields)} columns; a CoNLL-U line has {columns.count}, separated by tabs")
        if columns.id is not None and not _is_word(fields[columns.id], len(words) + 1, where):
            continue
        words.append(_filled(fields[columns.form], "FORM", where))
        if fields[columns.upos] not in ("", _NONE):
            tags.append(fields[columns.upos])
        elif answers:
            raise where.error("no UPOS; give each word its tag in the fourth column")
    if not words:
        if any(not line.startswith("#") for line in block):
            raise place.error("an empty sequence; a sentence has at least one word")
        return _blank(place, "\n".join([*block, ""]))  # comments alone, and the blank line after them
    return ConlluRecord(words, tags if len(tags) == len(words) else None, place, "\n".join(block), columns)


def _is_word(number: str, expected: int, place: Location) -> bool:
    """Whether an ID is that of a word and not of a range or an empty node. Words are numbered from 1."""
    if not number.isdecimal():
        _check_left_out(number, place)
        return False
    if number != str(expected):
        after = f"after ID {expected - 1}" if expected > 1 else "at the start of a sentence"
        raise place.error(f"ID {number} {after}; words are numbered from 1, and a blank line ends a sentence")
    return True


def two_columns(source: Source, answers: bool, known: frozenset[str] = frozenset()) -> Iterator[Example]:
    """A token and its tag on each line, a tab or blanks between them; a blank line ends the sequence.

    Without ``answers`` a line may hold a token alone. ``known``: tags of a trained model; further columns that hold
    them, or probabilities, are what it predicted before.
    """
    fields = Fields(known=known)
    sequences, longest, told = 0, 0, False
    for place, block in _blocks(source, answers):
        if not block:
            yield _blank(place)
            continue
        if not sequences and _is_header(block[0]):
            source.tell(f"{place}: read as column names, not as a token and its tag")
            if not answers:
                yield _blank(place, block[0] + "\tpredicted")
            place, block = Location(place.file, place.line + 1), block[1:]
            if not block:
                continue
        record, has_predictions = _sequence(place, block, answers, fields)
        if has_predictions and not told:
            told = True
            source.tell(f"{place}: the columns after the second are read as predictions and left out")
        sequences, longest = sequences + 1, max(longest, len(block))
        yield record
    if sequences == 1 and longest > _LONG_SEQUENCE:
        source.tell(f"{readable(source.name)}: one sequence of {longest:,} tokens; a blank line ends a sequence")


def _sequence(place: Location, block: list[str], answers: bool, fields: Fields) -> tuple[Example, bool]:
    """The record of a block, and whether it has columns that predict has added."""
    words: list[str] = []
    tags: list[str] = []
    has_predictions, split_at_blank, others = False, None, False
    for n, line in enumerate(block):
        where = Location(place.file, place.line + n)
        found = columns_of(line)
        if len(found) > 2 and fields.are_predictions(found[2:]):
            found, has_predictions = found[:2], True
        if len(found) != 2 and (answers or len(found) != 1):
            raise where.error(f"{_count(len(found))}; a line is a token, a tab or a blank, and its tag")
        if len(found) == 2 and "\t" not in line:
            split_at_blank = split_at_blank or where
        else:
            others = True
        words.append(_filled(found[0], "token", where))
        if len(found) == 2 and (found[1] or answers):
            tags.append(_filled(found[1], "tag", where))
    if split_at_blank is not None and others and not answers:  # a tag, or a token that holds a blank?
        raise split_at_blank.error("two columns, unlike other lines of its sequence; put a tab after each token")
    return Example(words, tags if len(tags) == len(words) else None, place, "\n".join(block)), has_predictions


def columns_of(line: str) -> list[str]:
    """The columns of a line: between tabs if it has any, else between blanks. Other spaces belong to a token."""
    if "\t" in line:
        return [field.strip() for field in line.split("\t")]
    return _BLANKS.split(line.strip(" "))


def place_of_word(record: Example, word: int) -> Location:
    """The line that the word with this index stands in."""
    seen = -1
    for n, line in enumerate(record.raw.split("\n")):
        seen += not isinstance(record, ConlluRecord) or record.columns.is_word(line)
        if seen == word:
            return Location(record.place.file, record.place.line + n)
    return record.place


def conllu_or_two_columns(source: Source, answers: bool, known: frozenset[str] = frozenset()) -> Iterator[Example]:
    """What standard input holds, told by its first lines; later ones are not waited for."""
    first, rest = b"", source.chunks()
    for chunk in rest:
        first += chunk
        if (decided := _is_conllu(first.decode("utf-8", "replace").split("\n")[:-1])) is not None:
            break
    else:
        decided = is_conllu(first.decode("utf-8", "replace"))
    again = replace(source, chunks=lambda: itertools.chain([first], rest))
    return conllu(again, answers) if decided else two_columns(again, answers, known)


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


def _blocks(source: Source, answers: bool) -> Iterator[tuple[Location, list[str]]]:
    """The lines between blank lines, with the place of their first.

    Without ``answers`` also an empty block for each blank line that ends no block.
    """
    block: list[str] = []
    start = Location(source.name, 1)
    for place, line in lines(source):
        if line.strip():
            start = start if block else place
            block.append(line)
        elif block:
            yield start, block
            block = []
        elif not answers:
            yield place, []
    if block:
        yield start, block


def _blank(place: Location, raw: str = "") -> Example:
    """A line that is no part of a sequence; prediction writes it as it is."""
    return Example(None, None, place, raw)


def _is_header(line: str) -> bool:
    return tuple(field.lower() for field in columns_of(line)) in _HEADERS


def _check_left_out(number: str, place: Location) -> None:
    parts = number.replace(".", "-").split("-")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise place.error(f"ID {number!r}; it must be a number, a range such as 1-2, or an empty node such as 1.1")


def _filled(field: str, name: str, place: Location) -> str:
    if not field:
        raise place.error(f"the {name} is empty; give it or leave the line out")
    return field


def _count(columns: int) -> str:
    return "one column" if columns == 1 else f"{columns} columns"
