"""``fastrnn warmup``."""

from typing import Any

from .. import options


@options.command("fastrnn warmup --cell lstm")
@options.config_options("cell", "precision", "device")
def command(cell: str | None, **values: Any) -> None:
    """Compile every kernel now, so that no later run waits.

    Compiled kernels are kept on disk. With --cell only those of that cell are compiled.
    """
