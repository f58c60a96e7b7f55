"""Losses of numbers and of bits, and the probabilities that a model answers with, for a range of batch rows.

    squared error          loss = (z - y)^2 / 2                              dz = z - y
    binary cross-entropy   loss = -y log p - (1 - y) log(1 - p)              dz = p - y          p = sigmoid(z)

A target of NaN is not scored: loss 0, gradient 0.
"""

import math

from .activations import exp, sigmoid
from .compiling import kernel


@kernel
def squared_error(z, y, scale, losses, lo, hi):
    """z (T, B, K) becomes its gradient, times ``scale``; losses (T, B) are the sums over K for targets y (T, B, K)."""
    T, _, K = z.shape
    zero, half = z.dtype.type(0), z.dtype.type(0.5)
    for t in range(T):
        for b in range(lo, hi):
            total = zero
            for k in range(K):
                error = zero if y[t, b, k] != y[t, b, k] else z[t, b, k] - y[t, b, k]
                total += half * error * error
                z[t, b, k] = error * scale
            losses[t, b] = total


@kernel
def binary_cross_entropy(z, y, scale, losses, lo, hi):
    """z (T, B, K) becomes its gradient, times ``scale``; losses (T, B) in nats, sums over K for bits y (T, B, K)."""
    T, _, K = z.shape
    zero = z.dtype.type(0)
    for t in range(T):
        for b in range(lo, hi):
            total = zero
            for k in range(K):
                logit, target = z[t, b, k], y[t, b, k]
                z[t, b, k] = zero
                if target == target:
                    # log(1 + e^z) - y z; the larger of 0 and z is taken out, so that no exponent is positive
                    above = zero if logit < zero else logit
                    total += z.dtype.type(math.log1p(exp(-abs(logit)))) + above - target * logit
                    z[t, b, k] = (sigmoid(logit) - target) * scale
            losses[t, b] = total


@kernel
def log_softmax(z, lo, hi):
    """Logits z (T, B, K) become log-probabilities. The maximum is subtracted first: exp cannot overflow."""
    T, _, K = z.shape
    for t in range(T):
        for b in range(lo, hi):
            row = z[t, b]
            highest = row[0]
            for k in range(K):
                highest = row[k] if row[k] > highest else highest
            total = z.dtype.type(0)
            for k in range(K):
                total += exp(row[k] - highest)
            subtracted = highest + z.dtype.type(math.log(total))
            for k in range(K):
                row[k] -= subtracted


@kernel
def probabilities(z, lo, hi):
    """Logits z (T, B, K) become the probabilities of 1: sigmoid(z)."""
    for t in range(z.shape[0]):
        for b in range(lo, hi):
            for k in range(z.shape[2]):
                z[t, b, k] = sigmoid(z[t, b, k])
