"""The recurrent product of a cooperative kernel: a block keeps its weights in shared memory for the
whole window.

    totals[g] = sum over k < depth of source[row, k] * w[k, g * H + unit]        for an item (row, unit), each gate g

**Thread -> (unit, row, part of the sum).** `launch_plan` gives each block some units and some batch
rows. ``units_per_thread`` x ``rows_per_thread`` items form a group. Each of the group's ``k_split``
neighbouring threads adds up every k_split-th term of all its sums, so a weight that is read once
serves rows_per_thread products, and a state units_per_thread * gates. Then the threads exchange
their partial sums, and each of the first ones is left with the totals of one item. For
units_per_thread = 2, rows_per_thread = 2, k_split = 4 and a block of 4 units:

    thread            0      1      2      3    |  4      5      6      7    |  8      9     10     11
    group             units 0-1, rows 0-1       |  units 2-3, rows 0-1       |  units 0-1, rows 2-3
    part: terms k     0,4..  1,5..  2,6..  3,7..|  0,4..  1,5..  2,6..  3,7..|  0,4..  1,5..  2,6..  3,7..
    item: unit, row   0,0    0,1    1,0    1,1  |  2,0    2,1    3,0    3,1  |  0,2    0,3    1,2    1,3

With few rows k_split is larger than a group (one unit may have a whole warp); its last threads then
have no item. A block with more groups than threads takes them in turns; ``first_item`` is the place
of thread 0 of a turn in this numbering.

**Shared memory.** A column is one gate of one unit, w[:, g * H + unit].

    units 0-1    | column 0: k_resident terms | column 1 | ... | padding |    ``stride`` numbers
    units 2-3    | column 0: k_resident terms | column 1 | ... | padding |
    ...
    exchange     | a partial sum of each thread | unused |                    rows_per_thread times

The padding, and the unused number, put what neighbouring groups read together into different banks.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .jit import cuda, device
from .target import AHEAD

# Index type of the inner loop: for a signed index Numba also tests whether it counts from the end.
_U = np.uint64


class Place(NamedTuple):
    """What a thread computes in a turn, see `locate` of `product`.

    Args:
        group: Group of units, counted within the block.
        part: Part of the sums, 0 to k_split - 1.
        row0: First of the rows_per_thread rows whose states the thread reads.
        row: Batch row of its item; B if it has none.
        unit: Unit of its item.
    """

    group: Any
    part: Any
    row0: Any
    row: Any
    unit: Any


class Sizes(NamedTuple):
    """Sizes that are compiled into a product, so that its loops over sums are unrolled into registers.

    Args:
        number: NumPy type of the numbers.
        gates: Columns of weights of a unit.
        units_per_thread: Units of a group of threads.
        rows_per_thread: Batch rows of a group of threads.
        k_split: Threads of a group; each adds up every k_split-th term.
    """

    number: Any
    gates: int
    units_per_thread: int
    rows_per_thread: int
    k_split: int

    @property
    def columns(self) -> int:
        """Columns of weights of a group: a thread has as many sums of each row."""
        return self.units_per_thread * self.gates


@cache
def product(kind, gates, units_per_thread, rows_per_thread, k_split):
    """Return the device functions ``load_weights``, ``locate`` and ``dot`` for numbers of this type.

    In their arguments, ``tiling`` is a `launch_plan.Tiling`, ``memory`` the block's shared memory,
    ``w`` (depth, gates * H) the packed weights as a flat array, and ``source`` the left factor, a
    `Matrix` (B, depth). All threads of a block must call ``load_weights`` and ``dot`` together, as
    these wait for each other.
    """
    sizes = Sizes(np.dtype(kind).type, gates, units_per_thread, rows_per_thread, k_split)
    load_weights = _make_load_weights(sizes)
    dot = _make_dot(sizes, load_weights, _make_accumulate(sizes), _make_exchange(sizes))
    return load_weights, _make_locate(sizes), dot


def _make_load_weights(sizes):
    number, gates, units_per_thread, _, _ = sizes

    @device
    def load_weights(memory, w, k0, tiling):
        """Copy terms k0 to k0 + k_resident of the block's columns; what does not exist is zero."""
        # A thread stays with its unit, so the loop divides by constants only. Neighbouring threads
        # have neighbouring units, whose weights are adjacent in w.
        me = cuda.threadIdx.x
        lanes = min(tiling.units, cuda.blockDim.x)
        rows_together = cuda.blockDim.x // lanes
        first_unit = cuda.blockIdx.x % tiling.unit_blocks * tiling.units
        existing = (tiling.depth - k0) * gates

        cuda.syncthreads()  # other threads may still read the weights before
        for u in range(me % lanes, tiling.units, lanes):
            unit = first_unit + u
            column0 = u % units_per_thread * gates
            group0 = u // units_per_thread * tiling.stride
            # i: row of w as a matrix (depth * gates, H)
            for i in range(me // lanes, tiling.k_resident * gates, rows_together):
                to = group0 + (column0 + i % gates) * tiling.k_resident + i // gates
                exists = i < existing and unit < tiling.hidden
                memory[to] = w[(k0 * gates + i) * tiling.hidden + unit] if exists else number(0)
        cuda.syncthreads()

    return load_weights


def _make_locate(sizes):
    _, _, units_per_thread, rows_per_thread, k_split = sizes
    group_items = units_per_thread * rows_per_thread

    @device
    def locate(first_item, tiling):
        """Return the `Place` of this thread in the turn that starts at ``first_item``."""
        # the drawing from right to left: part, then group of units, then group of rows
        item = first_item + cuda.threadIdx.x
        part = item % k_split
        unit_groups = tiling.units // units_per_thread
        group = item // k_split % unit_groups
        row_in_block = item // k_split // unit_groups * rows_per_thread
        row0 = cuda.blockIdx.x // tiling.unit_blocks * tiling.rows + row_in_block

        # The last group of rows moves up until it ends at row B; the rows that it shares with the
        # group before are that group's items.
        readable = min(row0, tiling.batch - rows_per_thread)
        row = readable + part % rows_per_thread
        unit = cuda.blockIdx.x % tiling.unit_blocks * tiling.units + group * units_per_thread + part // rows_per_thread
        has_item = part < group_items and row_in_block < tiling.rows and row >= row0 and unit < tiling.hidden
        return Place(group, part, readable, row if has_item else tiling.batch, unit)

    return locate


def _make_accumulate(sizes):
    number, _, _, rows_per_thread, k_split = sizes
    columns = sizes.columns
    states_ahead = rows_per_thread * AHEAD

    @device
    def accumulate(acc, memory, source, place, k0, tiling):
        """acc[row, column] += this thread's part of terms k0 to k0 + k_resident."""
        states = cuda.local.array(states_ahead, number)
        row_stride = _U(source.row_stride)
        column_stride = _U(tiling.k_resident)
        # indices of this thread's first term: of its first row, and of its group's first column
        from_source = _U(source.start + place.row0 * source.row_stride + k0 + place.part)
        from_memory = _U(place.group * tiling.stride + place.part)
        terms = min(tiling.k_resident, tiling.depth - k0)

        # AHEAD terms at a time: the reads of the states, from slow memory, overlap.
        for k in range(place.part, terms, k_split * AHEAD):
            for i in range(AHEAD):
                for r in range(rows_per_thread):
                    states[i * rows_per_thread + r] = number(0)
                    if k + i * k_split < terms:
                        at = from_source + _U(i * k_split) + _U(r) * row_stride
                        states[i * rows_per_thread + r] = source.array[at]
            for i in range(AHEAD):
                for q in range(columns):
                    weight = memory[from_memory + _U(i * k_split) + _U(q) * column_stride]
                    for r in range(rows_per_thread):
                        acc[r * columns + q] += states[i * rows_per_thread + r] * weight
            from_source += _U(k_split * AHEAD)
            from_memory += _U(k_split * AHEAD)

    return accumulate


def _make_exchange(sizes):
    number, gates, units_per_thread, rows_per_thread, k_split = sizes
    columns = sizes.columns

    @device
    def exchange(totals, acc, memory, place, tiling):
        """totals (gates,) = this thread's item, summed over the group's threads."""
        # One column at a time, so that the exchange takes rows_per_thread numbers a thread and not
        # all of its sums. Thread ``part`` of a group keeps the column's total if it is of its unit.
        me = cuda.threadIdx.x
        row_of_sums = cuda.blockDim.x + 1
        first = tiling.units // units_per_thread * tiling.stride
        mine = first + place.part % rows_per_thread * row_of_sums + me - place.part
        for q in range(columns):
            for r in range(rows_per_thread):
                memory[first + r * row_of_sums + me] = acc[r * columns + q]
            cuda.syncthreads()
            # column q belongs to unit q // gates of the group; sum r of it to row r
            if place.part // rows_per_thread == q // gates:
                total = number(0)
                for other in range(k_split):
                    total += memory[mine + other]
                totals[q % gates] = total
            cuda.syncthreads()

    return exchange


def _make_dot(sizes, load_weights, accumulate, exchange):
    number = sizes.number
    partial_sums = sizes.columns * sizes.rows_per_thread

    @device
    def dot(totals, memory, w, source, place, tiling):
        """totals (gates,) = the product for this thread's item; without an item, undefined."""
        acc = cuda.local.array(partial_sums, number)
        for i in range(partial_sums):
            acc[i] = number(0)
        for k0 in range(0, tiling.depth, tiling.k_resident):
            if tiling.k_resident < tiling.depth:
                load_weights(memory, w, k0, tiling)
            accumulate(acc, memory, source, place, k0, tiling)
        exchange(totals, acc, memory, place, tiling)

    return dot
