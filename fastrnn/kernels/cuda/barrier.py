"""Nobody meets here: the card takes all units of all rows together."""

from typing import Any

import numpy as np

BARRIER = False


def barriers(threads: int) -> np.ndarray[Any, Any]:
    """See `fastrnn.kernels.cpu.barrier`."""
    return np.zeros(threads, np.int64)


def abort(counts: Any) -> None:
    """Nobody waits."""
