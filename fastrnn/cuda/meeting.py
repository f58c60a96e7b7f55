"""Nobody meets here: the card takes all units of all rows together."""

from typing import Any

import numpy as np

MEETING = False


def meetings(threads: int) -> np.ndarray[Any, Any]:
    """See `fastrnn.cpu.meeting`."""
    return np.zeros(threads, np.int64)


def call_off(counts: Any) -> None:
    """Nobody waits."""
