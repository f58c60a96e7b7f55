"""Numbers as the tiles of AMX hold them: pairs of bfloat16, or three parts of such pairs (see `bfloat16`)."""

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
    """32 float32 as the 16 pairs of neighbours that a row of A holds; in uint32 three parts of them."""
    signature = types.void(to, types.intp, source, types.intp)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place, target = (pointer(context, builder, sig.args[i], args[i], args[i + 1]) for i in (2, 0))
        floats = ir.VectorType(ir.FloatType(), 2 * TILE)
        numbers = builder.load(builder.bitcast(place, floats.as_pointer()))
        numbers.align = _SIZE
        for part in range(parts_of(sig.args[0])):
            half, numbers = rounded(builder, numbers, 2 * TILE)
            to = builder.gep(target, [_I64(part * TILE * _SIZE)])
            builder.store(half, builder.bitcast(to, half.type.as_pointer())).align = _SIZE
        return context.get_dummy_value()

    return signature, codegen


def parts_of(array: Any) -> int:
    """How many bfloat16 the pairs in such an array, as the compiler sees it, take a float32 apart into."""
    return PARTS if array.dtype == types.uint32 else 1


def rounded(builder: Any, numbers: Any, count: int) -> tuple[Any, Any]:
    """The bits of a vector of float32 rounded to bfloat16, and what is left."""
    half = builder.bitcast(builder.fptrunc(numbers, ir.VectorType(BFloat16(), count)), ir.VectorType(_I16, count))
    wide = ir.VectorType(_I32, count)
    upper = builder.shl(builder.zext(half, wide), ir.Constant(wide, [16] * count))
    return half, builder.fsub(numbers, builder.bitcast(upper, numbers.type))
