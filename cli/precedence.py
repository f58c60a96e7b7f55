"""Precedence of settings: command line, then environment variables, then configuration file."""

from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from fastrnn.config import read_config_file

from .options import LENGTHS, drop_unset

MACHINE = ("threads", "device")  # settings that do not affect the result of a run


def from_source(context: click.Context, values: Mapping[str, Any], source: ParameterSource) -> dict[str, Any]:
    """Return the settings from one source: the command line or the environment."""
    return {n: v for n, v in drop_unset(values).items() if context.get_parameter_source(n) is source}


def on_command_line(context: click.Context, *names: str) -> list[str]:
    """Return the option names of the parameters set on the command line, not by environment variables."""
    option_names = {p.name: max(p.opts, key=len) for p in context.command.params}
    return [option_names[n] for n in names if context.get_parameter_source(n) is ParameterSource.COMMANDLINE]


def resolve_settings(
    context: click.Context, values: Mapping[str, Any], config_file: str | None, resuming: bool = False
) -> dict[str, Any]:
    """Merge settings by precedence: command line, then environment, then file.

    The settings of a resumed run override the environment, except for `MACHINE`. Raises
    `fastrnn.errors.ConfigError` for an invalid file.
    """
    from_file = read_config_file(config_file) if config_file is not None else {}
    environment = from_source(context, values, ParameterSource.ENVIRONMENT)
    if resuming:
        environment = {name: value for name, value in environment.items() if name in MACHINE}
    return merge(from_file, environment, from_source(context, values, ParameterSource.COMMANDLINE))


def merge(*sources: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings; later ones override. The three options for the length of a run replace each other."""
    merged: dict[str, Any] = {}
    for source in sources:
        if any(name in source for name in LENGTHS):
            merged = {name: value for name, value in merged.items() if name not in LENGTHS}
        merged.update(source)
    return merged
