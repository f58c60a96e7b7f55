"""The packed number formats, and conversion of float32 vectors to the bfloat16 pairs of AMX tiles.

format          NumPy tag   k per element   parts   sums in
float32         float32     1               1       float32
float64         float64     1               1       float64
bfloat16        uint16      1               1       float32
bfloat16 pair   int32       2               1       float32
split float32   uint32      2               3       float32      16 pairs of high parts, of middle, of low parts
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .amx import TILE, pointer
from .bfloat16 import PARTS, BFloat16

_I16, _I32, _I64 = (ir.IntType(bits) for bits in (16, 32, 64))
PAIR_VECTOR = ir.VectorType(_I32, TILE)
_SIZE = 4  # bytes of a pair, and of a float32


@intrinsic
def row_pairs(typingctx: Any, to: Any, to_at: Any, source: Any, at: Any) -> Any:
    """Store 32 float32 as 16 pairs of neighbours, a row of an A tile; for uint32 three parts, 16
    elements apart.
    """
    signature = types.void(to, types.intp, source, types.intp)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place, target = (pointer(context, builder, sig.args[i], args[i], args[i + 1]) for i in (2, 0))
        floats = ir.VectorType(ir.FloatType(), 2 * TILE)
        numbers = builder.load(builder.bitcast(place, floats.as_pointer()))
        numbers.align = _SIZE
        for part in range(parts_of(sig.args[0])):
            half, numbers = round_vector(builder, numbers, 2 * TILE)
            to = builder.gep(target, [_I64(part * TILE * _SIZE)])
            builder.store(half, builder.bitcast(to, half.type.as_pointer())).align = _SIZE
        return context.get_dummy_value()

    return signature, codegen


def parts_of(array: Any) -> int:
    """Number of bfloat16 parts that a float32 becomes in an array of this Numba type."""
    return PARTS if array.dtype == types.uint32 else 1


def round_vector(builder: Any, numbers: Any, count: int) -> tuple[Any, Any]:
    """The bfloat16 bits of a vector of ``count`` float32, and the rounding errors as float32."""
    half = builder.bitcast(builder.fptrunc(numbers, ir.VectorType(BFloat16(), count)), ir.VectorType(_I16, count))
    wide = ir.VectorType(_I32, count)
    upper = builder.shl(builder.zext(half, wide), ir.Constant(wide, [16] * count))
    return half, builder.fsub(numbers, builder.bitcast(upper, numbers.type))
