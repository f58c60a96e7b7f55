"""``fastrnn bench train`` and ``fastrnn bench sample``."""

from typing import Any

import click

from fastrnn.config import Config

from .. import options

DEFAULTS = {"layers": 2, "hidden": 128, "batch": 50, "seq": 50}  # told here, held by `fastrnn.bench`


@click.group("bench", epilog=options.example("fastrnn bench train --hidden 64 --seconds 1"))
def command() -> None:
    """Measure the speed of this machine."""


@command.command(
    "train", cls=options.SectionCommand, epilog=options.example("fastrnn bench train --hidden 64 --seconds 1")
)
@options.config_options(
    "cell", "layers", "hidden", "batch", "seq", "precision", "threads", section="Options", defaults=DEFAULTS
)
@options.setting("--seconds", float, "How long to measure.", "5.0")
@options.json_option
def train(as_json: bool, **values: Any) -> None:
    """Measure training, against this machine's own peak.

    A full step on random ids of 65 symbols: forward, loss, backward, clip, Adam.
    """
    from fastrnn.bench import bench_train

    _show(bench_train(**_checked(values)), as_json)


@command.command(
    "sample", cls=options.SectionCommand, epilog=options.example("fastrnn bench sample --hidden 64 --seconds 1")
)
@options.config_options("cell", "layers", "hidden", "threads", section="Options", defaults=DEFAULTS)
@options.setting("--streams", int, "Samples drawn side by side.", "1")
@options.setting("--seconds", float, "How long to measure.", "5.0")
@options.json_option
def sample(as_json: bool, **values: Any) -> None:
    """Measure sampling: every character drawn is fed back."""
    from fastrnn.bench import bench_sample

    _show(bench_sample(**_checked(values)), as_json)


def _show(measured: dict[str, Any], as_json: bool) -> None:
    from .. import output
    from ..figures import number

    if as_json:
        output.write_json(measured)
    else:
        output.write_figures([(name, number(value)) for name, value in measured.items()])


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """The settings that were given, if a `Config` takes them; the library's own defaults stand for the rest."""
    settings = options.given(values)
    Config(**{name: value for name, value in settings.items() if name not in ("seconds", "streams")})
    return settings
