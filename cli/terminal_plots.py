"""Plots of a `Report`: in colour on a terminal, elsewhere plain text with numbers."""

import math
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .formatting import ASCII_BARS, BARS, resample
from .output import escape_line, on_terminal, write, write_figures

if TYPE_CHECKING:
    from rich.console import Console

    from .inspect_report import Report

MIN_DECADES = 4  # minimum range of the bars, so that a nearly constant curve looks level
PLAIN_WIDTH = 64
LARGEST_NATS = 6.0  # surprisal shown in full colour
MIN_SHARE = 0.1  # smaller fractions of the full colour are not coloured
Colour = tuple[int, int, int]
PALE, RED, BLUE = (255, 236, 179), (229, 57, 53), (66, 133, 244)


def plot(report: "Report", show: int = 1000) -> None:
    """Print figures, curves, and the first ``show`` tokens of a text with their marks."""
    write_figures(report.figures)
    console = _console()
    if report.curves:
        _plot_curves(report.curves, console)
    if report.tokens:
        write("\n")
        if console is None:
            _print_values(report, show)
        else:
            _print_colours(report, show, console)


def _console() -> "Console | None":
    """Return a colour terminal, or None. rich is imported only for a terminal."""
    if not on_terminal() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return None
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.color_system else None


def log_bars(values: Sequence[float], low: float, high: float, width: int, bars: str) -> str:
    """Render ``width`` bars from 10^low to 10^high; a blank for 0, ``?`` for NaN."""
    points = resample([math.log10(v) if v else -math.inf for v in values], width)
    return "".join(_bar((point - low) / (high - low), bars) for point in points)


def _bar(share: float, bars: str) -> str:
    if math.isnan(share):
        return "?"
    return " " if share == -math.inf else bars[round(min(max(share, 0.0), 1.0) * (len(bars) - 1))]


def _plot_curves(curves: dict[str, list[float]], console: "Console | None") -> None:
    known = [math.log10(v) for values in curves.values() for v in values if 0 < v < math.inf]
    if not known:
        return
    # One scale for all curves, at least `MIN_DECADES` high.
    high = max(known)
    low = min(*known, high - MIN_DECADES)
    label = max(map(len, curves)) + 2
    width = PLAIN_WIDTH if console is None else max(console.width - label, 8)
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower()
    bars = BARS if encoding.startswith("utf") else ASCII_BARS
    write(f"\nsteps back, left to right; {bars[0]} is {10**low:.1e}, {bars[-1]} is {10**high:.1e}\n")
    for name, values in curves.items():
        line = log_bars(values, low, high, width, bars)
        if console is None:
            write(f"{name:<{label}}{line}\n")
        else:
            _print_bars(f"{name:<{label}}", line, bars, console)


def _print_bars(label: str, line: str, bars: str, console: "Console") -> None:
    from rich.text import Text

    text = Text(label, style="bold")
    for bar in line:
        share = max(bars.find(bar), 0) / (len(bars) - 1)
        text.append(bar, style=f"not bold {_hex(_between(BLUE, RED, share))}")
    console.print(text, soft_wrap=True)


def _print_values(report: "Report", show: int) -> None:
    """Write one line per token: position, token, value."""
    write(f"position\ttoken\t{report.unit}\n")
    for i, (token, mark) in enumerate(zip(report.tokens[:show], report.marks[:show], strict=True)):
        write(f"{i}\t{escape_line(token)}\t{'-' if mark is None else f'{mark:.4f}'}\n")


def _print_colours(report: "Report", show: int, console: "Console") -> None:
    """Print the text with each token on the colour of its value; show a newline as a symbol and break there."""
    from rich.text import Text

    text = Text()
    # Tokens of several letters are words, which are separated by spaces.
    words = max(map(len, report.tokens)) > 1
    for token, mark in zip(report.tokens[:show], report.marks[:show], strict=True):
        text.append(escape_line(token), style=_style(mark, report.signed))
        text.append("\n" if token == "\n" else " " if words else "")
    console.print(text, soft_wrap=True)


def _style(mark: float | None, signed: bool) -> str:
    # Activations are used as they are; surprisal in nats is scaled.
    share = 0.0 if mark is None else mark if signed else mark / LARGEST_NATS
    size = min(abs(share), 1.0)
    if size < MIN_SHARE:
        return ""
    return f"black on {_hex(_between(PALE, RED if share > 0 else BLUE, size))}"


def _between(a: Colour, b: Colour, share: float) -> Colour:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
