"""Gradient norm and optimisers: one pass each over flat arrays, in ranges of whole blocks of BLOCK
elements.

p (N,) are the parameters, g the gradient, clipped by the factor ``scale``; ``moments`` is the tuple
of the optimiser's arrays m (mean of gradients) and v (of their squares). ``decay`` (N,) is the
fraction of p that decoupled weight decay subtracts per unit of learning rate (Loshchilov and Hutter
2019), 0 for biases. ``settings`` is the optimiser's bundle of numbers (`fastrnn.kernels.arguments`).
Every optimiser updates blocks block_lo..block_hi of p and its moments in place.
"""

import math

import numpy as np

from .jit import device_function
from .team import shared_kernel

BLOCK = 4096  # elements per partial sum; fixes the order of summation for any number of threads


@shared_kernel
def sums_of_squares(g, sums, block_lo, block_hi):
    """Blocks block_lo..block_hi of sums (blocks,) float64: the sum of squares of each block of g
    (N,).

    NaN and infinity propagate to the sums.
    """
    for n in range(block_lo, block_hi):
        part = g[n * BLOCK : min((n + 1) * BLOCK, g.size)]
        total = g.dtype.type(0)
        for i in range(part.size):
            total += part[i] * part[i]
        sums[n] = total


@shared_kernel
def adamw(p, g, moments, decay, settings, block_lo, block_hi):
    """Adam (Kingma and Ba 2015) with decoupled weight decay; `AdamWSettings`, epsilon 1e-8."""
    m, v = moments
    for n in range(block_lo, block_hi):
        first, last = n * BLOCK, min((n + 1) * BLOCK, p.size)
        _adamw(p[first:last], g[first:last], (m[first:last], v[first:last]), decay[first:last], settings)


@shared_kernel
def adamw_rows(p, g, moments, decay, rows, settings, lo, hi):
    """`adamw` of the rows ``rows[lo:hi]`` of matrices (N, R), except those whose gradient is zero: they and their
    moments are left as they are.
    """
    m, v = moments
    for k in range(lo, hi):
        n = rows[k]
        for i in range(g.shape[1]):
            if g[n, i] != 0:
                _adamw(p[n], g[n], (m[n], v[n]), decay[n], settings)
                break


@shared_kernel
def sums_of_rows(g, rows, sums, lo, hi):
    """sums[lo:hi] float64: the sum of squares of each row ``rows[lo:hi]`` of g (N, R)."""
    for k in range(lo, hi):
        total = g.dtype.type(0)
        for i in range(g.shape[1]):
            total += g[rows[k], i] * g[rows[k], i]
        sums[k] = total


@shared_kernel
def clear_rows(g, rows, lo, hi):
    """Rows ``rows[lo:hi]`` of g (N, R) = 0."""
    for k in range(lo, hi):
        for i in range(g.shape[1]):
            g[rows[k], i] = 0


@device_function
def _adamw(p, g, moments, decay, settings):
    """An update of contiguous arrays (n,)."""
    m, v = moments
    # scalars in the parameters' type: float64 would promote the whole loop
    number = p.dtype.type
    one = number(1)
    epsilon = number(1e-8)
    step = number(settings.lr / settings.correction1)
    root = number(1 / math.sqrt(settings.correction2))
    b1 = number(settings.beta1)
    b2 = number(settings.beta2)
    s = number(settings.scale)
    rate = number(settings.lr)
    # Two loops: one over all five arrays needs more tests for overlap than LLVM makes to vectorise it
    for i in range(g.size):
        gradient = g[i] * s
        m[i] = b1 * m[i] + (one - b1) * gradient
        v[i] = b2 * v[i] + (one - b2) * gradient * gradient
    for i in range(p.size):
        p[i] -= rate * decay[i] * p[i] + step * m[i] / (np.sqrt(v[i]) * root + epsilon)


@shared_kernel
def sgd(p, g, moments, decay, settings, block_lo, block_hi):
    """p -= lr * g; `PlainSettings`, no moments."""
    s = p.dtype.type(settings.scale)
    rate = p.dtype.type(settings.lr)
    for i in range(block_lo * BLOCK, min(block_hi * BLOCK, p.size)):
        p[i] -= rate * (decay[i] * p[i] + s * g[i])


@shared_kernel
def momentum(p, g, moments, decay, settings, block_lo, block_hi):
    """m = decay_rate*m + g; p -= lr * m (Polyak 1964, in the form of torch.optim.SGD);
    `DecayingSettings`.
    """
    m = moments[0]
    s = p.dtype.type(settings.scale)
    rate = p.dtype.type(settings.lr)
    keep = p.dtype.type(settings.decay_rate)
    for i in range(block_lo * BLOCK, min(block_hi * BLOCK, p.size)):
        velocity = keep * m[i] + s * g[i]
        m[i] = velocity
        p[i] -= rate * (decay[i] * p[i] + velocity)


@shared_kernel
def rmsprop(p, g, moments, decay, settings, block_lo, block_hi):
    """v = decay_rate*v + (1-decay_rate)*g^2; p -= lr * g / (sqrt(v) + 1e-8) (Tieleman and Hinton
    2012); `DecayingSettings`.
    """
    v = moments[0]
    s = p.dtype.type(settings.scale)
    rate = p.dtype.type(settings.lr)
    keep = p.dtype.type(settings.decay_rate)
    one = p.dtype.type(1)
    epsilon = p.dtype.type(1e-8)
    for i in range(block_lo * BLOCK, min(block_hi * BLOCK, p.size)):
        gradient = s * g[i]
        second = keep * v[i] + (one - keep) * gradient * gradient
        v[i] = second
        p[i] -= rate * (decay[i] * p[i] + gradient / (np.sqrt(second) + epsilon))


@shared_kernel
def adagrad(p, g, moments, decay, settings, block_lo, block_hi):
    """v += g^2; p -= lr * g / (sqrt(v) + 1e-10) (Duchi et al. 2011); `PlainSettings`."""
    v = moments[0]
    s = p.dtype.type(settings.scale)
    rate = p.dtype.type(settings.lr)
    epsilon = p.dtype.type(1e-10)
    for i in range(block_lo * BLOCK, min(block_hi * BLOCK, p.size)):
        gradient = s * g[i]
        second = v[i] + gradient * gradient
        v[i] = second
        p[i] -= rate * (decay[i] * p[i] + gradient / (np.sqrt(second) + epsilon))
