"""Sequences with a tag for each word: CoNLL-U, CoNLL-U Plus and two-column files, read one sequence at a time."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ....errors import escape
from ...text.sources import Source
from ..example import Example, Location, read_lines
from .delimited import Fields, describe_count, make_blank_example

_COLUMNS = 10  # of CoNLL-U: ID FORM LEMMA UPOS XPOS FEATS HEAD DEPREL DEPS MISC
_FORM, _UPOS, _MISC = 1, 3, 9
_NONE = "_"  # an unspecified value in CoNLL-U
_BLANKS = re.compile("[ \t]+")
_LONG_SEQUENCE = 500  # tokens; the longest sentence of most treebanks is shorter
_HEADERS = {
    (token, tag) for token in ("token", "word", "words", "form") for tag in ("tag", "label", "tags", "ner", "pos")
}


@dataclass(frozen=True)
class ConlluColumns:
    """The positions of ID, FORM, UPOS and MISC (None for an absent column), and the number of columns."""

    count: int = _COLUMNS
    id: int | None = 0
    form: int = _FORM
    upos: int = _UPOS
    misc: int | None = _MISC

    def is_word(self, line: str) -> bool:
        """Whether a line of a valid sentence is a word, not a comment, range or empty node."""
        return not line.startswith("#") and (self.id is None or line.split("\t")[self.id].strip().isdecimal())


@dataclass(frozen=True, eq=False)
class ConlluExample(Example):
    """A sentence of CoNLL-U or CoNLL-U Plus."""

    columns: ConlluColumns = ConlluColumns()


def read_conllu(source: Source, needs_targets: bool) -> Iterator[Example]:
    """Read FORM and UPOS of each sentence, without comments, multiword ranges (1-2) and empty nodes (1.1).

    https://universaldependencies.org/format.html
    """
    return _parse_sentences(_split_blocks(source, needs_targets), ConlluColumns(), needs_targets)


def read_conllu_plus(source: Source, needs_targets: bool) -> Iterator[Example]:
    """Read sentences of CoNLL-U Plus: the first line names the columns, such as ``# global.columns = ID FORM UPOS``.

    https://universaldependencies.org/ext-format.html
    """
    blocks = _split_blocks(source, needs_targets)
    first = next(((place, block) for place, block in blocks if block), None)
    if first is not None:
        place, block = first
        columns = _parse_column_names(block[0], place)
        yield from _parse_sentences(itertools.chain([first], blocks), columns, needs_targets)


def _parse_sentences(
    blocks: Iterator[tuple[Location, list[str]]], columns: ConlluColumns, needs_targets: bool
) -> Iterator[Example]:
    for place, block in blocks:
        example = _parse_sentence(place, block, columns, needs_targets) if block else make_blank_example(place)
        if not (needs_targets and example.is_blank):
            yield example


def _parse_column_names(line: str, place: Location) -> ConlluColumns:
    name, _, declared = line.lstrip("# ").partition("=")
    if name.strip() != "global.columns":
        raise place.error("no column names; a CoNLL-U Plus file starts with '# global.columns = ID FORM UPOS'")
    names = declared.split()
    for wanted in ("FORM", "UPOS"):
        if wanted not in names:
            raise place.error(f"no column {wanted}; there are {', '.join(names) or 'none'}")
    at = {name: i for i, name in enumerate(names)}
    return ConlluColumns(len(names), at.get("ID"), at["FORM"], at["UPOS"], at.get("MISC"))


def _parse_sentence(place: Location, block: list[str], columns: ConlluColumns, needs_targets: bool) -> Example:
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
        words.append(_require_nonempty(fields[columns.form], "FORM", where))
        # A word without a tag leaves the whole sentence without tags, for prediction only.
        if fields[columns.upos] not in ("", _NONE):
            tags.append(fields[columns.upos])
        elif needs_targets:
            raise where.error("no UPOS; give each word its tag in the fourth column")
    if not words:
        # Ranges and empty nodes alone do not make a sentence.
        if any(not line.startswith("#") for line in block):
            raise place.error("an empty sequence; a sentence has at least one word")
        # A block of comments only: prediction copies it with the blank line that ends it.
        return make_blank_example(place, "\n".join([*block, ""]))
    return ConlluExample(words, tags if len(tags) == len(words) else None, place, "\n".join(block), columns)


def _is_word(number: str, expected: int, place: Location) -> bool:
    """Whether an ID is a word's, numbered from 1, and not that of a range or an empty node."""
    if not number.isdecimal():
        _check_skipped_id(number, place)
        return False
    if number != str(expected):
        after = f"after ID {expected - 1}" if expected > 1 else "at the start of a sentence"
        raise place.error(f"ID {number} {after}; words are numbered from 1, and a blank line ends a sentence")
    return True


def read_two_columns(source: Source, needs_targets: bool, known: frozenset[str] = frozenset()) -> Iterator[Example]:
    """Read a token and its tag from each line, separated by a tab or blanks; a blank line ends the sequence.

    Without ``needs_targets`` a line may hold a token alone. ``known``: the tags of a trained model; further columns
    of such tags, or of probabilities, are its earlier predictions and are ignored.
    """
    fields = Fields(known=known)
    sequences = 0
    longest = 0
    has_reported = False
    for place, block in _split_blocks(source, needs_targets):
        if not block:
            yield make_blank_example(place)
            continue
        # Column names can only come before the first sequence.
        if not sequences and _is_header(block[0]):
            source.report(f"{place}: read as column names, not as a token and its tag")
            if not needs_targets:
                yield make_blank_example(place, block[0] + "\tpredicted")
            place = Location(place.file, place.line + 1)
            block = block[1:]
            if not block:
                continue
        example, has_predictions = _parse_sequence(place, block, needs_targets, fields)
        if has_predictions and not has_reported:
            has_reported = True
            source.report(f"{place}: the columns after the second are read as predictions and left out")
        sequences += 1
        longest = max(longest, len(block))
        yield example
    if sequences == 1 and longest > _LONG_SEQUENCE:
        source.report(f"{escape(source.name)}: one sequence of {longest:,} tokens; a blank line ends a sequence")


def _parse_sequence(place: Location, block: list[str], needs_targets: bool, fields: Fields) -> tuple[Example, bool]:
    """Return the example of a block, and whether it has the columns that prediction adds."""
    words: list[str] = []
    tags: list[str] = []
    has_predictions = False
    split_at_blank: Location | None = None
    has_other_lines = False
    for n, line in enumerate(block):
        where = Location(place.file, place.line + n)
        found = split_columns(line)
        if len(found) > 2 and fields.are_predictions(found[2:]):
            found, has_predictions = found[:2], True
        if len(found) != 2 and (needs_targets or len(found) != 1):
            raise where.error(f"{describe_count(len(found))}; a line is a token, a tab or a blank, and its tag")
        if len(found) == 2 and "\t" not in line:
            split_at_blank = split_at_blank or where
        else:
            has_other_lines = True
        words.append(_require_nonempty(found[0], "token", where))
        if len(found) == 2 and (found[1] or needs_targets):
            tags.append(_require_nonempty(found[1], "tag", where))
    # A blank may separate a tag or belong to the token. If tags are not needed, both kinds of line are valid, so a
    # mixture is refused.
    if split_at_blank is not None and has_other_lines and not needs_targets:
        raise split_at_blank.error("two columns, unlike other lines of its sequence; put a tab after each token")
    return Example(words, tags if len(tags) == len(words) else None, place, "\n".join(block)), has_predictions


def split_columns(line: str) -> list[str]:
    """Split a line at tabs if it has any, else at blanks. Other kinds of space are part of a token."""
    if "\t" in line:
        return [field.strip() for field in line.split("\t")]
    return _BLANKS.split(line.strip(" "))


def locate_word(example: Example, word: int) -> Location:
    """Return the line of the word with this index, counted from 0."""
    seen = -1
    for n, line in enumerate(example.raw.split("\n")):
        # In two-column files every line is a word.
        seen += not isinstance(example, ConlluExample) or example.columns.is_word(line)
        if seen == word:
            return Location(example.place.file, example.place.line + n)
    return example.place


def read_conllu_or_two_columns(
    source: Source, needs_targets: bool, known: frozenset[str] = frozenset()
) -> Iterator[Example]:
    """Read standard input in either format, detected from as few of its first lines as possible."""
    first, rest = b"", source.chunks()
    for chunk in rest:
        first += chunk
        # The last piece may be a line cut off by the end of the chunk.
        if (decided := _detect_conllu(first.decode("utf-8", "replace").split("\n")[:-1])) is not None:
            break
    else:
        decided = is_conllu(first.decode("utf-8", "replace"))
    again = replace(source, chunks=lambda: itertools.chain([first], rest))
    return read_conllu(again, needs_targets) if decided else read_two_columns(again, needs_targets, known)


def is_conllu(text: str) -> bool:
    """Whether the start of a file, or a sentence, is CoNLL-U and not two columns."""
    return bool(_detect_conllu(text.split("\n")))


def _detect_conllu(whole_lines: list[str]) -> bool | None:
    """Whether these lines are CoNLL-U; None if they do not decide it: ``# tag`` may be a token and its tag."""
    for line in whole_lines:
        # Ten columns are CoNLL-U, even if the first is "#".
        if line.count("\t") == _COLUMNS - 1:
            return True
        line = line.lstrip("\ufeff")
        # CoNLL-U comments read "# sent_id = 1" or "# text = ...".
        if line.startswith("# ") and len(line.split()) != 2:
            return True
        if line.strip() and not line.startswith("#"):
            return False
    return None


def _split_blocks(source: Source, needs_targets: bool) -> Iterator[tuple[Location, list[str]]]:
    """Yield the lines between blank lines, with the place of the first of them.

    Without ``needs_targets`` there is an empty block for each blank line that ends no block.
    """
    block: list[str] = []
    start = Location(source.name, 1)
    for place, line in read_lines(source):
        if line.strip():
            start = start if block else place
            block.append(line)
        elif block:
            yield start, block
            block = []
        elif not needs_targets:
            yield place, []
    if block:
        yield start, block


def _is_header(line: str) -> bool:
    return tuple(field.lower() for field in split_columns(line)) in _HEADERS


def _check_skipped_id(number: str, place: Location) -> None:
    parts = number.replace(".", "-").split("-")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise place.error(f"ID {number!r}; it must be a number, a range such as 1-2, or an empty node such as 1.1")


def _require_nonempty(field: str, name: str, place: Location) -> str:
    if not field:
        raise place.error(f"the {name} is empty; give it or leave the line out")
    return field
