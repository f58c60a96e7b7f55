"""The formats in which a packed matrix holds its numbers, and conversion of float32 to them.

NumPy has no bfloat16, so a format is recognised by an element type that no matrix of numbers has
(its tag). `FORMATS` is the table; functions that depend on the format ask `packed_format` or
`format_of` and do not compare types themselves.

format          NumPy tag   k per element   parts   sums in
float32         float32     1               1       float32
float64         float64     1               1       float64
bfloat16        uint16      1               1       float32
bfloat16 pair   int32       2               1       float32
split float32   uint32      2               3       float32

Memory of one column of B, or one row of A, k from left to right; each box is one element:

float32         | k0        | k1        | k2        | k3        | ...
bfloat16        | k0  | k1  | k2  | k3  | ...
bfloat16 pair   | k0 , k1   | k2 , k3   | ...                        k0 in the lower half of the element
split float32   | h0 , h1   | ... 16 pairs | m0 , m1   | ... 16 pairs | l0 , l1   | ... 16 pairs | h32, h33 | ...

A bfloat16 is the upper half of a float32, rounded to nearest, ties to even. A split float32 is the
sum h + m + l of three: each rounding error is rounded in turn, and 3 x 8 bits cover the 24-bit
significand. (Henry, Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For
Higher-Precision Computations", 2019.) Groups of 16 pairs are the depth of an AMX tile; without AMX
pairs are not grouped, and nothing is split. In a panel of B elements that follow each other in k lie
a whole row of the panel apart (see `packing`).

A row of single bfloat16, unless it is one vector wide, has two vectors of columns interleaved: n0 n8
n1 n9 ... for vectors of 8 numbers. Each 32 bits then hold a number of either: a shift makes float32
of the first vector, and clearing the lower half makes float32 of the second.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.numpy_support import as_dtype

from .jit import device_function
from .llvm_ir import F32, I16, I32, I64, WORD, BFloat16, load_vector, pointer, store_vector, widen_bfloat16
from .target import TARGET, TILE

# a row of an AMX tile: 16 pairs in 64 bytes
PAIR_VECTOR = ir.VectorType(I32, TILE)
PAIRS = TILE if TARGET.amx else 1  # pairs of k are padded with zeros to a multiple of this


@dataclass(frozen=True)
class PackedFormat:
    """How elements of one type hold the numbers of a matrix.

    Attributes:
        name: Its name in the table above.
        dtype: NumPy tag, the type of the elements.
        per_element: Neighbouring k in an element.
        parts: bfloat16 numbers whose sum is one number; each part has elements of its own.
        accumulator: Type of the sums of products.
    """

    name: str
    dtype: np.dtype[Any]
    per_element: int
    parts: int
    accumulator: np.dtype[Any]

    @property
    def is_paired(self) -> bool:
        """Whether elements are pairs, which products take in both factors."""
        return self.per_element == 2

    @property
    def is_split(self) -> bool:
        """Whether a number is the sum of several parts."""
        return self.parts > 1

    @property
    def is_interleaved(self) -> bool:
        """Whether two vectors of a row of B are interleaved: single bfloat16."""
        return not self.is_paired and self.dtype != self.accumulator


_F4, _F8 = np.dtype(np.float32), np.dtype(np.float64)
_TABLE = (
    PackedFormat("float32", _F4, 1, 1, _F4),
    PackedFormat("float64", _F8, 1, 1, _F8),
    PackedFormat("bfloat16", np.dtype(np.uint16), 1, 1, _F4),
    PackedFormat("bfloat16 pair", np.dtype(np.int32), 2, 1, _F4),
    PackedFormat("split float32", np.dtype(np.uint32), 2, 3, _F4),
)
FORMATS = {packed.dtype: packed for packed in _TABLE}


def packed_format(dtype: Any) -> PackedFormat:
    """The format with this NumPy tag."""
    return FORMATS[np.dtype(dtype)]


def format_of(array: Any) -> PackedFormat:
    """The format of an array of this Numba type."""
    return FORMATS[as_dtype(array.dtype)]


def parts_of(array: Any) -> int:
    """Number of bfloat16 parts that a float32 becomes in an array of this Numba type."""
    return format_of(array).parts


def by_format(array: Any, single: Any, pairs: Any, parts: Any) -> Any:
    """Choose the implementation for an array of this Numba type: single numbers, pairs, or parts."""
    packed = format_of(array)
    if packed.is_split:
        return parts
    return pairs if packed.is_paired else single


def _round_bits(builder: Any, value: Any) -> Any:
    """The 16 bits of a float32 value: with the CPU's conversion instruction, or in integer
    arithmetic.
    """
    if TARGET.bfloat16_dot:
        return builder.bitcast(builder.fptrunc(value, BFloat16()), I16)
    bits = builder.bitcast(value, I32)
    # add 0x7FFF, and 1 more if the kept part is odd: round to nearest, ties to even
    tie = builder.and_(builder.lshr(bits, I32(16)), I32(1))
    return builder.trunc(builder.lshr(builder.add(bits, builder.add(tie, I32(0x7FFF))), I32(16)), I16)


def round_vector(builder: Any, numbers: Any, count: int) -> tuple[Any, Any]:
    """The bfloat16 bits of a vector of ``count`` float32, and the rounding errors as float32."""
    half = builder.bitcast(builder.fptrunc(numbers, ir.VectorType(BFloat16(), count)), ir.VectorType(I16, count))
    return half, builder.fsub(numbers, widen_bfloat16(builder, half))


@intrinsic
def to_bfloat16(typingctx: Any, x: Any) -> Any:
    """A float32 as bfloat16 bits (uint16)."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _round_bits(builder, args[0])

    return types.uint16(types.float32), codegen


@intrinsic
def subtract_bfloat16(typingctx: Any, x: Any) -> Any:
    """x minus x rounded to bfloat16; exact in float32."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits = builder.shl(builder.zext(_round_bits(builder, args[0]), I32), I32(16))
        return builder.fsub(args[0], builder.bitcast(bits, F32))

    return types.float32(types.float32), codegen


@intrinsic
def to_pair(typingctx: Any, first: Any, second: Any) -> Any:
    """Two float32 as a pair of bfloat16 (int32), ``first`` in the lower half."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        # the order in which the dot instruction (dpbf16ps, tdpbf16ps) reads a pair
        low, high = (builder.zext(_round_bits(builder, value), I32) for value in args)
        return builder.or_(low, builder.shl(high, I32(16)))

    return types.int32(types.float32, types.float32), codegen


@device_function
def fill_pairs(to, to_at, source, first_at, second_at, count):
    """to[to_at + n] = pair of source[first_at + n] and source[second_at + n] (0 if ``second_at`` <
    0), n < count.
    """
    a, first = to[to_at : to_at + count], source[first_at : first_at + count]
    if second_at >= 0:
        second = source[second_at : second_at + count]
        for n in range(a.size):
            a[n] = to_pair(first[n], second[n])
    else:
        zero = source.dtype.type(0)
        for n in range(a.size):
            a[n] = to_pair(first[n], zero)


@device_function
def fill_pair_parts(to, to_at, apart, source, first_at, second_at, count):
    """`fill_pairs` for the three parts, which lie ``apart`` elements from each other."""
    high, first = to[to_at : to_at + count], source[first_at : first_at + count]
    middle, low = to[to_at + apart : to_at + apart + count], to[to_at + 2 * apart : to_at + 2 * apart + count]
    # Without a second row the first is read again and multiplied by 0: one loop instead of two
    there = source.dtype.type(1 if second_at >= 0 else 0)
    second = source[max(second_at, 0) : max(second_at, 0) + count]
    for n in range(high.size):
        # high part, then the rounded remainders of each subtraction
        x, y = first[n], second[n] * there
        high[n] = to_pair(x, y)
        x, y = subtract_bfloat16(x), subtract_bfloat16(y)
        middle[n] = to_pair(x, y)
        low[n] = to_pair(subtract_bfloat16(x), subtract_bfloat16(y))


@intrinsic
def row_pairs(typingctx: Any, to: Any, to_at: Any, source: Any, at: Any) -> Any:
    """Store 32 float32 as 16 pairs of neighbours, a row of an A tile; of a split float32 three
    parts, 16 elements apart.
    """
    signature = types.void(to, types.intp, source, types.intp)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place, target = (pointer(context, builder, sig.args[i], args[i], args[i + 1]) for i in (2, 0))
        numbers = load_vector(builder, place, ir.VectorType(F32, 2 * TILE))
        for part in range(parts_of(sig.args[0])):
            # neighbours in a row are already pairs: 32 bfloat16 are stored as they are
            half, numbers = round_vector(builder, numbers, 2 * TILE)
            store_vector(builder, half, builder.gep(target, [I64(part * TILE * WORD)]))
        return context.get_dummy_value()

    return signature, codegen
