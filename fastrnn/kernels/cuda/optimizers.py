"""Gradient norm and optimisers on flat arrays; formulas: `fastrnn.kernels.cpu.optimizers`."""

import math
from functools import cache

import numpy as np

from .arguments import AdamWNumbers, ScaledNumbers
from .jit import SIMULATED, cuda, device, kernel, launch
from .memory import flat
from .reductions import add_up
from .target import REDUCING

BLOCK = 4096  # elements summed in one go, in a fixed order
_MOST_BLOCKS = 1 if SIMULATED else 1 << 16


@cache
def _sums(kind):
    number = np.dtype(kind).type

    @kernel
    def sums_of_squares(g, starts, length, sums):
        shared = cuda.shared.array(REDUCING, number)
        me = cuda.threadIdx.x
        # thread ``me`` adds numbers me, me + REDUCING, ...; then the block adds its threads' sums
        for n in range(cuda.blockIdx.x, sums.size, cuda.gridDim.x):
            first = (starts[n] if starts.size > 0 else n) * length
            total = number(0)
            for i in range(first + me, min(first + length, g.size), REDUCING):
                total += g[i] * g[i]
            shared[me] = total
            add_up(shared, me)
            if me == 0:
                sums[n] = shared[0]
            cuda.syncthreads()

    return sums_of_squares


def sums_of_squares(g, sums, block_lo, block_hi):
    """sums (blocks,) float64: the sum of squares of each block of g (N,). NaN and infinity
    propagate.
    """
    _sums(g.dtype.str)[min(sums.size, _MOST_BLOCKS), REDUCING](g, _all_blocks(), BLOCK, sums)


def sums_of_rows(g, rows, sums, lo, hi):
    """sums (M,) float64: the sum of squares of each row ``rows`` (M,) of g (N, R)."""
    _sums(g.dtype.str)[min(sums.size, _MOST_BLOCKS), REDUCING](flat(g), rows, g.shape[1], sums)


@cache
def _all_blocks():
    """The argument ``starts`` of the kernel of `sums_of_squares`: every block."""
    return cuda.device_array(0, np.int32)


@kernel
def _clear_rows(g, rows):
    width = g.shape[1]
    for i in range(cuda.grid(1), rows.size * width, cuda.gridsize(1)):
        g[rows[i // width], i % width] = 0


def clear_rows(g, rows, lo, hi):
    """Rows ``rows`` of g (N, R) = 0."""
    launch(_clear_rows, rows.size * g.shape[1], g, rows)


@device
def _update(i, p, g, m, v, decay, numbers):
    """AdamW's step of parameter i."""
    scale, rate, step, root, b1, b2, rest1, rest2, epsilon = numbers
    gradient = g[i] * scale
    first = b1 * m[i] + rest1 * gradient
    second = b2 * v[i] + rest2 * gradient * gradient
    m[i] = first
    v[i] = second
    p[i] -= rate * decay[i] * p[i] + step * first / (math.sqrt(second) * root + epsilon)


@kernel
def _adamw(p, g, m, v, decay, numbers):
    for i in range(cuda.grid(1), p.size, cuda.gridsize(1)):
        _update(i, p, g, m, v, decay, numbers)


def adamw(p, g, moments, decay, settings, block_lo, block_hi):
    """Adam (Kingma and Ba 2015) with decoupled weight decay; correction = 1 - beta**step, epsilon
    1e-8.
    """
    launch(_adamw, p.size, p, g, *moments, decay, _adamw_numbers(settings, p.dtype.type))


@kernel
def _adamw_rows(p, g, m, v, decay, rows, width, numbers):
    me = cuda.threadIdx.x
    # a block for each row; nothing changes where the whole gradient of the row is zero
    for n in range(cuda.blockIdx.x, rows.size, cuda.gridDim.x):
        first = rows[n] * width
        found = 0
        for i in range(first + me, first + width, REDUCING):
            if g[i] != 0:
                found = 1
        if cuda.syncthreads_or(found):
            for i in range(first + me, first + width, REDUCING):
                _update(i, p, g, m, v, decay, numbers)


def adamw_rows(p, g, moments, decay, rows, settings, lo, hi):
    """`adamw` of the rows ``rows`` of matrices (N, R), except those whose gradient is zero."""
    arrays = [flat(array) for array in (p, g, *moments, decay)]
    numbers = _adamw_numbers(settings, p.dtype.type)
    _adamw_rows[min(rows.size, _MOST_BLOCKS), REDUCING](*arrays, rows, p.shape[1], numbers)


def _adamw_numbers(settings, f):
    """The numbers of a step in the parameters' type ``f``."""
    # rounded to the parameters' type here, so that the device computes nothing in float64
    b1, b2 = f(settings.beta1), f(settings.beta2)
    return AdamWNumbers(
        scale=f(settings.scale),
        rate=f(settings.lr),
        step=f(settings.lr / settings.correction1),
        root=f(1 / math.sqrt(settings.correction2)),
        beta1=b1,
        beta2=b2,
        rest1=f(1) - b1,
        rest2=f(1) - b2,
        epsilon=f(1e-8),
    )


@kernel
def _sgd(p, g, decay, scale, rate):
    for i in range(cuda.grid(1), p.size, cuda.gridsize(1)):
        p[i] -= rate * (decay[i] * p[i] + scale * g[i])


def sgd(p, g, moments, decay, settings, block_lo, block_hi):
    """p -= lr * g."""
    f = p.dtype.type
    launch(_sgd, p.size, p, g, decay, f(settings.scale), f(settings.lr))


@kernel
def _momentum(p, g, m, decay, scale, rate, keep):
    for i in range(cuda.grid(1), p.size, cuda.gridsize(1)):
        velocity = keep * m[i] + scale * g[i]
        m[i] = velocity
        p[i] -= rate * (decay[i] * p[i] + velocity)


def momentum(p, g, moments, decay, settings, block_lo, block_hi):
    """m = decay_rate*m + g; p -= lr * m (Polyak 1964, in the form of torch.optim.SGD)."""
    (m,) = moments
    f = p.dtype.type
    launch(_momentum, p.size, p, g, m, decay, f(settings.scale), f(settings.lr), f(settings.decay_rate))


@kernel
def _divide_by_root(p, g, v, decay, numbers):
    """The step of RMSprop and Adagrad, which differ in their numbers only."""
    scale, rate, keep, rest, epsilon = numbers
    for i in range(cuda.grid(1), p.size, cuda.gridsize(1)):
        gradient = scale * g[i]
        second = keep * v[i] + rest * gradient * gradient
        v[i] = second
        p[i] -= rate * (decay[i] * p[i] + gradient / (math.sqrt(second) + epsilon))


def rmsprop(p, g, moments, decay, settings, block_lo, block_hi):
    """v = decay_rate*v + (1-decay_rate)*g^2; p -= lr * g / (sqrt(v) + 1e-8) (Tieleman and Hinton
    2012).
    """
    (v,) = moments
    f = p.dtype.type
    rho = f(settings.decay_rate)
    numbers = ScaledNumbers(f(settings.scale), f(settings.lr), rho, f(1) - rho, f(1e-8))
    launch(_divide_by_root, p.size, p, g, v, decay, numbers)


def adagrad(p, g, moments, decay, settings, block_lo, block_hi):
    """v += g^2; p -= lr * g / (sqrt(v) + 1e-10) (Duchi et al. 2011)."""
    (v,) = moments
    f = p.dtype.type
    numbers = ScaledNumbers(f(settings.scale), f(settings.lr), f(1), f(1), f(1e-10))
    launch(_divide_by_root, p.size, p, g, v, decay, numbers)
