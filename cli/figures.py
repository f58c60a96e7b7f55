"""Figures as people read them."""

import itertools
import math
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-=*#%@"


def number(value: object) -> str:
    """A figure short enough to read: thousands set apart, or four digits that count."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:.4g}"


def bits(nats: float) -> float:
    """Nats in bits."""
    return nats / math.log(2)


def loss(nats: float | None) -> str:
    """A loss in nats and in bits."""
    return "-" if nats is None else f"{nats:.4f} nats  {bits(nats):.4f} bits"


def duration(seconds: float | None) -> str:
    """``0:07``, ``12:34``, ``1:02:03``; unknown or endless is ``-``."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def plural(number: int, noun: str) -> str:
    """``1 layer``, ``2 layers``; thousands are set apart."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


class Spark:
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
        points = _resampled(self._means, width)
        if not points:
            return ""
        low, high = min(points), max(points)
        scale = (len(bars) - 1) / (high - low) if high > low else 0.0
        return "".join(bars[round((value - low) * scale)] for value in points)


def _resampled(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    edges = [round(i * len(values) / width) for i in range(width + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
