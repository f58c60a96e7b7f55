"""Products of bfloat16 pairs on the matrix tiles of AMX.

Eight tile registers hold up to 16 rows of 64 bytes each. One instruction multiplies a tile of A (rows x 16 pairs) with
a tile of B (16 pairs x 16 columns) and adds to a tile of C (rows x 16 float32). Two tiles of A and two of B make four
of C, so that each tile loaded is used twice: tiles 0 to 3 are C, 4 and 5 A, 6 and 7 B. (Intel 64 and IA-32
Architectures Optimization Reference Manual, chapter on AMX.)

Tile rows should not straddle cache lines: loads are six times as slow then (measured).
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .bfloat16 import BFloat16
from .compiling import inlined

TILE = 16  # rows, pairs and columns of a full tile
_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_BYTES = _I8.as_pointer()
_SIZE = 4  # bytes of a pair, and of a float32


def _call(builder: Any, name: str, *arguments: Any) -> None:
    signature = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    builder.call(cgutils.get_or_insert_function(builder.module, signature, f"llvm.x86.{name}"), arguments)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    data = builder.bitcast(context.make_array(array_type)(context, builder, array).data, _BYTES)
    return builder.gep(data, [builder.mul(at, _I64(array_type.dtype.bitwidth // 8))])


@intrinsic
def _load_configuration(typingctx: Any, configuration: Any) -> Any:
    """Give every tile the rows and bytes that 64 bytes of uint8 say; all tiles become zero."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        _call(builder, "ldtilecfg", _pointer(context, builder, sig.args[0], args[0], _I64(0)))
        return context.get_dummy_value()

    return types.void(configuration), codegen


@intrinsic
def release(typingctx: Any) -> Any:
    """Done with the tiles: the system need not save them when it switches threads."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        _call(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), codegen


@inlined
def configure(configuration: Any, upper: Any, lower: Any) -> None:
    """Tiles of ``upper`` and of ``lower`` rows (0: none) of A and C; ``configuration`` is 64 zero bytes to write in."""
    configuration[0] = 1  # palette 1, the only one
    for tile in range(8):
        configuration[16 + 2 * tile] = TILE * _SIZE
        configuration[48 + tile] = TILE
    for tile in (0, 1, 4):
        configuration[48 + tile] = upper
    for tile in (2, 3, 5):
        configuration[48 + tile] = max(lower, 1)
    _load_configuration(configuration)


@intrinsic
def panel_product(
    typingctx: Any, row_tiles: Any, vectors: Any, a: Any, a_at: Any, a_row: Any, a_next: Any, b: Any, b_at: Any,
    c: Any, c_at: Any, c_row: Any, c_next: Any, k: Any, accumulate: Any,
) -> Any:  # fmt: skip
    """C = A times one packed panel of B, added to what C holds if ``accumulate``; after `configure`.

    ``row_tiles`` 1 or 2; ``vectors`` 4 or 1, the panel's width in vectors of 16 columns. A and B are int32 pairs, C
    float32, all flat from element ``*_at``; rows lie ``*_row`` apart, the second tile of rows ``*_next`` after the
    first. k counts pairs and is a multiple of 16.
    """
    index = types.intp
    signature = types.void(*[index] * 2, a, *[index] * 3, b, index, c, *[index] * 5)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        row_tiles, vectors, a, a_at, a_row, a_next, b, b_at, c, c_at, c_row, c_next, k, accumulate = args
        size = _I64(_SIZE)
        passed = [_pointer(context, builder, sig.args[2], a, a_at), *(builder.mul(x, size) for x in (a_row, a_next))]
        passed += [_pointer(context, builder, sig.args[6], b, b_at)]
        passed += [_pointer(context, builder, sig.args[8], c, c_at), *(builder.mul(x, size) for x in (c_row, c_next))]
        passed += [builder.udiv(k, _I64(TILE)), accumulate]
        done = builder.append_basic_block("amx.done")
        choose = builder.switch(builder.add(builder.mul(row_tiles, _I64(8)), vectors), done)
        for rows in (1, 2):
            for width in (1, 4):
                block = builder.append_basic_block(f"amx.{rows}x{width}")
                choose.add_case(_I64(rows * 8 + width), block)
                with builder.goto_block(block):
                    builder.call(_panel_function(builder.module, rows, width), passed)
                    builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


def _panel_function(module: ir.Module, row_tiles: int, vectors: int) -> ir.Function:
    name = f"fastrnn_amx_{row_tiles}x{vectors}"
    if name in module.globals:
        return module.globals[name]
    # a, a_row, a_next, b, c, c_row, c_next, k, accumulate; strides in bytes, k in tiles
    arguments = [_BYTES, _I64, _I64, _BYTES, _BYTES, _I64, _I64, _I64, _I64]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    for first in range(0, vectors, 2):
        _column_tiles(builder, function, row_tiles, first, min(2, vectors - first), vectors)
    builder.ret_void()
    return function


def _column_tiles(builder: Any, function: Any, row_tiles: int, first: int, columns: int, vectors: int) -> None:
    """All of k for one or two tiles of columns, from vector ``first`` of the panel on."""
    a, a_row, a_next, b, c, c_row, c_next, k, accumulate = function.args
    width = vectors * TILE * _SIZE

    def offset(pointer: Any, *parts: Any) -> Any:
        for part in parts:
            pointer = builder.gep(pointer, [part])
        return pointer

    def each_c(name: str) -> None:
        for row in range(row_tiles):
            for column in range(columns):
                at = offset(c, builder.mul(c_next, _I64(row)), _I64((first + column) * TILE * _SIZE))
                _call(builder, name, _I8(2 * row + column), at, c_row)

    old, new, loop, done = (function.append_basic_block(name) for name in ("old", "new", "loop", "done"))
    builder.cbranch(builder.icmp_signed("!=", accumulate, _I64(0)), old, new)
    builder.position_at_end(old)
    each_c("tileloadd64")
    builder.branch(loop)
    builder.position_at_end(new)
    for row in range(row_tiles):
        for column in range(columns):
            _call(builder, "tilezero", _I8(2 * row + column))
    builder.branch(loop)

    builder.position_at_end(loop)
    at = builder.phi(_I64)
    at.add_incoming(_I64(0), old)
    at.add_incoming(_I64(0), new)
    for column in range(columns):
        tile = offset(b, builder.mul(at, _I64(TILE * width)), _I64((first + column) * TILE * _SIZE))
        _call(builder, "tileloadd64", _I8(6 + column), tile, _I64(width))
    for row in range(row_tiles):
        tile = offset(a, builder.mul(a_next, _I64(row)), builder.mul(at, _I64(TILE * _SIZE)))
        _call(builder, "tileloadd64", _I8(4 + row), tile, a_row)
        for column in range(columns):
            _call(builder, "tdpbf16ps", _I8(2 * row + column), _I8(4 + row), _I8(6 + column))
    after = builder.add(at, _I64(1))
    at.add_incoming(after, loop)
    builder.cbranch(builder.icmp_signed("<", after, k), loop, done)
    builder.position_at_end(done)
    each_c("tilestored64")


@intrinsic
def transpose_pairs(typingctx: Any, to: Any, to_at: Any, to_row: Any, source: Any, at: Any, row: Any) -> Any:
    """to[m, k // 2] = the pair (source[k, m], source[k + 1, m]) for 32 rows k and 16 columns m of float32."""
    signature = types.void(to, types.intp, types.intp, source, types.intp, types.intp)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        to_row, row, size = args[2], args[5], _I64(_SIZE)
        start, target = (_pointer(context, builder, sig.args[i], args[i], args[i + 1]) for i in (3, 0))
        floats, pairs = (ir.VectorType(kind, TILE) for kind in (ir.FloatType(), _I32))

        def halves(k: int) -> Any:
            place = builder.gep(start, [builder.mul(builder.mul(row, size), _I64(k))])
            loaded = builder.load(builder.bitcast(place, floats.as_pointer()))
            loaded.align = _SIZE
            rounded = builder.fptrunc(loaded, ir.VectorType(BFloat16(), TILE))
            return builder.zext(builder.bitcast(rounded, ir.VectorType(_I16, TILE)), pairs)

        sixteen = ir.Constant(pairs, [16] * TILE)
        rows = [builder.or_(halves(2 * n), builder.shl(halves(2 * n + 1), sixteen)) for n in range(TILE)]
        for m, vector in enumerate(_transposed(builder, rows)):
            place = builder.gep(target, [builder.mul(builder.mul(to_row, size), _I64(m))])
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
