"""From options, variables and a file to the settings of a `Config`: which of them stands above which."""

from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from fastrnn.config import read_config_file

from .options import LENGTHS, given

MACHINE = ("threads", "device")  # what changes where a run is computed, not what it gives


def from_source(context: click.Context, values: Mapping[str, Any], source: ParameterSource) -> dict[str, Any]:
    """The given settings that came from this source: the command line or the environment."""
    return {n: v for n, v in given(values).items() if context.get_parameter_source(n) is source}


def on_command_line(context: click.Context, *names: str) -> list[str]:
    """Those of these parameters that stand on the command line, as they are written there; not what a variable says."""
    told = {p.name: max(p.opts, key=len) for p in context.command.params}
    return [told[n] for n in names if context.get_parameter_source(n) is ParameterSource.COMMANDLINE]


def merged_settings(
    context: click.Context, values: Mapping[str, Any], config_file: str | None, resuming: bool = False
) -> dict[str, Any]:
    """Settings by precedence: command line, then environment, then file.

    A resumed run has settings of its own, which stand against the environment: only `MACHINE` is taken from there.
    Raises `fastrnn.errors.ConfigError` for a file that cannot be used.
    """
    from_file = read_config_file(config_file) if config_file is not None else {}
    environment = from_source(context, values, ParameterSource.ENVIRONMENT)
    if resuming:
        environment = {name: value for name, value in environment.items() if name in MACHINE}
    return merge(from_file, environment, from_source(context, values, ParameterSource.COMMANDLINE))


def merge(*sources: Mapping[str, Any]) -> dict[str, Any]:
    """Later sources win; the length of the run is one setting, whichever of its three names is used."""
    merged: dict[str, Any] = {}
    for source in sources:
        if any(name in source for name in LENGTHS):
            merged = {name: value for name, value in merged.items() if name not in LENGTHS}
        merged.update(source)
    return merged
