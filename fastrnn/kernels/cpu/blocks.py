"""Sub-matrices of flat arrays, the operands of matrix products, and functions that copy them.

A kernel takes no slices of slices: each costs index arithmetic and a reference count. It passes the
whole array, flat, and where in it the operand lies.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from .jit import device_function, inline_function

# A literal 0 has a type of its own, and would compile its callees once more.
INDEX_ZERO: Any = np.intp(0)


class Block(NamedTuple):
    """Rows of a sub-matrix: number i of row m is ``data[start + m * row_stride + i]``."""

    data: Any
    """Flat array."""
    start: int
    """Index of the first number."""
    row_stride: int
    """Numbers from a row to the next."""


class StepBlock(NamedTuple):
    """Rows of several time steps: number i of row m of step t is
    ``data[start + t * step_stride + m * row_stride + i]``.
    """

    data: Any
    """Flat array."""
    start: int
    """Index of the first number."""
    step_stride: int
    """Numbers from a step to the next."""
    row_stride: int
    """Numbers from a row to the next."""


class PackedMatrix(NamedTuple):
    """A matrix (k, n) as `packing` packs it."""

    panels: Any
    """Flat array of micro-panels."""
    k: int
    """Rows: numbers, or in a product of packed rows the elements that they take."""
    n: int
    """Columns."""


class PackedColumns(NamedTuple):
    """A packed matrix of which only some columns are computed: of each period, columns lo..hi."""

    panels: Any
    """Flat array of micro-panels."""
    k: int
    """As in `PackedMatrix`."""
    n: int
    """Columns of the whole matrix."""
    lo: int
    """First column in each period; a multiple of the width of a panel, as ``period`` is, and ``hi`` unless it is n."""
    hi: int
    """End of the columns in each period."""
    period: int
    """Columns of a period; n, or the units of a gate."""


class MicroPanel(NamedTuple):
    """A micro-panel of a packed matrix, or several that follow each other."""

    panels: Any
    """The packed matrix."""
    start: int
    """Index of the panel's first element."""
    vectors: int
    """The width in vector registers, of all panels together."""


@intrinsic
def segment(typingctx, array, start, size):
    """array[start : start + size] of one dimension, without the checks for bounds that a slice has."""

    def codegen(context, builder, sig, args):
        whole = context.make_array(sig.args[0])(context, builder, args[0])
        part = context.make_array(sig.return_type)(context, builder)
        populate_array(
            part,
            data=builder.gep(whole.data, [args[1]]),
            shape=[args[2]],
            strides=[whole.itemsize],
            itemsize=whole.itemsize,
            meminfo=whole.meminfo,
            parent=whole.parent,
        )
        return impl_ret_borrowed(context, builder, sig.return_type, part._getvalue())

    return array(array, types.intp, types.intp), codegen


@inline_function
def flat(array):
    """View of an array as one dimension."""
    return array.reshape(array.size)


@device_function
def copy_rows(to, source, rows, columns):
    """Copy ``rows`` x ``columns`` numbers from one `Block` to another."""
    for m in range(rows):
        copy(to.data, to.start + m * to.row_stride, source.data, source.start + m * source.row_stride, columns)


@device_function
def copy(to, to_at, source, from_at, count):
    """to[to_at + n] = source[from_at + n] for n < count. Slices start indices at 0, so the loop
    vectorises.
    """
    a = to[to_at : to_at + count]
    b = source[from_at : from_at + count]
    for n in range(b.size):
        a[n] = b[n]
