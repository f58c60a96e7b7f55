"""The register tile: the one place where multiply-adds are done.

A tile multiplies a few rows of A with one packed panel of B and keeps every sum in a vector register for the whole
loop over k:

    C[m, n]  =  (C[m, n] or 0)  +  sum_k A[m, k] * B[k, n]        m < rows <= 6,  n < columns of the panel

Each sum runs over k in order, one fused multiply-add each, whatever the number of rows: so a row's result does not
depend on the rows beside it. Written as LLVM code because no loop in Python makes Numba keep 24 sums in registers;
the way is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008).
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .target import TARGET

ROWS = TARGET.rows
_INDEX = ir.IntType(64)
_FLOATS = {32: ir.FloatType(), 64: ir.DoubleType()}


def _tile_function(module: ir.Module, bits: int, rows: int, vectors: int) -> ir.Function:
    """The tile of this shape as a function of the module; built when the module has none yet."""
    name = f"fastrnn_tile_f{bits}_{rows}x{vectors}"
    if name in module.globals:
        return module.globals[name]
    pointer = _FLOATS[bits].as_pointer()
    # a, a_row, a_k, b, c, c_row, k, accumulate
    kind = ir.FunctionType(ir.VoidType(), [pointer, _INDEX, _INDEX, pointer, pointer, _INDEX, _INDEX, _INDEX])
    function = ir.Function(module, kind, name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    _TileBuilder(function, bits, rows, vectors).build()
    return function


class _TileBuilder:
    def __init__(self, function: ir.Function, bits: int, rows: int, vectors: int) -> None:
        self.function, self.rows, self.vectors = function, rows, vectors
        self.bytes = bits // 8
        self.scalar = _FLOATS[bits]
        self.lanes = TARGET.lanes(bits)
        self.vector = ir.VectorType(self.scalar, self.lanes)
        fma = ir.FunctionType(self.vector, [self.vector] * 3)
        self.fma = cgutils.get_or_insert_function(function.module, fma, f"llvm.fma.v{self.lanes}f{bits}")
        self.builder = ir.IRBuilder(function.append_basic_block("entry"))

    def build(self) -> None:
        a, a_row, a_k, b, c, c_row, k, accumulate = self.function.args
        builder, zero = self.builder, _INDEX(0)
        blocks = {n: self.function.append_basic_block(n) for n in ("load", "start", "loop", "done")}
        entry = builder.block
        builder.cbranch(builder.icmp_signed("!=", accumulate, zero), blocks["load"], blocks["start"])

        builder.position_at_end(blocks["load"])
        loaded = [self.load(self.c_at(c, c_row, m, v)) for m in range(self.rows) for v in range(self.vectors)]
        builder.branch(blocks["start"])

        builder.position_at_end(blocks["start"])
        first = [self.phi((self.zeros(), entry), (value, blocks["load"])) for value in loaded]
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
            store = builder.store(value, self.vector_at(self.c_at(c, c_row, *divmod(i, self.vectors))))
            store.align = self.bytes
        builder.ret_void()

    def multiply_add(self, sums: Sequence[Any], a: Any, a_row: Any, a_at: Any, b: Any, k: Any) -> list[Any]:
        """One k: every sum plus its product."""
        panel = self.builder.mul(k, _INDEX(self.vectors * self.lanes))
        columns = [
            self.load(self.address(b, self.builder.add(panel, _INDEX(v * self.lanes)))) for v in range(self.vectors)
        ]
        added = []
        for m in range(self.rows):
            at = self.builder.add(a_at, self.builder.mul(a_row, _INDEX(m)))
            spread = self.spread(self.builder.load(self.address(a, at)))
            added += [
                self.builder.call(self.fma, [spread, column, sums[m * self.vectors + v]])
                for v, column in enumerate(columns)
            ]
        return added

    def spread(self, value: Any) -> Any:
        """The scalar in every lane."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        single = self.builder.insert_element(undefined, value, ir.IntType(32)(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(single, undefined, zeros)

    def zeros(self) -> ir.Constant:
        return ir.Constant(self.vector, [0.0] * self.lanes)

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

    def vector_at(self, address: Any) -> Any:
        return self.builder.bitcast(address, self.vector.as_pointer())

    def load(self, address: Any) -> Any:
        loaded = self.builder.load(self.vector_at(address))
        loaded.align = self.bytes
        return loaded


@intrinsic
def tile(
    typingctx: Any, rows: Any, vectors: Any, a: Any, a_at: Any, a_row: Any, a_k: Any, b: Any, b_at: Any,
    c: Any, c_at: Any, c_row: Any, k: Any, accumulate: Any,
) -> Any:  # fmt: skip
    """C tile = A rows x B panel, added to what C holds if ``accumulate``.

    ``rows`` 1..ROWS; ``vectors`` is TARGET.vectors or 1. Arrays a, b, c of one float type are seen flat, from element
    ``*_at``; A[m, k] lies at a_at + m*a_row + k*a_k, C[m, n] at c_at + m*c_row + n, B is packed (k, vectors*lanes).
    """
    bits = c.dtype.bitwidth
    signature = types.void(*([types.intp] * 2), a, *([types.intp] * 3), b, types.intp, c, *([types.intp] * 4))

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        rows, vectors, a, a_at, a_row, a_k, b, b_at, c, c_at, c_row, k, accumulate = args

        def pointer(array_type: Any, array: Any, at: Any) -> Any:
            data = context.make_array(array_type)(context, builder, array).data
            return builder.gep(data, [at], inbounds=True)

        passed = [
            pointer(sig.args[2], a, a_at), a_row, a_k, pointer(sig.args[6], b, b_at),
            pointer(sig.args[8], c, c_at), c_row, k, accumulate,
        ]  # fmt: skip
        done = builder.append_basic_block("tile.done")
        shape = builder.add(builder.mul(rows, _INDEX(64)), vectors)
        choose = builder.switch(shape, done)
        for r in range(1, ROWS + 1):
            for v in {1, TARGET.vectors}:
                block = builder.append_basic_block(f"tile.{r}x{v}")
                choose.add_case(_INDEX(r * 64 + v), block)
                with builder.goto_block(block):
                    builder.call(_tile_function(builder.module, bits, r, v), passed)
                    builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen
