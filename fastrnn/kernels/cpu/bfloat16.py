"""bfloat16: the upper half of a float32, rounded to nearest, ties to even.

An array holds it in one of three forms: uint16, one number each; int32, two neighbours in the order that the dot
instruction wants, the first in the lower half; uint32, such pairs again, but of three bfloat16 whose sum is a float32:
what is left after each rounding is rounded in turn, and 3 x 8 bits are all that a float32 has. (Henry, Tang and
Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations", 2019.)
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .jit import device_function, specialize
from .target import TARGET

PARTS = 3  # that a float32 is the sum of
_I16, _I32 = ir.IntType(16), ir.IntType(32)


class BFloat16(ir.Type):  # type: ignore[misc]
    """LLVM's bfloat, which llvmlite does not name."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BFloat16)

    def __hash__(self) -> int:
        return hash(BFloat16)


def _rounded(builder: Any, value: Any) -> Any:
    """The 16 bits of a float32 value: by the processor's own instruction, or with whole numbers."""
    if TARGET.bfloat16_dot:
        return builder.bitcast(builder.fptrunc(value, BFloat16()), _I16)
    bits = builder.bitcast(value, _I32)
    tie = builder.and_(builder.lshr(bits, _I32(16)), _I32(1))
    return builder.trunc(builder.lshr(builder.add(bits, builder.add(tie, _I32(0x7FFF))), _I32(16)), _I16)


@intrinsic
def to_bfloat16(typingctx: Any, x: Any) -> Any:
    """A float32 as uint16."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _rounded(builder, args[0])

    return types.uint16(types.float32), codegen


@intrinsic
def rounded_off(typingctx: Any, x: Any) -> Any:
    """What rounding a float32 to bfloat16 leaves of it, exactly."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits = builder.shl(builder.zext(_rounded(builder, args[0]), _I32), _I32(16))
        return builder.fsub(args[0], builder.bitcast(bits, ir.FloatType()))

    return types.float32(types.float32), codegen


@intrinsic
def to_pair(typingctx: Any, first: Any, second: Any) -> Any:
    """Two float32 as int32."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        low, high = (builder.zext(_rounded(builder, value), _I32) for value in args)
        return builder.or_(low, builder.shl(high, _I32(16)))

    return types.int32(types.float32, types.float32), codegen


def as_element(array, value):
    """A float as an element of the array: itself, or bfloat16 bits where the array holds uint16."""


@specialize(as_element)
def _as_element(array, value):
    if array.dtype == types.uint16:
        return lambda array, value: to_bfloat16(value)
    return lambda array, value: value


@device_function
def pair_up(to, to_at, source, first_at, second_at, count):
    """to[to_at:][:count] = the pairs of source[first_at:] and source[second_at:], or of zeros when that is negative."""
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
def pair_up_parts(to, to_at, apart, source, first_at, second_at, count):
    """The same of the three parts, ``apart`` elements from each other."""
    high, first = to[to_at : to_at + count], source[first_at : first_at + count]
    middle, low = to[to_at + apart : to_at + apart + count], to[to_at + 2 * apart : to_at + 2 * apart + count]
    # zeros: the first again, to be multiplied away, so that there is one loop
    there = source.dtype.type(1 if second_at >= 0 else 0)
    second = source[max(second_at, 0) : max(second_at, 0) + count]
    for n in range(high.size):
        x, y = first[n], second[n] * there
        high[n] = to_pair(x, y)
        x, y = rounded_off(x), rounded_off(y)
        middle[n] = to_pair(x, y)
        low[n] = to_pair(rounded_off(x), rounded_off(y))
