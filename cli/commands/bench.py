"""``fastrnn bench train`` and ``fastrnn bench sample``."""

from typing import Any

import click

from .. import options


@click.group("bench", epilog=options.example("fastrnn bench train --hidden 64"))
def command() -> None:
    """Measure the speed of this machine."""


@command.command("train", cls=options.SectionCommand, epilog=options.example("fastrnn bench train --hidden 64"))
@options.config_options("cell", "layers", "hidden", "batch", "seq", "precision", "threads", section="Options")
@options.setting("--seconds", float, "How long to measure.", "5.0")
@options.json_option
def train(as_json: bool, **values: Any) -> None:
    """Measure training, against this machine's own peak.

    A full step on random ids of 65 symbols: forward, loss, backward, clip, Adam.
    """
    from fastrnn.bench import bench_train

    _show(bench_train(**options.given(values)), as_json)


@command.command("sample", cls=options.SectionCommand, epilog=options.example("fastrnn bench sample --hidden 64"))
@options.config_options("cell", "layers", "hidden", "threads", section="Options")
@options.setting("--streams", int, "Samples drawn side by side.", "1")
@options.setting("--seconds", float, "How long to measure.", "5.0")
@options.json_option
def sample(as_json: bool, **values: Any) -> None:
    """Measure sampling: every character drawn is fed back."""
    from fastrnn.bench import bench_sample

    _show(bench_sample(**options.given(values)), as_json)


def _show(figures: dict[str, Any], as_json: bool) -> None:
    from .. import output

    if as_json:
        output.write_json(figures)
    else:
        output.write_figures([(n, f"{v:,.4g}" if isinstance(v, float) else str(v)) for n, v in figures.items()])
