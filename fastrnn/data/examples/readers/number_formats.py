"""Number formats of CSV files: decimal signs, thousands separators, and markers of missing values."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

# Markers of missing values, compared after `str.casefold`.
_MISSING = frozenset(
    {"", "na", "n/a", "#n/a", "<na>", "nan", "+nan", "-nan", "nat", "null", "none", "missing", "-", "--", "?", "."}
)
_ZEROS = str.maketrans("123456789", "000000000")
_MINUS = "\u2212"
_SPACES = " \u00a0\u2009\u202f"  # also no-break, thin and narrow no-break space


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
