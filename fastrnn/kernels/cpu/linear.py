"""The backward half of a linear map, and the tanh of the plain layer, for a range of batch rows.

z = W x + b        dx = W^T dz        (forward: `loss.output_forward`; dW and db: `gradient`, `loss.bias_backward`)
h = tanh(z)        dz = (1 - h^2) dh
"""

from .activations import tanh
from .jit import kernel
from .matmul import multiply, product_memory
from .recurrence import flat


@kernel
def linear_backward(dz, w, dx, lo, hi):
    """dx (T, B, F) of rows lo..hi from dz (T, B, K) and w packed (K, F), the transpose of the forward pass's."""
    T, B, K = dz.shape
    F = dx.shape[2]
    memory = product_memory(dx, w, K, T * (hi - lo))
    multiply((flat(dx), lo * F, B * F, F), (flat(dz), lo * K, B * K, K), w, K, F, T, hi - lo, 0, memory)


@kernel
def tanh_forward(h, lo, hi):
    """Rows lo..hi of h (T, B, H) = tanh of what it holds."""
    for t in range(h.shape[0]):
        for b in range(lo, hi):
            row = h[t, b]
            for j in range(row.size):
                row[j] = tanh(row[j])


@kernel
def tanh_backward(dz, h, dy, lo, hi):
    """Rows lo..hi of dz (T, B, H) from h and its gradient dy, both (T, B, H)."""
    one = h.dtype.type(1)
    for t in range(h.shape[0]):
        for b in range(lo, hi):
            to, row, from_above = dz[t, b], h[t, b], dy[t, b]
            for j in range(row.size):
                to[j] = from_above[j] * (one - row[j] * row[j])
