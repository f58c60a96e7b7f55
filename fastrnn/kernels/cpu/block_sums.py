"""Sums over the units of a layer in a fixed order: within blocks of `UNIT_BLOCK` units, then over
the blocks.

Threads may divide the units at the ends of blocks: each sums its own blocks, all threads exchange
the blocks' sums, and each adds them in order. So the bits do not depend on the division.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..cell_math import UNIT_BLOCK
from .jit import device_function
from .llvm_ir import F32, F64, I32, I64, call_intrinsic, pointer, repeat

_LANES = 16  # sums side by side within a block, on every processor


@device_function
def dot_blocks(sums, at, stride, x, y, start, count):
    """sums[at + k * stride] = sum of x[j] * y[j] over block k of ``count`` units, which begin at index
    ``start``.
    """
    for first in range(0, count, UNIT_BLOCK):
        total = _dot(x, y, start + first, min(UNIT_BLOCK, count - first))
        sums[at + first // UNIT_BLOCK * stride] = total


@device_function
def add_blocks(sums, at, stride, blocks):
    """Sum of ``blocks`` numbers from sums[at] on, ``stride`` apart, in order."""
    total = sums[at]
    for k in range(1, blocks):
        total = _add(total, sums[at + k * stride])
    return total


@intrinsic
def _add(typingctx: Any, a: Any, b: Any) -> Any:
    """a + b, never reordered: kernels are compiled with flags that allow it."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.fadd(*args, flags=("nsz",))

    return a(a, a), codegen


@intrinsic
def fence(typingctx: Any, x: Any) -> Any:
    """x, which nothing that is computed from it is simplified with, such as y * (1 / x) to y / x.

    LLVM may do that in one copy of a function and not in another, which then rounds differently.
    """

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = F32 if x == types.float32 else F64
        return call_intrinsic(builder, f"arithmetic.fence.{kind.intrinsic_name}", args, kind)

    return x(x), codegen


@intrinsic
def _dot(typingctx: Any, x: Any, y: Any, start: Any, count: Any) -> Any:
    """Sum of x[start + j] * y[start + j] for j < count; the order depends on ``count`` alone."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        function = _dot_function(builder.module, F32 if x.dtype == types.float32 else F64)
        places = [
            builder.bitcast(pointer(context, builder, kind, array, args[2]), function.args[0].type)
            for kind, array in zip(sig.args[:2], args[:2], strict=True)
        ]
        return builder.call(function, [*places, args[3]])

    return x.dtype(x, y, types.intp, types.intp), codegen


def _dot_function(module: ir.Module, number: Any) -> ir.Function:
    """The function (x, y, count) -> sum of a module, built on first use.

    Its instructions have no fast-math flags, so LLVM keeps the order of the additions.
    """
    name = f"fastrnn_dot_{number.intrinsic_name}"
    if name in module.globals:
        return module.globals[name]
    vector = ir.VectorType(number, _LANES)
    size = 4 if number is F32 else 8
    function = ir.Function(module, ir.FunctionType(number, [number.as_pointer()] * 2 + [I64]), name)
    function.linkage = "internal"
    x, y, count = function.args
    blocks = {n: function.append_basic_block(n) for n in ("entry", "head", "body", "fold", "rest", "tail", "done")}
    builder = ir.IRBuilder(blocks["entry"])

    def multiply_add(kind: Any, *operands: Any) -> Any:
        suffix = number.intrinsic_name if kind is number else f"v{_LANES}{number.intrinsic_name}"
        signature = ir.FunctionType(kind, [kind] * 3)
        return builder.call(
            cgutils.get_or_insert_function(module, signature, f"llvm.fmuladd.{suffix}"), operands
        )  # fmt: skip

    def load_at(array: Any, j: Any) -> Any:
        loaded = builder.load(builder.bitcast(builder.gep(array, [j]), vector.as_pointer()))
        loaded.align = size
        return loaded

    def loop(head: str, body: str, end: str, step: int, first: Any, total: Any, stop: Any, add: Any) -> Any:
        """Emit total = add(j, total) for j from ``first`` to ``stop`` in steps; return j and total."""
        before = builder.block
        builder.branch(blocks[head])
        builder.position_at_end(blocks[head])
        j, value = builder.phi(I64), builder.phi(total.type)
        j.add_incoming(first, before)
        value.add_incoming(total, before)
        following = builder.add(j, I64(step))
        builder.cbranch(builder.icmp_signed("<=", following, stop), blocks[body], blocks[end])
        builder.position_at_end(blocks[body])
        value.add_incoming(add(j, value), blocks[body])
        j.add_incoming(following, blocks[body])
        builder.branch(blocks[head])
        builder.position_at_end(blocks[end])
        return j, value

    # one sum in each lane
    j, lanes = loop(
        "head", "body", "fold", _LANES, I64(0), repeat(vector, 0.0), count,
        lambda j, value: multiply_add(vector, load_at(x, j), load_at(y, j), value),
    )  # fmt: skip
    # units beyond the last whole vector, one by one
    _, total = loop(
        "rest", "tail", "done", 1, j, _add_lanes(builder, lanes), count,
        lambda j, value: multiply_add(number, *(builder.load(builder.gep(a, [j])) for a in (x, y)), value),
    )  # fmt: skip
    builder.ret(total)
    return function


def _add_lanes(builder: ir.IRBuilder, lanes: Any) -> Any:
    """Add the upper half of a vector's lanes to the lower half, until one is left; return it."""
    width = _LANES
    while width > 1:
        width //= 2
        halves = [
            builder.shuffle_vector(
                lanes, ir.Constant(lanes.type, ir.Undefined),
                ir.Constant(ir.VectorType(I32, width), list(range(n * width, (n + 1) * width))),
            )
            for n in range(2)
        ]  # fmt: skip
        lanes = builder.fadd(*halves)
    return builder.extract_element(lanes, I32(0))
