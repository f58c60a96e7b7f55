"""Formatting of numbers, losses, metrics and durations."""

import itertools
import math
from collections.abc import Mapping, Sequence

from fastrnn.task_specs import TASK_SPECS

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-=*#%@"
SHARES = ("accuracy", "exact")
_MANY = 1e15  # no thousands separators from here on: too many digits
_ALL_DIGITS = 17  # significant digits that round-trip every float64


def number(value: object) -> str:
    """Format a number with thousands separators, or with four significant digits."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    thousands = isinstance(value, int) or 1000 <= abs(value) < _MANY
    return f"{value:,.0f}" if thousands else f"{value:.4g}"


def digits(value: float, spread: float) -> str:
    """Format a number with at least seven significant digits, enough to resolve a millionth of ``spread``.

    ``spread``: standard deviation of the column.
    """
    if not (value and math.isfinite(value) and spread > 0):
        return f"{value:.7g}"
    more = math.floor(math.log10(abs(value))) - math.floor(math.log10(spread))
    count = min(max(7, 7 + more), _ALL_DIGITS)
    return repr(float(value)) if count == _ALL_DIGITS else f"{value:.{count}g}"


def bits(nats: float) -> float:
    """Convert nats to bits."""
    return nats / math.log(2)


def loss(nats: float | None, task: str = "language-model") -> str:
    """Format a loss in nats and bits. The loss of numeric tasks is half the squared error and has no unit."""
    if nats is None:
        return "-"
    return f"{nats:.4f}" if TASK_SPECS[task].has_numeric_loss else f"{nats:.4f} nats  {bits(nats):.4f} bits"


def unit(task: str, tokens: str | None) -> str:
    """Unit of throughput for a task. ``tokens``: unit of a text (None: chars)."""
    return "targets" if TASK_SPECS[task].is_supervised else tokens or "chars"


def metrics(values: Mapping[str, float]) -> str:
    """Format metrics, e.g. ``accuracy 86.11%`` or ``mae 0.3531  mse 0.2201``."""
    return "  ".join(f"{name} {metric(name, value)}" for name, value in values.items())


def metric(name: str, value: float) -> str:
    """Format a metric: fractions in percent, errors in the units of the data."""
    return f"{100 * value:.2f}%" if name in SHARES else number(float(value))


def duration(seconds: float | None) -> str:
    """Format seconds as ``0:07``, ``12:34`` or ``1:02:03``; ``-`` if unknown or infinite."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def reading_progress(done: int, total: int | None) -> str:
    """Format reading progress, e.g. ``reading: 120 of 617 MB``."""
    of = "" if total is None else f" of {total / 1e6:,.0f}"
    return f"reading: {done / 1e6:,.0f}{of} MB"


def plural(number: int, noun: str) -> str:
    """Format a count and its noun: ``1 layer``, ``2 layers``, ``1,000 layers``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


class Sparkline:
    """Curve in one line of text. Memory is bounded: at most ``2 * room`` means of equally long intervals."""

    def __init__(self, room: int = 64) -> None:
        self._room = room
        self._means: list[float] = []
        self._stretch = 1  # values averaged into one mean
        self._sum, self._count = 0.0, 0

    def add(self, value: float) -> None:
        """Append a value; values that are not finite are ignored."""
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
        """Render the whole curve, at most ``width`` characters wide."""
        points = resample(self._means, width)
        if not points:
            return ""
        low, high = min(points), max(points)
        scale = (len(bars) - 1) / (high - low) if high > low else 0.0
        return "".join(bars[round((value - low) * scale)] for value in points)


def resample(values: Sequence[float], width: int) -> list[float]:
    """Downsample to the means of ``width`` nearly equal intervals; shorter inputs are returned as they are."""
    if len(values) <= width:
        return list(values)
    edges = [round(i * len(values) / width) for i in range(width + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
