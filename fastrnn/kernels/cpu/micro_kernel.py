"""The register tile: the one place where multiply-adds are done.

A tile multiplies a few rows of A with one packed panel of B and keeps every sum in a vector register for the whole
loop over k:

    C[m, n]  =  (C[m, n] or 0)  +  sum_k A[m, k] * B[k, n]        m < rows <= 6,  n < columns of the panel

Each sum runs over k in order, whatever the number of rows: so a row's result does not depend on the rows beside it.
Written as LLVM code because no loop in Python makes Numba keep 24 sums in registers; the way is that of Goto and van
de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008).

The types of A and B choose the arithmetic; C has the type that sums are kept in:

    float32, float32     float64, float64      one multiply-add for each k, fused where the processor has that
    float32, uint16      B is bfloat16 and is widened as it is loaded: half the memory to read
    int32, int32         A and B are pairs of bfloat16, two k side by side: the bfloat16 dot instruction
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .bfloat16 import BFloat16
from .target import TARGET

ROWS = TARGET.rows
_INDEX = ir.IntType(64)
_I16, _I32, _F32, _F64 = ir.IntType(16), ir.IntType(32), ir.FloatType(), ir.DoubleType()


@dataclass(frozen=True)
class _Arithmetic:
    """LLVM types of an element of A, B and C; and how many bits of C."""

    name: str
    a: Any
    b: Any
    c: Any
    bits: int


_PLAIN = {32: _Arithmetic("f32", _F32, _F32, _F32, 32), 64: _Arithmetic("f64", _F64, _F64, _F64, 64)}
_WIDENED = _Arithmetic("f32_bf16", _F32, _I16, _F32, 32)
_DOT = _Arithmetic("bf16_dot", _I32, _I32, _F32, 32)  # an element is a pair


def _arithmetic(a: Any, b: Any, c: Any) -> _Arithmetic:
    if b.dtype == types.int32:
        return _DOT
    return _WIDENED if b.dtype == types.uint16 else _PLAIN[c.dtype.bitwidth]


def _tile_function(module: ir.Module, kind: _Arithmetic, rows: int, vectors: int) -> ir.Function:
    """The tile of this shape as a function of the module; built when the module has none yet."""
    name = f"fastrnn_tile_{kind.name}_{rows}x{vectors}"
    if name in module.globals:
        return module.globals[name]
    a, b, c = (t.as_pointer() for t in (kind.a, kind.b, kind.c))
    # a, a_row, a_k, b, c, c_row, k, accumulate
    signature = ir.FunctionType(ir.VoidType(), [a, _INDEX, _INDEX, b, c, _INDEX, _INDEX, _INDEX])
    function = ir.Function(module, signature, name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    _TileBuilder(function, kind, rows, vectors).build()
    return function


class _TileBuilder:
    def __init__(self, function: ir.Function, kind: _Arithmetic, rows: int, vectors: int) -> None:
        self.function, self.kind, self.rows, self.vectors = function, kind, rows, vectors
        self.lanes = TARGET.lanes(kind.bits)
        self.vector = ir.VectorType(kind.c, self.lanes)
        self.pairs = ir.VectorType(BFloat16(), 2 * self.lanes)
        if kind is _DOT:
            name, arguments = "llvm.x86.avx512bf16.dpbf16ps.512", [self.vector, self.pairs, self.pairs]
        else:
            # fused where the processor can: there llvm.fma would be a call of the C library for each number
            name, arguments = f"llvm.fmuladd.v{self.lanes}f{kind.bits}", [self.vector] * 3
        signature = ir.FunctionType(self.vector, arguments)
        self.instruction = cgutils.get_or_insert_function(function.module, signature, name)
        self.builder = ir.IRBuilder(function.append_basic_block("entry"))

    def build(self) -> None:
        a, a_row, a_k, b, c, c_row, k, accumulate = self.function.args
        builder, zero = self.builder, _INDEX(0)
        blocks = {n: self.function.append_basic_block(n) for n in ("load", "start", "loop", "done")}
        entry = builder.block
        builder.cbranch(builder.icmp_signed("!=", accumulate, zero), blocks["load"], blocks["start"])

        builder.position_at_end(blocks["load"])
        corners = [self.c_at(c, c_row, m, v) for m in range(self.rows) for v in range(self.vectors)]
        loaded = [self.load(corner, self.vector) for corner in corners]
        builder.branch(blocks["start"])

        builder.position_at_end(blocks["start"])
        zeros = ir.Constant(self.vector, [0.0] * self.lanes)
        first = [self.phi((zeros, entry), (value, blocks["load"])) for value in loaded]
        builder.cbranch(builder.icmp_signed(">", k, zero), blocks["loop"], blocks["done"])

        builder.position_at_end(blocks["loop"])
        at = builder.phi(_INDEX)
        at.add_incoming(zero, blocks["start"])
        sums = [self.phi((value, blocks["start"])) for value in first]
        added = self.multiply_add(sums, a, a_row, builder.mul(at, a_k), b, at)
        after = builder.add(at, _INDEX(1))
        at.add_incoming(after, blocks["loop"])
        for total, value in zip(sums, added, strict=True):
            total.add_incoming(value, blocks["loop"])
        builder.cbranch(builder.icmp_signed("<", after, k), blocks["loop"], blocks["done"])

        builder.position_at_end(blocks["done"])
        final = [self.phi((old, blocks["start"]), (new, blocks["loop"])) for old, new in zip(first, added, strict=True)]
        for i, value in enumerate(final):
            corner = self.c_at(c, c_row, *divmod(i, self.vectors))
            builder.store(value, builder.bitcast(corner, self.vector.as_pointer())).align = self.kind.bits // 8
        builder.ret_void()

    def multiply_add(self, sums: Sequence[Any], a: Any, a_row: Any, a_at: Any, b: Any, k: Any) -> list[Any]:
        """One k (of bfloat16 one pair): every sum plus its product."""
        panel = self.builder.mul(k, _INDEX(self.vectors * self.lanes))
        columns = [self.column(b, self.builder.add(panel, _INDEX(v * self.lanes))) for v in range(self.vectors)]
        added = []
        for m in range(self.rows):
            at = self.builder.add(a_at, self.builder.mul(a_row, _INDEX(m)))
            row = self.spread(self.builder.load(self.address(a, at)))
            for v, column in enumerate(columns):
                total = sums[m * self.vectors + v]
                arguments = [total, row, column] if self.kind is _DOT else [row, column, total]
                added.append(self.builder.call(self.instruction, arguments))
        return added

    def column(self, b: Any, at: Any) -> Any:
        """A vector of B as the instruction takes it."""
        loaded = self.load(self.address(b, at), ir.VectorType(self.kind.b, self.lanes))
        if self.kind is _DOT:
            return self.builder.bitcast(loaded, self.pairs)
        if self.kind is _WIDENED:
            wide = ir.VectorType(_I32, self.lanes)
            shifted = self.builder.shl(self.builder.zext(loaded, wide), ir.Constant(wide, [16] * self.lanes))
            return self.builder.bitcast(shifted, self.vector)
        return loaded

    def spread(self, value: Any) -> Any:
        """The element of A in every lane, as the instruction takes it."""
        vector = ir.VectorType(self.kind.a, self.lanes)
        undefined = ir.Constant(vector, ir.Undefined)
        single = self.builder.insert_element(undefined, value, _I32(0))
        zeros = ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes)
        everywhere = self.builder.shuffle_vector(single, undefined, zeros)
        return self.builder.bitcast(everywhere, self.pairs) if self.kind is _DOT else everywhere

    def phi(self, *incoming: tuple[Any, Any]) -> Any:
        phi = self.builder.phi(self.vector)
        for value, block in incoming:
            phi.add_incoming(value, block)
        return phi

    def c_at(self, c: Any, c_row: Any, m: int, v: int) -> Any:
        row = self.builder.mul(c_row, _INDEX(m))
        return self.address(c, self.builder.add(row, _INDEX(v * self.lanes)))

    def address(self, base: Any, offset: Any) -> Any:
        return self.builder.gep(base, [offset], inbounds=True)

    def load(self, address: Any, kind: Any) -> Any:
        loaded = self.builder.load(self.builder.bitcast(address, kind.as_pointer()))
        loaded.align = 2 if self.kind is _WIDENED else 4  # what the arrays promise, not what makes it fast
        return loaded


@intrinsic
def tile(
    typingctx: Any, rows: Any, vectors: Any, a: Any, a_at: Any, a_row: Any, a_k: Any, b: Any, b_at: Any,
    c: Any, c_at: Any, c_row: Any, k: Any, accumulate: Any,
) -> Any:  # fmt: skip
    """C tile = A rows x B panel, added to what C holds if ``accumulate``.

    ``rows`` 1..ROWS; ``vectors`` is TARGET.vectors or 1. Arrays a, b, c are seen flat, from element ``*_at``; A[m, k]
    lies at a_at + m*a_row + k*a_k, C[m, n] at c_at + m*c_row + n, B is packed (k, vectors*lanes).
    With pairs of bfloat16, k counts pairs.
    """
    kind = _arithmetic(a, b, c)
    signature = types.void(*([types.intp] * 2), a, *([types.intp] * 3), b, types.intp, c, *([types.intp] * 4))

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        rows, vectors, a, a_at, a_row, a_k, b, b_at, c, c_at, c_row, k, accumulate = args

        def pointer(array_type: Any, array: Any, at: Any, element: Any) -> Any:
            data = context.make_array(array_type)(context, builder, array).data
            return builder.gep(builder.bitcast(data, element.as_pointer()), [at], inbounds=True)

        passed = [
            pointer(sig.args[2], a, a_at, kind.a), a_row, a_k, pointer(sig.args[6], b, b_at, kind.b),
            pointer(sig.args[8], c, c_at, kind.c), c_row, k, accumulate,
        ]  # fmt: skip
        done = builder.append_basic_block("tile.done")
        shape = builder.add(builder.mul(rows, _INDEX(64)), vectors)
        choose = builder.switch(shape, done)
        for r in range(1, ROWS + 1):
            for v in {1, TARGET.vectors}:
                block = builder.append_basic_block(f"tile.{r}x{v}")
                choose.add_case(_INDEX(r * 64 + v), block)
                with builder.goto_block(block):
                    builder.call(_tile_function(builder.module, kind, r, v), passed)
                    builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen
