"""LLVM types and short IR builders shared by the intrinsics of this package.

An intrinsic emits LLVM IR where Numba has no way to say it: AMX tiles, register tiles, atomics and
bfloat16. Most pass addresses as byte pointers and strides in bytes, because the elements of one
array are read as vectors of different types.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
F32, F64 = ir.FloatType(), ir.DoubleType()
BYTES = I8.as_pointer()
WORD = 4  # bytes of a float32, and of a pair of bfloat16


class BFloat16(ir.Type):  # type: ignore[misc]
    """LLVM's type bfloat, which llvmlite lacks."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BFloat16)

    def __hash__(self) -> int:
        return hash(BFloat16)


def call_intrinsic(builder: Any, name: str, arguments: Any, result: Any = None) -> Any:
    """Emit a call of LLVM's function ``llvm.<name>``; ``result``: its type, None for none."""
    signature = ir.FunctionType(result or ir.VoidType(), [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, signature, f"llvm.{name}")
    return builder.call(function, arguments)


def pointer(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    """Byte pointer to element ``at`` of an array."""
    data = builder.bitcast(context.make_array(array_type)(context, builder, array).data, BYTES)
    return builder.gep(data, [builder.mul(at, I64(array_type.dtype.bitwidth // 8))])


def load_vector(builder: Any, address: Any, vector: Any) -> Any:
    """Load a vector of 4-byte numbers from a byte pointer."""
    loaded = builder.load(builder.bitcast(address, vector.as_pointer()))
    # the alignment of an element: rows of a matrix begin anywhere
    loaded.align = WORD
    return loaded


def store_vector(builder: Any, vector: Any, address: Any) -> None:
    """Store a vector of 4-byte numbers, or of bfloat16 in pairs, to a byte pointer."""
    builder.store(vector, builder.bitcast(address, vector.type.as_pointer())).align = WORD


def repeat(vector: Any, number: Any) -> Any:
    """Constant vector of this type with the same number in every lane."""
    return ir.Constant(vector, [number] * vector.count)


def widen_bfloat16(builder: Any, half: Any) -> Any:
    """Vector of bfloat16 bits (i16) as float32."""
    wide = ir.VectorType(I32, half.type.count)
    # a bfloat16 is the upper half of a float32
    shifted = builder.shl(builder.zext(half, wide), repeat(wide, 16))
    return builder.bitcast(shifted, ir.VectorType(F32, half.type.count))


def broadcast(builder: Any, number: Any, count: int) -> Any:
    """Vector with this number in every lane."""
    vector = ir.VectorType(number.type, count)
    undefined = ir.Constant(vector, ir.Undefined)
    single = builder.insert_element(undefined, number, I32(0))
    return builder.shuffle_vector(single, undefined, repeat(ir.VectorType(I32, count), 0))


def widen_interleaved(builder: Any, words: Any) -> tuple[Any, Any]:
    """The two bfloat16 in each i32 of a vector, as vectors of float32: the lower halves, then the upper ones."""
    low = builder.shl(words, repeat(words.type, 16))
    high = builder.and_(words, repeat(words.type, -1 << 16))
    numbers = ir.VectorType(F32, words.type.count)
    return builder.bitcast(low, numbers), builder.bitcast(high, numbers)
