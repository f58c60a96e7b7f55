"""Generators of synthetic data sets: bits, waves, dates, copy and reverse. The same seed gives the same bytes.

Each generator yields the lines of a file, including line breaks. All randomness comes from `random.Random.random`,
whose sequence for a seed is the same in every version of Python.
"""

import datetime
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from ..errors import ConfigError

T = TypeVar("T")

LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MAX_EXAMPLES = 10_000_000
_MAX_LENGTH = 1_000_000
_DEFAULT_BITS = 10  # of the lectures' problems
_DEFAULT_WORD_LENGTH = 12
_SYMBOLS = "abcdefgh"  # of the copy task
_NOISE = "."
_PERIODS = (24.0, 37.0, 60.0, 17.0)  # of the waves, in steps
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class SyntheticOptions:
    """Options of all generators; `GENERATORS` lists those that each generator uses."""

    count: int | None = None
    seed: int = 1
    length: int | None = None
    gap: int = 10
    problem: int = 3
    variable: bool = False


def make(name: str, choices: SyntheticOptions) -> Iterator[str]:
    """Generate the lines of a data file. Raises `ConfigError` for an option out of range."""
    generator = GENERATORS[name]
    _check("count", choices.count, 1, _MAX_EXAMPLES)
    _check("length", choices.length, 1, _MAX_LENGTH)
    _check("gap", choices.gap, 0, _MAX_LENGTH)
    _check("seed", choices.seed, 0, (1 << 63) - 1)
    return generator.lines(choices, RandomSource(f"fastrnn {name} {choices.seed}"))


class RandomSource:
    """Random numbers, reproducible across versions of Python."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed).random

    def integer(self, low: int, high: int) -> int:
        """Return an integer from low to high, both included."""
        return low + int(self._random() * (high - low + 1))

    def choice(self, choices: Sequence[T]) -> T:
        """Return a random element."""
        return choices[self.integer(0, len(choices) - 1)]

    def uniform(self, low: float, high: float) -> float:
        """Return a number between low and high."""
        return low + (high - low) * self._random()

    def normal(self) -> float:
        """Return an approximately standard normal number: the sum of twelve uniform ones (Irwin-Hall) minus 6."""
        return sum(self._random() for _ in range(12)) - 6.0


def bits(choices: SyntheticOptions, rng: RandomSource) -> Iterator[str]:
    """Yield examples of one of the four bit-reversal problems.

    1: one bit, its complement (CSV x1,y1). 2: ten bits at once (CSV x1..x10,y1..y10); variable: padded with -1.
    3: bits one after the other, each complemented. 4: a bit is complemented if it equals the output before it, and else
    kept. 3 and 4 are two columns for `tag`; variable: lengths from 1.
    """
    if choices.problem not in (1, 2, 3, 4):
        raise ConfigError(f"problem is {choices.problem}; it must be 1, 2, 3 or 4")
    if choices.problem == 1 and (choices.variable or choices.length not in (None, 1)):
        raise ConfigError("problem 1 has one bit; length and variable are for problems 2 to 4")
    count, width = choices.count or 1000, 1 if choices.problem == 1 else choices.length or _DEFAULT_BITS
    if choices.problem <= 2:
        yield ",".join([f"{side}{i}" for side in "xy" for i in range(1, width + 1)]) + "\n"
    for _ in range(count):
        given = [rng.integer(0, 1) for _ in range(rng.integer(1, width) if choices.variable else width)]
        if choices.problem <= 2:
            padding = [-1] * (width - len(given))
            yield ",".join(map(str, [*given, *padding, *[1 - bit for bit in given], *padding])) + "\n"
        else:
            output = [1 - bit for bit in given] if choices.problem == 3 else complement_if_equal(given)
            yield "".join(f"{x} {y}\n" for x, y in zip(given, output, strict=True)) + "\n"


def complement_if_equal(given: list[int]) -> list[int]:
    """Problem 4: the complement of each bit that equals the output before it; other bits as they are.

    The first bit has no previous output and is kept. By this rule every output differs from the previous one, so the
    model has to keep the first bit and then alternate.
    """
    output = given[:1]
    for bit in given[1:]:
        output.append(1 - bit if bit == output[-1] else bit)
    return output


def waves(choices: SyntheticOptions, rng: RandomSource) -> Iterator[str]:
    """Yield four hourly series of length ``count`` (CSV date, a, b, c, d): sums of two sines with a little noise."""
    names = "abcd"
    shapes = [(rng.uniform(0, 2 * math.pi), rng.uniform(0, 2 * math.pi), rng.uniform(0.3, 0.7)) for _ in names]
    start = datetime.datetime(2024, 1, 1)
    yield ",".join(["date", *names]) + "\n"
    for t in range(choices.count or 3000):
        values = []
        for n, (first, second, size) in enumerate(shapes):
            wave = math.sin(2 * math.pi * t / _PERIODS[n] + first)
            wave += size * math.sin(2 * math.pi * t / _PERIODS[(n + 1) % 4] + second)
            values.append(10 * (n + 1) + 5 * wave + 0.05 * rng.normal())
        stamp = start + datetime.timedelta(hours=t)
        yield ",".join([stamp.isoformat(" "), *(f"{value:.4f}" for value in values)]) + "\n"


def dates(choices: SyntheticOptions, rng: RandomSource) -> Iterator[str]:
    """Yield lines of a date as people write it, a tab, and the same date in ISO 8601 (TSV), from 1950 to 2049."""
    first, days = datetime.date(1950, 1, 1), 36525
    for _ in range(choices.count or 10000):
        date = first + datetime.timedelta(days=rng.integer(0, days - 1))
        text = rng.choice(_DATE_STYLES)(date)
        yield f"{_vary_case(text, rng)}\t{date.isoformat()}\n"


def copy(choices: SyntheticOptions, rng: RandomSource) -> Iterator[str]:
    """Yield lines of a symbol as the label, a tab, then the text: that symbol, and ``gap`` characters of noise (TSV).

    A classifier has to remember the symbol for ``gap`` steps.
    """
    for _ in range(choices.count or 2000):
        symbol = rng.choice(_SYMBOLS)
        yield f"{symbol}\t{symbol}{''.join(rng.choice(_SYMBOLS.upper() + _NOISE) for _ in range(choices.gap))}\n"


def reverse(choices: SyntheticOptions, rng: RandomSource) -> Iterator[str]:
    """Yield lines of a word of up to 12 letters (``length``), a tab, and the word reversed (TSV)."""
    longest = choices.length or _DEFAULT_WORD_LENGTH
    for _ in range(choices.count or 20000):
        word = "".join(rng.choice(LETTERS) for _ in range(rng.integer(1, longest)))
        yield f"{word}\t{word[::-1]}\n"


@dataclass(frozen=True)
class SyntheticGenerator:
    """A generator, its description, the file extension of its format, and the options that it uses."""

    lines: Callable[[SyntheticOptions, RandomSource], Iterator[str]]
    about: str
    ending: str
    takes: tuple[str, ...] = ("count", "seed")  # the fields of `SyntheticOptions` that it uses


GENERATORS = {
    "bits": SyntheticGenerator(
        bits, "bit reversal, problems 1 to 4", ".csv (problems 1, 2) or .txt (3, 4)",
        ("count", "seed", "length", "problem", "variable"),
    ),
    "waves": SyntheticGenerator(waves, "four noisy waves, by the hour", ".csv"),
    "dates": SyntheticGenerator(dates, "dates as people write them, and in ISO", ".tsv"),
    "copy": SyntheticGenerator(copy, "a symbol to remember over a gap of noise", ".tsv", ("count", "seed", "gap")),
    "reverse": SyntheticGenerator(reverse, "words and the same words reversed", ".tsv", ("count", "seed", "length")),
}  # fmt: skip


def _ordinal(day: int) -> str:
    ending = "th" if 11 <= day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def _month(date: datetime.date) -> str:
    return _MONTHS[date.month - 1]


def _short(date: datetime.date) -> str:
    return _month(date)[:3]


def _weekday(date: datetime.date) -> str:
    return _DAYS[date.weekday()]


# In all-numeric dates the day precedes the month (31/12/1999), unless the year comes first. Two-digit years mean
# 1950 to 2049.
_DATE_STYLES: tuple[Callable[[datetime.date], str], ...] = (
    lambda d: f"{d.day} {_month(d)} {d.year}",
    lambda d: f"{_month(d)} {d.day}, {d.year}",
    lambda d: f"{d.day} {_short(d)} {d.year}",
    lambda d: f"{_short(d)} {d.day}, {d.year}",
    lambda d: f"{_weekday(d)}, {_month(d)} {d.day}, {d.year}",
    lambda d: f"{_weekday(d)} {d.day} {_month(d)} {d.year}",
    lambda d: f"{_weekday(d)[:3]}, {d.day:02} {_short(d)} {d.year}",
    lambda d: f"the {_ordinal(d.day)} of {_month(d)} {d.year}",
    lambda d: f"{_month(d)} {_ordinal(d.day)}, {d.year}",
    lambda d: f"{_ordinal(d.day)} {_short(d)}. {d.year}",
    lambda d: f"{d.day}.{d.month}.{d.year}",
    lambda d: f"{d.day:02}.{d.month:02}.{d.year}",
    lambda d: f"{d.day:02}.{d.month:02}.{d.year % 100:02}",
    lambda d: f"{d.day}/{d.month}/{d.year}",
    lambda d: f"{d.day:02}/{d.month:02}/{d.year}",
    lambda d: f"{d.day:02}/{d.month:02}/{d.year % 100:02}",
    lambda d: f"{d.year}/{d.month:02}/{d.day:02}",
    lambda d: f"{d.day:02}-{_short(d)}-{d.year}",
    lambda d: f"{d.day} {_short(d)} '{d.year % 100:02}",
    lambda d: f"{d.year} {_short(d)} {d.day}",
    lambda d: f"{d.year}{d.month:02}{d.day:02}",
)


def _vary_case(text: str, rng: RandomSource) -> str:
    """Return the text in lower case (20%), in upper case (10%), or unchanged."""
    chance = rng.uniform(0, 1)
    return text.lower() if chance < 0.2 else text.upper() if chance < 0.3 else text


def _check(name: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise ConfigError(f"{name} is {value}; it must be at {f'least {least}' if value < least else f'most {most}'}")
