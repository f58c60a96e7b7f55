"""``fastrnn warmup``."""

from .. import command_base, options


@command_base.command("fastrnn warmup --cell lstm")
@options.config_options("cell", section="Options", defaults={"cell": "all of them"})
@options.config_options("precision", "device", section="Options")
def command(cell: str | None, precision: str | None, device: str | None) -> None:
    """Compile all kernels ahead of time.

    Compiled kernels are kept on disk, so that no later run has to wait for them.
    """
    from fastrnn.warmup import warmup

    from ..output import note

    settings = options.drop_unset(
        {"precision": precision, "device": device, "cells": None if cell is None else (cell,)}
    )
    for what in warmup(**settings):
        note(what)
