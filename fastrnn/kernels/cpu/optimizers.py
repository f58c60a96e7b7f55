"""Gradient norm and optimisers: one pass each over flat arrays, in ranges of whole blocks of BLOCK
elements.

p (N,) are the parameters, g the gradient, clipped by the factor ``scale``, m and v the moments.
``decay`` is the fraction of p that decoupled weight decay subtracts per unit of learning rate
(Loshchilov and Hutter 2019), 0 for biases. Every optimiser updates blocks block_lo..block_hi of p
and its moments in place.
"""

import math

import numpy as np

from .jit import kernel

BLOCK = 4096  # elements per partial sum; fixes the order of summation for any number of threads


@kernel
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


@kernel
def adamw(p, g, m, v, decay, scale, lr, beta1, beta2, correction1, correction2, block_lo, block_hi):
    """Adam (Kingma and Ba 2015) with decoupled weight decay; correction = 1 - beta**step, epsilon
    1e-8.
    """
    # scalars in the parameters' type: float64 would promote the whole loop
    one, epsilon = p.dtype.type(1), p.dtype.type(1e-8)
    step, root = p.dtype.type(lr / correction1), p.dtype.type(1 / math.sqrt(correction2))
    b1, b2, s, rate = p.dtype.type(beta1), p.dtype.type(beta2), p.dtype.type(scale), p.dtype.type(lr)
    for i in range(block_lo * BLOCK, min(block_hi * BLOCK, p.size)):
        gradient = g[i] * s
        first = b1 * m[i] + (one - b1) * gradient
        second = b2 * v[i] + (one - b2) * gradient * gradient
        m[i] = first
        v[i] = second
        p[i] -= rate * decay[i] * p[i] + step * first / (np.sqrt(second) * root + epsilon)


@kernel
def sgd(p, g, decay, scale, lr, block_lo, block_hi):
    """p -= lr * g."""
    s, rate = p.dtype.type(scale), p.dtype.type(lr)
    for i in range(block_lo * BLOCK, min(block_hi * BLOCK, p.size)):
        p[i] -= rate * (decay[i] * p[i] + s * g[i])


@kernel
def momentum(p, g, m, decay, scale, lr, mu, block_lo, block_hi):
    """m = mu*m + g; p -= lr * m (Polyak 1964, in the form of torch.optim.SGD)."""
    s, rate, keep = p.dtype.type(scale), p.dtype.type(lr), p.dtype.type(mu)
    for i in range(block_lo * BLOCK, min(block_hi * BLOCK, p.size)):
        velocity = keep * m[i] + s * g[i]
        m[i] = velocity
        p[i] -= rate * (decay[i] * p[i] + velocity)


@kernel
def rmsprop(p, g, v, decay, scale, lr, rho, block_lo, block_hi):
    """v = rho*v + (1-rho)*g^2; p -= lr * g / (sqrt(v) + 1e-8) (Tieleman and Hinton 2012)."""
    s, rate, keep = p.dtype.type(scale), p.dtype.type(lr), p.dtype.type(rho)
    one, epsilon = p.dtype.type(1), p.dtype.type(1e-8)
    for i in range(block_lo * BLOCK, min(block_hi * BLOCK, p.size)):
        gradient = s * g[i]
        second = keep * v[i] + (one - keep) * gradient * gradient
        v[i] = second
        p[i] -= rate * (decay[i] * p[i] + gradient / (np.sqrt(second) + epsilon))


@kernel
def adagrad(p, g, v, decay, scale, lr, block_lo, block_hi):
    """v += g^2; p -= lr * g / (sqrt(v) + 1e-10) (Duchi et al. 2011)."""
    s, rate, epsilon = p.dtype.type(scale), p.dtype.type(lr), p.dtype.type(1e-10)
    for i in range(block_lo * BLOCK, min(block_hi * BLOCK, p.size)):
        gradient = s * g[i]
        second = v[i] + gradient * gradient
        v[i] = second
        p[i] -= rate * (decay[i] * p[i] + gradient / (np.sqrt(second) + epsilon))
