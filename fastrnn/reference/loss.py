"""Softmax and cross-entropy, in nats per scored position.

    p_k = e^(o_k) / sum over j of e^(o_j)                 softmax of the logits o
    E_t = -log p_y                                        cross-entropy of the target y
    E   = mean of E_t over the scored positions           the lectures' sum over time, divided by their number

Backward:  do_k = (p_k - [k = y]) / (number of scored positions). Over k these add up to zero.

A target of -1 is not scored: it contributes neither loss nor gradient. Without scored targets the loss is 0.
"""

import numpy as np

from .cells import Array


def log_softmax(logits: Array) -> Array:
    """Return log p, (..., V)."""
    # subtracting the largest logit changes no p and keeps e^o from overflowing
    shifted: Array = logits - logits.max(axis=-1, keepdims=True)
    log_total: Array = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted - log_total


def softmax(logits: Array) -> Array:
    """Return p, (..., V): positive, with sum 1."""
    return np.exp(log_softmax(logits))


def cross_entropy(logits: Array, targets: Array) -> float:
    """Return the mean nats of the scored positions; logits (T, B, V), targets (T, B) in -1 .. V-1."""
    scored = targets >= 0
    log_p = log_softmax(logits)[scored]
    nats = -log_p[np.arange(len(log_p)), targets[scored]]
    return float(nats.sum() / max(len(nats), 1))


def cross_entropy_backward(logits: Array, targets: Array) -> Array:
    """Return the gradient of `cross_entropy` with respect to the logits, (T, B, V)."""
    scored = targets >= 0
    dlogits = np.zeros_like(logits)
    p_minus_target = softmax(logits[scored])
    p_minus_target[np.arange(len(p_minus_target)), targets[scored]] -= 1
    dlogits[scored] = p_minus_target / max(len(p_minus_target), 1)
    return dlogits
