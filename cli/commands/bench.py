"""``fastrnn bench train`` and ``fastrnn bench sample``."""

from collections.abc import Iterable
from typing import Any

import click

from fastrnn.config import Config
from fastrnn.distributed import launcher_rank

from .. import command_base, options
from ..output import note

SCALE_SETTINGS = ("cell", "precision", "seconds", "device")  # that --scale uses
# only printed here; `fastrnn.bench` sets the defaults
DEFAULTS = {"cell": "lstm", "layers": 2, "hidden": 128, "batch": 50, "seq": 50, "precision": "float32"}


@click.group("bench", epilog=command_base.example("fastrnn bench train --hidden 64 --seconds 1"))
def command() -> None:
    """Measure training and sampling speed on this machine."""


@command.command(
    "train", cls=command_base.SectionCommand, epilog=command_base.example("fastrnn bench train --hidden 64 --seconds 1")
)
@options.config_options(
    "cell", "layers", "hidden", "batch", "seq", "precision", "threads", "device", section="Options", defaults=DEFAULTS
)
@options.value_option("--seconds", float, "Duration of the measurement in seconds.", "5.0")
@click.option("--scale", is_flag=True, help="Print how speed scales with size, window and threads.")
@options.json_option
@click.pass_context
def train(context: click.Context, /, as_json: bool, scale: bool, **values: Any) -> None:
    """Measure training speed relative to the machine's peak.

    Times full steps on random ids of 65 symbols: forward, loss, backward, clip, Adam. --scale prints a table of
    one-layer models, each measured for --seconds; it accepts --cell, --precision and --device only. Under MPI the ranks
    share the batch, and the communication overhead is printed as well. peak_fraction compares with the fastest product
    that stays in cache; row_parts and unit_parts are the groups of threads that divide the batch's rows and a layer's
    units; window_mb is the memory of one window's activations.
    """
    from fastrnn.bench import bench_scale, bench_train

    if not scale:
        _show(bench_train(**_check_settings(values)), as_json)
        return
    for option in options.on_command_line(context, *(name for name in values if name not in SCALE_SETTINGS)):
        note(f"{option} has no effect: --scale varies the sizes itself")
    kept = {name: value for name, value in _check_settings(values).items() if name in SCALE_SETTINGS}
    _show_scale(bench_scale(**kept), as_json)


@command.command(
    "sample",
    cls=command_base.SectionCommand,
    epilog=command_base.example("fastrnn bench sample --hidden 64 --seconds 1"),
)
@options.config_options("cell", "layers", "hidden", "threads", section="Options", defaults=DEFAULTS)
@options.value_option("--streams", int, "Samples generated in parallel.", "1")
@options.value_option("--seconds", float, "Duration of the measurement in seconds.", "5.0")
@options.json_option
def sample(as_json: bool, **values: Any) -> None:
    """Measure sampling speed: every sampled character is fed back."""
    from fastrnn.bench import bench_sample

    _show(bench_sample(**_check_settings(values)), as_json)


SCALE = (
    "hidden",
    "seq",
    "threads",
    "chars_per_s",
    "gflops",
    "peak_fraction",
    "ps_per_multiply_add",
    "window_mb",
    "window_factor",
)


def _show_scale(rows: Iterable[dict[str, Any]], as_json: bool) -> None:
    from .. import output
    from ..formatting import number

    first = not launcher_rank()[0]  # only rank 0 prints
    if as_json:
        measured = list(rows)
        if first:
            output.write_json({"rows": measured})
        return
    for n, row in enumerate(rows):
        if first and n == 0:
            output.write("  ".join(f"{name:>11}" for name in SCALE) + "\n")
        if first:
            output.write("  ".join(f"{number(row[name]):>{max(11, len(name))}}" for name in SCALE) + "\n")


def _show(measured: dict[str, Any], as_json: bool) -> None:
    from .. import output
    from ..formatting import number

    if launcher_rank()[0]:
        return  # only rank 0 prints
    if as_json:
        output.write_json(measured)
    else:
        output.write_figures([(name, number(value)) for name, value in measured.items()])


def _check_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that are set, validated by `Config`; `fastrnn.bench` has defaults for the rest."""
    settings = options.drop_unset(values)
    Config(**{name: value for name, value in settings.items() if name not in ("seconds", "streams")})
    return settings
