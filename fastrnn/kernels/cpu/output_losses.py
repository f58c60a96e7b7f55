"""The output layer with softmax cross-entropy, forward and backward in one go, for a range of batch rows.

    z = W_out y + b_out      p = softmax(z)      loss = -log p[target]      dz = (p - onehot(target)) * scale

The maximum is subtracted before exp. A target of -1 is not scored: loss 0, gradient 0.

Losses of numbers and of bits, and the probabilities that a model answers with, for a range of batch rows.

    squared error          loss = (z - y)^2 / 2                              dz = z - y
    binary cross-entropy   loss = -y log p - (1 - y) log(1 - p)              dz = p - y          p = sigmoid(z)

A target of NaN is not scored: loss 0, gradient 0.
"""

import math

from .activations import exp, sigmoid
from .jit import device_function, kernel
from .matmul import copy, multiply, product_memory
from .recurrence import STEPS, flat


@device_function
def softmax_cross_entropy(z, target, scale):
    """Overwrite the logits z (V,) with their gradient, times ``scale``; return the loss in nats."""
    zero = z.dtype.type(0)
    if target < 0:
        for v in range(z.size):
            z[v] = zero
        return zero
    highest = z[0]
    for v in range(z.size):
        highest = z[v] if z[v] > highest else highest
    at_target = z[target]
    total = zero
    for v in range(z.size):
        e = exp(z[v] - highest)
        z[v] = e
        total += e
    # a NaN among the logits reaches the loss through this sum; an infinite one through highest - at_target
    loss = z.dtype.type(math.log(total)) + (highest - at_target)
    factor = scale / total
    for v in range(z.size):
        z[v] *= factor
    z[target] -= scale
    return loss


@kernel
def output_forward(y, w, bias, logits, lo, hi):
    """logits (T, B, V) of rows lo..hi from y (T, B, H), packed w (H, V) and bias (V,)."""
    output(y, w, bias, logits, lo, hi, product_memory(y, w, y.shape[2], y.shape[0] * (hi - lo)))


@device_function
def output(y, w, bias, logits, lo, hi, memory):
    """`output_forward` in memory that is there."""
    T, B, V = logits.shape
    H = y.shape[2]
    z = flat(logits)
    for t in range(T):
        for b in range(lo, hi):
            copy(z, (t * B + b) * V, bias, 0, V)
    multiply((z, lo * V, B * V, V), (flat(y), lo * H, B * H, H), w, H, V, T, hi - lo, 1, memory)


@kernel
def output_loss(y, w, bias, targets, scale, logits, losses, w_back, dy, lo, hi):
    """Losses (T, B) of rows lo..hi; logits (T, B, V) become their gradients.

    y (T, B, H); w packed (H, V); targets (T, B), -1 = not scored. dy (T, B, H) is overwritten with the
    gradient of y through w_back, packed (V, H); or dy has no columns and is left out.
    """
    memory = product_memory(y, w, max(y.shape[2], logits.shape[2]), STEPS * (hi - lo))
    _output_loss(y, w, bias, targets, scale, logits, losses, w_back, dy, lo, hi, memory)


@device_function
def _output_loss(y, w, bias, targets, scale, logits, losses, w_back, dy, lo, hi, memory):
    T, B, V = logits.shape
    H = y.shape[2]
    y_flat, z, dy_flat = flat(y), flat(logits), flat(dy)
    for t0 in range(0, T, STEPS):
        steps = min(STEPS, T - t0)
        for t in range(t0, t0 + steps):
            for b in range(lo, hi):
                copy(z, (t * B + b) * V, bias, 0, V)
        at = t0 * B + lo
        multiply((z, at * V, B * V, V), (y_flat, at * H, B * H, H), w, H, V, steps, hi - lo, 1, memory)
        for t in range(t0, t0 + steps):
            for b in range(lo, hi):
                losses[t, b] = softmax_cross_entropy(logits[t, b], targets[t, b], scale)
        if dy.shape[2]:
            multiply((dy_flat, at * H, B * H, H), (z, at * V, B * V, V), w_back, V, H, steps, hi - lo, 0, memory)


@kernel
def bias_backward(db, dlogits, lo, hi):
    """Add columns lo..hi of the sum of dlogits (K, V) over K to db (V,)."""
    for k in range(dlogits.shape[0]):
        for v in range(lo, hi):
            db[v] += dlogits[k, v]


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
