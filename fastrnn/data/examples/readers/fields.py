"""Which columns of a table, or keys of JSON objects, hold the label and the text."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ....config import nearest
from ...text.line_ends import Tell, silent
from ..example import Location
from .delimited import Row

_LABEL_NAMES = (
    "label", "labels", "class", "category", "target", "tag", "sentiment", "polarity", "topic", "intent", "y",
)  # fmt: skip
_TEXT_NAMES = (
    "text", "texts", "sentence", "review", "content", "message", "document", "comment", "body", "title", "tweet",
    "utterance", "query", "question", "description", "x",
)  # fmt: skip
# Names that make the first line of a tab-separated file a header: a pair that is hardly ever an example.
_PLAIN_LABELS = ("label", "labels", "class", "category", "target", "sentiment")
_PLAIN_TEXTS = ("text", "texts", "sentence", "review", "content", "message", "comment", "document", "tweet")
_SHOWN = 8  # names in a message


@dataclass(frozen=True)
class Fields:
    """What the user, or a trained model, says about the columns of labelled data.

    Attributes:
        label: Name of the label's column or key, or its position from 1.
        text: Name of the text's column or key, or its position from 1.
        columns: Names or globs of the columns of numbers to classify by.
        inputs: Exact names of these columns, of a trained model.
        known: Labels of a trained model: further columns that hold them are predictions.
        takes_text: Whether a trained model classifies texts, not numbers.
        required: Whether ``label`` and ``text`` must be there; those of a trained model need not be.
    """

    label: str | None = None
    text: str | None = None
    columns: str | None = None
    inputs: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    takes_text: bool = False
    required: bool = True

    def are_predictions(self, fields: Sequence[str]) -> bool:
        """Whether these further columns are what predict adds: a known label, and its probability."""
        return bool(self.known) and all(field.strip() in self.known or _is_probability(field) for field in fields)


ANY_FIELDS = Fields()


@dataclass(frozen=True)
class Header:
    """The columns of a table: their names, and which of them hold label and text.

    Attributes:
        names: Of all columns.
        label: Position of the label, None where it is not there.
        text: Position of the text, None for a table of numbers.
        is_data: Whether the first row is an example, and the names are positions.
    """

    names: tuple[str, ...]
    label: int | None
    text: int | None
    is_data: bool = False


def find_header(row: Row, fields: Fields, answers: bool) -> Header | None:
    """The header that the first row of a tab-separated file is; None if it is an example.

    It is a header if it holds a name that was asked for, or well-known names of both label and text.
    Raises `InputError` where a required name is missing.
    """
    names = tuple(field.strip() for field in row.fields)
    if any(wanted is not None and wanted in names for wanted in (fields.label, fields.text)):
        return named_columns(names, fields, answers, row.place)
    if fields.required and any(wanted and not wanted.isdecimal() for wanted in (fields.label, fields.text)):
        return named_columns(names, fields, answers, row.place)  # which names the one that is missing
    lowered = [name.lower() for name in names]
    text, label = _well_known(lowered, _PLAIN_TEXTS), _well_known(lowered, _PLAIN_LABELS)
    if text is not None and label is not None:
        return Header(names, label, text)
    if fields.required and (fields.label or fields.text):
        return positions(row, fields)
    return None


def named_columns(names: tuple[str, ...], fields: Fields, answers: bool, place: Location) -> Header:
    """The label's and the text's columns in a header: those asked for, else well-known names.

    Raises `InputError` where the label cannot be found though ``answers`` are needed, or a required name is missing.
    """
    lowered = [name.lower() for name in names]
    label = _position(fields.label, names, fields.required and answers, "--label", place)
    if label is None and (fields.label is None or not fields.required):
        label = _well_known(lowered, _LABEL_NAMES)
    text = _position(fields.text, names, fields.required, "--text", place)
    if text is None and not fields.inputs and not fields.columns:
        text = _well_known([name if i != label else "" for i, name in enumerate(lowered)], _TEXT_NAMES)
    if label is None and answers:
        raise place.error(f"no column is named label or class; name it with --label: there are {shown(names)}")
    return Header(names, label, text)


def positions(row: Row, fields: Fields) -> Header:
    """Columns of a file without a header, by their positions. Raises `InputError` for one that is not there."""
    width = len(row.fields)
    found: list[int | None] = []
    for option, wanted in (("--label", fields.label), ("--text", fields.text)):
        if wanted is not None and not (wanted.isdecimal() and 1 <= int(wanted) <= max(width, 1)):
            raise row.place.error(f"{option} {wanted}: this file has no header; give a position from 1 to {width}")
        found.append(None if wanted is None else int(wanted) - 1)
    label, text = found
    if width == 2 and (label is None) != (text is None):  # the other one
        label, text = (1 - text if text is not None else label), (1 - label if label is not None else text)
    return Header(tuple(f"x{i + 1}" for i in range(width)), label, text, is_data=True)


def shown(names: Sequence[str]) -> str:
    """Names of columns in a message."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def free_name(name: str, taken: Sequence[str]) -> str:
    """The name, with a number where it is taken."""
    numbered = (f"{name}_{i}" for i in itertools.count(2))
    return name if name not in taken else next(other for other in numbered if other not in taken)


def tell_columns(header: Header, place: Location, tell: Tell = silent) -> None:
    """Report which columns are read, and which are left out."""
    label, text = header.label, header.text
    left = [name for i, name in enumerate(header.names) if i not in (label, text)]
    read = [f"{what} from {header.names[i]!r}" for what, i in (("label", label), ("text", text)) if i is not None]
    rest = f"; left out: {shown(left)}" if left else ""
    first = "no header: positions of columns" if header.is_data else "read as column names"
    tell(f"{place}: {first}; {', '.join(read)}{rest}")


def _position(wanted: str | None, names: Sequence[str], required: bool, option: str, place: Location) -> int | None:
    if wanted is None:
        return None
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    if required:
        raise place.error(f"{option}: no column {wanted!r}{nearest(wanted, names) or '; there are ' + shown(names)}")
    return None


def _well_known(lowered: Sequence[str], names: Sequence[str]) -> int | None:
    """The first column whose name is the best known."""
    return next((lowered.index(name) for name in names if name in lowered), None)


def _is_probability(field: str) -> bool:
    try:
        return 0 <= float(field) <= 1
    except ValueError:
        return False
