"""The recurrent product inside the cooperative kernels of `walk`: states times weights kept on
chip.
"""

from functools import cache

import numpy as np

from .jit import cuda, device
from .target import AHEAD

_U = np.uint64  # of indices in the inner loop: for a signed one Numba also asks whether it counts from the end


@cache
def product(kind, gates, each, rows):
    """Device functions for numbers of this type: ``sums`` and ``place``.

    A block's units times batch rows are its items, one a thread (more than there are threads are
    taken in turns, from item ``begin`` on). ``each`` units of ``rows`` rows are made together by
    slices = each * rows neighbouring threads: thread s takes terms s, s + slices, ... of all of
    them, reading each weight once for ``rows`` products and each state for ``each * gates``; then
    the threads exchange their sums, and thread s is left with the totals of one item. All are
    powers of 2 but the gates.
    """
    number, slices, columns = np.dtype(kind).type, each * rows, each * gates
    size, read = each * rows * gates, rows * AHEAD

    @device
    def place(B, units, begin):
        """Batch row and unit of this thread's item; a row beyond the batch if it has none."""
        item = begin + cuda.threadIdx.x
        group, s = item // slices, item % slices
        groups = units // each
        row0 = group // groups * rows
        b = min(row0, B - rows) + s % rows  # the last rows may be some of those before again
        return b if row0 <= b else B, cuda.blockIdx.x * units + group % groups * each + s // rows

    @device
    def sums(totals, memory, w, source, at, row, B, H, depth, units, k_resident, stride, begin, first):
        """totals (gates,): of this thread's item, sum over k < depth of source[at + b * row + k]
        w[k, g * H + j].

        w (depth, gates * H). ``k_resident`` terms of the block's columns fit into its memory, see
        `launch_plan.Grid`; if these are all, they are read at the ``first`` step alone.
        """
        me, threads = cuda.threadIdx.x, cuda.blockDim.x
        acc, x = cuda.local.array(size, number), cuda.local.array(read, number)
        item = begin + me
        group, s = item // slices, item % slices
        groups = units // each
        b0 = min(group // groups * rows, B - rows)
        for i in range(size):
            acc[i] = number(0)
        next_row, next_column = _U(row), _U(k_resident)
        for k0 in range(0, depth, k_resident):
            if k_resident < depth or (first and begin == 0):
                cuda.syncthreads()
                for i in range(me, k_resident * units * gates, threads):
                    u, g, k = i % units, i // units % gates, i // units // gates
                    j = cuda.blockIdx.x * units + u
                    inside = j < H and k0 + k < depth
                    to = u // each * stride + (u % each * gates + g) * k_resident + k
                    memory[to] = w[((k0 + k) * gates + g) * H + j] if inside else number(0)
                cuda.syncthreads()
            from_source, from_memory = _U(at + b0 * row + k0 + s), _U(group % groups * stride + s)
            terms = min(k_resident, depth - k0)
            for k in range(s, terms, slices * AHEAD):
                for i in range(AHEAD):
                    for r in range(rows):
                        x[i * rows + r] = number(0)
                        if k + i * slices < terms:
                            x[i * rows + r] = source[from_source + _U(i * slices) + _U(r) * next_row]
                for i in range(AHEAD):
                    for q in range(columns):
                        w_q = memory[from_memory + _U(i * slices) + _U(q) * next_column]
                        for r in range(rows):
                            acc[r * columns + q] += x[i * rows + r] * w_q
                from_source += _U(slices * AHEAD)
                from_memory += _U(slices * AHEAD)
        exchange = groups * stride
        for q in range(columns):
            for r in range(rows):
                memory[exchange + r * (threads + 1) + me] = acc[r * columns + q]
            cuda.syncthreads()
            if s // rows == q // gates:
                total = number(0)
                for other in range(slices):
                    total += memory[exchange + s % rows * (threads + 1) + me - s + other]
                totals[q % gates] = total
            cuda.syncthreads()

    return sums, place
