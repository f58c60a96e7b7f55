"""Numbers as the tiles of AMX hold them: pairs of bfloat16, or three parts of such pairs (see `bfloat16`)."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .amx import TILE, pointer
from .bfloat16 import PARTS, BFloat16

_I16, _I32, _I64 = (ir.IntType(bits) for bits in (16, 32, 64))
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
        for part in range(_parts_of(sig.args[0])):
            half, numbers = _rounded(builder, numbers, 2 * TILE)
            to = builder.gep(target, [_I64(part * TILE * _SIZE)])
            builder.store(half, builder.bitcast(to, half.type.as_pointer())).align = _SIZE
        return context.get_dummy_value()

    return signature, codegen


def _parts_of(array: Any) -> int:
    return PARTS if array.dtype == types.uint32 else 1


def _rounded(builder: Any, numbers: Any, count: int) -> tuple[Any, Any]:
    """The bits of a vector of float32 rounded to bfloat16, and what is left."""
    half = builder.bitcast(builder.fptrunc(numbers, ir.VectorType(BFloat16(), count)), ir.VectorType(_I16, count))
    wide = ir.VectorType(_I32, count)
    upper = builder.shl(builder.zext(half, wide), ir.Constant(wide, [16] * count))
    return half, builder.fsub(numbers, builder.bitcast(upper, numbers.type))


@intrinsic
def transpose_pairs(typingctx: Any, to: Any, to_at: Any, to_row: Any, source: Any, at: Any, row: Any) -> Any:
    """to[m, k // 2] = the pair (source[k, m], source[k + 1, m]) for 32 rows k and 16 columns m of float32.

    In uint32 three parts of it, 16 elements apart.
    """
    signature = types.void(to, types.intp, types.intp, source, types.intp, types.intp)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        to_row, row, size = args[2], args[5], _I64(_SIZE)
        start, target = (pointer(context, builder, sig.args[i], args[i], args[i + 1]) for i in (3, 0))
        floats, pairs = (ir.VectorType(kind, TILE) for kind in (ir.FloatType(), _I32))
        sixteen = ir.Constant(pairs, [16] * TILE)

        def load(k: int) -> Any:
            place = builder.gep(start, [builder.mul(builder.mul(row, size), _I64(k))])
            loaded = builder.load(builder.bitcast(place, floats.as_pointer()))
            loaded.align = _SIZE
            return loaded

        numbers = [load(k) for k in range(2 * TILE)]
        for part in range(_parts_of(sig.args[0])):
            halves, rest = zip(*(_rounded(builder, value, TILE) for value in numbers), strict=True)
            numbers = list(rest)
            low, high = ([builder.zext(half, pairs) for half in halves[odd::2]] for odd in (0, 1))
            rows = [builder.or_(x, builder.shl(y, sixteen)) for x, y in zip(low, high, strict=True)]
            for m, vector in enumerate(_transposed(builder, rows)):
                place = builder.gep(
                    target, [builder.add(builder.mul(to_row, _I64(m * _SIZE)), _I64(part * TILE * _SIZE))]
                )
                builder.store(vector, builder.bitcast(place, pairs.as_pointer())).align = _SIZE
        return context.get_dummy_value()

    return signature, codegen


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """16 vectors of 16: squares of 1, 2, 4, then 8 change places across the diagonal."""
    mask = ir.VectorType(_I32, TILE)
    for size in (1, 2, 4, 8):
        low = [lane if not lane & size else TILE + lane - size for lane in range(TILE)]
        high = [lane + size if not lane & size else TILE + lane for lane in range(TILE)]
        for n in range(TILE):
            if not n & size:
                pair = rows[n], rows[n + size]
                rows[n], rows[n + size] = (builder.shuffle_vector(*pair, ir.Constant(mask, m)) for m in (low, high))
    return rows
