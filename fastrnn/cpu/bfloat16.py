"""bfloat16: the upper half of a float32, rounded to nearest, ties to even; kept as uint16."""

from typing import Any

from numba import types
from numba.extending import intrinsic, overload

from .compiling import FASTMATH, inlined

_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH}


@intrinsic
def to_bfloat16(typingctx: Any, x: Any) -> Any:
    """The bits of a float32 rounded to bfloat16. A NaN stays one unless all its bits are set."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        from llvmlite import ir

        wide, narrow = ir.IntType(32), ir.IntType(16)
        bits = builder.bitcast(args[0], wide)
        tie = builder.and_(builder.lshr(bits, wide(16)), wide(1))
        rounded = builder.add(bits, builder.add(tie, wide(0x7FFF)))
        return builder.trunc(builder.lshr(rounded, wide(16)), narrow)

    return types.uint16(types.float32), codegen


def as_element(array, value):
    """A float as an element of the array: itself, or bfloat16 bits where the array holds uint16."""


@overload(as_element, jit_options=_OPTIONS)
def _as_element(array, value):
    if array.dtype == types.uint16:
        return lambda array, value: to_bfloat16(value)
    return lambda array, value: value


@inlined
def copy_as(to, to_at, source, from_at, count):
    """to[to_at:][:count] = source[from_at:][:count], rounded if ``to`` holds bfloat16."""
    a, b = to[to_at : to_at + count], source[from_at : from_at + count]
    for n in range(b.size):
        a[n] = as_element(to, b[n])
