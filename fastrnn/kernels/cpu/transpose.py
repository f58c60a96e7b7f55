"""Transposition of small blocks in registers; float32 can be converted to bfloat16 pairs, or their
three parts, on the way.

Source and target are flat; a row begins ``row`` or ``to_row`` elements after the one before.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .amx import TILE, pointer
from .packed_formats import PAIR_VECTOR, parts_of, round_vector
from .target import TARGET

SIDE = TARGET.lanes(32)  # rows and columns of a square of float32: each row fills a vector register
_I64 = ir.IntType(64)
_SIZE = 4  # bytes of a float32, and of a pair


@intrinsic
def transpose_pairs(typingctx: Any, to: Any, to_at: Any, to_row: Any, source: Any, at: Any, row: Any) -> Any:
    """to[m, k // 2] = the pair (source[k, m], source[k + 1, m]) for 32 rows k and 16 columns m of
    float32.

    For uint32 three parts of it, 16 elements apart.
    """
    signature = types.void(to, types.intp, types.intp, source, types.intp, types.intp)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        start, target = _pointers(context, builder, sig, args)
        numbers = [_load(builder, start, args[5], k, TILE) for k in range(2 * TILE)]
        sixteen = ir.Constant(PAIR_VECTOR, [16] * TILE)
        for part in range(parts_of(sig.args[0])):
            halves, rest = zip(*(round_vector(builder, value, TILE) for value in numbers), strict=True)
            numbers = list(rest)
            # combine row k (lower half) and row k + 1 (upper half) lane by lane
            low, high = ([builder.zext(half, PAIR_VECTOR) for half in halves[odd::2]] for odd in (0, 1))
            pairs = [builder.or_(x, builder.shl(y, sixteen)) for x, y in zip(low, high, strict=True)]
            _store_rows(builder, target, args[2], _transpose_square(builder, pairs), _I64(part * TILE))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def transpose(typingctx: Any, to: Any, to_at: Any, to_row: Any, source: Any, at: Any, row: Any) -> Any:
    """to[k, m] = source[m, k] for SIDE rows m and columns k of float32.

    For int32 to[k // 2, m] = the pair (source[m, k], source[m, k + 1]) for 16 rows m and 32 columns
    k; for uint32 three parts of it, 16 rows apart.
    """
    signature = types.void(to, types.intp, types.intp, source, types.intp, types.intp)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        start, target = _pointers(context, builder, sig, args)
        if sig.args[0].dtype == types.float32:
            rows = [_load(builder, start, args[5], m, SIDE) for m in range(SIDE)]
            _store_rows(builder, target, args[2], _transpose_square(builder, rows), _I64(0))
            return context.get_dummy_value()
        numbers = [_load(builder, start, args[5], m, 2 * TILE) for m in range(TILE)]
        for part in range(parts_of(sig.args[0])):
            halves, rest = zip(*(round_vector(builder, value, 2 * TILE) for value in numbers), strict=True)
            numbers = list(rest)
            # neighbours in a row are already a pair: reinterpret 32 x 16 bits as 16 x 32
            pairs = [builder.bitcast(half, PAIR_VECTOR) for half in halves]
            apart = builder.mul(args[2], _I64(part * TILE))
            _store_rows(builder, target, args[2], _transpose_square(builder, pairs), apart)
        return context.get_dummy_value()

    return signature, codegen


def _pointers(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    """Byte pointers to the start of source and target."""
    return (pointer(context, builder, sig.args[i], args[i], args[i + 1]) for i in (3, 0))


def _load(builder: Any, start: Any, row: Any, n: int, count: int) -> Any:
    """``count`` float32 from the start of row n."""
    place = builder.gep(start, [builder.mul(row, _I64(n * _SIZE))])
    loaded = builder.load(builder.bitcast(place, ir.VectorType(ir.FloatType(), count).as_pointer()))
    loaded.align = _SIZE
    return loaded


def _store_rows(builder: Any, target: Any, row: Any, vectors: list[Any], after: Any) -> None:
    """Store vector n to row n, ``after`` elements from its start."""
    for n, vector in enumerate(vectors):
        element = builder.add(builder.mul(row, _I64(n)), after)
        place = builder.gep(target, [builder.mul(element, _I64(_SIZE))])
        builder.store(vector, builder.bitcast(place, vector.type.as_pointer())).align = _SIZE


def _transpose_square(builder: Any, rows: list[Any]) -> list[Any]:
    """Transpose N vectors of N (a power of 2): swap off-diagonal squares of 1, 2, 4, ..., N / 2 by
    shuffles.
    """
    side = len(rows)
    mask = ir.VectorType(ir.IntType(32), side)
    size = 1
    while size < side:
        # swap the upper right square of size x size with the lower left one, in each pair of rows
        low = [lane if not lane & size else side + lane - size for lane in range(side)]
        high = [lane + size if not lane & size else side + lane for lane in range(side)]
        for n in range(side):
            if not n & size:
                pair = rows[n], rows[n + size]
                rows[n], rows[n + size] = (builder.shuffle_vector(*pair, ir.Constant(mask, m)) for m in (low, high))
        size *= 2
    return rows
