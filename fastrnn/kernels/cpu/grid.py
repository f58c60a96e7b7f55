"""How threads divide a recurrent layer: R groups of batch rows times U groups of units.

Rows do not depend on each other, so threads of different row groups never wait for each other. The U threads of a row
group take all its rows and different units: a thread keeps its columns of W_hh in its own cache for the whole window,
and multiplies enough rows to fill the register tile. They wait for each other once a step, because the next step needs
the outputs of all units, or backward the gradients of all gates.

              units 0..H/2     units H/2..H
    rows 0-7  thread 0         thread 1           R = 4, U = 2: threads 0 and 1 wait,
    rows 8-15 thread 2         thread 3           2 and 3, and so on
    ...

Every number is computed as one thread would compute it, so the division does not change a bit. `choose_unit_parts`
estimates the time of a step for each U and takes the fastest.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .blocks import INDEX_ZERO, segment
from .jit import inline_function
from .micro_kernel import MR
from .packed_formats import PackedFormat, packed_format
from .packing import VECTORS
from .target import TARGET, TILE
from .team import Thread, l2_bytes_of, threads_of, unit_parts_of

_BARRIER, _BARRIER_EACH = 1500.0, 100.0  # cycles of a barrier, and more for each thread
# Bytes per cycle that threads exchange between their caches, measured with two threads of a Xeon, LSTM and GRU of 256
# to 1,024 units. Reading alone is four times faster; but the writing threads are slowed down too.
_CORE_TO_CORE = 0.6
_NORM_EXCHANGE = 1.5  # factor on the time of the exchange for cells that sum over units (measured with lstm-norm)
_FROM_L3 = 10.0  # bytes per cycle and thread, of weights that are not in the second-level cache
_STAYS = 0.65  # part of that cache in which weights stay from step to step
_CELL = 6.0  # cycles for the arithmetic of a unit and row, forward and backward


class UnitDivision(NamedTuple):
    """How the threads of a row group divide the units."""

    parts: int
    """U, the number of these threads."""
    pieces: int
    """Pieces of equal size that the units come in, see `count_pieces`; a thread gets one or several."""


class Share(NamedTuple):
    """One thread's part of a recurrent layer."""

    thread: Thread
    """The thread."""
    first: int
    """First thread of its row group."""
    members: int
    """Threads of its row group, U."""
    row_lo: int
    """First batch row."""
    row_hi: int
    """End of the rows; there is nothing to do if there are none."""
    unit_lo: int
    """First unit."""
    unit_hi: int
    """End of the units."""


@inline_function
def gate(row, number, share, H):
    """The share's units of gate ``number`` in a row of gates: a view.

    Of one view for all gates LLVM does not see that they do not overlap, and does not vectorise the loop over units.
    """
    return segment(row, number * H + share.unit_lo, share.unit_hi - share.unit_lo)


@inline_function
def own(row, share):
    """The share's units in a row of H numbers: a view."""
    return segment(row, share.unit_lo, share.unit_hi - share.unit_lo)


@inline_function
def whole_share(members, row_lo, row_hi, H):
    """All H units of a cell's arrays in these rows; ``members`` threads have arrays with other units of the layer."""
    return Share(INDEX_ZERO, INDEX_ZERO, members, row_lo, row_hi, INDEX_ZERO, H)


def count_row_groups(threads: int, unit_parts: int, rows: int) -> int:
    """R: as many row groups of ``unit_parts`` threads as there are threads and rows for."""
    return max(1, min(threads // unit_parts, rows))


_count_row_groups = inline_function(count_row_groups)


# inlined: a device function must not return an array, and a thread holds one
@inline_function
def make_share(thread, row_lo, row_hi, H):
    """The part of this thread in these rows of a layer of H units. Its plan: `UnitDivision`."""
    unit_parts, pieces = thread.plan
    size, width = row_hi - row_lo, H // pieces
    row_parts = _count_row_groups(thread.of, unit_parts, size)
    group, member = thread.number // unit_parts, thread.number % unit_parts
    lo, hi = row_lo + size * group // row_parts, row_lo + size * (group + 1) // row_parts
    if group >= row_parts:
        lo = hi = row_hi  # more threads than help
    unit_lo, unit_hi = pieces * member // unit_parts * width, pieces * (member + 1) // unit_parts * width
    return Share(thread, group * unit_parts, unit_parts, lo, hi, unit_lo, unit_hi)


def plan_unit_parts(team: Any, rows: int, hidden: int, gates: int, dtype: Any, unit_block: int = 1) -> UnitDivision:
    """The division for a team, given its numbers: the pool's ``unit_parts`` if set, else `choose_unit_parts`."""
    pieces = count_pieces(hidden, dtype, unit_block)
    forced = unit_parts_of(team)
    if forced:
        return UnitDivision(min(forced, threads_of(team), pieces), pieces)
    parts = choose_unit_parts(threads_of(team), rows, hidden, gates, dtype, l2_bytes_of(team), unit_block)
    return UnitDivision(parts, pieces)


@lru_cache(maxsize=256)
def choose_unit_parts(
    threads: int, rows: int, hidden: int, gates: int, dtype: np.dtype[Any], l2_bytes: int, unit_block: int = 1
) -> int:
    """U, the number of threads that share the units of a row group.

    Args:
        threads: Threads of the team.
        rows: B.
        hidden: H.
        gates: G, of the recurrent weights (H, G*H).
        dtype: Element type of the packed weights.
        l2_bytes: Size of the cache that a thread has for itself.
        unit_block: Units are divided at multiples of this. If it is not 1, the cell sums over units, for which the
            threads wait for each other once more in each direction.
    """
    best, least = 1, float("inf")
    pieces = count_pieces(hidden, dtype, unit_block)
    for unit_parts in range(1, min(threads, pieces) + 1):
        division = UnitDivision(unit_parts, pieces)
        group_rows = -(-rows // count_row_groups(threads, unit_parts, rows))
        cycles = _step_cycles(group_rows, division, unit_block > 1, hidden, gates, dtype, l2_bytes)
        # units are divided only where that gains clearly: the estimate is rough
        if cycles < 0.9 * least:
            best, least = unit_parts, cycles
    return best


def count_pieces(hidden: int, dtype: np.dtype[Any], unit_block: int) -> int:
    """Pieces that the H units of a layer are divided into: micro-panels of whole blocks of ``unit_block`` units.

    1 if they have another end than the gates.
    """
    width = math.lcm(TARGET.panel(packed_format(dtype).accumulator.itemsize * 8), unit_block)
    return hidden // width if hidden % width == 0 else 1


def _step_cycles(
    rows: int, division: UnitDivision, sums_units: bool, hidden: int, gates: int, dtype: np.dtype[Any], l2_bytes: int
) -> float:
    """Estimated cycles of a time step, forward and backward, of the slowest thread of a group of ``rows`` rows."""
    packed = packed_format(dtype)
    on_tiles = TARGET.amx and packed.is_paired
    unit_parts, pieces = division
    share = -(-pieces // unit_parts) / pieces
    weights = gates * hidden * hidden * share

    # Both products: forward with the weights, backward with their transpose. Weights beyond the cache are read once a
    # step, and the time for that comes on top of the arithmetic (measured).
    bytes_ = weights * packed.dtype.itemsize * packed.parts / packed.per_element
    reading = max(0.0, bytes_ - _STAYS * l2_bytes) / _FROM_L3
    product = weights * (_tile_cycles if on_tiles else _register_cycles)(rows, packed)
    cell = _CELL * rows * hidden * share
    waiting = 0.0
    if unit_parts > 1:
        # forward the outputs of the other units, backward the gradients of their gates
        foreign = rows * hidden * (gates + 1) * (1 - share) * packed.accumulator.itemsize
        barriers, factor = (4, _NORM_EXCHANGE) if sums_units else (2, 1.0)
        exchange = factor * foreign / _CORE_TO_CORE
        waiting = barriers * (_BARRIER + _BARRIER_EACH * unit_parts) + exchange
    return 2 * (product + reading) + 2 * cell + waiting


def _register_cycles(rows: int, packed: PackedFormat) -> float:
    """Cycles for one weight and all rows on the register tile: two multiply-adds or two loads a cycle."""
    lanes = TARGET.bytes_ // packed.accumulator.itemsize * packed.per_element
    cycles = 0
    for height in [MR] * (rows // MR) + [rows % MR] * (rows % MR > 0):
        cycles += max(VECTORS * height, VECTORS + height)
    return cycles / (2 * VECTORS * lanes)


def _tile_cycles(rows: int, packed: PackedFormat) -> float:
    """Cycles for one weight and all rows on AMX: 16 for a product of tiles, however few the rows."""
    products = 6 if packed.parts > 1 else 1
    return -(-rows // TILE) * 16 * products / (TILE * 2 * TILE)
