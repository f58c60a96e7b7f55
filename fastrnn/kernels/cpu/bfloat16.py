"""bfloat16: the upper half of a float32, rounded to nearest, ties to even.

An array stores it in one of three packed formats:

    uint16   one number
    int32    a pair of numbers k, k + 1 in the order of the dot instruction: k in the lower half
    uint32   such pairs, of a float32 that is split into three bfloat16: each rounding error is rounded in turn, and
             3 x 8 bits cover a float32's 24-bit significand

The split: Henry, Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For
Higher-Precision Computations", 2019.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .jit import device_function, specialize
from .target import TARGET

PARTS = 3  # bfloat16 numbers whose sum is a float32
_I16, _I32 = ir.IntType(16), ir.IntType(32)


class BFloat16(ir.Type):  # type: ignore[misc]
    """LLVM's type bfloat, which llvmlite lacks."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BFloat16)

    def __hash__(self) -> int:
        return hash(BFloat16)


def _round_bits(builder: Any, value: Any) -> Any:
    """The 16 bits of a float32 value: with the CPU's conversion instruction, or in integer
    arithmetic.
    """
    if TARGET.bfloat16_dot:
        return builder.bitcast(builder.fptrunc(value, BFloat16()), _I16)
    bits = builder.bitcast(value, _I32)
    # add 0x7FFF, and 1 more if the kept part is odd: round to nearest, ties to even
    tie = builder.and_(builder.lshr(bits, _I32(16)), _I32(1))
    return builder.trunc(builder.lshr(builder.add(bits, builder.add(tie, _I32(0x7FFF))), _I32(16)), _I16)


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
        bits = builder.shl(builder.zext(_round_bits(builder, args[0]), _I32), _I32(16))
        return builder.fsub(args[0], builder.bitcast(bits, ir.FloatType()))

    return types.float32(types.float32), codegen


@intrinsic
def to_pair(typingctx: Any, first: Any, second: Any) -> Any:
    """Two float32 as a pair of bfloat16 (int32), ``first`` in the lower half."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        low, high = (builder.zext(_round_bits(builder, value), _I32) for value in args)
        return builder.or_(low, builder.shl(high, _I32(16)))

    return types.int32(types.float32, types.float32), codegen


def as_element(array, value):
    """Convert a float to an element of ``array``: bfloat16 bits for uint16, else unchanged."""


@specialize(as_element)
def _as_element(array, value):
    if array.dtype == types.uint16:
        return lambda array, value: to_bfloat16(value)
    return lambda array, value: value


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
