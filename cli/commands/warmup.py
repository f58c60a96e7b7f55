"""``fastrnn warmup``."""

from .. import command_base, options


@command_base.command("fastrnn warmup --cell lstm")
@options.config_options("cell", section="Options", defaults={"cell": "all"})
@options.config_options("precision", "device", section="Options")
def command(cell: str | None, precision: str | None, device: str | None) -> None:
    """Compile all kernels ahead of time.

    Compiled kernels are cached on disk, so that later runs start without compiling.
    """
    from fastrnn.warmup import warmup

    from ..output import note

    settings = options.drop_unset(
        {"precision": precision, "device": device, "cells": None if cell is None else (cell,)}
    )
    for line in warmup(**settings):
        note(line)
