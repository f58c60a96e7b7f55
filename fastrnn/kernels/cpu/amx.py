"""Matrix products of bfloat16 pairs on the tile registers of Intel AMX.

There are eight tile registers of up to 16 rows of 64 bytes. One ``tdpbf16ps`` multiplies a tile of
A (rows x 16 pairs) with a tile of B (16 pairs x 16 columns) and adds the product to a tile of C
(rows x 16 float32). A block of two row tiles by two column tiles uses every loaded tile twice
(Intel 64 and IA-32 Architectures Optimization Reference Manual, chapter on AMX):

                      B: tmm6    tmm7
    A: tmm4 (upper)   C: tmm0    tmm1
       tmm5 (lower)      tmm2    tmm3

A float32 that is split into three bfloat16 parts (see `packed_formats`) is multiplied part by part: six
of the nine products, because the other three are below a float32's rounding error. A sixth of the
tiles' peak is still 2.7 times the peak of AVX-512.

Rows of a tile should not straddle cache lines: such loads are six times slower (measured).
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .llvm_ir import BYTES, I8, I64, WORD, call_intrinsic, pointer
from .packed_formats import parts_of
from .target import TILE

__all__ = ["TILE", "amx_micro_kernel", "configure", "pointer", "release"]

# (part of A, part of B) of each product, ordered so that few tiles are loaded twice. The largest
# products come last: small terms are added first.
_PARTS = ((0, 2), (0, 1), (1, 1), (1, 0), (2, 0), (0, 0))
_Parts = tuple[tuple[int, int], ...]


def _call(builder: Any, name: str, *arguments: Any) -> None:
    """Emit a call of the intrinsic ``llvm.x86.<name>``."""
    call_intrinsic(builder, f"x86.{name}", arguments)


@intrinsic
def release(typingctx: Any) -> Any:
    """Zero the tile configuration, so that the system need not save tiles when it switches threads."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        _call(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def configure(typingctx: Any, upper: Any, lower: Any) -> Any:
    """Set the tile shapes: ``upper`` rows for A and C tiles of the first row block, ``lower`` (0:
    none) of the second.

    All tiles become zero.
    """

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        upper, lower = (builder.trunc(rows, I8) for rows in args)
        # a tile must have at least one row, also when it is not used
        lower = builder.select(builder.icmp_signed(">", args[1], I64(0)), lower, I8(1))
        # LDTILECFG reads 64 bytes: byte 0 the palette, 16..31 bytes per row of each tile (uint16),
        # 48..55 its rows
        fixed = [0] * 64
        fixed[0] = 1  # palette 1, the only one
        fixed[16:32:2] = [TILE * WORD] * 8
        fixed[48:56] = [TILE] * 8  # the B tiles 6 and 7 are always full
        kind = ir.ArrayType(I8, 64)
        configuration = cgutils.alloca_once(builder, kind)
        builder.store(kind(fixed), configuration)
        # C and A tiles have as many rows as the block of C
        for tiles, rows in (((0, 1, 4), upper), ((2, 3, 5), lower)):
            for tile in tiles:
                builder.store(rows, builder.gep(configuration, [I64(0), I64(48 + tile)]))
        _call(builder, "ldtilecfg", builder.bitcast(configuration, BYTES))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen


@intrinsic
def amx_micro_kernel(typingctx: Any, upper: Any, rows: Any, a: Any, panel: Any, c: Any, k: Any, accumulate: Any) -> Any:
    """C = A times two column tiles of a micro-panel of B, or its only one, added to C if
    ``accumulate``. Call `configure` first.

    Args:
        upper: Rows of the first row tile, 1 to 16.
        rows: Rows of both row tiles; there is one if it equals ``upper``.
        a: `Block` of int32 pairs.
        panel: `MicroPanel` of int32 pairs, 4 or 1 vectors of 16 columns wide, from the column tile on
            that is multiplied; the next one is multiplied too if it is 4 wide. With uint32 elements
            each group of 16 pairs is stored as three parts, one after the other, also in A.
        c: `Block` of float32.
        k: Pairs of all parts to sum over, a multiple of 16.
        accumulate: 1 to add to C, 0 to overwrite it.
    """
    index = types.intp
    signature = types.void(index, index, a, panel, c, index, index)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        upper, rows, a, panel, c, k, accumulate = args

        def unpack(kind: Any, bundle: Any) -> tuple[Any, Any]:
            array, start, last = cgutils.unpack_tuple(builder, bundle)
            return pointer(context, builder, kind.types[0], array, start), last

        a_start, a_row = unpack(sig.args[2], a)
        panel_start, vectors = unpack(sig.args[3], panel)
        c_start, c_row = unpack(sig.args[4], c)
        parts = _PARTS if parts_of(sig.args[3].types[0]) > 1 else ((0, 0),)
        # strides in bytes: from a row to the next, and from the first row tile to the second
        a_row, c_row = (builder.mul(row, I64(WORD)) for row in (a_row, c_row))
        a_next, c_next = (builder.mul(row, upper) for row in (a_row, c_row))
        passed = [a_start, a_row, a_next, panel_start, c_start, c_row, c_next, builder.udiv(k, I64(TILE)), accumulate]
        row_tiles = builder.select(builder.icmp_signed(">", rows, upper), I64(2), I64(1))
        # dispatch on the shape: a switch over 8 * row_tiles + vectors
        done = builder.append_basic_block("amx.done")
        # only these four shapes exist: the numbers of tiles are constants of the instructions
        choose = builder.switch(builder.add(builder.mul(row_tiles, I64(8)), vectors), done)
        for rows in (1, 2):
            for width in (1, 4):
                block = builder.append_basic_block(f"amx.{rows}x{width}")
                choose.add_case(I64(rows * 8 + width), block)
                with builder.goto_block(block):
                    builder.call(_panel_function(builder.module, rows, width, parts), passed)
                    builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


def _panel_function(module: ir.Module, row_tiles: int, vectors: int, parts: _Parts) -> ir.Function:
    """The micro-kernel of this shape as a function of the module, built on first use.

    Arguments: a, a_row, a_next, b, c, c_row, c_next, k, accumulate. Strides are in bytes; k counts
    tiles of 16 pairs.
    """
    name = f"fastrnn_amx_{row_tiles}x{vectors}_{len(parts)}"
    if name in module.globals:
        return module.globals[name]
    arguments = [BYTES, I64, I64, BYTES, BYTES, I64, I64, I64, I64]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "internal"
    # The unrolled code of a shape is emitted once in a module, not at every call site
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    # two column tiles at a time: with two row tiles their sums take four of the eight registers, and
    # A and B two each
    _column_tiles(builder, function, row_tiles, range(min(2, vectors)), vectors, parts)
    builder.ret_void()
    return function


def _column_tiles(builder: Any, function: Any, row_tiles: int, columns: range, vectors: int, parts: _Parts) -> None:
    """Emit the loop over all of k for one or two column tiles of the micro-panel.

    Layout in bytes: row m of A tile t starts at a + t*a_next + m*a_row + 64*k; B tile (k, column)
    at b + k*16*width + 64*column with rows ``width`` apart; C tile (t, column) at c + t*c_next +
    64*column.
    """
    a, a_row, a_next, b, c, c_row, c_next, k, accumulate = function.args
    width = vectors * TILE * WORD  # bytes of a row of the micro-panel
    depth = 1 + max(part for part, _ in parts)  # tiles of A that one step of the loop reads

    def offset(pointer: Any, *steps: Any) -> Any:
        for step in steps:
            pointer = builder.gep(pointer, [step])
        return pointer

    # C[row tile, column tile] is register 2 * row + n, see the drawing
    def for_each_c_tile(name: str) -> None:
        for row in range(row_tiles):
            for n, column in enumerate(columns):
                at = offset(c, builder.mul(c_next, I64(row)), I64(column * TILE * WORD))
                _call(builder, name, I8(2 * row + n), at, c_row)

    old, new, loop, done = (function.append_basic_block(name) for name in ("old", "new", "loop", "done"))
    builder.cbranch(builder.icmp_signed("!=", accumulate, I64(0)), old, new)
    builder.position_at_end(old)
    for_each_c_tile("tileloadd64")
    builder.branch(loop)
    builder.position_at_end(new)
    for row in range(row_tiles):
        for n in range(len(columns)):
            _call(builder, "tilezero", I8(2 * row + n))
    builder.branch(loop)

    # Inner loop: 1 or 2 tile loads of B, 1 or 2 of A, up to 4 tdpbf16ps for each product of parts
    builder.position_at_end(loop)
    at = builder.phi(I64)
    at.add_incoming(I64(0), old)
    at.add_incoming(I64(0), new)
    # a part that is still in its register is not loaded again
    loaded: tuple[int | None, int | None] = (None, None)
    for of_a, of_b in parts:
        if of_b != loaded[1]:
            for n, column in enumerate(columns):
                row_of_b = builder.mul(builder.add(at, I64(of_b)), I64(TILE * width))
                _call(builder, "tileloadd64", I8(6 + n), offset(b, row_of_b, I64(column * TILE * WORD)), I64(width))
        for row in range(row_tiles):
            if of_a != loaded[0]:
                pairs = builder.mul(builder.add(at, I64(of_a)), I64(TILE * WORD))
                _call(builder, "tileloadd64", I8(4 + row), offset(a, builder.mul(a_next, I64(row)), pairs), a_row)
            for n in range(len(columns)):
                _call(builder, "tdpbf16ps", I8(2 * row + n), I8(4 + row), I8(6 + n))
        loaded = of_a, of_b
    after = builder.add(at, I64(depth))
    at.add_incoming(after, loop)
    builder.cbranch(builder.icmp_signed("<", after, k), loop, done)
    builder.position_at_end(done)
    for_each_c_tile("tilestored64")
