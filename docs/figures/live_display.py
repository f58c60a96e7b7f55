"""Draw the live display of a real training run as an SVG: the picture of the README.

    python docs/figures/live_display.py                            # the built-in text
    python docs/figures/live_display.py FILE --for 3m --at 0.7

Trains FILE in a temporary folder with ``--for``, keeps the display as it was after the share ``--at`` of the run, and
writes ``live.svg`` beside this script (rich's SVG export).
"""

import argparse
import io
import tempfile
import time
from pathlib import Path

from rich.console import Console, Group
from rich.text import Text

import fastrnn
from fastrnn.training.callbacks import StepEnd, TrainStart
from fastrnn_cli.display import summary
from fastrnn_cli.rich_progress import LiveDisplay

WIDTH = 96  # columns of the terminal


class Snapshot(LiveDisplay):
    """Live display that keeps its picture after a share of the run."""

    def __init__(self, share: float) -> None:
        super().__init__(Console(width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False))
        self.share = share
        self.summary: list[str] = []
        self.picture: Group | None = None

    def on_train_start(self, start: TrainStart) -> None:
        """Keep the lines above the display."""
        self.summary = summary(start)
        super().on_train_start(start)

    def on_step(self, step: StepEnd) -> None:
        """Keep the picture until the share of the run is reached."""
        super().on_step(step)
        if self._evaluated is not None and (self.picture is None or step.step <= self.share * step.steps):
            self.picture = self._render()


def main() -> None:
    """Train and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="?", default="python-reference")
    parser.add_argument("--for", dest="time", default="1m")
    parser.add_argument("--at", type=float, default=0.7)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "live.svg")
    arguments = parser.parse_args()

    started = time.monotonic()
    display = Snapshot(arguments.at)
    with tempfile.TemporaryDirectory() as folder, display:
        config = fastrnn.Config(for_=arguments.time)
        fastrnn.train([arguments.text], config, f"{folder}/run", callback=display, started=started)

    console = Console(width=WIDTH, record=True, file=io.StringIO(), highlight=False)
    console.print(Text(f"$ fastrnn train {Path(arguments.text).name} --for {arguments.time}", style="bold"))
    for line in display.summary:
        word, _, rest = line.replace(f"{folder}/run", "runs/shakespeare").partition(" ")
        console.print(Text.assemble((word, "bold"), " ", rest))
    if display.picture is not None:
        console.print(display.picture)
    # The default style loads a font from the network.
    svg = console.export_svg(title="fastrnn train", code_format=_without_fonts())
    arguments.out.write_text(svg, encoding="utf-8")


def _without_fonts() -> str:
    """Return rich's SVG template without the fonts it would load from the network."""
    import re

    from rich._export_format import CONSOLE_SVG_FORMAT

    return re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


if __name__ == "__main__":
    main()
