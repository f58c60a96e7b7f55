"""Rows of unequal length, padded at the left so that all end at the same step.

Where a row begins its state is zeroed: nothing that the padding computed goes on, and no gradient goes back.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .parameters import Array


@dataclass(frozen=True, eq=False)
class Padding:
    """A window of T steps whose row b stands at steps T - lengths[b] to T - 1.

    ``starts`` (T, B) uint8: 1 where a row begins; empty if no row is padded. ``reversal`` (T, B) int32: which step
    stands where when each row is reversed inside its own span; padding stays where it is.
    """

    lengths: Array
    starts: Array
    reversal: Array

    def reversed(self, ids: Array) -> Array:
        """The ids (T, B) of the reversed rows."""
        return np.take_along_axis(ids, self.reversal, axis=0)


def pad_left(steps: int, lengths: Any) -> Padding:
    """For lengths (B,) from 1 to T = steps."""
    lengths = np.ascontiguousarray(lengths, np.int64)
    rows, t = np.arange(len(lengths)), np.arange(steps)[:, None]
    starts = np.zeros((steps, len(lengths)) if np.any(lengths < steps) else (0, 0), np.uint8)
    if starts.size:
        starts[steps - lengths, rows] = 1
    reversal = np.where(t < steps - lengths, t, 2 * steps - 1 - lengths - t)
    return Padding(lengths, starts, np.ascontiguousarray(reversal, np.int32))
