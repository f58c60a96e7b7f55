"""Left padding of rows of unequal length, so that all rows end at the last step.

The state is zeroed at the first step of each row, so padding affects neither outputs nor
gradients.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .parameters import Array


@dataclass(frozen=True, eq=False)
class Padding:
    """A window of T steps in which row b occupies steps T - lengths[b] to T - 1.

    Args:
        lengths: Lengths (B,), int64.
        resets: 1 at the first step of each row, (T, B) uint8; empty if no row is padded.
        reversal: Source step (T, B), int32, that reverses each row within its span and leaves the
            padding in place.
    """

    lengths: Array
    resets: Array
    reversal: Array

    def reverse(self, ids: Array) -> Array:
        """Return ids (T, B) with each row reversed."""
        return np.take_along_axis(ids, self.reversal, axis=0)


def pad_left(steps: int, lengths: Any) -> Padding:
    """Return the padding of rows of these lengths (B,), each from 1 to T = ``steps``."""
    lengths = np.ascontiguousarray(lengths, np.int64)
    rows = np.arange(len(lengths))
    t = np.arange(steps)[:, None]

    resets = np.zeros((steps, len(lengths)) if np.any(lengths < steps) else (0, 0), np.uint8)
    if resets.size:
        resets[steps - lengths, rows] = 1

    # The row occupies [T - length, T): its mirror image of t is (T - length) + (T - 1) - t.
    reversal = np.where(t < steps - lengths, t, 2 * steps - 1 - lengths - t)
    return Padding(lengths, resets, np.ascontiguousarray(reversal, np.int32))
