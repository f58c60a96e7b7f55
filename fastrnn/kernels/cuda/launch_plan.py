"""How a layer's units are divided among the blocks of a cooperative grid, so that their recurrent
weights stay on chip.

A block has ``units`` units for a whole window and keeps their weights in its shared memory. All
blocks of the grid must run at once, so registers and shared memory of a multiprocessor bound their
number; a layer that does not fit reads its weights anew in each step, ``k_resident`` terms at a
time.
"""

import itertools
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from ...errors import BackendError
from .target import AHEAD, TARGET, Target

_COLUMNS = 4  # sums for each batch row that a thread makes: gates, or units; more would not stay in registers
# bytes of shared memory that CUDA takes for itself in each block, and of which a block has a
# multiple (cuda_occupancy.h of the CUDA toolkit: 128 or, on older cards, 256)
_TAKEN, _GRAIN = 1024, 256


class Grid(NamedTuple):
    """``each`` units of ``rows`` batch rows, a group, are summed together by slices = each * rows
    threads, each thread over its share of the terms. ``k_resident`` terms of a column of weights
    lie in shared memory, the next group's columns ``stride`` numbers further; ``shared``: bytes of
    it that a block asks for.
    """

    blocks: int
    threads: int
    units: int
    each: int
    rows: int
    k_resident: int
    stride: int
    shared: int


def columns_together(gates: int) -> list[int]:
    """Units that a thread may take together, the most first: powers of 2 with at most `_COLUMNS`
    sums a row.
    """
    return [each for each in (4, 2, 1) if each * gates <= _COLUMNS] or [1]


@cache
def plan(batch: int, hidden: int, gates: int, depth: int, itemsize: int, target: Target = TARGET) -> Grid:
    """The grid for a product with ``depth`` terms and ``gates`` columns for each of ``hidden``
    units.

    Raises `BackendError` for a layer too wide to be divided.
    """
    whole = next(_fitting(batch, hidden, gates, depth, itemsize, target), None)
    parts = (
        grid
        for halvings in range(1, depth.bit_length())
        for grid in _fitting(batch, hidden, gates, depth >> halvings, itemsize, target)
    )
    # what is not kept is read anew in every turn of a block's items; of equals the first keeps most
    best = whole or min(parts, key=lambda grid: -(-_items(batch, grid) // grid.threads), default=None)
    if best is None:
        raise BackendError(f"a layer of {hidden} units is too wide for {target.name}; use fewer, or --device cpu")
    return best


def _fitting(batch: int, hidden: int, gates: int, k_resident: int, itemsize: int, target: Target) -> Iterator[Grid]:
    """Grids whose blocks all run at once; those with most units together, most threads, most units
    a block first.
    """
    spread = -(-hidden // target.multiprocessors)
    few = [most for most in (target.threads, target.threads // 2, target.threads // 4) if most >= target.warp]
    for each, most in itertools.product(columns_together(gates), few):
        for units in range(-(-spread // each) * each, 0, -each):
            grid = _grid(batch, hidden, gates, units, each, k_resident, most, itemsize, target)
            if grid.shared <= target.block_shared and grid.blocks <= _most_blocks(grid, target):
                yield grid


def _grid(
    batch: int,
    hidden: int,
    gates: int,
    units: int,
    each: int,
    k_resident: int,
    most: int,
    itemsize: int,
    target: Target,
) -> Grid:
    rows = min(target.rows, 1 << batch.bit_length() - 1)
    slices = rows * each
    # weights are read in rounds of slices * AHEAD, those beyond the last as zeros; neighbouring
    # threads read neighbouring ones, then the next group's, which so lie in other banks
    together = max(slices * AHEAD, target.warp)
    k_resident = -(-k_resident // together) * together
    stride = each * gates * k_resident + slices % target.warp
    grid = Grid(-(-hidden // units), 0, units, each, rows, k_resident, stride, 0)
    threads = min(-(-_items(batch, grid) // target.warp) * target.warp, most)
    shared = (units // each * stride + rows * (threads + 1)) * itemsize
    return grid._replace(threads=threads, shared=shared)


def _items(batch: int, grid: Grid) -> int:
    """Units times batch rows of a block, the rows in whole groups."""
    return -(-batch // grid.rows) * grid.rows * grid.units


def _most_blocks(grid: Grid, target: Target) -> int:
    """That run at the same time."""
    by_registers = target.resident_threads // grid.threads
    by_memory = target.shared // (-(-(grid.shared + _TAKEN) // _GRAIN) * _GRAIN)
    return target.multiprocessors * min(by_registers, by_memory)
