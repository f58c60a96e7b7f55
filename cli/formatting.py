"""Figures as people read them."""

import itertools
import math
from collections.abc import Mapping, Sequence

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-=*#%@"
SHARES = ("accuracy", "exact")
NUMBERS = ("forecast", "regress")  # tasks that answer numbers
_MANY = 1e15  # from here on thousands are not set apart: the digits would not end
_ALL_DIGITS = 17  # that tell every float64 from its neighbours


def number(value: object) -> str:
    """A figure short enough to read: thousands set apart, or four digits that count."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    thousands = isinstance(value, int) or 1000 <= abs(value) < _MANY
    return f"{value:,.0f}" if thousands else f"{value:.4g}"


def digits(value: float, spread: float) -> str:
    """A number of a column with at least seven digits, and as many as tell apart what differs by little in it.

    ``spread``: the standard deviation of the column, of which a millionth is told.
    """
    if not (value and math.isfinite(value) and spread > 0):
        return f"{value:.7g}"
    more = math.floor(math.log10(abs(value))) - math.floor(math.log10(spread))
    count = min(max(7, 7 + more), _ALL_DIGITS)
    return repr(float(value)) if count == _ALL_DIGITS else f"{value:.{count}g}"


def bits(nats: float) -> float:
    """Nats in bits."""
    return nats / math.log(2)


def loss(nats: float | None, task: str = "language-model") -> str:
    """A loss in nats and in bits; for numbers it is half the squared error, which has neither."""
    if nats is None:
        return "-"
    return f"{nats:.4f}" if task in NUMBERS else f"{nats:.4f} nats  {bits(nats):.4f} bits"


def unit(task: str, tokens: str | None) -> str:
    """What a step has many of; ``tokens``: what a text is cut into (None: chars)."""
    return tokens or "chars" if task == "language-model" else "targets"


def metrics(values: Mapping[str, float]) -> str:
    """Such as ``accuracy 86.11%`` or ``mae 0.3531  mse 0.2201``."""
    return "  ".join(f"{name} {metric(name, value)}" for name, value in values.items())


def metric(name: str, value: float) -> str:
    """Shares in per cent; errors in the data's own units."""
    return f"{100 * value:.2f}%" if name in SHARES else number(float(value))


def duration(seconds: float | None) -> str:
    """``0:07``, ``12:34``, ``1:02:03``; unknown or endless is ``-``."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def reading(done: int, total: int | None) -> str:
    """Such as ``reading: 120 of 617 MB``."""
    of = "" if total is None else f" of {total / 1e6:,.0f}"
    return f"reading: {done / 1e6:,.0f}{of} MB"


def plural(number: int, noun: str) -> str:
    """``1 layer``, ``2 layers``; thousands are set apart."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


class Sparkline:
    """A curve in one line of text. It keeps at most ``2 * room`` means of equal stretches of what was added."""

    def __init__(self, room: int = 64) -> None:
        self._room = room
        self._means: list[float] = []
        self._stretch = 1  # values in one mean
        self._sum, self._count = 0.0, 0

    def add(self, value: float) -> None:
        """Take one more value; one that is not finite is passed over."""
        if not math.isfinite(value):
            return
        self._sum, self._count = self._sum + value, self._count + 1
        if self._count == self._stretch:
            self._means.append(self._sum / self._count)
            self._sum, self._count = 0.0, 0
        if len(self._means) == 2 * self._room:
            self._means = [(a + b) / 2 for a, b in zip(self._means[::2], self._means[1::2], strict=True)]
            self._stretch *= 2

    def text(self, width: int, bars: str = BARS) -> str:
        """The curve from its beginning, at most ``width`` characters wide."""
        points = resampled(self._means, width)
        if not points:
            return ""
        low, high = min(points), max(points)
        scale = (len(bars) - 1) / (high - low) if high > low else 0.0
        return "".join(bars[round((value - low) * scale)] for value in points)


def resampled(values: Sequence[float], width: int) -> list[float]:
    """Means of ``width`` stretches as equal as can be; the values themselves where they are no more than that."""
    if len(values) <= width:
        return list(values)
    edges = [round(i * len(values) / width) for i in range(width + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
