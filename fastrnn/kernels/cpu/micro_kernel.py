"""The micro-kernel (register tile) of all matrix products without AMX.

It multiplies up to MR rows of A with one packed micro-panel of B and keeps every sum in a vector
register for the whole loop over k:

    C[m, n]  =  (C[m, n] or 0)  +  sum_k A[m, k] * B[k, n]        m < rows <= MR = 6,  n < NR

NR is ``vectors`` vector registers wide. A multiply-add takes about four cycles, and two can start in each: fewer than
eight sums do not keep a processor busy, so a row, or two of narrow vectors, is multiplied with several neighbouring
panels at once (`panels_at_once`). Each sum runs over k in order, whatever the number of rows,
so a row's bits do not depend on the rows beside it. The code is LLVM IR because no Python loop
makes Numba keep 24 sums in registers. The method is that of Goto and van de Geijn, "Anatomy of
High-Performance Matrix Multiplication" (2008), and BLIS.

The element types of A and B select the arithmetic; C has the type of the sums:

    float32, float32     float64, float64      one multiply-add per k, fused if the CPU has FMA
    float32, uint16      B is bfloat16, widened as it is loaded: half the memory traffic. A load brings two vectors,
                         interleaved; a shift and a mask make float32 of them
    int32, int32         A and B are pairs of bfloat16, two k side by side: the bfloat16 dot instruction

Each shape (1 to MR rows; one vector, a panel or several) is a function of its own: the number of sums must be known
when registers are assigned, and a tile of few rows would waste most of a full one. The inner loop of
float32 on AVX2, with 6 x 2 sums in ymm0 to ymm11, for one k (`tests/kernels/cpu/test_micro_kernel.py`
compares it with the compiled code):

    vmovups       b, ymm12              B[k, 0:8]
    vmovups       b + 32, ymm13         B[k, 8:16]
    vbroadcastss  a, ymm14              A[0, k], eight times
    vfmadd231ps   ymm12, ymm14, ymm0    C[0, 0:8]  += A[0, k] * B[k, 0:8]
    vfmadd231ps   ymm13, ymm14, ymm1    C[0, 8:16] += A[0, k] * B[k, 8:16]
    vbroadcastss  a + row, ymm14        A[1, k]; likewise for rows 1 to 5

On AVX-512 there are 6 x 4 sums in zmm registers: four loads, six broadcasts and 24 multiply-adds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .llvm_ir import F32, F64, I16, I32, I64, BFloat16, broadcast, repeat, widen_bfloat16, widen_interleaved
from .packed_formats import format_of
from .target import TARGET

MR = TARGET.rows  # rows of the register tile
_SUMS = 8  # multiply-adds under way at once: latency times instructions a cycle


def panels_at_once(rows: int, vectors: int) -> int:
    """Micro-panels of ``vectors`` vectors that ``rows`` rows are multiplied with at once.

    As many as have eight sums together, and at least one.
    """
    return max(1, _SUMS // max(1, rows * vectors))


@dataclass(frozen=True)
class _Arithmetic:
    """LLVM types of an element of A, B and C, and the bits of C."""

    name: str
    a: Any
    b: Any
    c: Any
    bits: int


# widened bfloat16 needs no instruction of its own: a shift or a mask makes float32 of it
_PLAIN = {32: _Arithmetic("f32", F32, F32, F32, 32), 64: _Arithmetic("f64", F64, F64, F64, 64)}
_WIDENED = _Arithmetic("f32_bf16", F32, I16, F32, 32)
_DOT = _Arithmetic("bf16_dot", I32, I32, F32, 32)  # an element of A and B is a pair
# the bfloat16 dot instruction for vectors of so many bytes: AVX-512 BF16, and Arm's FEAT_BF16
_DOT_INSTRUCTIONS = {64: "llvm.x86.avx512bf16.dpbf16ps.512", 16: "llvm.aarch64.neon.bfdot.v4f32.v8bf16"}


def _arithmetic(a: Any, b: Any, c: Any) -> _Arithmetic:
    """The arithmetic for the Numba array types of A, B and C."""
    packed = format_of(b)
    if packed.is_paired:
        return _DOT
    return _WIDENED if packed.is_interleaved else _PLAIN[c.dtype.bitwidth]


def _tile_function(module: ir.Module, kind: _Arithmetic, rows: int, vectors: int) -> ir.Function:
    """The micro-kernel of this shape as a function of the module, built on first use.

    Arguments: a, a_row, a_k, b, c, c_row, k, accumulate; strides in elements.
    """
    # one name for a shape: kernels that call `multiply` at several places share the code
    name = f"fastrnn_tile_{kind.name}_{rows}x{vectors}"
    if name in module.globals:
        return module.globals[name]
    a, b, c = (t.as_pointer() for t in (kind.a, kind.b, kind.c))
    signature = ir.FunctionType(ir.VoidType(), [a, I64, I64, b, c, I64, I64, I64])
    function = ir.Function(module, signature, name)
    function.linkage = "internal"
    # The unrolled code of a shape is emitted once in a module, not at every call site
    function.attributes.add("noinline")
    _TileBuilder(function, kind, rows, vectors).build()
    return function


class _TileBuilder:
    """Builds the micro-kernel of ``rows`` x ``vectors`` registers.

    Layout: A[m, k] is a[m*a_row + k*a_k]. A micro-panel of B is row-major, (k, NR), so one k is contiguous; the next
    panel follows it. C[m, n] is c[m*c_row + n].
    """

    def __init__(self, function: ir.Function, kind: _Arithmetic, rows: int, vectors: int) -> None:
        self.function = function
        self.kind = kind
        self.rows = rows
        self.vectors = vectors
        self.lanes = TARGET.lanes(kind.bits)
        self.vector = ir.VectorType(kind.c, self.lanes)
        self.pairs = ir.VectorType(BFloat16(), 2 * self.lanes)
        if kind is _DOT:
            # the sum comes first: dot(sum, a, b); fmuladd(a, b, sum)
            name, arguments = _DOT_INSTRUCTIONS[TARGET.bytes_], [self.vector, self.pairs, self.pairs]
        else:
            # fmuladd is fused if the CPU has FMA; llvm.fma would otherwise call the C library for
            # each number
            name, arguments = f"llvm.fmuladd.v{self.lanes}f{kind.bits}", [self.vector] * 3
        signature = ir.FunctionType(self.vector, arguments)
        self.instruction = cgutils.get_or_insert_function(function.module, signature, name)
        self.builder = ir.IRBuilder(function.append_basic_block("entry"))

    def build(self) -> None:
        """Blocks: [load C] -> start -> loop over k -> done (store C)."""
        a, a_row, a_k, b, c, c_row, k, accumulate = self.function.args
        builder, zero = self.builder, I64(0)
        blocks = {n: self.function.append_basic_block(n) for n in ("load", "start", "loop", "done")}
        entry = builder.block
        builder.cbranch(builder.icmp_signed("!=", accumulate, zero), blocks["load"], blocks["start"])

        builder.position_at_end(blocks["load"])
        corners = [self.c_at(c, c_row, m, v) for m in range(self.rows) for v in range(self.vectors)]
        # C is loaded before the loop and stored after it: none of its memory traffic depends on k
        loaded = [self.load(corner, self.vector) for corner in corners]
        builder.branch(blocks["start"])

        builder.position_at_end(blocks["start"])
        zeros = repeat(self.vector, 0.0)
        # sums of C so far, or zeros; k may be 0
        first = [self.phi((zeros, entry), (value, blocks["load"])) for value in loaded]
        builder.cbranch(builder.icmp_signed(">", k, zero), blocks["loop"], blocks["done"])

        builder.position_at_end(blocks["loop"])
        # sums are phi nodes, one for each register: LLVM would keep an array in memory
        at = builder.phi(I64)
        at.add_incoming(zero, blocks["start"])
        sums = [self.phi((value, blocks["start"])) for value in first]
        added = self.multiply_add(sums, a, a_row, builder.mul(at, a_k), b, at, k)
        after = builder.add(at, I64(1))
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

    def multiply_add(self, sums: Sequence[Any], a: Any, a_row: Any, a_at: Any, b: Any, k: Any, end: Any) -> list[Any]:
        """Add the products of one k < ``end`` (for bfloat16 one pair) to all sums: a rank-1 update of C."""
        # row k of each micro-panel: its vectors are contiguous, so a panel is read once, in order
        each = min(self.vectors, TARGET.vectors)
        columns = []
        for panel in range(self.vectors // each):
            before = self.builder.mul(end, I64(panel * each * self.lanes))
            row = self.builder.add(before, self.builder.mul(k, I64(each * self.lanes)))
            columns += self.row_of_panel(b, row, each)
        added = []
        # each loaded vector of B is used for all rows, each broadcast of A for all vectors
        for m in range(self.rows):
            at = self.builder.add(a_at, self.builder.mul(a_row, I64(m)))
            row = self.spread(self.builder.load(self.address(a, at)))
            for v, column in enumerate(columns):
                total = sums[m * self.vectors + v]
                arguments = [total, row, column] if self.kind is _DOT else [row, column, total]
                added.append(self.builder.call(self.instruction, arguments))
        return added

    def row_of_panel(self, b: Any, at: Any, vectors: int) -> list[Any]:
        """Load a row of a panel of B, as vectors of the operand type of the instruction."""
        loaded: list[Any] = []
        # a row of bfloat16 has two vectors interleaved: one load for both, and no shuffle
        is_interleaved = self.kind is _WIDENED and vectors > 1
        element = I32 if is_interleaved else self.kind.b
        for v in range(0, vectors, 2 if is_interleaved else 1):
            address = self.address(b, self.builder.add(at, I64(v * self.lanes)))
            vector = self.load(address, ir.VectorType(element, self.lanes))
            if is_interleaved:
                loaded += widen_interleaved(self.builder, vector)
            elif self.kind is _WIDENED:
                loaded.append(widen_bfloat16(self.builder, vector))
            else:
                loaded.append(self.builder.bitcast(vector, self.pairs) if self.kind is _DOT else vector)
        return loaded

    def spread(self, value: Any) -> Any:
        """Broadcast an element of A to all lanes."""
        everywhere = broadcast(self.builder, value, self.lanes)
        return self.builder.bitcast(everywhere, self.pairs) if self.kind is _DOT else everywhere

    def phi(self, *incoming: tuple[Any, Any]) -> Any:
        """A phi node of (value, block) pairs."""
        phi = self.builder.phi(self.vector)
        for value, block in incoming:
            phi.add_incoming(value, block)
        return phi

    def c_at(self, c: Any, c_row: Any, m: int, v: int) -> Any:
        """Address of vector v of row m of C."""
        row = self.builder.mul(c_row, I64(m))
        return self.address(c, self.builder.add(row, I64(v * self.lanes)))

    def address(self, base: Any, offset: Any) -> Any:
        return self.builder.gep(base, [offset], inbounds=True)

    def load(self, address: Any, kind: Any) -> Any:
        """Load with the alignment that arrays guarantee."""
        loaded = self.builder.load(self.builder.bitcast(address, kind.as_pointer()))
        # the alignment that callers guarantee; `memory` aligns arrays better, for speed
        loaded.align = 2 if self.kind is _WIDENED else 4
        return loaded


def _unpack(context: Any, builder: Any, kind: Any, bundle: Any, element: Any) -> tuple[Any, Any]:
    """Pointer to the first element of a `Block` or `MicroPanel`, and its last field."""
    array, start, last = cgutils.unpack_tuple(builder, bundle)
    data = context.make_array(kind.types[0])(context, builder, array).data
    return builder.gep(builder.bitcast(data, element.as_pointer()), [start], inbounds=True), last


@intrinsic
def micro_kernel(typingctx: Any, rows: Any, a: Any, a_k: Any, panel: Any, c: Any, k: Any, accumulate: Any) -> Any:
    """C (rows, NR) = A (rows, k) @ B micro-panel, or several panels, added to C if ``accumulate``.

    Args:
        rows: 1 to MR.
        a: `Block`; A[m, k] is ``a.data[a.start + m * a.row_stride + k * a_k]``.
        a_k: Stride of k in A: 1, or that of rows if A is stored transposed.
        panel: `MicroPanel`, 1 vector wide, TARGET.vectors or `panels_at_once` times that.
        c: `Block`, as many columns.
        k: Elements to sum over; for pairs of bfloat16, pairs.
        accumulate: 1 to add to C, 0 to overwrite it.
    """
    index = types.intp
    kind = _arithmetic(*(block.types[0] for block in (a, panel, c)))
    signature = types.void(index, a, index, panel, c, index, index)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        rows, a, a_k, panel, c, k, accumulate = args
        unpack = partial(_unpack, context, builder)
        a_start, a_row = unpack(sig.args[1], a, kind.a)
        panel_start, vectors = unpack(sig.args[3], panel, kind.b)
        c_start, c_row = unpack(sig.args[4], c, kind.c)
        passed = [a_start, a_row, a_k, panel_start, c_start, c_row, k, accumulate]
        # dispatch on the shape: a switch over 64 * rows + vectors
        done = builder.append_basic_block("tile.done")
        shape = builder.add(builder.mul(rows, I64(64)), vectors)
        choose = builder.switch(shape, done)
        for r in range(1, MR + 1):
            for v in {1, TARGET.vectors, TARGET.vectors * panels_at_once(r, TARGET.vectors)}:
                block = builder.append_basic_block(f"tile.{r}x{v}")
                choose.add_case(I64(r * 64 + v), block)
                with builder.goto_block(block):
                    builder.call(_tile_function(builder.module, kind, r, v), passed)
                    builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen
