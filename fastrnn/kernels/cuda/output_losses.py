"""Output layer with softmax cross-entropy, forward and backward in one pass.

See `fastrnn.kernels.cpu.output_losses`.
"""

import math
from functools import cache

import numpy as np

from .arguments import Matrix, ProductShape
from .jit import SIMULATED, cuda, kernel, launch
from .matmul import multiply
from .packing import numbers, uses_bfloat16
from .reductions import add_up, sum_columns
from .target import REDUCING

_MOST_BLOCKS = 1 if SIMULATED else 1 << 16


@kernel
def _fill_with_bias(logits, bias):
    """logits[t, b] = bias, to which the product is added."""
    _, B, V = logits.shape
    for i in range(cuda.grid(1), logits.size, cuda.gridsize(1)):
        k = i // V
        logits[k // B, k % B, i % V] = bias[i % V]


def output_forward(logits, y, w, bias, row_lo, row_hi):
    """logits (T, B, V) from y (T, B, H), packed w (H, V) and bias (V,)."""
    T, B, V = logits.shape
    H = y.shape[2]
    launch(_fill_with_bias, logits.size, logits, bias)
    # logits += y W; rows are all (t, b)
    shape = ProductShape(T * B, V, H, accumulate=True, transposed=False)
    multiply(Matrix(logits, 0, V), Matrix(y, 0, H), Matrix(numbers(w), 0, V), shape, uses_bfloat16(w))


def output_loss(logits, dy, layer, y, targets, row_lo, row_hi):
    """losses (T, B); logits (T, B, V) are overwritten with their gradients.

    dy (T, B, H) is overwritten with the gradient of y; with dy (T, B, 0) it is not computed.
    """
    w, bias, w_back = layer
    ids, scale, losses = targets
    T, B, V = logits.shape
    H = dy.shape[2]
    output_forward(logits, y, w, bias, row_lo, row_hi)
    _softmax_cross_entropy(logits.dtype.str)[min(T * B, _MOST_BLOCKS), REDUCING](logits, ids, scale, losses)
    # dy = dlogits W^T
    shape = ProductShape(T * B, H, V, accumulate=False, transposed=False)
    multiply(Matrix(dy, 0, H), Matrix(logits, 0, V), Matrix(numbers(w_back), 0, H), shape, uses_bfloat16(w_back))


@cache
def _softmax_cross_entropy(kind):
    """The kernel for numbers of this type: a block takes one position after another, its threads
    share V.
    """
    number = np.dtype(kind).type

    @kernel
    def softmax_cross_entropy(logits, targets, scale, losses):
        T, B, V = logits.shape
        shared = cuda.shared.array(REDUCING, number)
        me = cuda.threadIdx.x
        for k in range(cuda.blockIdx.x, T * B, cuda.gridDim.x):
            t, b = k // B, k % B
            target = targets[t, b]
            # the maximum: of each thread's tokens, then of the threads
            highest = logits[t, b, 0]
            for v in range(me, V, REDUCING):
                highest = logits[t, b, v] if logits[t, b, v] > highest else highest
            shared[me] = highest
            cuda.syncthreads()
            half = REDUCING // 2
            while half > 0:
                if me < half and shared[me + half] > shared[me]:
                    shared[me] = shared[me + half]
                cuda.syncthreads()
                half //= 2
            highest = shared[0]
            at_target = logits[t, b, max(target, 0)]
            cuda.syncthreads()
            # z becomes e^(z - max); their sum over the block
            total = number(0)
            for v in range(me, V, REDUCING):
                e = math.exp(logits[t, b, v] - highest)
                logits[t, b, v] = e
                total += e
            shared[me] = total
            add_up(shared, me)
            total = shared[0]
            cuda.syncthreads()
            # gradient p - onehot(target), times scale; 0 for an ignored position
            for v in range(me, V, REDUCING):
                gradient = logits[t, b, v] * (scale / total) - (scale if v == target else number(0))
                logits[t, b, v] = gradient if target >= 0 else number(0)
            if me == 0:
                # a NaN among the logits reaches the loss through the sum; an infinite one through
                # highest - at_target
                losses[t, b] = math.log(total) + (highest - at_target) if target >= 0 else number(0)

    return softmax_cross_entropy


def bias_backward(db, dlogits, col_lo, col_hi):
    """Add the sum of dlogits (K, V) over K to db (V,)."""
    sum_columns(db, dlogits, len(dlogits), True)
