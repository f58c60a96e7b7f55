"""CSV tables: separator, header and rows, and the number format of each column, detected from the whole file.

A number format has a decimal sign, a thousands separator and markers of missing values.
"""

import csv
import io
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ....errors import escape
from ...text.sources import Source
from ..example import Location, read_lines
from .delimited import describe_count, is_separator_line, match_columns, near_column

# Markers of missing values, compared after `str.casefold`.
_MISSING = frozenset(
    {"", "na", "n/a", "#n/a", "<na>", "nan", "+nan", "-nan", "nat", "null", "none", "missing", "-", "--", "?", "."}
)
_ZEROS = str.maketrans("123456789", "000000000")
_MINUS = "\u2212"
_SPACES = " \u00a0\u2009\u202f"  # also no-break, thin and narrow no-break space
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_MAX_SHAPES = 3000  # distinct shapes counted per column; only text has more
INDEX = "index"  # the name given to an unnamed first column


def is_missing(field: str) -> bool:
    """Whether a field is a marker of a missing value."""
    return field.casefold() in _MISSING


def shape_of(field: str) -> str:
    """Replace every digit of a field by 0. Formats are matched against these shapes, of which a column has few."""
    return field.translate(_ZEROS)


@dataclass(frozen=True)
class NumberFormat:
    """A decimal sign, and the characters of which one may separate thousands (none in the plain format)."""

    decimal: str = "."
    thousands: str = ""

    def parse(self, field: str) -> float | None:
        """Return the number in a field, or None if it is not a number in this format."""
        if not self.is_plain:
            if self._pattern.fullmatch(shape_of(field)) is None:
                return None
            # The pattern has checked the grouping, so separators can simply be removed.
            field = field.translate(self._plain_signs)
        return _plain_number(field)

    def fits(self, shapes: Iterable[str]) -> bool:
        """Whether fields of all these shapes are numbers in this format."""
        if self.is_plain:
            return all(_plain_number(shape) is not None for shape in shapes)
        return all(self._pattern.fullmatch(shape) for shape in shapes)

    @property
    def is_plain(self) -> bool:
        """Whether this is the format of Python and most programs."""
        return self.decimal == "." and not self.thousands

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        sign, groups = re.escape(self.decimal), ""
        if self.thousands:  # groups of three, or as in India of two before a last one of three
            signs = re.escape(self.thousands)
            groups = rf"0{{1,3}}(?P<group>[{signs}])(?:0{{2,3}}(?P=group))*000|"
        return re.compile(rf"[-+{_MINUS}]?(?:(?:{groups}0+)(?:{sign}0*)?|{sign}0+)(?:[eE][-+]?0+)?")

    @cached_property
    def _plain_signs(self) -> dict[int, str | None]:
        return {ord(self.decimal): "."} | {ord(sign): None for sign in self.thousands}


PLAIN = NumberFormat()
GROUPED = NumberFormat(".", ",")
DECIMAL_COMMA = NumberFormat(",", ".")
# In the order in which they are tried: the more common first.
FORMATS = (
    PLAIN, GROUPED, DECIMAL_COMMA, NumberFormat(".", _SPACES), NumberFormat(",", _SPACES), NumberFormat(".", "'\u2019"),
)  # fmt: skip


def is_number(shape: str) -> bool:
    """Whether fields of this shape are numbers in any format."""
    return any(known.fits([shape]) for known in FORMATS)


def is_ambiguous(shapes: Iterable[str]) -> bool:
    """Whether these numbers, such as 1,234, have a comma that may separate thousands as well as decimals."""
    found = list(shapes)
    return not PLAIN.fits(found) and GROUPED.fits(found) and DECIMAL_COMMA.fits(found)


def choose_format(shapes: Iterable[str]) -> NumberFormat | None:
    """Return the first format that fits all of these shapes."""
    found = list(shapes)
    return next((known for known in FORMATS if known.fits(found)), None)


def _plain_number(field: str) -> float | None:
    try:
        # Python reads 1_000 as a number, other programs do not. U+2212 is the minus sign of typeset tables.
        return None if "_" in field else float(field.replace(_MINUS, "-"))
    except ValueError:
        return None


@dataclass
class Profile:
    """Statistics of a column: its fields counted by shape (`shape_of`), with one example of each shape."""

    shapes: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    missing: int = 0
    others: int = 0  # fields of shapes beyond `_MAX_SHAPES`

    def add(self, text: str) -> None:
        """Count one more field."""
        # A column has many fields and few shapes: formats are later tested once per shape.
        shape = shape_of(text)
        if shape in self.shapes:
            self.shapes[shape] += 1
        elif is_missing(text):
            self.missing += 1
        elif len(self.shapes) < _MAX_SHAPES:
            self.shapes[shape] = 1
            self.examples[shape] = text
        else:
            self.others += 1

    @property
    def filled_count(self) -> int:
        """Fields that are not missing."""
        return sum(self.shapes.values()) + self.others

    def share(self, kinds: Iterable[str]) -> float:
        """Return the share of the filled fields that has one of these shapes."""
        return sum(self.shapes[shape] for shape in kinds) / max(1, self.filled_count)

    @property
    def number_shapes(self) -> list[str]:
        """The shapes that are numbers in some format."""
        return [shape for shape in self.shapes if is_number(shape)]

    @property
    def example(self) -> str | None:
        """A field that is not a number if there is one, else any field."""
        numbers = set(self.number_shapes)
        others = [text for shape, text in self.examples.items() if shape not in numbers]
        return next(iter([*others, *self.examples.values()]), None)


class Table:
    """An open CSV file. Raises `InputError` for a malformed one.

    Fields are separated by commas, semicolons, tabs or vertical bars, and may be quoted; a quoted field may not hold
    line breaks.

    Attributes:
        name: Name of the file.
        header: Column names; an unnamed first column is called `INDEX`.
        raw_header: Column names as written.
        separator: The character between fields.
        profiles: Statistics of each column; empty unless ``whole``.
        remarks: Decisions to report to the user.

    Args:
        source: The file.
        whole: Whether to scan every row first, to detect the number format of each column; else numbers must be plain.
    """

    def __init__(self, source: Source, whole: bool = True) -> None:
        self.name = source.name
        self.remarks: list[str] = []
        self._source = source
        self._kept: list[tuple[Location, str]] | None = None
        if whole and not os.path.isfile(source.name):  # the table is read twice, a pipe can be read once
            self._kept = list(_skip_blank_lines(source))

        # Header and first row decide the separator.
        self._lines = self._open()
        place, line = self._next_line("empty; a table has a line of column names, then rows of numbers")
        self._first = self._next_line("no row below the column names; give at least one")
        self.separator = self._detect_separator(line, self._first[1])
        self.raw_header = tuple(self._fields(place, line))
        self.header = self._name_columns(place, list(self.raw_header))

        self._whole = whole
        self.profiles: dict[str, Profile] = {}
        self._formats: dict[str, NumberFormat] = {}
        if whole:
            self._profile(place)

    def rows(self) -> Iterator[tuple[Location, str, list[str]]]:
        """Yield location, line and fields of each row. Raises `InputError` for a wrong number of fields."""
        width = len(self.header)
        rest = self._lines
        if self._whole:  # the scan has used up the lines: start again after header and first row
            rest = self._open()
            next(rest)
            next(rest)
        yield from (self._row(place, line, width) for place, line in [self._first])
        for place, line in rest:
            yield self._row(place, line, width)

    @property
    def numeric(self) -> tuple[str, ...]:
        """The columns of numbers."""
        return tuple(name for name in self.header if self.is_numeric(name))

    def is_numeric(self, name: str) -> bool:
        """Whether at least half of the filled fields of a column are numbers."""
        profile = self.profiles[name]
        return profile.filled_count > 0 and 2 * profile.share(profile.number_shapes) >= 1

    def format_of(self, name: str) -> NumberFormat:
        """Return the number format of a column."""
        return self._formats.get(name, PLAIN)

    def match(self, patterns: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the columns that --columns names and those that it excludes, see `match_columns`."""
        return match_columns(patterns, self.header, self.name)

    def indices_of(self, names: Sequence[str]) -> list[int]:
        """Return the positions of these columns. Raises `InputError` for one that is missing."""
        for name in names:
            if name not in self.header:
                raise Location(self.name).error(f"no column {name!r}{near_column(name, self.header)}")
        return [self.header.index(name) for name in names]

    def column(self, name: str) -> list[str]:
        """Return every field of a column."""
        (index,) = self.indices_of([name])
        return [fields[index] for _, _, fields in self.rows()]

    def format_as_csv(self, line: str, fields: list[str]) -> str:
        """Return a row separated by commas; the line itself if it already is."""
        if self.separator == ",":
            return line
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(fields)
        return text.getvalue()

    def remark(self, text: str) -> None:
        """Add a remark about this file."""
        self.remarks.append(escape(f"{self.name}: {text}"))

    def _open(self) -> Iterator[tuple[Location, str]]:
        return _skip_blank_lines(self._source) if self._kept is None else iter(self._kept)

    def _next_line(self, missing: str) -> tuple[Location, str]:
        found = next(self._lines, None)
        if found is None:
            raise Location(self.name).error(missing)
        return found

    def _row(self, place: Location, line: str, width: int) -> tuple[Location, str, list[str]]:
        fields = self._fields(place, line)
        if len(fields) != width:
            raise place.error(f"{describe_count(len(fields))}, but the first line names {width}; make them equal")
        return place, line, fields

    def _fields(self, place: Location, line: str) -> list[str]:
        try:
            (fields,) = csv.reader([line], delimiter=self.separator, strict=True, skipinitialspace=True)
        except csv.Error as error:
            raise place.error(f"not CSV ({error}); close quotation marks on the line that opens them") from None
        return [text.strip() for text in fields]

    def _detect_separator(self, header: str, row: str) -> str:
        """Return the first separator that splits header and first row into equally many columns, else commas."""
        # In the order of the table, commas first.
        for sign in _SEPARATORS:
            counts = [_count_fields(line, sign) for line in (header, row)]
            if counts[0] == counts[1] > 1:
                if sign != ",":
                    self.remark(f"columns are separated by {_SEPARATORS[sign]}")
                return sign
        return ","

    def _name_columns(self, place: Location, names: list[str]) -> tuple[str, ...]:
        """Return the column names; an unnamed first column is `INDEX`, other unnamed ones are empty (`_profile`)."""
        # A first line of numbers is data: a row would be lost if it were taken for names.
        if all(PLAIN.parse(name) is not None for name in names):
            raise place.error("numbers where column names should be; let the first line name the columns")
        # pandas writes its index as a first column without a name.
        if not names[0] and INDEX not in names and len(names) > 1:
            names[0] = INDEX
        for i, name in enumerate(names):
            if name and name in names[:i]:
                raise place.error(f"two columns are named {name!r}; give each a name of its own")
        return tuple(name or f"column {i + 1}" for i, name in enumerate(names))

    def _profile(self, place: Location) -> None:
        profiles = [Profile() for _ in self.header]
        for _, _, fields in self.rows():
            for profile, text in zip(profiles, fields, strict=True):
                profile.add(text)
        self.profiles = dict(zip(self.header, profiles, strict=True))
        for i, (name, raw) in enumerate(zip(self.header, self.raw_header, strict=True)):
            # Trailing separators make empty columns without a name, which are harmless.
            if not raw and name != INDEX and self.profiles[name].filled_count:
                raise place.error(f"column {i + 1} has no name; give it one")
        self._choose_formats()

    def _choose_formats(self) -> None:
        """Choose one number format that fits all numeric columns, else one for each."""
        # One file usually has one format; a column of its own decides only where that fails.
        shapes = {name: self.profiles[name].number_shapes for name in self.numeric}
        common = choose_format(shape for found in shapes.values() for shape in found)
        own = {
            name: choose_format(found) or _choose_majority_format(self.profiles[name], found)
            for name, found in shapes.items()
        }
        self._formats = {name: common or own[name] for name in own}
        # 1,234 is a thousand or a decimal fraction. Semicolons between fields mean decimal commas (European
        # spreadsheets); else the clear columns decide if they agree.
        unclear = [name for name, found in shapes.items() if is_ambiguous(found)]
        rest = {known.decimal for name, known in own.items() if name not in unclear and not known.is_plain}
        for name in unclear:
            if self.separator != ";" and len(rest) != 1:
                self._refuse_comma(name)
            self._formats[name] = DECIMAL_COMMA if self.separator == ";" or rest == {","} else GROUPED
        self._remark_formats(shapes)

    def _refuse_comma(self, name: str) -> None:
        example = next(text for shape, text in self.profiles[name].examples.items() if "," in shape)
        raise Location(self.name).error(
            f"column {name!r} has {example!r}, whose comma may separate thousands or decimals; "
            "write numbers without other separators and with a decimal point"
        )

    def _remark_formats(self, shapes: dict[str, list[str]]) -> None:
        """Add a remark for each column whose numbers are not plain, with an example."""
        for name, chosen in self._formats.items():
            examples = [self.profiles[name].examples[shape] for shape in sorted(shapes[name], key=len)]
            changed = [text for text in examples if chosen.parse(text) not in (None, PLAIN.parse(text))]
            if changed:
                self.remark(f"column {name!r}: {changed[-1]!r} is read as {chosen.parse(changed[-1])!r}")


def _skip_blank_lines(source: Source) -> Iterator[tuple[Location, str]]:
    """Yield the lines that are not blank, without a first line such as ``sep=;`` written by spreadsheets."""
    filled = ((place, line) for place, line in read_lines(source) if line.strip())
    return itertools.filterfalse(lambda item: item[0].line == 1 and is_separator_line(item[1]), filled)


def _count_fields(line: str, separator: str) -> int:
    """Return the number of fields of a line with this separator; 0 if quotation marks do not match."""
    try:
        return len(next(csv.reader([line], delimiter=separator, strict=True, skipinitialspace=True)))
    except csv.Error:
        return 0


def _choose_majority_format(profile: Profile, shapes: list[str]) -> NumberFormat:
    """Return the number format that fits the most fields."""
    counts: dict[NumberFormat, int] = {}
    for shape in shapes:
        known = choose_format([shape]) or PLAIN
        counts[known] = counts.get(known, 0) + profile.shapes[shape]
    return max(counts, key=lambda known: counts[known])
