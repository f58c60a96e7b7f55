"""Draw the live display of a training run as an SVG, the picture of the README, from the run's log.

    fastrnn train tinyshakespeare.txt --for 3m --out runs/shakespeare
    python docs/figures/live_display.py runs/shakespeare 'fastrnn train tinyshakespeare.txt --for 3m'

Replays ``log.jsonl`` into the display that `train` shows on a terminal, and writes its picture at the best
evaluation as ``live.svg`` beside this script (rich's SVG export). A run outside a terminal logs no samples; then
its best model draws one.
"""

import argparse
import dataclasses
import io
import json
import math
import re
import tomllib
from pathlib import Path
from typing import Any

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

import fastrnn
from fastrnn.training.callbacks import EvaluateEnd, Planned, StepEnd, TrainStart
from fastrnn_cli.display import summary
from fastrnn_cli.rich_progress import LiveDisplay

WIDTH = 104  # columns of the terminal
# rich's template loads a font from the network
TEMPLATE = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def make_event(cls: Any, record: dict[str, Any]) -> Any:
    """Return an event with the fields that the log has of it."""
    return cls(**{field.name: record[field.name] for field in dataclasses.fields(cls) if field.name in record})


def replay(run: Path, display: LiveDisplay) -> TrainStart:
    """Give the display the events of a run's log."""
    config = fastrnn.Config.from_dict(tomllib.loads((run / "config.toml").read_text(encoding="utf-8")))
    records = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    start = TrainStart(
        run=str(run), parameters=records[0]["parameters"], data=tuple(records[0]["data"]),
        config=config.replace(steps=records[0]["steps"]), choices=tuple(records[0]["choices"]),
    )  # fmt: skip
    display.on_train_start(start)

    steps = records[0]["steps"]
    window = (config.batch or 1) * config.seq
    best = max(n for n, record in enumerate(records) if record.get("best"))
    for record in records[1 : best + 1]:
        if record["event"] == "pace":
            steps = record["steps"]
            display.on_plan_change(Planned(record["step"], steps))
        elif record["event"] == "step":
            speed = record["chars_per_s"]
            left = (steps - record["step"]) * window / speed if speed else math.nan
            values = record | {"nats": record["smoothed"], "steps": steps, "seconds_left": left}
            display.on_step(make_event(StepEnd, values))
        elif record["event"] == "evaluation":
            sample = record["sample"]
            if record is records[best] and not sample:
                sample = fastrnn.load(run).sample(300, temperature=0.5, seed=3)
            display.on_evaluate(make_event(EvaluateEnd, record | {"sample": sample}))
    return start


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("command", help="the command to show above the display")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "live.svg")
    arguments = parser.parse_args()

    display = LiveDisplay(Console(width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False))
    start = replay(arguments.run, display)

    console = Console(width=WIDTH, record=True, file=io.StringIO(), highlight=False)
    console.print(Text(f"$ {arguments.command}", style="bold"))
    for line in summary(dataclasses.replace(start, run=f"runs/{arguments.run.name}")):
        word, _, rest = line.partition(" ")
        console.print(Text.assemble((word, "bold"), " ", rest))
    console.print(display._render())
    svg = console.export_svg(title="fastrnn train", code_format=TEMPLATE)
    arguments.out.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
