"""Bundles of kernel arguments that only CUDA's kernels have; those of every device are in
`fastrnn.kernels.arguments`.

numba-cuda passes the fields of a NamedTuple to a kernel as separate parameters, so a bundle costs
nothing on the device.
"""

from typing import Any, NamedTuple

Array = Any  # an array on the device
Number = Any  # a NumPy scalar of the parameters' type: a Python float would promote the arithmetic to float64


class Matrix(NamedTuple):
    """A matrix inside an array: number i of row m is ``array[start + m * row_stride + i]`` of the flat
    array.
    """

    array: Array
    """Any shape for `multiply`, flat for a kernel."""
    start: int
    """Index of the first number."""
    row_stride: int
    """Numbers from a row to the next."""


class ProductShape(NamedTuple):
    """C (m, n) = or += A (m, k) B (k, n)."""

    m: int
    """Rows of A and C."""
    n: int
    """Columns of B and C."""
    k: int
    """Terms of each sum."""
    accumulate: bool
    """Whether to add to C."""
    transposed: bool
    """Whether A is stored as (k, m)."""


class AdamWNumbers(NamedTuple):
    """`fastrnn.kernels.arguments.AdamWSettings` as the kernel needs them."""

    scale: Number
    """Factor of the gradient, which clips it."""
    rate: Number
    """Learning rate, of the weight decay."""
    step: Number
    """Learning rate / correction1, of the mean of gradients."""
    root: Number
    """1 / sqrt(correction2), factor of the root of the mean of squares."""
    beta1: Number
    """Decay rate of the mean of gradients."""
    beta2: Number
    """Decay rate of the mean of squared gradients."""
    rest1: Number
    """1 - beta1, rounded on the host: the same number for every element."""
    rest2: Number
    """1 - beta2."""
    epsilon: Number
    """Added to the root."""


class ScaledNumbers(NamedTuple):
    """An update that divides by the root of an average or sum of squares: RMSprop and Adagrad."""

    scale: Number
    """Factor of the gradient, which clips it."""
    rate: Number
    """Learning rate."""
    keep: Number
    """Factor of the average so far; 1 for a sum."""
    rest: Number
    """Factor of the new square."""
    epsilon: Number
    """Added to the root."""
