"""Linear output layers and losses, forward and backward, for a range of batch rows. All losses are
in nats.

    linear layer             z = W x + b           dx = W^T dz        dW: `weight_gradient`

    softmax cross-entropy    p = softmax(z)    loss = -log p[target]                    dz = p - onehot(target)
    squared error                              loss = (z - y)^2 / 2                     dz = z - y
    binary cross-entropy     p = sigmoid(z)    loss = -y log p - (1 - y) log(1 - p)     dz = p - y

Gradients are multiplied by ``scale``. A target of -1 (class) or NaN (number, bit) is ignored: loss
0, gradient 0. The maximum is subtracted before exp, so it cannot overflow.
"""

import math

from .activations import exp, sigmoid
from .blocks import PackedMatrix, StepBlock, copy, flat
from .jit import device_function
from .matmul import multiply, product_memory
from .recurrence import STEPS
from .team import cooperative_kernel, part_of, shared_kernel, threads_of


@device_function
def softmax_cross_entropy(z, target, scale):
    """Replace the logits z (V,) by their gradient, times ``scale``; return the loss in nats."""
    zero = z.dtype.type(0)
    if target < 0:
        for v in range(z.size):
            z[v] = zero
        return zero
    # three passes over V numbers, which stay in the L1 cache for usual vocabularies
    highest = z[0]
    for v in range(z.size):
        highest = z[v] if z[v] > highest else highest
    at_target = z[target]
    total = zero
    for v in range(z.size):
        e = exp(z[v] - highest)
        z[v] = e
        total += e
    # NaN among the logits reaches the loss through the sum, infinity through highest - at_target
    loss = z.dtype.type(math.log(total)) + (highest - at_target)
    # z holds e^(z - max) now; p - onehot(target), times scale
    factor = scale / total
    for v in range(z.size):
        z[v] *= factor
    z[target] -= scale
    return loss


@shared_kernel
def output_forward(logits, y, w, bias, row_lo, row_hi):
    """logits (T, B, V) of rows row_lo..row_hi from y (T, B, H), packed w (H, V) and bias (V,)."""
    output(logits, y, w, bias, row_lo, row_hi, product_memory(y, w, y.shape[2], y.shape[0] * (row_hi - row_lo)))


@device_function
def output(logits, y, w, bias, row_lo, row_hi, memory):
    """`output_forward` with working memory from `product_memory`."""
    T, B, V = logits.shape
    H = y.shape[2]
    # the product adds to the bias, so no second pass over the logits is needed
    z = flat(logits)
    for t in range(T):
        for b in range(row_lo, row_hi):
            copy(z, (t * B + b) * V, bias, 0, V)
    # logits[:, rows] += y[:, rows] W
    from_y = StepBlock(flat(y), row_lo * H, B * H, H)
    to_z = StepBlock(z, row_lo * V, B * V, V)
    multiply(to_z, from_y, PackedMatrix(w, H, V), T, row_hi - row_lo, 1, memory)


def _plan_loss(team, logits, dy, layer, y, targets, row_lo, row_hi):
    """Whether threads divide the time steps, not the rows: then they multiply enough rows to fill a tile."""
    return y.shape[0] >= threads_of(team)


@cooperative_kernel(plan=_plan_loss)
def output_loss(thread, logits, dy, layer, y, targets, row_lo, row_hi):
    """Compute the softmax cross-entropy of rows row_lo..row_hi, and its gradients.

    Args:
        thread: The `Thread` that computes a part of it. Its plan: whether threads divide the time steps,
            else the rows. The positions are independent.
        logits: (T, B, V), overwritten with their gradients, times ``targets.scale``.
        dy: (T, B, H), overwritten with the gradient of y; not computed with dy (T, B, 0).
        layer: `OutputLayer`.
        y: (T, B, H), its input.
        targets: `Targets`, with the losses to compute.
        row_lo: First row.
        row_hi: End of the rows.
    """
    steps = part_of(thread, 0, y.shape[0]) if thread.plan else (0, y.shape[0])
    rows = (row_lo, row_hi) if thread.plan else part_of(thread, row_lo, row_hi)
    # the longer of the two products' rows: H forward, V backward
    memory = product_memory(y, layer.w, max(y.shape[2], logits.shape[2]), STEPS * (rows[1] - rows[0]))
    _output_loss(logits, dy, layer, y, targets, steps, rows, memory)


@device_function
def _output_loss(logits, dy, layer, y, targets, steps_part, rows, memory):
    """`output_loss`, STEPS time steps at a time, so that logits and weights stay in cache between
    forward and backward.
    """
    B, V = logits.shape[1:]
    H = y.shape[2]
    y_flat, z, dy_flat = flat(y), flat(logits), flat(dy)
    first, end = steps_part
    row_lo, row_hi = rows
    for t0 in range(first, end, STEPS):
        steps = min(STEPS, end - t0)
        for t in range(t0, t0 + steps):
            for b in range(row_lo, row_hi):
                copy(z, (t * B + b) * V, layer.bias, 0, V)
        # logits[t0:t1, rows] += y[t0:t1, rows] W; `at` is position (t0, row_lo)
        at = t0 * B + row_lo
        from_y = StepBlock(y_flat, at * H, B * H, H)
        to_z = StepBlock(z, at * V, B * V, V)
        multiply(to_z, from_y, PackedMatrix(layer.w, H, V), steps, row_hi - row_lo, 1, memory)
        for t in range(t0, t0 + steps):
            for b in range(row_lo, row_hi):
                targets.losses[t, b] = softmax_cross_entropy(logits[t, b], targets.targets[t, b], targets.scale)
        if dy.shape[2]:
            # dy[t0:t1, rows] = dlogits[t0:t1, rows] W^T
            to_dy = StepBlock(dy_flat, at * H, B * H, H)
            from_z = StepBlock(z, at * V, B * V, V)
            multiply(to_dy, from_z, PackedMatrix(layer.w_back, V, H), steps, row_hi - row_lo, 0, memory)


@shared_kernel
def linear_backward(dx, dz, w, row_lo, row_hi):
    """dx (T, B, F) of rows row_lo..row_hi from dz (T, B, K) and w (K, F), the packed transpose of
    the forward weight:  dx = W^T dz.
    """
    T, B, K = dz.shape
    F = dx.shape[2]
    memory = product_memory(dx, w, K, T * (row_hi - row_lo))
    # dx[:, rows] = dz[:, rows] W
    from_dz = StepBlock(flat(dz), row_lo * K, B * K, K)
    to_dx = StepBlock(flat(dx), row_lo * F, B * F, F)
    multiply(to_dx, from_dz, PackedMatrix(w, K, F), T, row_hi - row_lo, 0, memory)


@shared_kernel
def bias_backward(db, dlogits, col_lo, col_hi):
    """Add columns col_lo..col_hi of the sum of dlogits (K, V) over K to db (V,)."""
    # threads share columns, so each sum runs over k in order for any number of threads
    for k in range(dlogits.shape[0]):
        for v in range(col_lo, col_hi):
            db[v] += dlogits[k, v]


@shared_kernel
def squared_error(z, y, scale, losses, row_lo, row_hi):
    """Replace z (T, B, K) by its gradient, times ``scale``; losses (T, B) = sums over K for targets
    y (T, B, K).
    """
    T, _, K = z.shape
    zero, half = z.dtype.type(0), z.dtype.type(0.5)
    for t in range(T):
        for b in range(row_lo, row_hi):
            total = zero
            for k in range(K):
                # y != y tests for NaN
                error = zero if y[t, b, k] != y[t, b, k] else z[t, b, k] - y[t, b, k]
                total += half * error * error
                z[t, b, k] = error * scale
            losses[t, b] = total


@shared_kernel
def binary_cross_entropy(z, y, scale, losses, row_lo, row_hi):
    """Replace logits z (T, B, K) by their gradient, times ``scale``; losses (T, B) = sums over K
    for bits y (T, B, K).
    """
    T, _, K = z.shape
    zero = z.dtype.type(0)
    for t in range(T):
        for b in range(row_lo, row_hi):
            total = zero
            for k in range(K):
                logit, target = z[t, b, k], y[t, b, k]
                z[t, b, k] = zero
                if target == target:
                    # loss = log(1 + e^z) - y z = log(1 + e^-|z|) + max(z, 0) - y z: the exponent is
                    # never positive
                    above = zero if logit < zero else logit
                    total += z.dtype.type(math.log1p(exp(-abs(logit)))) + above - target * logit
                    z[t, b, k] = (sigmoid(logit) - target) * scale
            losses[t, b] = total


@shared_kernel
def log_softmax(z, row_lo, row_hi):
    """Replace logits z (T, B, K) by log-probabilities."""
    T, _, K = z.shape
    for t in range(T):
        for b in range(row_lo, row_hi):
            row = z[t, b]
            highest = row[0]
            for k in range(K):
                highest = row[k] if row[k] > highest else highest
            total = z.dtype.type(0)
            for k in range(K):
                total += exp(row[k] - highest)
            # log p = z - max - log(sum of e^(z - max))
            subtracted = highest + z.dtype.type(math.log(total))
            for k in range(K):
                row[k] -= subtracted


@shared_kernel
def probabilities(z, row_lo, row_hi):
    """Replace logits z (T, B, K) by sigmoid(z)."""
    for t in range(z.shape[0]):
        for b in range(row_lo, row_hi):
            for k in range(z.shape[2]):
                z[t, b, k] = sigmoid(z[t, b, k])
