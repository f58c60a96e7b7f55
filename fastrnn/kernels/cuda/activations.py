"""Sigmoid and tanh of CUDA's math library. Constants are float32: a literal would promote to
float64.
"""

import math

import numpy as np

from .jit import device

_F = np.float32


@device
def tanh(x):
    """Hyperbolic tangent of a float32 or float64."""
    return math.tanh(x)


@device
def sigmoid(x):
    """1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2; this form cannot overflow."""
    return _F(0.5) * math.tanh(_F(0.5) * x) + _F(0.5)
