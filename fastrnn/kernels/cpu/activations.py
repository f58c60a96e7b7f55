"""Sigmoid, tanh and exp for use inside kernels: vectorised polynomials in float32, the C library in
float64.

A call to libm is scalar (11 ns for a tanh). The float32 versions are straight-line code that LLVM
vectorises.
"""

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from .jit import device_function, specialize
from .llvm_ir import F32, I32, call_intrinsic
from .target import TARGET
from .team import shared_kernel

_F = np.float32


# LLVM code, because Python's min, max, round and ldexp compile to branches or calls, which keep a
# loop over units from being vectorised.
@intrinsic
def _at_most(typingctx: Any, x: Any, bound: Any) -> Any:
    """min(x, bound), and NaN for NaN."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        # one instruction (vminps); Python's min compiles to a branch, which prevents vectorisation
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[1], args[0])

    return types.float32(types.float32, types.float32), codegen


@intrinsic
def _at_least(typingctx: Any, x: Any, bound: Any) -> Any:
    """max(x, bound), and NaN for NaN."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[1], args[0])

    return types.float32(types.float32, types.float32), codegen


@intrinsic
def _rint(typingctx: Any, x: Any) -> Any:
    """x rounded to the nearest integer, ties to even, for |x| < 2**22."""

    def instruction(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        return call_intrinsic(builder, "rint.f32", args, F32)

    def by_addition(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        """x + 1.5 * 2**23 has no fraction bits left: the addition itself rounds."""
        shift = F32(12582912.0)
        # An explicit flag replaces Numba's fast-math flags, under which LLVM would cancel the two
        # additions
        strict = ("nsz",)
        return builder.fsub(builder.fadd(args[0], shift, flags=strict), shift, flags=strict)

    return types.float32(types.float32), instruction if TARGET.rint else by_addition


@intrinsic
def _power_of_two(typingctx: Any, n: Any) -> Any:
    """2**n for a float32 that holds an integer in -126..127, assembled from its bits."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        # Adding 1.5 * 2**23 moves the integer into the low mantissa bits. fptosi would be undefined
        # for NaN.
        biased = builder.bitcast(builder.fadd(args[0], F32(12582912.0 + 127)), I32)
        return builder.bitcast(builder.shl(biased, I32(23)), F32)

    return types.float32(types.float32), codegen


@device_function
def _tanh32(x):
    """tanh(x) = x * P(x^2) / Q(x^2), degrees 13 and 6: the rational approximation of Eigen's
    ptanh_float; error 2e-7.

    Beyond +-7.9053 tanh rounds to +-1 in float32.
    """
    clipped = _at_most(_at_least(x, _F(-7.90531110763549805)), _F(7.90531110763549805))
    # odd function: x times a fraction of two polynomials in x^2
    s = clipped * clipped
    # Horner evaluation of the numerator and the denominator in s = x^2
    p = _F(-2.76076847742355e-16)
    p = p * s + _F(2.00018790482477e-13)
    p = p * s + _F(-8.60467152213735e-11)
    p = p * s + _F(5.12229709037114e-08)
    p = p * s + _F(1.48572235717979e-05)
    p = p * s + _F(6.37261928875436e-04)
    p = p * s + _F(4.89352455891786e-03)
    q = _F(1.19825839466702e-06)
    q = q * s + _F(1.18534705686654e-04)
    q = q * s + _F(2.26843463243900e-03)
    q = q * s + _F(4.89352518554385e-03)
    return clipped * p / q


@device_function
def _exp32(x):
    """e**x = 2**n * e**r, x = n ln 2 + r, |r| <= ln 2 / 2; e**r by Cephes' polynomial (expf.c);
    error 1e-7.
    """
    # 2**n must stay a normal number, -126 <= n <= 127: its bits are assembled without a test
    clipped = _at_most(_at_least(x, _F(-87)), _F(88))
    n = _rint(clipped * _F(1.44269504088896341))
    # ln 2 in two parts (Cody-Waite), so that n * ln 2 is subtracted with more than 24 bits
    r = clipped - n * _F(0.693359375) + n * _F(2.12194440e-4)
    # Horner evaluation of the polynomial in r
    p = _F(1.9875691500e-4)
    p = p * r + _F(1.3981999507e-3)
    p = p * r + _F(8.3334519073e-3)
    p = p * r + _F(4.1665795894e-2)
    p = p * r + _F(1.6666665459e-1)
    p = p * r + _F(5.0000001201e-1)
    return (p * r * r + r + _F(1)) * _power_of_two(n)


def tanh(x):
    """Hyperbolic tangent of a float32 or float64."""
    return np.tanh(x)


@specialize(tanh)
def _tanh(x):
    # float64 is for gradient checks, where accuracy matters and speed does not
    return (lambda x: _tanh32(x)) if x == types.float32 else (lambda x: math.tanh(x))


def sigmoid(x):
    """1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2 of a float32 or float64."""
    return 1 / (1 + np.exp(-x))


@specialize(sigmoid)
def _sigmoid(x):
    if x == types.float32:
        # of the tanh form, which cannot overflow and shares its polynomial
        return lambda x: _F(0.5) * _tanh32(_F(0.5) * x) + _F(0.5)
    return lambda x: 1 / (1 + math.exp(-x))


def exp(x):
    """e**x of a float32 (x clipped to -87..88) or float64."""
    return np.exp(x)


@specialize(exp)
def _exp(x):
    return (lambda x: _exp32(x)) if x == types.float32 else (lambda x: math.exp(x))


@shared_kernel
def tanh_forward(h, row_lo, row_hi):
    """Apply tanh to rows row_lo..row_hi of h (T, B, H) in place, for a layer without recurrence."""
    for t in range(h.shape[0]):
        for b in range(row_lo, row_hi):
            row = h[t, b]
            for j in range(row.size):
                row[j] = tanh(row[j])


@shared_kernel
def tanh_backward(dz, h, dy, row_lo, row_hi):
    """Rows row_lo..row_hi of dz (T, B, H) from h, which is saved for backward, and its gradient dy,
    both (T, B, H):  dz = (1 - h^2) dy.
    """
    one = h.dtype.type(1)
    for t in range(h.shape[0]):
        for b in range(row_lo, row_hi):
            to, row, from_above = dz[t, b], h[t, b], dy[t, b]
            for j in range(row.size):
                to[j] = from_above[j] * (one - row[j] * row[j])
